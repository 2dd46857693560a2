//! Where lines go.

use std::io;

use super::AuditTo;
use super::file::AuditFile;
use super::journal::Journal;

/// See the module.
#[derive(Debug)]
pub(super) enum Sink {
    File(AuditFile),
    Journal(Journal),
}

impl Sink {
    pub(super) fn new(to: &AuditTo) -> Self {
        match to {
            AuditTo::File(path) => Self::File(AuditFile::new(path.clone())),
            AuditTo::Journal => Self::Journal(Journal::new()),
        }
    }

    /// Whether it could be written to now.
    ///
    /// # Errors
    /// It could not.
    pub(super) fn open(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.open(),
            Self::Journal(journal) => journal.open(),
        }
    }

    /// Writes lines in their order. Says how many it has written, and why no more.
    pub(super) fn append(&mut self, lines: &[&str]) -> (usize, io::Result<()>) {
        match self {
            Self::File(file) => file.append(lines),
            Self::Journal(journal) => {
                for (written, line) in lines.iter().enumerate() {
                    if let Err(error) = journal.append(line) {
                        return (written, Err(error));
                    }
                }
                (lines.len(), Ok(()))
            }
        }
    }
}
