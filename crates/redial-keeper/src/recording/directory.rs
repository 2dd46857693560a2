//! The directory of recordings: whose it is, and how much is in it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::cast;
use crate::quota::Quota;

/// Between two looks at what has been removed, for who is refused.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Makes it if it is not there.
///
/// # Errors
/// It cannot be made; or it is not ours alone to write in.
pub(super) fn open_directory(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let about = std::fs::metadata(dir)?;
    if !about.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let own = rustix::process::geteuid().as_raw();
    if about.uid() != own || about.mode() & 0o022 != 0 {
        let text = "others may write in that directory; it must be the server's user's, mode 0700";
        return Err(io::Error::other(text));
    }
    Ok(())
}

/// What is left of the quota.
#[derive(Debug)]
pub(super) struct Room {
    quota: Quota,
    looked_at: Option<Instant>,
}

impl Room {
    pub(super) fn new(quota: u64, share: u64) -> Self {
        Self {
            quota: Quota::new(quota, share),
            looked_at: None,
        }
    }

    /// Takes room for one of this user's; what others have removed is found out when it matters.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn take(&mut self, dir: &Path, uid: u32, bytes: u64) -> io::Result<()> {
        if self.quota.left(uid) < bytes {
            self.look(dir);
        }
        if self.quota.left(uid) < bytes {
            let what = match self.quota.is_share_short(uid) {
                true => "its user's half of the quota for recordings",
                false => "the quota for recordings",
            };
            let text = format!("{what} is used up (--record-quota); old ones can be removed");
            return Err(io::Error::other(text));
        }
        self.quota.change(uid, 0, bytes);
        Ok(())
    }

    /// Counts what is there, unless that was done just now. What cannot be read does not count.
    pub(super) fn look(&mut self, dir: &Path) {
        if self.looked_at.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
            return;
        }
        self.looked_at = Some(Instant::now());
        self.quota.clear();
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let (name, about) = (entry.file_name(), entry.metadata());
            let uid = name.to_str().and_then(cast::owner);
            if let (Some(uid), Ok(about)) = (uid, about) {
                self.quota.change(uid, 0, about.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_directory_is_made_and_must_be_ours_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("casts");
        open_directory(&path).unwrap();
        open_directory(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(open_directory(&path).is_err());
        assert!(open_directory(&dir.path().join("no/casts")).is_err());
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(open_directory(&dir.path().join("file")).is_err());
    }

    #[test]
    fn what_is_there_counts_for_its_user_and_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::write(path.join("20231114T221320Z-1-a.cast"), [0; 40]).unwrap();
        fs::write(path.join("notes"), [0; 1_000]).unwrap();
        let mut room = Room::new(100, 50);
        room.look(path);
        room.take(path, 1, 10).unwrap();
        let refused = room.take(path, 1, 1).unwrap_err().to_string();
        assert!(refused.contains("user's half"), "{refused}");
        room.take(path, 2, 50).unwrap();
        let refused = room.take(path, 3, 1).unwrap_err().to_string();
        assert!(refused.starts_with("the quota"), "{refused}");
        // Nobody was heard of who has removed something; then it is looked at again.
        fs::remove_file(path.join("20231114T221320Z-1-a.cast")).unwrap();
        assert!(room.take(path, 1, 1).is_err());
        room.looked_at = None;
        room.take(path, 1, 50).unwrap();
    }
}
