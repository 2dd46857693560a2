//! The audit: who came in, what was run for whom, and how it ended. One JSON object a line, in a
//! file that belongs to whoever administers the machine, or in its journal.
//!
//! A thread writes it, in the order in which things happened. What starts a command waits until its
//! line is in the file (in the kernel's hands, that is: power loss may take the last lines), and if
//! it cannot be put there, the command does not run. What has happened already is kept until it
//! can be written, within bounds; beyond them it is counted, and the count is written.

mod file;
mod journal;
mod line;
mod sink;
mod writer;

use std::path::PathBuf;

pub(crate) use line::{
    Act, Asked, Ended, Event, Refused, Started, Text, Who, login_accepted, login_refused,
};
pub(crate) use writer::Auditor;

/// What is audited, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// Where it goes.
    pub to: AuditTo,
    /// How commands are written down.
    pub argv: AuditArgv,
    /// Commands run though their lines cannot be written.
    pub best_effort: bool,
}

/// Where an audit goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTo {
    /// To the end of this file; made if it is not there. It may be renamed at any time: the next line
    /// goes to a new one of its name.
    File(PathBuf),
    /// To the systemd journal.
    Journal,
}

/// For people.
impl std::fmt::Display for AuditTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AuditTo::File(path) => write!(f, "{}", path.display().to_string().escape_debug()),
            AuditTo::Journal => f.write_str("the journal"),
        }
    }
}

/// How a command is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditArgv {
    /// As it was asked for, up to 64 KiB of it.
    #[default]
    Full,
    /// Its program, and a SHA-256 of all arguments: they may hold secrets.
    Hash,
}
