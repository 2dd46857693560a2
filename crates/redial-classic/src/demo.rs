//! What TCP and UDP do to messages, played on real sockets of the loopback: glued, in pieces,
//! cut; and what a header and a loop around `send` cure.
//!
//! A [`Scene`] is played, and what the calls really returned comes back as [`Event`]s. Nothing is
//! drawn here and nothing is made up: where the kernel may act otherwise, the events say what it
//! did this time, and [`Tally`] counts it.

mod datagrams;
mod pair;
mod sending;
mod streams;
mod tally;

use std::io;
use std::time::Duration;

pub use tally::Tally;

/// Five messages. One is not ASCII, so that bytes and characters can be told apart.
pub const MESSAGES: [&str; 5] = ["ls", "pwd", "你好", "whoami", "uname -a"];
/// The one large message, in bytes: more than the receiver's kernel will hold.
pub const LARGE_BYTES: usize = 200_000;
/// Room that a `recv` of small messages offers, in bytes: the lesson's 1,024.
pub const ROOM_BYTES: usize = 1024;
/// Room that is too short for a datagram, in bytes: it cuts 你好 inside a character.
pub const SHORT_ROOM_BYTES: usize = 4;
/// Asked of the kernel for each side of a TCP connection, in bytes (`SO_SNDBUF`, `SO_RCVBUF`;
/// Linux doubles it, socket(7)): small, so that a few pieces are enough to see it.
pub const KERNEL_BUFFER_BYTES: usize = 32 * 1024;

/// Nothing on the loopback takes this long; then a scene ends with what there is.
const PATIENCE: Duration = Duration::from_secs(5);

/// One experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// TCP: five messages, one `send` each, are read once all have arrived.
    Glued,
    /// TCP: one large message, read with room for all of it.
    Pieces,
    /// TCP: the five again, each behind a header that says its length.
    FramedGlued,
    /// TCP: the large one behind a header.
    FramedPieces,
    /// UDP: the five, a datagram each.
    Datagrams,
    /// UDP: the five, read with too little room.
    ShortDatagrams,
    /// TCP: `send` on a nonblocking socket, to a peer that does not read.
    PartialSend,
    /// TCP: the same in a loop, as `sendall` does, to a peer that reads.
    SendAll,
}

impl Scene {
    /// All, in the order in which they explain each other.
    pub const ALL: [Scene; 8] = [
        Scene::Glued,
        Scene::Pieces,
        Scene::FramedGlued,
        Scene::FramedPieces,
        Scene::Datagrams,
        Scene::ShortDatagrams,
        Scene::PartialSend,
        Scene::SendAll,
    ];

    /// A name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Scene::Glued => "glued",
            Scene::Pieces => "pieces",
            Scene::FramedGlued => "framed-glued",
            Scene::FramedPieces => "framed-pieces",
            Scene::Datagrams => "datagrams",
            Scene::ShortDatagrams => "short-datagrams",
            Scene::PartialSend => "partial-send",
            Scene::SendAll => "sendall",
        }
    }

    /// Plays it, and returns what happened: each side's calls in their order. What two sides did
    /// at the same time stands one side after the other.
    ///
    /// # Errors
    /// [`DemoError`] when a socket call failed.
    pub fn play(self) -> Result<Vec<Event>, DemoError> {
        match self {
            Scene::Glued => streams::glued(),
            Scene::Pieces => streams::pieces(),
            Scene::FramedGlued => streams::framed_glued(),
            Scene::FramedPieces => streams::framed_pieces(),
            Scene::Datagrams => datagrams::play(ROOM_BYTES),
            Scene::ShortDatagrams => datagrams::play(SHORT_ROOM_BYTES),
            Scene::PartialSend => sending::partial(),
            Scene::SendAll => sending::all(),
        }
    }
}

/// What one call returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `send` took bytes.
    Sent {
        /// What it was given, in bytes.
        asked: usize,
        /// The part it took, from the front.
        taken: Vec<u8>,
        /// The bytes at the front that are a header: 0 without one.
        header: usize,
    },
    /// `send` took nothing: it would have had to wait (`EAGAIN`, send(2)).
    WouldBlock {
        /// What it was given, in bytes.
        asked: usize,
    },
    /// `recv` gave bytes.
    Received {
        /// What there was room for, in bytes.
        room: usize,
        /// What came.
        data: Vec<u8>,
    },
    /// A whole message was taken out of what had been received, by its header.
    Message {
        /// Its payload.
        data: Vec<u8>,
    },
}

/// A socket call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct DemoError {
    /// What was being done.
    pub doing: &'static str,
    /// The system's reason.
    pub source: io::Error,
}

/// Says what was being done when a call failed.
trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, DemoError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T, DemoError> {
        self.map_err(|source| DemoError {
            doing,
            source: source.into(),
        })
    }
}

/// The large message: the alphabet again and again, so that a piece shows where it begins.
fn large() -> Vec<u8> {
    (b'a'..=b'z').cycle().take(LARGE_BYTES).collect()
}

#[cfg(test)]
mod tests;
