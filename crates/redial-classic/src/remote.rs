//! Remote commands in the lesson's own wire format, and a file sent with its length before it.
//!
//! A client sends the text of a command, the server runs it with `/bin/sh -c` and answers with
//! what it wrote. Three ways to say where a message ends are spoken ([`Framed`]): none, a length
//! before each reply, a length before both. Where nothing says it, a message is what arrives until
//! the line is quiet ([`Wire::quiet`]): a guess, and the reason why only [`Framed::Both`] is safe.
//!
//! Nobody is authenticated, so the caller passes loopback and Unix sockets only.
//!
//! What fails is said in words, as a reply that begins with `redial: `: the wire knows no exit
//! code and no second kind of message. A reply that is too long for its header is replaced by such
//! words, never announced by a wrong number.

mod client;
mod command;
mod diag;
mod error;
mod hangup;
mod line;
mod put;
mod receive;
mod reply;
mod request;
mod server;
mod spool;

use std::time::Duration;

use redial_frame::HeaderFormat;

pub use client::{Client, Ending};
pub use error::RemoteError;
pub use put::{Answer, Parcel};
pub use receive::{Overwrite, ReceiveSettings, check_target, receive};
pub use reply::Order;
pub use request::MAX_COMMAND_BYTES;
pub use server::{Event, ServerSettings, serve};

/// Silence after which an unframed message counts as over.
pub const QUIET: Duration = Duration::from_millis(5);

/// How both sides speak; they have to agree on it beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// Which messages carry their length.
    pub framed: Framed,
    /// The length's form.
    pub header: HeaderFormat,
    /// Silence after which an unframed message counts as over.
    pub quiet: Duration,
}

impl Default for Wire {
    /// The lesson's cure: replies behind C's `int` of this machine.
    fn default() -> Self {
        Self {
            framed: Framed::Reply,
            header: HeaderFormat::NATIVE_INT,
            quiet: QUIET,
        }
    }
}

/// Which messages have a header that says how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// None: the lesson before its cure.
    Neither,
    /// Replies: the lesson's cure.
    Reply,
    /// Requests too.
    Both,
}
