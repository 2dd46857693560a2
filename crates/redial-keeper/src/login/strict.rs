//! Files that nobody else could have written: owner and modes checked up to the root, as sshd's
//! StrictModes does (sshd_config(5); safe_path in OpenSSH's misc.c).

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Group and others may write.
const WRITABLE: u32 = 0o022;
/// Only who owns an entry may rename or remove it, as in /tmp.
const STICKY: u32 = 0o1000;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum StrictError {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// It cannot be opened or looked at.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file, or a directory above it.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A directory, a device, a pipe.
    #[error("it is no regular file")]
    Kind,
    /// Somebody else could have put something there.
    #[error(
        "{path} belongs to uid {owner} with mode {mode:04o}: it must belong to uid {uid} or root, and \
         be writable by nobody else (chmod go-w {path})",
        path = path.display()
    )]
    Loose {
        /// The file, or a directory above it.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
        /// Whose it should be.
        uid: u32,
    },
}

/// Opens a file that belongs to `uid` or root, and that only they could have written: neither
/// it nor a directory above it, up to `home` or else the root, is writable by anybody else.
///
/// One difference from sshd: a sticky directory of root's (/tmp) will do, for nobody can put
/// another entry in an entry's place there.
///
/// # Errors
/// [`StrictError`].
pub fn open_strictly(path: &Path, uid: u32, home: Option<&Path>) -> Result<File, StrictError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => StrictError::Missing,
            _ => StrictError::Unreadable { path, source },
        }
    };
    let real = fs::canonicalize(path).map_err(unreadable(path))?;
    let mut options = OpenOptions::new();
    // Neither a link that has come since nor a pipe that nobody writes to.
    options
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(&real).map_err(unreadable(&real))?;
    let about = file.metadata().map_err(unreadable(&real))?;
    if !about.is_file() {
        return Err(StrictError::Kind);
    }
    check(&real, &about, uid, false)?;
    let home = home.and_then(|home| fs::canonicalize(home).ok());
    for directory in real.ancestors().skip(1) {
        let about = fs::metadata(directory).map_err(unreadable(directory))?;
        check(directory, &about, uid, true)?;
        if home.as_deref() == Some(directory) {
            break;
        }
    }
    Ok(file)
}

fn check(path: &Path, about: &Metadata, uid: u32, directory: bool) -> Result<(), StrictError> {
    let (owner, mode) = (about.uid(), about.mode() & 0o7777);
    let kept_by_root = directory && owner == 0 && mode & STICKY != 0;
    let good = (owner == 0 || owner == uid) && (mode & WRITABLE == 0 || kept_by_root);
    if good {
        return Ok(());
    }
    Err(StrictError::Loose {
        path: path.to_owned(),
        owner,
        mode,
        uid,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn file_in(dir: &Path) -> PathBuf {
        let path = dir.join("home/.ssh/keys");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "text").unwrap();
        mode(&path, 0o600);
        mode(&dir.join("home/.ssh"), 0o700);
        mode(&dir.join("home"), 0o755);
        path
    }

    #[test]
    fn a_file_that_only_its_owner_can_write_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = file_in(dir.path());
        open_strictly(&path, own_uid(), None).unwrap();
        mode(&path, 0o644);
        open_strictly(&path, own_uid(), None).unwrap();
    }

    #[test]
    fn what_others_can_write_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = file_in(dir.path());
        let (ssh, home) = (dir.path().join("home/.ssh"), dir.path().join("home"));
        for loose in [&path, &ssh, &home] {
            let before = fs::metadata(loose).unwrap().permissions();
            for extra in [0o020, 0o002] {
                mode(loose, (before.mode() & 0o777) | extra);
                let error = open_strictly(&path, own_uid(), None).unwrap_err();
                assert!(
                    matches!(&error, StrictError::Loose { path, .. } if path == loose),
                    "{error}"
                );
            }
            fs::set_permissions(loose, before).unwrap();
        }
        // What lies above the home directory is not this user's affair.
        mode(dir.path(), 0o777);
        open_strictly(&path, own_uid(), Some(&home)).unwrap();
        open_strictly(&path, own_uid(), None).unwrap_err();
    }

    #[test]
    fn a_link_counts_for_what_it_leads_to_and_what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = file_in(dir.path());
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        open_strictly(&link, own_uid(), None).unwrap();
        let missing = open_strictly(&dir.path().join("none"), own_uid(), None);
        assert!(matches!(missing, Err(StrictError::Missing)));
        let directory = open_strictly(&dir.path().join("home"), own_uid(), None);
        assert!(matches!(directory, Err(StrictError::Kind)));
        let device = open_strictly(Path::new("/dev/null"), own_uid(), None);
        assert!(matches!(device, Err(StrictError::Kind)));
    }

    #[test]
    fn another_users_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = file_in(dir.path());
        let other = own_uid() + 1;
        let result = open_strictly(&path, other, None);
        // Root's own files are good for everybody, as with sshd.
        assert_eq!(result.is_ok(), own_uid() == 0);
    }
}
