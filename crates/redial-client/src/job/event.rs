//! What a job tells its reader.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use redial_net::proto::Stream;

use crate::error::Lost;
use crate::outcome::{Exit, Outcome};

/// One of a command's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Output {
    /// What it writes.
    Stdout,
    /// What it complains about.
    Stderr,
}

impl Output {
    /// Both, by [`Output::index`].
    pub const BOTH: [Output; 2] = [Output::Stdout, Output::Stderr];

    /// 0 for stdout, 1 for stderr.
    pub fn index(self) -> usize {
        self as usize
    }

    pub(crate) fn stream(self) -> Stream {
        match self {
            Output::Stdout => Stream::Stdout,
            Output::Stderr => Stream::Stderr,
        }
    }

    pub(crate) fn of(stream: Stream) -> Option<Output> {
        match stream {
            Stream::Stdin => None,
            Stream::Stdout => Some(Output::Stdout),
            Stream::Stderr => Some(Output::Stderr),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream().fmt(f)
    }
}

/// What happens to a job, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEvent {
    /// It runs.
    Attached {
        /// Its process id on the server.
        pid: u32,
        /// Whether a cancel will reach its whole tree.
        exact: bool,
        /// Whether its streams are a terminal.
        terminal: bool,
    },
    /// It wrote this. The two outputs come in the order in which the server read them.
    Data {
        /// Where to.
        stream: Output,
        /// Absolute position of the first byte.
        offset: u64,
        /// The bytes; at least one.
        bytes: Bytes,
    },
    /// This output has ended.
    Eof {
        /// Which.
        stream: Output,
        /// Its length in bytes.
        length: u64,
    },
    /// It reads no more stdin.
    StdinClosed,
    /// The line has dropped; another is dialled, and the job goes on over it.
    LineDropped {
        /// Why.
        reason: Lost,
    },
    /// The job is reached over another line; nothing of it is lost.
    LineBack {
        /// How long it was not.
        after: Duration,
    },
    /// Bytes of an output are gone on the server, and will not come.
    Missed {
        /// Which output.
        stream: Output,
        /// Offset of the first.
        from: u64,
        /// Offset behind the last.
        to: u64,
    },
    /// Its process has exited; output may still follow.
    Exited(Exit),
    /// It is over: the last event.
    Ended(Box<Outcome>),
}
