//! What a keeper hands over to the program that takes its place.
//!
//! Descriptors are numbers: they stay open through execve(2). What can be found out again is
//! left out: process descriptors, what was told to a front, connections. The version changes whenever the
//! meaning does; a program reads its own version and those before it, and the tests have an example of each.

mod job;

use std::collections::HashSet;

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use crate::outcome::{Outcome, Status};
pub(crate) use job::*;

/// Of the state that this program writes.
pub(crate) const VERSION: u32 = 1;
/// Before the state.
const MAGIC: &[u8] = b"redial keeper state\n";
/// Longest state: 16,384 records with a path each, and 512 jobs with a block of each stream.
pub(crate) const MAX_BYTES: usize = 256 * 1024 * 1024;

/// A descriptor's number.
pub(crate) type Fd = i32;

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct State {
    #[n(0)]
    pub(crate) instance: ByteArray<16>,
    #[n(1)]
    pub(crate) next_serial: u64,
    #[n(2)]
    pub(crate) last_capability: u32,
    #[n(3)]
    pub(crate) output: PoolState,
    #[n(4)]
    pub(crate) stdin: PoolState,
    #[n(5)]
    pub(crate) sockets: Vec<SocketState>,
    #[n(6)]
    pub(crate) callers: Vec<CallerState>,
    #[n(7)]
    pub(crate) cgroup: Option<CgroupState>,
    #[n(9)]
    pub(crate) jobs: Vec<JobState>,
    #[n(10)]
    pub(crate) records: Vec<RecordState>,
    /// When an id was last forgotten.
    #[n(11)]
    pub(crate) forgotten_at: Option<u64>,
    /// Requests for an upgrade that are done, with this one.
    #[n(12)]
    pub(crate) upgrades: Vec<ByteArray<16>>,
    /// What children get (proc(5), oom_score_adj), where the keeper has changed its own.
    #[n(13)]
    pub(crate) oom_score: Option<i32>,
}

/// A pool: its memory, and how large it is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PoolState {
    #[n(0)]
    pub(crate) fd: Fd,
    #[n(1)]
    pub(crate) chunks: u32,
}

/// A Unix socket that is listened on, and its lock.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct SocketState {
    #[n(0)]
    pub(crate) path: ByteVec,
    #[n(1)]
    pub(crate) socket: Fd,
    #[n(2)]
    pub(crate) lock: Fd,
    /// It is the service manager's, which keeps it.
    #[n(3)]
    pub(crate) is_passed: Option<bool>,
}

/// A TCP socket that is listened on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct CallerState {
    /// As it was asked for.
    #[n(0)]
    pub(crate) address: String,
    #[n(1)]
    pub(crate) socket: Fd,
}

/// The directory of the jobs' cgroups.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct CgroupState {
    #[n(0)]
    pub(crate) path: ByteVec,
    #[n(1)]
    pub(crate) lock: Fd,
    /// Directories made so far.
    #[n(2)]
    pub(crate) made: u64,
}

/// An ended job that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct RecordState {
    #[n(0)]
    pub(crate) id: ByteArray<16>,
    #[n(1)]
    pub(crate) uid: u32,
    #[n(2)]
    pub(crate) key: Option<String>,
    #[n(3)]
    pub(crate) hash: ByteArray<16>,
    #[n(4)]
    pub(crate) ended_at: u64,
    /// Until its owner has it.
    #[n(5)]
    pub(crate) outcome: Option<Outcome>,
    /// After that.
    #[n(6)]
    pub(crate) status: Option<Status>,
}

/// Why a state is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    #[error("it is no keeper's state")]
    Foreign,
    #[error("it is of version {0}, which this program does not know")]
    Version(u32),
    #[error("it does not decode: {0}")]
    Decode(String),
    #[error("{0}")]
    Wrong(&'static str),
}

impl State {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [MAGIC, &VERSION.to_be_bytes()].concat();
        // Writing to a `Vec` cannot fail, and the derived encoders have no errors of their own.
        let _ = minicbor::encode(self, &mut bytes);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(StateError::Foreign)?;
        let (version, body) = rest.split_at_checked(4).ok_or(StateError::Foreign)?;
        let version = u32::from_be_bytes(version.try_into().map_err(|_| StateError::Foreign)?);
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let mut decoder = minicbor::Decoder::new(body);
        let state: Self = decoder
            .decode()
            .map_err(|error| StateError::Decode(error.to_string()))?;
        if decoder.position() != body.len() {
            return Err(StateError::Wrong("bytes follow it"));
        }
        state.check()?;
        Ok(state)
    }

    /// What must be so, or memory would be two jobs' at once.
    fn check(&self) -> Result<(), StateError> {
        let wrong = |text| Err(StateError::Wrong(text));
        let mut fds = HashSet::new();
        if !self.fds().into_iter().all(|fd| fd > 2 && fds.insert(fd)) {
            return wrong("a descriptor is there twice, or is none");
        }
        for (pool, slots) in [
            (&self.output, self.output_slots()),
            (&self.stdin, self.stdin_slots()),
        ] {
            let mut taken = HashSet::new();
            if !slots
                .iter()
                .all(|slot| *slot < pool.chunks && taken.insert(*slot))
            {
                return wrong("a chunk is two streams', or none of the pool's");
            }
        }
        let mut serials = HashSet::new();
        let known = |job: &JobState| job.serial > 0 && job.serial < self.next_serial;
        if !self
            .jobs
            .iter()
            .all(|job| known(job) && serials.insert(job.serial))
        {
            return wrong("two jobs have one number, or one that was not given");
        }
        for job in &self.jobs {
            for output in [&job.stdout, &job.stderr] {
                let chunks = output.log.slots.len() as u64;
                let holds = (output.log.first + chunks).saturating_mul(65_536) >= output.log.end;
                if output.log.oldest > output.log.end || (chunks > 0 && !holds) {
                    return wrong("an output's offsets do not fit its chunks");
                }
            }
        }
        Ok(())
    }

    /// Every descriptor that has to stay open.
    pub(crate) fn fds(&self) -> Vec<Fd> {
        let mut fds = vec![self.output.fd, self.stdin.fd];
        fds.extend(self.sockets.iter().flat_map(|it| [it.socket, it.lock]));
        fds.extend(self.callers.iter().map(|it| it.socket));
        fds.extend(self.cgroup.iter().map(|it| it.lock));
        for job in &self.jobs {
            fds.extend(job.input.as_ref().and_then(|it| it.pipe));
            for output in [&job.stdout, &job.stderr] {
                fds.extend(output.pipe.into_iter().chain(output.writer));
            }
            fds.extend(job.spool.iter().flat_map(|it| [it.file, it.reader]));
        }
        fds
    }

    pub(crate) fn output_slots(&self) -> Vec<u32> {
        let outputs = self.jobs.iter().flat_map(|job| [&job.stdout, &job.stderr]);
        outputs
            .flat_map(|output| output.log.slots.clone())
            .collect()
    }

    pub(crate) fn stdin_slots(&self) -> Vec<u32> {
        let inputs = self.jobs.iter().filter_map(|job| job.input.as_ref());
        inputs.flat_map(|input| input.log.slots.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
