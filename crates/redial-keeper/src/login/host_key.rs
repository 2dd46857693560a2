//! The server's own key, in a file that nobody else may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redial_auth::{HostKey, HostKeyError};
use zeroize::Zeroizing;

use super::strict::{StrictError, open_strictly};

/// Why there is no host key.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyFileError {
    /// It is not there, or somebody else could have written it.
    #[error("host key {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StrictError,
    },
    /// Others may read it.
    #[error(
        "host key {path}: its mode is {mode:04o}, so others may have read it; make another, or \
         chmod 600 {path}",
        path = path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds no key that can be used.
    #[error("host key {path}: {source}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: HostKeyError,
    },
    /// It cannot be read or made.
    #[error("host key {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Reads a host key that is there: an Ed25519 key in OpenSSH's format, readable by its owner
/// alone; sshd's own will do.
///
/// # Errors
/// [`HostKeyFileError`].
pub fn load_host_key(path: &Path) -> Result<HostKey, HostKeyFileError> {
    let io = |source| HostKeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let uid = rustix::process::geteuid().as_raw();
    let file = open_strictly(path, uid, None).map_err(|source| HostKeyFileError::File {
        path: path.to_owned(),
        source,
    })?;
    let mode = file.metadata().map_err(io)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(HostKeyFileError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    let limit = redial_auth::limits::PRIVATE_KEY_BYTES as u64;
    file.take(limit + 1).read_to_string(&mut text).map_err(io)?;
    HostKey::from_text(&text).map_err(|source| HostKeyFileError::Key {
        path: path.to_owned(),
        source,
    })
}

/// As [`load_host_key`], but makes a key where there is none, its directory too.
/// True if it is new.
///
/// # Errors
/// As there.
pub fn load_or_make_host_key(path: &Path) -> Result<(HostKey, bool), HostKeyFileError> {
    match load_host_key(path) {
        Err(HostKeyFileError::File {
            source: StrictError::Missing,
            ..
        }) => {}
        loaded => return loaded.map(|key| (key, false)),
    }
    let made = make(path).map_err(|source| HostKeyFileError::Io {
        path: path.to_owned(),
        source,
    })?;
    // Read again: two that begin at once end up with the same key.
    load_host_key(path).map(|key| (key, made))
}

/// A key appears whole or not at all; where somebody was faster, that one stays.
fn make(path: &Path) -> io::Result<bool> {
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let mut seed = Zeroizing::new([0; 32]);
    fill(&mut *seed)?;
    // Of another name each time: what a crash has left is in nobody's way.
    let mut name = [0; 8];
    fill(&mut name)?;
    let name = u64::from_be_bytes(name);
    let new = directory.join(format!(".host_key.{name:016x}"));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&new)?;
    let written = file
        .write_all(HostKey::generate(&seed).to_text().as_bytes())
        .and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&new, path));
    fs::remove_file(&new)?;
    match linked {
        Ok(()) => {
            File::open(directory)?.sync_all()?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let flags = rustix::rand::GetRandomFlags::empty();
    let len = rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut *bytes, flags))?;
    if len == bytes.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_the_same_ever_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/host_key");
        let (made, new) = load_or_make_host_key(&path).unwrap();
        assert!(new);
        let (again, new) = load_or_make_host_key(&path).unwrap();
        assert!(!new);
        assert_eq!(made.public_key(), again.public_key());
        let mode = fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host_key");
        load_or_make_host_key(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = load_or_make_host_key(&path).unwrap_err();
        assert!(matches!(error, HostKeyFileError::Open { .. }), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host_key");
        fs::write(&path, "no key").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let error = load_or_make_host_key(&path).unwrap_err();
        assert!(matches!(error, HostKeyFileError::Key { .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "no key");
    }
}
