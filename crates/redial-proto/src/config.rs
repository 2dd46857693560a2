//! What a side is set to, and what it learns about the other.

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits;
use crate::message::LimitsMessage;

/// A moment: the time since any epoch of the caller's, on a monotonic clock.
pub type Time = core::time::Duration;

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Opens channels.
    Client,
    /// Runs jobs.
    Server,
}

/// What a side says about itself and how long it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Program and version, for the peer's logs; at most 128 bytes, longer is cut.
    pub agent: String,
    /// What this side accepts; brought into its range if it is out of it.
    pub limits: LimitsMessage,
    /// For the handshake, and for the peer's goodbye after ours.
    pub handshake_timeout: Time,
    /// On a transport that proves the server and not the client, and has agreed on the version (TLS): the
    /// server speaks first and asks the client to authenticate; requests wait until that is done,
    /// instead of following the client's hello at once.
    pub auth: bool,
    /// Client: it hears the server's goodbye though it has heard all else. Who does not need to know that
    /// what it said last has arrived, and writes to the server's machine itself, saves a round trip.
    pub waits_for_goodbye: bool,
    /// Server: what a signature must cover.
    pub nonce: Option<[u8; 32]>,
    /// Server: the keeper's instance.
    pub instance: [u8; 16],
}

impl Config {
    /// A client on a transport that proves who it is (a Unix socket, the stdio of a process).
    #[must_use]
    pub fn client() -> Self {
        Self {
            agent: String::from(concat!("redial/", env!("CARGO_PKG_VERSION"))),
            limits: DEFAULT_LIMITS,
            handshake_timeout: limits::HANDSHAKE_TIMEOUT,
            auth: false,
            waits_for_goodbye: true,
            nonce: None,
            instance: [0; 16],
        }
    }

    /// A server on such a transport.
    #[must_use]
    pub fn server(instance: [u8; 16]) -> Self {
        Self {
            instance,
            ..Self::client()
        }
    }
}

/// No keepalive: transports that can fall silent set one.
const DEFAULT_LIMITS: LimitsMessage = LimitsMessage {
    max_payload: limits::PAYLOAD_MAX_BYTES,
    channels: limits::CHANNELS_DEFAULT,
    start_bytes: limits::START_MAX_BYTES,
    keepalive_ms: 0,
    early_stdin: limits::EARLY_STDIN_DEFAULT_BYTES,
};

/// What the peer's hello said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The version both speak.
    pub version: u16,
    /// Optional abilities both have.
    pub features: Vec<String>,
    /// What it accepts.
    pub limits: LimitsMessage,
    /// Its program and version, for logs.
    pub agent: String,
    /// A server's instance.
    pub instance: Option<[u8; 16]>,
}
