//! How a job ended, as PROTOCOL.md's `outcome`.

use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// The last message about a job.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Outcome {
    /// Exit code, signal, not started, or unknown.
    #[n(0)]
    pub status: Status,
    /// What ended it.
    #[n(1)]
    pub cause: Cause,
    /// Bytes and checksum of stdin as handed to the child.
    #[n(2)]
    pub stdin: DigestMessage,
    /// Bytes and checksum of stdout.
    #[n(3)]
    pub stdout: DigestMessage,
    /// Bytes and checksum of stderr.
    #[n(4)]
    pub stderr: DigestMessage,
    /// Processes that still hold one of the pipes: pid and name, at most 16.
    #[n(5)]
    pub holders: Vec<(u32, String)>,
    /// Children that outlive the job, as far as known.
    #[n(6)]
    pub lingering: u32,
    /// The whole tree was reached, if it was cancelled.
    #[n(7)]
    pub exact: bool,
    /// Milliseconds from the spawn to the exit.
    #[n(8)]
    pub duration_ms: u64,
    /// Microseconds of CPU, user and system, of the job's waited-for processes.
    #[n(9)]
    pub cpu_us: u64,
}

/// How the process ended, if it ever was one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// Exit code.
    #[n(0)]
    Exited(#[n(0)] u8),
    /// Signal number, and whether core was dumped.
    #[n(1)]
    Signaled(#[n(0)] u8, #[n(1)] bool),
    /// Stage (`exec`, `cwd`, …), errno, and the path it was about.
    #[n(2)]
    NotStarted(#[n(0)] String, #[n(1)] i32, #[n(2)] ByteVec),
    /// Nobody can know.
    #[n(3)]
    Unknown,
}

/// How the process exited, before the outcome is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Exit {
    /// Exit code.
    #[n(0)]
    Exited(#[n(0)] u8),
    /// Signal number, and whether core was dumped.
    #[n(1)]
    Signaled(#[n(0)] u8, #[n(1)] bool),
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

/// Bytes and checksum of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct DigestMessage {
    /// Number of bytes.
    #[n(0)]
    pub bytes: u64,
    /// Chained XXH3-128 (PROTOCOL.md section 7).
    #[n(1)]
    pub checksum: ByteArray<16>,
    /// False when bytes were stopped or dropped.
    #[n(2)]
    pub complete: bool,
}
