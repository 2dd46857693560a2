//! The directory that holds a user's socket, and the check that it is the user's.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A runtime directory that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeDirError {
    /// It belongs to somebody else, who could answer in the server's place.
    #[error("{}: belongs to uid {owner}, not to us (uid {ours}); not used", path.display())]
    Owner {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        ours: u32,
    },
    /// Others may put a socket into it.
    #[error("{}: mode {mode:04o} lets others write there; not used (chmod 0700 it)", path.display())]
    Mode {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is a file or a symbolic link.
    #[error("{}: is no directory; not used", path.display())]
    NoDirectory {
        /// What was to be the directory.
        path: PathBuf,
    },
    /// It cannot be looked at.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Where the default socket lies: `redial.sock` in [`runtime_dir`].
///
/// # Errors
///
/// As [`runtime_dir`].
pub fn default_socket() -> Result<PathBuf, RuntimeDirError> {
    Ok(runtime_dir()?.join("redial.sock"))
}

/// `/run/redial` as root, else `redial` in `$XDG_RUNTIME_DIR`, else `/tmp/redial-UID`.
/// It need not exist; the server makes it.
///
/// # Errors
///
/// When it exists and is not ours alone.
pub fn runtime_dir() -> Result<PathBuf, RuntimeDirError> {
    let uid = rustix::process::geteuid().as_raw();
    let dir = place(uid, std::env::var_os("XDG_RUNTIME_DIR"));
    check(&dir, uid)?;
    Ok(dir)
}

fn place(uid: u32, xdg: Option<OsString>) -> PathBuf {
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute());
    match xdg {
        _ if uid == 0 => PathBuf::from("/run/redial"),
        Some(dir) => dir.join("redial"),
        None => PathBuf::from(format!("/tmp/redial-{uid}")),
    }
}

/// Anyone can make a directory in /tmp first, so what is there must prove to be ours.
fn check(dir: &Path, ours: u32) -> Result<(), RuntimeDirError> {
    let path = dir.to_path_buf();
    let found = match dir.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(RuntimeDirError::Unreadable { path, source }),
    };
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if !found.is_dir() {
        return Err(RuntimeDirError::NoDirectory { path });
    }
    if owner != ours {
        return Err(RuntimeDirError::Owner { path, owner, ours });
    }
    if mode & 0o022 != 0 {
        return Err(RuntimeDirError::Mode { path, mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn root_uses_run_and_others_a_directory_of_their_own() {
        let xdg = Some(OsString::from("/run/user/7"));
        assert_eq!(place(0, xdg.clone()), Path::new("/run/redial"));
        assert_eq!(place(7, xdg), Path::new("/run/user/7/redial"));
        assert_eq!(place(7, None), Path::new("/tmp/redial-7"));
        assert_eq!(
            place(7, Some("relative".into())),
            Path::new("/tmp/redial-7")
        );
    }

    #[test]
    fn a_directory_is_used_only_when_it_is_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let us = rustix::process::geteuid().as_raw();
        assert!(check(dir.path(), us).is_ok());
        assert!(check(&dir.path().join("absent"), us).is_ok());
        let other = us.wrapping_add(1);
        assert!(matches!(
            check(dir.path(), other),
            Err(RuntimeDirError::Owner { .. })
        ));
        set_permissions(dir.path(), Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(
            check(dir.path(), us),
            Err(RuntimeDirError::Mode { .. })
        ));
        set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let link = dir.path().join("link");
        symlink(dir.path(), &link).unwrap();
        assert!(matches!(
            check(&link, us),
            Err(RuntimeDirError::NoDirectory { .. })
        ));
    }
}
