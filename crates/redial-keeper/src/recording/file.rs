//! The directory of recordings, and one file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::MAX_BYTES;

/// Makes the directory if it is not there.
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

/// One recording that is being written.
#[derive(Debug)]
pub(super) struct Recording {
    file: File,
    bytes: u64,
}

impl Recording {
    /// A new one, with its first line.
    ///
    /// # Errors
    /// It is there already, or cannot be written.
    pub(super) fn create(path: &Path, header: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o600);
        let mut recording = Recording {
            file: options.open(path)?,
            bytes: 0,
        };
        let written = recording.append(header);
        if written.is_err() {
            // There will be no command that it could be of.
            let _ = std::fs::remove_file(path);
        }
        written.map(|()| recording)
    }

    /// One that another program has begun.
    ///
    /// # Errors
    /// It is not there any more.
    pub(super) fn reopen(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Recording { file, bytes })
    }

    /// Whole lines, all of them or none.
    ///
    /// # Errors
    /// They cannot be written, or would be more than a recording may have.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        let bytes = self.bytes + lines.len() as u64;
        if bytes > MAX_BYTES {
            let text = format!("it has {MAX_BYTES} bytes, which is the limit");
            return Err(io::Error::other(text));
        }
        if let Err(error) = self.file.write_all(lines.as_bytes()) {
            // Half a line would be no JSON. Where that fails too, the reader sees it.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes = bytes;
        Ok(())
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
    fn a_recording_is_new_private_and_bounded_and_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.cast");
        let mut recording = Recording::create(&path, "one\n").unwrap();
        assert!(Recording::create(&path, "other\n").is_err());
        recording.append("two\n").unwrap();
        let mut recording = Recording::reopen(&path).unwrap();
        recording.append("three\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        recording.bytes = MAX_BYTES - 3;
        assert!(recording.append("four\n").is_err());
        fs::remove_file(&path).unwrap();
        assert!(Recording::reopen(&path).is_err());
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(Recording::reopen(&path).is_err());
        assert!(Recording::create(&path, "").is_err());
    }
}
