//! A job, as it is handed over.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use super::Fd;
use crate::outcome::{Cause, Digest, Exit, Outcome};
use crate::spool::SpoolState;
use crate::wire::{DropPolicy, Piece};

/// A job with a process, or with output that nobody has read.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct JobState {
    #[n(0)]
    pub(crate) serial: u64,
    #[n(1)]
    pub(crate) terms: TermsState,
    #[n(2)]
    pub(crate) pid: i32,
    #[n(3)]
    pub(crate) started_at: u64,
    #[n(4)]
    pub(crate) input: Option<InputState>,
    #[n(5)]
    pub(crate) stdout: OutputState,
    #[n(6)]
    pub(crate) stderr: OutputState,
    #[n(7)]
    pub(crate) pieces: Vec<Piece>,
    #[n(8)]
    pub(crate) applied: u64,
    #[n(9)]
    pub(crate) ending: EndingState,
    #[n(10)]
    pub(crate) outcome: Option<Outcome>,
    #[n(11)]
    pub(crate) ended_ms: Option<u64>,
    #[n(12)]
    pub(crate) drop_at: Option<u64>,
    #[n(13)]
    pub(crate) is_abandoned: bool,
    #[n(14)]
    pub(crate) spool: Option<JobSpoolState>,
    #[n(15)]
    pub(crate) requests: Vec<ByteArray<16>>,
    /// What its terminal shows is recorded.
    #[n(16)]
    pub(crate) recording: Option<RecordingState>,
}

/// A recording: the file is named by job and time.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct RecordingState {
    #[n(0)]
    pub(crate) began: u64,
    /// The beginning of a character that is not whole yet.
    #[n(1)]
    pub(crate) held: ByteVec,
}

/// What its start asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct TermsState {
    #[n(0)]
    pub(crate) id: ByteArray<16>,
    #[n(1)]
    pub(crate) uid: u32,
    #[n(2)]
    pub(crate) key: Option<String>,
    #[n(3)]
    pub(crate) user: String,
    #[n(4)]
    pub(crate) grant: Option<GrantState>,
    #[n(5)]
    pub(crate) hash: ByteArray<16>,
    #[n(6)]
    pub(crate) deadline_ms: Option<u64>,
    #[n(7)]
    pub(crate) drain_ms: u32,
    #[n(8)]
    pub(crate) on_drop: DropPolicy,
    #[n(9)]
    pub(crate) reap: bool,
    #[n(10)]
    pub(crate) command: String,
    #[n(11)]
    pub(crate) started_ms: u64,
    #[n(12)]
    pub(crate) detached: bool,
    #[n(13)]
    pub(crate) keep_bytes: u64,
    #[n(14)]
    pub(crate) keep_tail: bool,
    #[n(15)]
    pub(crate) keep_ms: u64,
    #[n(16)]
    pub(crate) is_on_terminal: Option<bool>,
}

/// The line of authorized_keys that it lives by, and where its owner came from.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct GrantState {
    #[n(0)]
    pub(crate) line: ByteVec,
    #[n(1)]
    pub(crate) source: String,
    /// Whose key it is, where a server has several users.
    #[n(2)]
    pub(crate) user: Option<GrantUserState>,
}

/// A user by name and uid.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct GrantUserState {
    #[n(0)]
    pub(crate) name: String,
    #[n(1)]
    pub(crate) uid: u32,
}

/// A running checksum; the bytes of the block under way, from which it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum ChainState {
    /// The value before the block, the block so far, bytes in all.
    #[n(0)]
    GoesOn(#[n(0)] ByteArray<16>, #[n(1)] ByteVec, #[n(2)] u64),
    /// Nothing will follow.
    #[n(1)]
    Over(#[n(0)] Digest),
}

/// Stdin.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct InputState {
    #[n(0)]
    pub(crate) pipe: Option<Fd>,
    #[n(1)]
    pub(crate) log: InputLogState,
    #[n(2)]
    pub(crate) closed_early: bool,
    /// Its pipe is our side of a terminal.
    #[n(3)]
    pub(crate) terminal: Option<TypedState>,
}

/// What is typed on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct TypedState {
    /// The last byte that it was given.
    #[n(0)]
    pub(crate) last: Option<u8>,
    /// All is typed; so often the end is still to be.
    #[n(1)]
    pub(crate) ends: Option<u8>,
}

/// Its log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct InputLogState {
    #[n(0)]
    pub(crate) slots: Vec<u32>,
    #[n(1)]
    pub(crate) first: u64,
    #[n(2)]
    pub(crate) arrived: u64,
    #[n(3)]
    pub(crate) taken: u64,
    #[n(4)]
    pub(crate) end: Option<u64>,
    #[n(5)]
    pub(crate) chain: ChainState,
}

/// Stdout or stderr.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct OutputState {
    #[n(0)]
    pub(crate) pipe: Option<Fd>,
    #[n(1)]
    pub(crate) writer: Option<Fd>,
    #[n(2)]
    pub(crate) log: OutputLogState,
    #[n(3)]
    pub(crate) owed: Option<u64>,
    #[n(4)]
    pub(crate) complete: bool,
}

/// Its log.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct OutputLogState {
    #[n(0)]
    pub(crate) slots: Vec<u32>,
    #[n(1)]
    pub(crate) first: u64,
    #[n(2)]
    pub(crate) oldest: u64,
    #[n(3)]
    pub(crate) end: u64,
    #[n(4)]
    pub(crate) chain: ChainState,
}

/// The part that has to do with its end.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct EndingState {
    #[n(0)]
    pub(crate) tree: TreeState,
    /// Its process is reaped.
    #[n(1)]
    pub(crate) is_reaped: bool,
    /// Inodes of its outputs.
    #[n(5)]
    pub(crate) pipes: Vec<u64>,
    #[n(6)]
    pub(crate) deadline_at: Option<u64>,
    /// How it ended, if that is known, and when.
    #[n(7)]
    pub(crate) exit: Option<ExitState>,
    #[n(8)]
    pub(crate) cpu_us: u64,
    #[n(9)]
    pub(crate) drain_until: Option<u64>,
    #[n(10)]
    pub(crate) holders: Vec<(u32, String)>,
    #[n(11)]
    pub(crate) drained: bool,
    #[n(12)]
    pub(crate) sweep: Option<SweepState>,
    #[n(13)]
    pub(crate) cause: Option<Cause>,
    #[n(14)]
    pub(crate) exact: bool,
    /// Children that outlive it, once they were counted.
    #[n(15)]
    pub(crate) left: Option<u64>,
    /// Signals to the tree that are still to be sent.
    #[n(16)]
    pub(crate) signals: Vec<i32>,
}

/// A job's processes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct TreeState {
    #[n(0)]
    pub(crate) uid: u32,
    #[n(1)]
    pub(crate) mark: ByteVec,
    /// Inodes of all its pipes.
    #[n(2)]
    pub(crate) pipes: Vec<u64>,
    /// Where it is.
    #[n(3)]
    pub(crate) cgroup: Option<ByteVec>,
    /// Its first process is reaped.
    #[n(4)]
    pub(crate) is_reaped: bool,
    /// It was seen outside of its cgroup.
    #[n(5)]
    pub(crate) has_left: bool,
}

/// An exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct ExitState {
    #[n(0)]
    pub(crate) exit: Option<Exit>,
    #[n(1)]
    pub(crate) at: u64,
}

/// A tree that is being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct SweepState {
    #[n(0)]
    pub(crate) kill_at: u64,
    #[n(1)]
    pub(crate) begins_with_term: bool,
    #[n(2)]
    pub(crate) kills: u8,
    #[n(3)]
    pub(crate) look_at: Option<u64>,
}

/// A kept job's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct JobSpoolState {
    #[n(0)]
    pub(crate) file: Fd,
    #[n(1)]
    pub(crate) reader: Fd,
    #[n(2)]
    pub(crate) state: SpoolState,
}
