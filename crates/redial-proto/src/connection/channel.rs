//! One channel: a conversation about one job.

use alloc::vec::Vec;

use super::notices::Notices;
use super::receiver::Receiver;
use super::sender::Sender;
use crate::id::Stream;
use crate::message::Resent;

/// What both sides know about a channel. It is closed when it is gone.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) state: State,
    pub(super) request: Request,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    pub(super) notices: Notices,
    /// Server: the outcome, waiting for the last byte to be sent.
    pub(super) outcome: Option<Vec<u8>>,
    /// Client: the number of the next control.
    pub(super) next_control: u64,
    /// Stdin is not wanted any more (both sides know, or will).
    pub(super) stdin_closed: bool,
    /// It has been attached.
    pub(super) attached: bool,
    /// Client: the exit has been said.
    pub(super) exited: bool,
    /// In the outbox's list of channels with notices.
    pub(super) in_noticed: bool,
    /// In the outbox's list of channels with data, ends or an outcome to send.
    pub(super) in_sending: bool,
}

/// How far a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Asked for, not answered.
    Opening,
    /// Attached.
    Open,
    /// The outcome is said (server: or waits to be).
    Ended,
}

/// What opened a channel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request {
    Start {
        /// The job has a stdin.
        stdin: bool,
        resent: Option<Resent>,
    },
    Attach {
        stdout_from: u64,
        stderr_from: u64,
    },
    /// About jobs: no stream belongs to it.
    Query,
}

impl Request {
    /// Stdin may follow at once, before its offset is confirmed.
    pub(super) fn allows_early_stdin(&self) -> bool {
        matches!(
            self,
            Self::Start {
                stdin: true,
                resent: None
            }
        )
    }

    /// Whether a client counts stdin from its first byte; else from where the server says.
    pub(super) fn counts_stdin_from_0(&self) -> bool {
        matches!(self, Self::Start { .. })
    }

    /// Whether there can be a stdin to write.
    pub(super) fn has_stdin(&self) -> bool {
        !matches!(self, Self::Start { stdin: false, .. } | Self::Query)
    }

    /// The least offsets from which stdout and stderr may follow.
    pub(super) fn outputs_from(&self) -> (u64, u64) {
        match *self {
            Self::Start { resent: None, .. } | Self::Query => (0, 0),
            Self::Start {
                resent: Some(resent),
                ..
            } => (resent.stdout_from, resent.stderr_from),
            Self::Attach {
                stdout_from,
                stderr_from,
            } => (stdout_from, stderr_from),
        }
    }
}

impl Channel {
    pub(super) fn new(request: Request) -> Self {
        Self {
            state: State::Opening,
            request,
            sender: Sender::default(),
            receiver: Receiver::default(),
            notices: Notices::default(),
            outcome: None,
            next_control: 1,
            stdin_closed: false,
            attached: false,
            exited: false,
            in_noticed: false,
            in_sending: false,
        }
    }

    /// Whether what comes of a stream is not wanted any more. (Only a server closes a stream that
    /// it receives.)
    pub(super) fn ignores(&self, stream: Stream) -> bool {
        stream == Stream::Stdin && (self.stdin_closed || self.state == State::Ended)
    }

    /// Whether data, an end, or the outcome may go now.
    pub(super) fn is_due(&self) -> bool {
        self.sender.is_due() || (self.outcome.is_some() && self.sender.is_drained())
    }
}
