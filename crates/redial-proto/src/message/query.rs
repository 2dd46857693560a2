//! Questions about jobs, and what is done to a job by who does not hold it.

use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use super::outcome::Outcome;

/// One question or request, answered once; the channel is closed with that.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Query {
    /// What is asked.
    #[n(0)]
    pub kind: QueryKind,
}

/// What a [`Query`] asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum QueryKind {
    /// The jobs whose names begin with this text, in order of their ids, behind this id (empty:
    /// from the first on).
    #[n(0)]
    List(#[n(0)] String, #[n(1)] ByteVec),
    /// Sends this signal to the job's process group. The number names the request: sent again, it
    /// is not done again.
    #[n(1)]
    Signal(#[n(0)] ByteArray<16>, #[n(1)] ByteArray<16>, #[n(2)] u8),
    /// Ends the job's tree: TERM, and KILL after so many milliseconds; 0 is KILL at once.
    #[n(2)]
    Cancel(#[n(0)] ByteArray<16>, #[n(1)] ByteArray<16>, #[n(2)] u32),
    /// Forgets an ended job, its record and its output.
    #[n(3)]
    Remove(#[n(0)] ByteArray<16>),
    /// Replaces the server's program by the one that lies in its place now, with all jobs.
    #[n(4)]
    Upgrade(#[n(0)] ByteArray<16>),
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Answer {
    /// What is answered.
    #[n(0)]
    pub kind: AnswerKind,
}

/// What an [`Answer`] says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum AnswerKind {
    /// Jobs, and whether there are more behind the last one.
    #[n(0)]
    Jobs(#[n(0)] Vec<JobEntry>, #[n(1)] bool),
    /// It is done.
    #[n(1)]
    Done,
}

/// How far a listed job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum JobState {
    /// Its process is being started.
    #[n(0)]
    Starting,
    /// It runs, or its outputs are not at their end.
    #[n(1)]
    Running,
    /// It has an outcome.
    #[n(2)]
    Ended,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JobEntry {
    /// Its id.
    #[n(0)]
    pub job: ByteArray<16>,
    /// How far it is.
    #[n(1)]
    pub state: JobState,
    /// Whose it is.
    #[n(2)]
    pub user: String,
    /// Its command, for people; at most 1,024 bytes.
    #[n(3)]
    pub command: String,
    /// When it was started, in milliseconds of Unix time.
    #[n(4)]
    pub started_ms: u64,
    /// Process id; 0 if there is none.
    #[n(5)]
    pub pid: u32,
    /// Bytes of stdout so far.
    #[n(6)]
    pub stdout: u64,
    /// Bytes of stderr so far.
    #[n(7)]
    pub stderr: u64,
    /// Its output goes to a file, and outlives connections.
    #[n(8)]
    pub kept: bool,
    /// Somebody holds it.
    #[n(9)]
    pub held: bool,
    /// Connections that read it.
    #[n(10)]
    pub readers: u32,
    /// How it ended.
    #[n(11)]
    pub outcome: Option<Outcome>,
    /// When it ended, in milliseconds of Unix time.
    #[n(12)]
    pub ended_ms: Option<u64>,
    /// When it is forgotten, in milliseconds of Unix time.
    #[n(13)]
    pub expires_ms: Option<u64>,
    /// Why its output is read no further for now.
    #[n(14)]
    pub stalled: Option<String>,
}
