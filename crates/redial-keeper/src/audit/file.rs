//! The file: appended to in whole lines, and found again under its name after a rotation.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// See the module.
#[derive(Debug)]
pub(crate) struct AuditFile {
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    id: (u64, u64),
    /// The last line in it is not whole.
    torn: bool,
}

impl AuditFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Opens it, if that is not the file of this name already: it may have been renamed.
    ///
    /// # Errors
    /// As open(2).
    pub(crate) fn open(&mut self) -> io::Result<()> {
        let there = std::fs::metadata(&self.path).map(|about| (about.dev(), about.ino()));
        let is_there = self
            .open
            .as_ref()
            .is_some_and(|open| there.as_ref().is_ok_and(|id| *id == open.id));
        if is_there {
            return Ok(());
        }
        self.open = None;
        let mut options = OpenOptions::new();
        // A FIFO without a reader is an error, not a wait.
        options
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NONBLOCK);
        let file = options.open(&self.path)?;
        let about = file.metadata()?;
        self.open = Some(Open {
            file,
            id: (about.dev(), about.ino()),
            torn: false,
        });
        Ok(())
    }

    /// Appends lines, all of them or, as far as it can be helped, nothing.
    ///
    /// # Errors
    /// As open(2) and write(2).
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.open()?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.torn {
            open.file.write_all(b"\n")?;
            open.torn = false;
        }
        let before = open.file.metadata()?.len();
        let mut written = 0;
        while written < lines.len() {
            match open.file.write(&lines[written..]) {
                Ok(0) => return open.take_back(before, written, io::ErrorKind::WriteZero.into()),
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return open.take_back(before, written, error),
            }
        }
        Ok(())
    }
}

impl Open {
    /// Half a line would spoil the next: it is cut off, unless somebody else has written behind it.
    fn take_back(&mut self, before: u64, written: usize, error: io::Error) -> io::Result<()> {
        if written > 0 {
            let ours = before + written as u64;
            let len = self.file.metadata().map(|about| about.len());
            let cut = len.is_ok_and(|len| len == ours) && self.file.set_len(before).is_ok();
            self.torn = !cut;
        }
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn after_a_rename_the_next_line_goes_to_a_new_file_of_that_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let mut file = AuditFile::new(path.clone());
        file.append(b"one\n").unwrap();
        fs::rename(&path, dir.path().join("audit.1")).unwrap();
        file.append(b"two\n").unwrap();
        file.append(b"three\n").unwrap();
        assert_eq!(fs::read(dir.path().join("audit.1")).unwrap(), b"one\n");
        assert_eq!(fs::read(&path).unwrap(), b"two\nthree\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // What was there before a server started stays.
        AuditFile::new(path.clone()).append(b"four\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two\nthree\nfour\n");
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_no_wait() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            AuditFile::new(dir.path().join("no/audit"))
                .append(b"x\n")
                .is_err()
        );
        assert!(
            AuditFile::new(dir.path().to_owned())
                .append(b"x\n")
                .is_err()
        );
        assert!(AuditFile::new("/dev/full".into()).append(b"x\n").is_err());
    }

    #[test]
    fn half_a_line_is_cut_off_and_where_that_cannot_be_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let mut file = AuditFile::new(path.clone());
        file.append(b"one\nhal").unwrap();
        let open = file.open.as_mut().unwrap();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert!(open.take_back(4, 3, full()).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        file.append(b"hal").unwrap();
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"other\n")
            .unwrap();
        let open = file.open.as_mut().unwrap();
        assert!(open.take_back(4, 3, full()).is_err());
        file.append(b"two\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\nhalother\n\ntwo\n");
    }
}
