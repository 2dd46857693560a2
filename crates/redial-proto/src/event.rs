//! What comes out of a connection: events for the caller, frames for the transport.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::error::ProtocolError;
use crate::id::{ChannelId, Stream};
use crate::kind::Kind;
use crate::limits::HEADER_BYTES;
use crate::message::{
    Answer, Attach, Attached, Authenticate, Authenticated, ClientHello, Control, Exit, Goodbye,
    Outcome, Query, Refused, ServerHello, Start,
};

/// What became of a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// Bytes taken from its start: a whole frame, or none.
    pub consumed: usize,
    /// When none: at least so many more bytes are needed. Else 0.
    pub needed: usize,
    /// What the frame meant, if the caller needs to know.
    pub event: Option<Event<'a>>,
}

/// Something the peer said, or time brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// Server: the client's hello has come and is answered.
    ClientHello(ClientHello),
    /// Server: answer with [`authenticated`](crate::Connection::authenticated).
    Authenticate(Authenticate),
    /// Server: answer with `attached`, `refused` or `ended`.
    Start {
        /// The new channel.
        channel: ChannelId,
        /// The request.
        start: Box<Start>,
    },
    /// Server: answer with `attached` or `refused`.
    Attach {
        /// The new channel.
        channel: ChannelId,
        /// The request.
        attach: Attach,
    },
    /// Server: answer with `answered` or `refused`.
    Query {
        /// The new channel.
        channel: ChannelId,
        /// The question.
        query: Query,
    },
    /// Server: a control; those with a number seen before are passed on as well.
    Control {
        /// Its channel.
        channel: ChannelId,
        /// Number and meaning.
        control: Control,
    },
    /// Server: the client has left the channel, which is free now.
    Closed {
        /// The channel.
        channel: ChannelId,
        /// The outcome has arrived and may be forgotten.
        outcome_seen: bool,
    },
    /// Client: the server's hello.
    ServerHello(ServerHello),
    /// Client: the answer to `authenticate`.
    Authenticated(Authenticated),
    /// Client: the job is there.
    Attached {
        /// Its channel.
        channel: ChannelId,
        /// Where its streams go on.
        attached: Attached,
    },
    /// Client: the request is not granted; the channel is closed.
    Refused {
        /// The channel.
        channel: ChannelId,
        /// Why.
        refused: Refused,
    },
    /// Client: the answer to a query; the channel is closed.
    Answer {
        /// The channel.
        channel: ChannelId,
        /// What it says.
        answer: Answer,
    },
    /// Client: every control up to this number is applied.
    Applied {
        /// The channel.
        channel: ChannelId,
        /// Number of the last one applied.
        number: u64,
    },
    /// Client: the process has exited; output may follow.
    Exited {
        /// The channel.
        channel: ChannelId,
        /// How.
        exit: Exit,
    },
    /// Client: the last word about a job; answer with `close`.
    Ended {
        /// The channel.
        channel: ChannelId,
        /// How it ended.
        outcome: Box<Outcome>,
    },
    /// Client: became, or is no longer, the holder.
    Holder {
        /// The channel.
        channel: ChannelId,
        /// Whether it is the holder now.
        holder: bool,
    },
    /// Client: bytes of an output that were gone before they could be sent.
    Missed {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        stream: Stream,
        /// Offset of the first.
        from: u64,
        /// Offset behind the last; data goes on here.
        to: u64,
    },
    /// Client: the child reads no more stdin; the rest is not wanted.
    StdinClosed {
        /// The channel.
        channel: ChannelId,
    },
    /// Bytes of a stream, without gap or overlap.
    Data {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        stream: Stream,
        /// Offset of the first byte.
        offset: u64,
        /// The bytes, in the caller's input.
        bytes: &'a [u8],
    },
    /// The end of a stream.
    Eof {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        stream: Stream,
        /// Its length.
        offset: u64,
    },
    /// The peer has everything before this offset for good. Only said when it moved.
    Acknowledged {
        /// The channel.
        channel: ChannelId,
        /// A stream this side sends.
        stream: Stream,
        /// The offset.
        up_to: u64,
    },
    /// The peer sends nothing more. Our goodbye follows what is waiting, by itself.
    Goodbye(Goodbye),
    /// From `poll_event`: the handshake took too long, or the peer is silent.
    Failed(ProtocolError),
}

/// A frame to be written: `head`, then `body`.
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The header, and an offset where the kind has one.
    pub head: Head,
    /// The rest.
    pub body: Body,
}

impl Transmit {
    /// Whether this is the end of a stream: it is wrong without the bytes before it.
    #[must_use]
    pub fn ends_stream_of(&self, channel: ChannelId) -> bool {
        self.head.is(Kind::Eof, channel)
    }

    /// Whether this is a job's outcome: it is wrong without the bytes before it.
    #[must_use]
    pub fn ends(&self, channel: ChannelId) -> bool {
        self.head.is(Kind::Ended, channel)
    }
}

/// What follows a [`Head`] on the wire.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    None,
    /// These bytes.
    Owned(Vec<u8>),
    /// Bytes that the caller has: `len` of them (at most 65,536), from `offset` of this stream.
    Stream {
        /// The channel.
        channel: ChannelId,
        /// The stream.
        stream: Stream,
        /// Offset of the first byte.
        offset: u64,
        /// How many.
        len: u32,
    },
}

/// The first 12 or 20 bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; HEADER_BYTES + 8],
    len: u8,
}

impl Head {
    /// A header for a payload of `payload` bytes.
    pub(crate) fn plain(kind: Kind, flags: u8, stream: u8, channel: u32, payload: usize) -> Self {
        let mut bytes = [0; HEADER_BYTES + 8];
        // A payload is at most 262,144 bytes, so this cannot be cut.
        bytes[..4].copy_from_slice(&(8 + payload as u32).to_be_bytes());
        bytes[4..8].copy_from_slice(&[kind as u8, flags, stream, 0]);
        bytes[8..12].copy_from_slice(&channel.to_be_bytes());
        Self {
            bytes,
            len: HEADER_BYTES as u8,
        }
    }

    /// A header and a fixed payload of 8 bytes, before `more` bytes of payload.
    pub(crate) fn with_value(
        kind: Kind,
        stream: u8,
        channel: u32,
        value: [u8; 8],
        more: usize,
    ) -> Self {
        let mut head = Self::plain(kind, 0, stream, channel, 8 + more);
        head.bytes[HEADER_BYTES..].copy_from_slice(&value);
        head.len = head.bytes.len() as u8;
        head
    }
}

impl Head {
    fn is(&self, kind: Kind, ChannelId(channel): ChannelId) -> bool {
        self.bytes[4] == kind as u8 && self.bytes[8..HEADER_BYTES] == channel.to_be_bytes()
    }
}

impl AsRef<[u8]> for Head {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
