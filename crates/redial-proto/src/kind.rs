//! The kinds of frames: who sends them, on which channel, with what payload (PROTOCOL.md section 4).

use core::fmt;

/// Who may send a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The client only.
    Client,
    /// The server only.
    Server,
    /// Both.
    Both,
}

/// The channels a kind may be sent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// 0 only.
    Connection,
    /// A new one.
    New,
    /// One that is open.
    Open,
}

/// What a kind carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// One CBOR item.
    Cbor,
    /// Exactly so many bytes.
    Fixed(u32),
    /// An offset of 8 bytes, then 1 or more of the stream.
    Data,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $sender:ident, $scope:ident, $payload:expr;)*) => {
        /// A kind of frame.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Kind {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in PROTOCOL.md.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Who may send it.
            #[must_use]
            pub const fn sender(self) -> Sender {
                match self { $(Self::$variant => Sender::$sender,)* }
            }

            /// The channels it may be sent on.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$variant => Scope::$scope,)* }
            }

            /// What it carries.
            #[must_use]
            pub const fn payload(self) -> Payload {
                match self { $(Self::$variant => $payload,)* }
            }
        }

        impl TryFrom<u8> for Kind {
            type Error = u8;

            fn try_from(number: u8) -> Result<Self, u8> {
                match number {
                    $($number => Ok(Self::$variant),)*
                    unknown => Err(unknown),
                }
            }
        }
    };
}

kinds! {
    /// Versions, features and limits.
    Hello = 0x01, "hello", Both, Connection, Payload::Cbor;
    /// Who the client is.
    Authenticate = 0x02, "authenticate", Client, Connection, Payload::Cbor;
    /// Whether the server believes it.
    Authenticated = 0x03, "authenticated", Server, Connection, Payload::Cbor;
    /// Asks for a pong.
    Ping = 0x04, "ping", Both, Connection, Payload::Fixed(8);
    /// Answers a ping.
    Pong = 0x05, "pong", Both, Connection, Payload::Fixed(8);
    /// The last frame of a side.
    Goodbye = 0x06, "goodbye", Both, Connection, Payload::Cbor;
    /// Asks for a job.
    Start = 0x10, "start", Client, New, Payload::Cbor;
    /// Asks for the streams of a job there is.
    Attach = 0x11, "attach", Client, New, Payload::Cbor;
    /// Signal, resize, stop, cancel.
    Control = 0x12, "control", Client, Open, Payload::Cbor;
    /// The client leaves the channel.
    Close = 0x13, "close", Client, Open, Payload::Cbor;
    /// Asks about jobs.
    Query = 0x14, "query", Client, New, Payload::Cbor;
    /// Bytes of a stream.
    Data = 0x20, "data", Both, Open, Payload::Data;
    /// The length of a stream.
    Eof = 0x21, "eof", Both, Open, Payload::Fixed(8);
    /// How far the peer may send.
    Credit = 0x22, "credit", Both, Open, Payload::Fixed(8);
    /// How far bytes have arrived for good.
    Acknowledge = 0x23, "acknowledge", Both, Open, Payload::Fixed(8);
    /// The child reads no more.
    StdinClosed = 0x24, "stdin-closed", Server, Open, Payload::Fixed(0);
    /// Bytes that are gone.
    Missed = 0x25, "missed", Server, Open, Payload::Cbor;
    /// The job is there.
    Attached = 0x30, "attached", Server, Open, Payload::Cbor;
    /// The request is not granted.
    Refused = 0x31, "refused", Server, Open, Payload::Cbor;
    /// Controls are applied.
    Applied = 0x32, "applied", Server, Open, Payload::Cbor;
    /// The process has exited.
    Exited = 0x33, "exited", Server, Open, Payload::Cbor;
    /// The outcome.
    Ended = 0x34, "ended", Server, Open, Payload::Cbor;
    /// Whether the client is the holder.
    Holder = 0x35, "holder", Server, Open, Payload::Cbor;
    /// Answers a query.
    Answer = 0x36, "answer", Server, Open, Payload::Cbor;
}

impl Kind {
    /// Whether its frames name a stream.
    pub(crate) const fn has_stream(self) -> bool {
        matches!(
            self,
            Self::Data | Self::Eof | Self::Credit | Self::Acknowledge
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
