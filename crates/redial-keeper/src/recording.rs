//! Recordings of terminals: what each has shown, and when, in a file of its own (asciicast v2).
//!
//! What is typed is not recorded: it may be a password. A file is there before its command runs, and a
//! command whose recording cannot go on is ended. A thread writes them; when it falls behind, terminals
//! are read no further.

mod cast;
mod directory;
mod file;
mod text;
mod writer;

use std::path::PathBuf;

pub(crate) use cast::{Header, file_name};
pub(crate) use text::Text;
pub(crate) use writer::{Recorder, Told};

/// Where terminals are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordConfig {
    /// A directory of the server's alone; made if it is not there.
    pub dir: PathBuf,
    /// Bytes of all recordings there. Where a server has several users, one may have half of that.
    pub quota: u64,
}

/// Of one recording. Stops who prints for days from filling the disk that all are written to.
const MAX_BYTES: u64 = 1 << 30;
