//! How a job ended, in the library's own types.

use std::fmt;
use std::io;
use std::time::Duration;

use redial_net::proto::message;

use crate::job::Output;

/// Everything that is known about how a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Exit code, signal, not started, or unknown.
    pub status: Status,
    /// What ended it.
    pub cause: Cause,
    /// What the command was given on stdin.
    pub stdin: Digest,
    /// What it wrote to stdout.
    pub stdout: Digest,
    /// What it wrote to stderr.
    pub stderr: Digest,
    /// Processes that held an output open when the drain was over; at most 16.
    pub holders: Vec<Holder>,
    /// Children that outlive the job, as far as known.
    pub lingering: u32,
    /// Whether the whole tree was reached, if it was cancelled.
    pub exact: bool,
    /// From the spawn to the exit.
    pub duration: Duration,
    /// CPU time, user and system.
    pub cpu: Duration,
}

impl Outcome {
    /// Whether it ended by itself with exit code 0.
    pub fn is_success(&self) -> bool {
        self.status == Status::Exited(0) && self.cause == Cause::Itself
    }

    /// What it wrote there.
    pub(crate) fn of(&self, stream: Output) -> &Digest {
        match stream {
            Output::Stdout => &self.stdout,
            Output::Stderr => &self.stderr,
        }
    }
}

/// How the process ended, if there ever was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It returned this code.
    Exited(u8),
    /// A signal ended it.
    Signaled {
        /// Its number.
        signal: u8,
        /// Whether core was dumped.
        core: bool,
    },
    /// It never ran.
    NotStarted {
        /// How far the start had come: `directory`, `program`, …
        stage: String,
        /// Why (errno(3)).
        errno: i32,
        /// The path it was about; may be empty.
        path: Vec<u8>,
    },
    /// Nobody can know.
    Unknown,
}

/// How the process exited, before the outcome is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Exited(u8),
    /// A signal ended it.
    Signaled {
        /// Its number.
        signal: u8,
        /// Whether core was dumped.
        core: bool,
    },
}

/// What ended a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It ended by itself.
    Itself,
    /// Its deadline passed.
    Deadline,
    /// It was cancelled, by whom.
    Cancelled(String),
    /// The line dropped and the policy said so.
    LineDropped,
    /// The server ended.
    ServerEnded,
    /// The kernel, for it took more memory than it may.
    OutOfMemory,
}

/// Bytes and checksum of one stream (PROTOCOL.md section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    /// How many bytes.
    pub bytes: u64,
    /// Chained XXH3-128.
    pub checksum: [u8; 16],
    /// False when bytes were stopped, dropped, or not waited for.
    pub complete: bool,
}

/// A process that held an output open after the job's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id on the server.
    pub pid: u32,
    /// Its name there.
    pub name: String,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Exited(code) => write!(f, "exited with {code}"),
            Status::Signaled { signal, core } => {
                let dumped = if *core { ", core dumped" } else { "" };
                write!(f, "ended by signal {signal}{dumped}")
            }
            Status::NotStarted { stage, errno, path } => {
                let path = String::from_utf8_lossy(path);
                let reason = io::Error::from_raw_os_error(*errno);
                write!(f, "not started: {stage} {path:?}: {reason}")
            }
            Status::Unknown => f.write_str("unknown: it may have run, nobody can know any more"),
        }
    }
}

impl From<message::Outcome> for Outcome {
    fn from(from: message::Outcome) -> Self {
        let holders = from
            .holders
            .into_iter()
            .map(|(pid, name)| Holder { pid, name });
        Outcome {
            status: from.status.into(),
            cause: from.cause.into(),
            stdin: from.stdin.into(),
            stdout: from.stdout.into(),
            stderr: from.stderr.into(),
            holders: holders.collect(),
            lingering: from.lingering,
            exact: from.exact,
            duration: Duration::from_millis(from.duration_ms),
            cpu: Duration::from_micros(from.cpu_us),
        }
    }
}

impl From<message::Status> for Status {
    fn from(from: message::Status) -> Self {
        match from {
            message::Status::Exited(code) => Status::Exited(code),
            message::Status::Signaled(signal, core) => Status::Signaled { signal, core },
            message::Status::NotStarted(stage, errno, path) => Status::NotStarted {
                stage,
                errno,
                path: path.into(),
            },
            message::Status::Unknown => Status::Unknown,
        }
    }
}

impl From<message::Exit> for Exit {
    fn from(from: message::Exit) -> Self {
        match from {
            message::Exit::Exited(code) => Exit::Exited(code),
            message::Exit::Signaled(signal, core) => Exit::Signaled { signal, core },
        }
    }
}

impl From<message::Cause> for Cause {
    fn from(from: message::Cause) -> Self {
        match from {
            message::Cause::Itself => Cause::Itself,
            message::Cause::Deadline => Cause::Deadline,
            message::Cause::Cancelled(by) => Cause::Cancelled(by),
            message::Cause::LineDropped => Cause::LineDropped,
            message::Cause::ServerEnded => Cause::ServerEnded,
            message::Cause::OutOfMemory => Cause::OutOfMemory,
        }
    }
}

impl From<message::DigestMessage> for Digest {
    fn from(from: message::DigestMessage) -> Self {
        Digest {
            bytes: from.bytes,
            checksum: from.checksum.into(),
            complete: from.complete,
        }
    }
}
