//! One recording that is being written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::MAX_BYTES;

/// See the module.
#[derive(Debug)]
pub(super) struct Recording {
    path: PathBuf,
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
            path: path.to_owned(),
            file: options.open(path)?,
            bytes: 0,
        };
        match recording.append(header) {
            Ok(()) => Ok(recording),
            Err(error) => {
                recording.discard();
                Err(error)
            }
        }
    }

    /// There will be no command that it is of.
    pub(super) fn discard(self) {
        // If that fails, there is a file that shows nothing.
        let _ = std::fs::remove_file(&self.path);
    }

    /// One that another program has begun; a new one of its name, if it was moved away.
    ///
    /// # Errors
    /// It is not as we make them, or cannot be written.
    pub(super) fn reopen(path: &Path, header: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // A FIFO is an error then, not a wait.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = match options.append(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self::create(path, header);
            }
            opened => opened?,
        };
        let about = file.metadata()?;
        let own = rustix::process::geteuid().as_raw();
        if !about.is_file() || about.uid() != own || about.nlink() != 1 {
            return Err(io::Error::other("it is no file of ours alone"));
        }
        Ok(Recording {
            path: path.to_owned(),
            file,
            bytes: about.len(),
        })
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

    use super::*;

    #[test]
    fn a_recording_is_new_private_and_bounded_and_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.cast");
        let mut recording = Recording::create(&path, "one\n").unwrap();
        assert!(Recording::create(&path, "other\n").is_err());
        recording.append("two\n").unwrap();
        let mut recording = Recording::reopen(&path, "").unwrap();
        recording.append("three\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\nthree\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        recording.bytes = MAX_BYTES - 3;
        assert!(recording.append("four\n").is_err());
        recording.discard();
        Recording::reopen(&path, "again\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"again\n");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(Recording::reopen(&path, "").is_err());
        assert!(Recording::create(&path, "").is_err());
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(Recording::reopen(&path, "").is_err());
    }
}
