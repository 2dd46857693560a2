//! The redial protocol, sans-IO: bytes and time in, bytes and events out.
//!
//! The normative text is PROTOCOL.md at the root of the repository. [`Connection`] is one side of
//! one connection; it knows no socket, clock or thread, and it never holds a byte of a stream: data
//! that arrives is lent out of the caller's buffer, data to be sent is named by its offset.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod canonical;
mod codec;
mod config;
mod connection;
mod digest;
mod error;
mod event;
mod header;
mod id;
mod kind;
pub mod limits;
pub mod message;

pub use config::{Config, Peer, Side, Time};
pub use connection::Connection;
pub use digest::StreamDigest;
pub use error::{CommandError, ErrorCode, ProtocolError};
pub use event::{Body, Event, Head, Input, Transmit};
pub use id::{ChannelId, JobId, ParseJobIdError, Stream};
pub use kind::{Kind, Payload, Scope, Sender};
