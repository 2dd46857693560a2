//! Questions about jobs, between front and keeper.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use super::JobId;
use crate::outcome::Outcome;

/// What a connection asks (PROTOCOL.md, `query`).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Ask {
    /// Jobs whose names begin like this, behind this id (empty: from the first on).
    #[n(0)]
    List(#[n(0)] String, #[n(1)] ByteVec),
    /// Job, number of the request, signal.
    #[n(1)]
    Signal(#[n(0)] ByteArray<16>, #[n(1)] ByteArray<16>, #[n(2)] u8),
    /// Job, number of the request, milliseconds from TERM to KILL.
    #[n(2)]
    Cancel(#[n(0)] ByteArray<16>, #[n(1)] ByteArray<16>, #[n(2)] u32),
    /// Forget this ended job.
    #[n(3)]
    Remove(#[n(0)] ByteArray<16>),
    /// Number of the request: replace the server's program in place.
    #[n(4)]
    Upgrade(#[n(0)] ByteArray<16>),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// Jobs, and whether there are more behind them.
    #[n(0)]
    Jobs(#[n(0)] Vec<JobInfo>, #[n(1)] bool),
    /// It is done.
    #[n(1)]
    Done,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum JobPhase {
    /// Its process is being started.
    #[n(0)]
    Starting,
    /// There is no outcome yet.
    #[n(1)]
    Running,
    /// There is.
    #[n(2)]
    Ended,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct JobInfo {
    /// Its id.
    #[n(0)]
    pub job: ByteArray<16>,
    /// How far it is.
    #[n(1)]
    pub phase: JobPhase,
    /// Whose it is.
    #[n(2)]
    pub user: String,
    /// Its command, for people.
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
    /// Its output goes to a file.
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

impl JobInfo {
    /// Of a job of which no more is known.
    pub fn new(job: JobId, command: &str, started_ms: u64) -> Self {
        Self {
            job: job.into(),
            phase: JobPhase::Starting,
            user: String::new(),
            command: command.to_owned(),
            started_ms,
            pid: 0,
            stdout: 0,
            stderr: 0,
            kept: false,
            held: false,
            readers: 0,
            outcome: None,
            ended_ms: None,
            expires_ms: None,
            stalled: None,
        }
    }
}
