//! Messages about the connection itself: hello, authenticate, goodbye.

use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// The first frame of a client.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ClientHello {
    /// Lowest protocol version spoken.
    #[n(0)]
    pub min_version: u16,
    /// Highest protocol version spoken.
    #[n(1)]
    pub max_version: u16,
    /// Names of optional abilities.
    #[n(2)]
    pub features: Vec<String>,
    /// What this side accepts.
    #[n(3)]
    pub limits: LimitsMessage,
    /// Program and version, for the peer's logs.
    #[n(4)]
    pub agent: String,
}

/// The first frame of a server.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ServerHello {
    /// The version chosen from the client's range.
    #[n(0)]
    pub version: u16,
    /// Optional abilities both have.
    #[n(1)]
    pub features: Vec<String>,
    /// What this side accepts.
    #[n(2)]
    pub limits: LimitsMessage,
    /// Program and version.
    #[n(3)]
    pub agent: String,
    /// The keeper's instance: the same as long as it remembers the jobs it ran.
    #[n(4)]
    pub instance: ByteArray<16>,
    /// Whether [`Authenticate`] must follow.
    #[n(5)]
    pub auth: bool,
    /// What a signature in [`Authenticate`] must cover.
    #[n(6)]
    pub nonce: Option<ByteArray<32>>,
}

/// What a side accepts from its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct LimitsMessage {
    /// Longest payload accepted, in bytes.
    #[n(0)]
    pub max_payload: u32,
    /// Channels open at once.
    #[n(1)]
    pub channels: u32,
    /// Bytes of a start, all pieces together.
    #[n(2)]
    pub start_bytes: u32,
    /// Milliseconds of silence before a ping; 0: no keepalive.
    #[n(3)]
    pub keepalive_ms: u32,
    /// Bytes of stdin that may follow a start before `attached` has come.
    #[n(4)]
    pub early_stdin: u32,
}

/// Who the client is, and (with a signature) the proof.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Authenticate {
    /// The user's name on the server.
    #[n(0)]
    pub user: String,
    /// Public keys offered, in SSH wire format.
    #[n(1)]
    pub keys: Vec<ByteVec>,
    /// An SSHSIG blob made with the first of them.
    #[n(2)]
    pub signature: Option<ByteVec>,
}

/// The server's answer to [`Authenticate`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Authenticated {
    /// 0: in; 1: go on with one of `acceptable`; 2: no.
    #[n(0)]
    pub result: u8,
    /// Indices of the offered keys that may be used.
    #[n(1)]
    pub acceptable: Option<Vec<u8>>,
    /// Why not.
    #[n(2)]
    pub reason: Option<String>,
}

/// The last frame of a side.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Goodbye {
    /// See [`GoodbyeCode`]; codes not known here are kept as numbers.
    #[n(0)]
    pub code: u16,
    /// For people; at most 1,024 bytes.
    #[n(1)]
    pub text: String,
}

/// Why a side says goodbye (PROTOCOL.md section 4, codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum GoodbyeCode {
    /// Nothing more to say.
    Done = 0,
    /// The peer broke the protocol.
    Protocol = 1,
    /// No common version.
    Version = 2,
    /// The handshake took too long.
    Handshake = 3,
    /// The client could not prove who it is.
    Unauthenticated = 4,
    /// The server is shutting down.
    ShuttingDown = 5,
    /// The server has too many connections.
    TooManyConnections = 6,
    /// The peer was silent for three keepalive intervals.
    Silent = 7,
}
