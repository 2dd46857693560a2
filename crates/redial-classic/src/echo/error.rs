//! What goes wrong on the telephone. The texts name the causes already.

use std::io;
use std::time::Duration;

use crate::address::Address;

/// Why there was no (whole) answer, or no server.
#[derive(Debug, thiserror::Error)]
pub enum EchoError {
    /// poll(2), recvfrom(2).
    #[error("the server cannot go on: {0}")]
    Serve(io::Error),
    /// Of nothing, a stream carries nothing: both sides would wait for ever.
    #[error("an empty message is never sent: the server would hear nothing, and both would wait")]
    Empty,
    /// The connection was closed or reset.
    #[error(
        "{address} has hung up: {got} of {expected} bytes of the answer came{}",
        because(.cause.as_ref())
    )]
    HungUp {
        /// Who.
        address: Address,
        /// Bytes that came.
        got: usize,
        /// As many as were sent.
        expected: usize,
        /// None if it was closed in good order.
        cause: Option<io::Error>,
    },
    /// It is no echo server.
    #[error("{address} says more than it was sent: that is no echo server")]
    Unasked {
        /// Who.
        address: Address,
    },
    /// The message or its answer, nobody knows which.
    #[error(
        "no answer from {address} after {} s: a datagram may get lost, and nobody is told; \
         is the server there? if so, say it again",
        .after.as_secs()
    )]
    Lost {
        /// Who.
        address: Address,
        /// How long was waited.
        after: Duration,
    },
    /// EMSGSIZE: see udp(7), unix(7).
    #[error(
        "the message of {len} bytes does not fit into one datagram{}: cut it, or take a stream",
        limit(.address)
    )]
    TooLong {
        /// To whom.
        address: Address,
        /// Bytes of the message.
        len: usize,
    },
    /// Nobody is there (any more).
    #[error("nobody listens on {address} ({cause}): is the server started?")]
    Refused {
        /// Who.
        address: Address,
        /// What the system said.
        cause: io::Error,
    },
    /// Anything else.
    #[error("cannot talk to {address}: {cause}")]
    Talk {
        /// Who.
        address: Address,
        /// What the system said.
        cause: io::Error,
    },
}

fn because(cause: Option<&io::Error>) -> String {
    cause.map_or_else(String::new, |cause| format!(" ({cause})"))
}

fn limit(address: &Address) -> &'static str {
    match address {
        Address::Udp(_) => " (UDP carries at most 65507 bytes over IPv4, 65527 over IPv6)",
        _ => "",
    }
}
