//! What is wrong with an address, and what goes wrong at it. The texts name the causes
//! already, so that they are no `source()`: they would be told twice.

use std::io;
use std::path::PathBuf;

use super::{Address, MAX_UNIX_PATH_BYTES};

/// What every complaint about an address ends with.
const ACCEPTED: &str =
    "accepted: tcp:HOST:PORT or HOST:PORT, udp:HOST:PORT, unix:PATH, unixgram:PATH";

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No colon, or nothing but an IPv6 address.
    #[error("address {0:?} has no port; {ACCEPTED}")]
    NoPort(String),
    /// Nothing before the port.
    #[error(
        "address {0:?} has no host: 127.0.0.1 is this machine, 0.0.0.0 all its interfaces; {ACCEPTED}"
    )]
    NoHost(String),
    /// Colons in the host.
    #[error("address {0:?}: an IPv6 address stands in brackets, as in [::1]:8080; {ACCEPTED}")]
    Brackets(String),
    /// Something else in brackets.
    #[error("{0:?} in brackets is no IPv6 address; names stand without brackets; {ACCEPTED}")]
    NotIpv6(String),
    /// Not a number, or out of range.
    #[error("{0:?} is no port: a number from 0 to 65535 (0: a server takes any free one)")]
    Port(String),
    /// `unix:` and no more.
    #[error("the path of the socket is missing; {ACCEPTED}")]
    NoPath,
    /// More than sun_path holds.
    #[error(
        "the path of the socket has {len} bytes, the system takes at most {MAX_UNIX_PATH_BYTES}: \
         take a shorter or a relative one"
    )]
    LongPath {
        /// Bytes of the path.
        len: usize,
    },
    /// No file has such a name.
    #[error("the path of the socket has a NUL byte in it")]
    NulInPath,
    /// Names of hosts are text.
    #[error("the address is not UTF-8; {ACCEPTED}")]
    NotUtf8,
}

/// What went wrong at an address.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The name service does not know it, or does not answer.
    #[error("cannot resolve the name {host:?}: {cause}; is it spelt right?")]
    Resolve {
        /// The name.
        host: String,
        /// What the name service said.
        cause: io::Error,
    },
    /// Somebody else has it.
    #[error("{address} is in use: end the server that has it, or listen elsewhere")]
    InUse {
        /// What was to be listened on.
        address: Address,
    },
    /// Never removed: it may be somebody's file.
    #[error("{path:?} exists and is no socket: it is left alone; choose another path")]
    NoSocket {
        /// What is there.
        path: PathBuf,
    },
    /// Of the wrong kind.
    #[error("{address} carries datagrams; a stream is needed: tcp:HOST:PORT or unix:PATH")]
    NoStream {
        /// What was given.
        address: Address,
    },
    /// Of the wrong kind.
    #[error("{address} is a stream; datagrams are needed: udp:HOST:PORT or unixgram:PATH")]
    NoDatagrams {
        /// What was given.
        address: Address,
    },
    /// See [`super::Reach::ThisMachine`].
    #[error(
        "{address} can be reached from other machines, and nobody is asked who they are: listen \
         on 127.0.0.1, [::1] or unix:PATH; `redial serve` is the server for others"
    )]
    NotLocal {
        /// What was to be listened on.
        address: Address,
    },
    /// bind(2) or listen(2).
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// What was to be listened on.
        address: Address,
        /// What the system said.
        cause: io::Error,
    },
    /// Nobody listens there.
    #[error("nobody listens on {address} ({cause}): is the server started?")]
    Refused {
        /// What was connected to.
        address: Address,
        /// What the system said.
        cause: io::Error,
    },
    /// connect(2), otherwise.
    #[error("cannot connect to {address}: {cause}")]
    Connect {
        /// What was connected to.
        address: Address,
        /// What the system said.
        cause: io::Error,
    },
}
