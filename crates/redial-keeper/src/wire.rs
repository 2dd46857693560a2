//! What keeper and front say to each other: typed messages over a Unix socket
//! pair that keeps packet boundaries, descriptors beside them.
//!
//! Both ends are always the same build (the keeper starts the front from its own
//! executable), so [`VERSION`] only guards against a mistake. A packet holds one
//! or more messages, CBOR one behind the other, at most [`MAX_PACKET_BYTES`].
//! The keeper treats whatever arrives here as hostile.

mod jobs;
mod link;
mod packet;
mod to_front;
mod to_keeper;

pub use jobs::{Ask, JobInfo, JobPhase, Reply};
pub use link::{Link, MAX_PACKET_FDS, Received};
pub use packet::{Outbox, WireError, decode_packet};
pub use to_front::{
    Chunk, ConnectionKind, Dismissal, FrontSettings, Piece, Snapshot, StreamState, TcpPeer,
    ToFront, Verdict,
};
pub use to_keeper::{
    Command, Confinement, Drop as DropPolicy, Keep, Login, MAX_COMMAND_ITEMS, Program, PtyRequest,
    Resent, Resources, ToKeeper,
};

/// Changes whenever a message does.
pub const VERSION: u32 = 6;

/// Longest packet, in bytes: well under the kernel's default socket buffer, so
/// that one packet always fits an empty one.
pub const MAX_PACKET_BYTES: usize = 64 * 1024;

/// Longest encoded [`Command`], all pieces together; 2 MiB of argv and
/// environment and what the encoding adds. Stops a front from growing the keeper.
pub const MAX_COMMAND_BYTES: usize = 2 * 1024 * 1024 + 64 * 1024;

/// Names one authenticated connection for as long as it lasts: what its holder may
/// do is looked up by this at every start, attach and control.
pub type Capability = u32;

/// A job's id, as the client chose it.
pub type JobId = [u8; 16];

#[cfg(test)]
mod tests;
