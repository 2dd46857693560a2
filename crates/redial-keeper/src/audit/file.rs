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
        if about.is_file() && about.mode() & 0o077 != 0 {
            let (path, mode) = (self.path.display().to_string(), about.mode() & 0o777);
            let (path, mode) = (path.escape_debug(), format!("{mode:04o}"));
            tracing::warn!(%path, mode, "others may read or write the audit; chmod 600");
        }
        self.open = Some(Open {
            file,
            id: (about.dev(), about.ino()),
            torn: false,
        });
        Ok(())
    }

    /// Appends lines, all of them or, as far as it can be helped, none. Says how many are in the file, and
    /// why no more.
    pub(crate) fn append(&mut self, lines: &[&str]) -> (usize, io::Result<()>) {
        match self.try_append(lines.concat().as_bytes()) {
            Ok(()) => (lines.len(), Ok(())),
            Err((bytes, error)) => (whole(lines, bytes), Err(error)),
        }
    }

    /// Else says how many bytes are there, and stay.
    fn try_append(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        self.open().map_err(nothing)?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.torn {
            open.file.write_all(b"\n").map_err(nothing)?;
            open.torn = false;
        }
        let before = open.file.metadata().map_err(nothing)?.len();
        let mut written = 0;
        while written < bytes.len() {
            match open.file.write(&bytes[written..]) {
                Ok(0) => {
                    let error = io::ErrorKind::WriteZero.into();
                    return Err((open.take_back(before, &bytes[..written]), error));
                }
                Ok(len) => written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((open.take_back(before, &bytes[..written]), error)),
            }
        }
        Ok(())
    }
}

fn nothing(error: io::Error) -> (usize, io::Error) {
    (0, error)
}

/// How many of these lines so many bytes are, whole.
fn whole(lines: &[&str], mut bytes: usize) -> usize {
    let fits = |line: &&&str| {
        let is_there = line.len() <= bytes;
        bytes = bytes.saturating_sub(line.len());
        is_there
    };
    lines.iter().take_while(fits).count()
}

impl Open {
    /// Half a line would spoil the next: it is cut off, unless somebody else has written behind it or
    /// that is forbidden (chattr(1), +a). Says how many bytes stay.
    fn take_back(&mut self, before: u64, written: &[u8]) -> usize {
        if written.is_empty() {
            return 0;
        }
        let ours = before + written.len() as u64;
        let len = self.file.metadata().map(|about| about.len());
        if len.is_ok_and(|len| len == ours) && self.file.set_len(before).is_ok() {
            return 0;
        }
        self.torn = !written.ends_with(b"\n");
        written.len()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn append(file: &mut AuditFile, line: &str) {
        let (written, result) = file.append(&[line]);
        assert!(written == 1 && result.is_ok(), "{result:?}");
    }

    #[test]
    fn after_a_rename_the_next_line_goes_to_a_new_file_of_that_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let mut file = AuditFile::new(path.clone());
        append(&mut file, "one\n");
        fs::rename(&path, dir.path().join("audit.1")).unwrap();
        append(&mut file, "two\n");
        append(&mut file, "three\n");
        assert_eq!(fs::read(dir.path().join("audit.1")).unwrap(), b"one\n");
        assert_eq!(fs::read(&path).unwrap(), b"two\nthree\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // What was there before a server started stays.
        append(&mut AuditFile::new(path.clone()), "four\n");
        assert_eq!(fs::read(&path).unwrap(), b"two\nthree\nfour\n");
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_no_wait() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("no/audit");
        for path in [none, dir.path().to_owned(), "/dev/full".into()] {
            let (written, result) = AuditFile::new(path).append(&["x\n"]);
            assert!(written == 0 && result.is_err());
        }
    }

    #[test]
    fn half_a_line_is_cut_off_and_where_that_cannot_be_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let mut file = AuditFile::new(path.clone());
        append(&mut file, "one\nhal");
        let open = file.open.as_mut().unwrap();
        assert_eq!(open.take_back(4, b"hal"), 0);
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        append(&mut file, "two\nhal");
        let mut other = fs::OpenOptions::new().append(true).open(&path).unwrap();
        other.write_all(b"other\n").unwrap();
        let open = file.open.as_mut().unwrap();
        assert_eq!(open.take_back(4, b"two\nhal"), 7);
        assert_eq!(whole(&["two\n", "half\n"], 7), 1);
        append(&mut file, "three\n");
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\nhalother\n\nthree\n");
    }
}
