//! What happens to a job, in the keeper's own words. The front turns these into
//! the protocol's messages; the keeper knows no protocol.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Outcome {
    /// Exit code, signal, not started, or unknown.
    #[n(0)]
    pub status: Status,
    /// What ended it.
    #[n(1)]
    pub cause: Cause,
    /// What the child was given.
    #[n(2)]
    pub stdin: Digest,
    /// What it wrote.
    #[n(3)]
    pub stdout: Digest,
    /// What it wrote to stderr.
    #[n(4)]
    pub stderr: Digest,
    /// Processes that still hold one of the pipes: pid and name, at most 16.
    #[n(5)]
    pub holders: Vec<(u32, String)>,
    /// Processes of the job that outlive it, as far as known.
    #[n(6)]
    pub lingering: u32,
    /// The tree was reached exactly, if it was cancelled.
    #[n(7)]
    pub exact: bool,
    /// Milliseconds from the spawn to the exit.
    #[n(8)]
    pub duration_ms: u64,
    /// Microseconds of CPU, user and system.
    #[n(9)]
    pub cpu_us: u64,
}

/// How the process ended, if it ever was one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// It exited or was killed.
    #[n(0)]
    Ended(#[n(0)] Exit),
    /// Stage, errno, path.
    #[n(1)]
    NotStarted(#[n(0)] String, #[n(1)] i32, #[n(2)] ByteVec),
    /// Nobody can know.
    #[n(2)]
    Unknown,
}

/// Exit code, or signal and whether core was dumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Exit {
    /// Exit code.
    #[n(0)]
    Code(#[n(0)] u8),
    /// Signal number, core dumped.
    #[n(1)]
    Signal(#[n(0)] u8, #[n(1)] bool),
}

/// What ended a job.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Cause {
    /// It ended by itself.
    #[n(0)]
    Itself,
    /// Its deadline passed.
    #[n(1)]
    Deadline,
    /// Cancelled, by whom.
    #[n(2)]
    Cancelled(#[n(0)] String),
    /// The line dropped and the policy said so.
    #[n(3)]
    LineDropped,
    /// The server ended.
    #[n(4)]
    ServerEnded,
    /// The kernel, for it took more memory than it may.
    #[n(5)]
    OutOfMemory,
}

/// Bytes and chained checksum of one stream (PROTOCOL.md section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Digest {
    /// Bytes.
    #[n(0)]
    pub bytes: u64,
    /// XXH3-128, chained over blocks of 64 KiB.
    #[n(1)]
    pub checksum: ByteArray<16>,
    /// False when bytes were stopped or dropped.
    #[n(2)]
    pub complete: bool,
}

/// Why a start or attach is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RefusedCode {
    /// Empty argv, NUL in an argument, a message that does not decode.
    #[n(0)]
    Malformed,
    /// Too many jobs.
    #[n(1)]
    Jobs,
    /// No room in a log pool.
    #[n(2)]
    LogPool,
    /// No such job.
    #[n(3)]
    NoSuchJob,
    /// The id is known with another command.
    #[n(4)]
    OtherCommand,
    /// It may have run; nobody can know any more.
    #[n(5)]
    Unknown,
    /// This capability may not.
    #[n(6)]
    NotAllowed,
    /// Shutting down.
    #[n(7)]
    ShuttingDown,
    /// Not on this server.
    #[n(8)]
    Unsupported,
    /// The keeper could not; the text says why.
    #[n(9)]
    Failure,
}

/// What a numbered control does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ControlKind {
    /// This signal to the job's process group.
    #[n(0)]
    Signal(#[n(0)] u8),
    /// Rows, columns, pixels across, pixels down.
    #[n(1)]
    Resize(#[n(0)] u16, #[n(1)] u16, #[n(2)] u16, #[n(3)] u16),
    /// Nobody reads this output stream (1 or 2) any more.
    #[n(2)]
    Stop(#[n(0)] u8),
    /// TERM to the tree, KILL after so many milliseconds; 0: KILL at once.
    #[n(3)]
    Cancel(#[n(0)] u32),
}
