//! What can be wrong: with what the peer sent, and with what the caller asked for.

use alloc::borrow::Cow;
use core::fmt;

use crate::kind::Kind;
use crate::message::GoodbyeCode;

/// How the peer broke the protocol, or the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The length is out of range, or not that of the kind.
    Length,
    /// The kind is not known, or the peer may not send it.
    Kind,
    /// A reserved bit or byte is not 0, or the stream is not one the peer may name.
    Header,
    /// The channel was never opened, or the number was used before.
    Channel,
    /// The frame is not allowed now.
    State,
    /// The payload is not CBOR as PROTOCOL.md section 2 wants it, or of another shape.
    Encoding,
    /// A value is out of its range.
    Limit,
    /// An offset leaves a gap, goes back, or is past what was sent.
    Offset,
    /// Data past the credit.
    Credit,
    /// No version in common.
    Version,
    /// Handshake or goodbye took too long.
    Timeout,
    /// The peer was silent for too long.
    Silent,
    /// The line ended inside a frame or without goodbye.
    Dropped,
}

impl ErrorCode {
    /// Its name in vectors/.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Kind => "kind",
            Self::Header => "header",
            Self::Channel => "channel",
            Self::State => "state",
            Self::Encoding => "encoding",
            Self::Limit => "limit",
            Self::Offset => "offset",
            Self::Credit => "credit",
            Self::Version => "version",
            Self::Timeout => "timeout",
            Self::Silent => "silent",
            Self::Dropped => "dropped",
        }
    }
}

/// The peer broke the protocol, or the line dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtocolError {
    /// What kind of fault.
    pub code: ErrorCode,
    /// Number of the frame's kind, where it was a frame.
    pub kind: Option<u8>,
    /// The frame's channel, else 0.
    pub channel: u32,
    /// What is wrong, for people.
    pub reason: Cow<'static, str>,
}

impl ProtocolError {
    /// An error that is not about a frame.
    pub(crate) fn of_connection(code: ErrorCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            kind: None,
            channel: 0,
            reason: reason.into(),
        }
    }

    /// The code to say goodbye with.
    #[must_use]
    pub fn goodbye_code(&self) -> GoodbyeCode {
        match self.code {
            ErrorCode::Version => GoodbyeCode::Version,
            ErrorCode::Timeout => GoodbyeCode::Handshake,
            ErrorCode::Silent => GoodbyeCode::Silent,
            _ => GoodbyeCode::Protocol,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.map(Kind::try_from) {
            None => return f.write_str(&self.reason),
            Some(Ok(kind)) => write!(f, "{kind}")?,
            Some(Err(number)) => write!(f, "kind {number:#04x}")?,
        }
        if self.channel != 0 {
            write!(f, " on channel {}", self.channel)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl core::error::Error for ProtocolError {}

/// What is wrong with a frame, before it is said which frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: ErrorCode,
    pub(crate) reason: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(code: ErrorCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    pub(crate) fn state(reason: &'static str) -> Self {
        Self::new(ErrorCode::State, reason)
    }

    /// The error of a frame of this kind on this channel.
    pub(crate) fn of_frame(self, kind: u8, channel: u32) -> ProtocolError {
        ProtocolError {
            code: self.code,
            kind: Some(kind),
            channel,
            reason: self.reason,
        }
    }
}

/// What the caller asked for cannot be done; nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The handshake has not come so far; ask again when it is done.
    #[error("the connection is not ready for this")]
    NotReady,
    /// Goodbye was said or heard, or the connection failed.
    #[error("the connection is closing")]
    Closing,
    /// The channel was closed or refused, or never opened.
    #[error("the channel is not open")]
    NoChannel,
    /// As many channels are open as the peer allows.
    #[error("the peer allows {limit} channels at once")]
    Channels {
        /// Channels.
        limit: u32,
    },
    /// The message is longer than the peer accepts.
    #[error("the message has {bytes} bytes, the peer accepts {limit}")]
    TooLong {
        /// Bytes of the message.
        bytes: usize,
        /// Bytes the peer accepts.
        limit: usize,
    },
    /// A value in the message is out of its range.
    #[error("{0}")]
    Message(&'static str),
    /// Too many requests wait to be written; ask again when some have been.
    #[error("too many requests wait to be written")]
    Busy,
    /// This side does not send that stream, or its end was said already.
    #[error("this side does not, or no longer, send that stream")]
    NotSending,
    /// The job is not attached yet, so that the offset is not known.
    #[error("the job is not attached yet")]
    NotAttached,
    /// The command is the other side's.
    #[error("only the other side can do this")]
    WrongSide,
}
