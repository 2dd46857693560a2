//! Whose keys open the door: the user's files, read by a child, and the server's own key.
//!
//! The child ([`report_key_files`]) runs as the user whose files they are, so that a home
//! directory that hangs holds up nobody but it, and it can read nothing that its user
//! cannot. What it found it writes to its stdout; [`KeyReader`] starts it, bounds it in time
//! and size, and takes nothing it says on trust but the text of those files. Where there are
//! several users, each look has a child of its own, which asks anew who that is; that of a server
//! of one user stays for the next look ([`report_again`]), as long as somebody comes.

mod fetch;
mod host_key;
mod reader;
mod standing;
mod strict;

pub use fetch::{Asked, FetchError, KeyReader, asked_to_read};
pub use host_key::{HostKeyFileError, load_host_key, load_or_make_host_key};
pub(crate) use reader::Who;
pub use reader::{Found, KeyFile, Report, Whose, report_key_files};
pub use standing::report_again;
pub use strict::{StrictError, open_strictly};

/// Files of one user that are read; more are no setting of anybody's.
pub(crate) const MAX_FILES: usize = 16;
