//! Recordings of terminals: what each has shown, and when, in a file of its own (asciicast v2).
//!
//! What is typed is not recorded: it may be a password. A file is there before its command runs, and a
//! command whose recording cannot go on is ended. A thread writes them; when it falls behind, terminals
//! are read no further.

mod cast;
mod file;
mod text;
mod writer;

pub(crate) use cast::{Header, file_name};
pub(crate) use text::Text;
pub(crate) use writer::{Recorder, Told};

/// Of one recording. Stops who prints for days from filling the disk that all are written to.
const MAX_BYTES: u64 = 1 << 30;
