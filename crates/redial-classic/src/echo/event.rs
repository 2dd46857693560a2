//! What happens at an echo server, for who wants to print it.

use std::io;

use crate::address::Endpoint;
use crate::connect::Facts;

/// What has happened. Calls and messages are counted from 1.
#[derive(Debug)]
pub enum Event<'a> {
    /// The telephone was picked up.
    Connected {
        /// Which call.
        call: u64,
        /// The connection's socket.
        socket: Facts,
        /// Who calls.
        from: &'a Endpoint,
    },
    /// What one recv(2) brought: of a stream some bytes, of datagrams one message.
    Heard {
        /// Which call, or which message.
        call: u64,
        /// What was said.
        bytes: &'a [u8],
    },
    /// The call is over.
    HungUp {
        /// Which call.
        call: u64,
        /// By whom, or how.
        gone: Gone,
    },
    /// The socket that datagrams come to.
    Mailbox {
        /// It is connected to nobody.
        socket: Facts,
    },
    /// A datagram came; what it says follows.
    Datagram {
        /// Which message.
        call: u64,
        /// Who sent it.
        from: &'a Endpoint,
    },
    /// A datagram was not answered, which its sender is not told.
    Unanswered {
        /// Which message.
        call: u64,
        /// Why not.
        reason: io::Error,
    },
}

/// How a call ended.
#[derive(Debug)]
pub enum Gone {
    /// The client closed.
    Client,
    /// We did, for it was to be one answer.
    Server,
    /// The client reset the connection, or is gone.
    Vanished(io::Error),
}
