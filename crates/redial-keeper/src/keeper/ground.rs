//! What every job stands on: events, clocks, pools, threads.

use std::io;
use std::os::fd::OwnedFd;

use super::config::Limits;
use super::kept::{Disk, Room};
use super::late::Late;
use super::metrics::Counts;
use super::naps::Naps;
use super::peers::SHARE;
use super::pipes::PipeRoom;
use super::poll::{Poll, Serial};
use super::time::{Millis, Timers, now};
use super::workers::Workers;
use crate::audit::Auditor;
use crate::pool::{CHUNK_BYTES, Pool};
use crate::recording::Recorder;

/// Handed to jobs with every event.
pub(super) struct Ground {
    pub(super) limits: Limits,
    pub(super) poll: Poll,
    pub(super) timers: Timers,
    pub(super) workers: Workers,
    pub(super) output: Pool,
    pub(super) stdin: Pool,
    /// Stdin on its way, see `InputLog`.
    pub(super) scratch: Vec<u8>,
    /// The time of this turn.
    pub(super) now: Millis,
    /// Jobs that have something to tell, or to be removed.
    pub(super) dirty: Vec<Serial>,
    /// Outputs that are left alone for a moment, to be read in larger pieces.
    pub(super) naps: Naps,
    pub(super) pipes: PipeRoom,
    /// Where jobs are kept, if there is a place for that.
    pub(super) disk: Option<Disk>,
    pub(super) room: Room,
    /// Where what is done is written down, if it is.
    pub(super) audit: Option<Auditor>,
    /// Records what terminals show, if that is wanted.
    pub(super) recorder: Option<Recorder>,
    pub(super) counts: Counts,
    /// Chunks of output that are given up, and not free yet.
    pub(super) late: Late,
    /// Done with, and closed once the news is out: it takes time that others wait for.
    pub(super) to_close: Vec<OwnedFd>,
}

impl Ground {
    /// With the pools of another program, or new ones; for one user, or for many.
    pub(super) fn new(
        limits: Limits,
        workers: Workers,
        (pools, for_many): (Option<(Pool, Pool)>, bool),
    ) -> io::Result<Self> {
        let share = match for_many {
            true => limits.keep_quota_bytes / SHARE as u64,
            false => limits.keep_quota_bytes,
        };
        let (output, stdin) = match pools {
            Some(pools) => pools,
            None => (
                Pool::create("redial-output", limits.output_pool_bytes)?,
                Pool::create("redial-stdin", limits.stdin_pool_bytes)?,
            ),
        };
        Ok(Self {
            output,
            stdin,
            room: Room::new(limits.keep_quota_bytes, share),
            limits,
            poll: Poll::new()?,
            timers: Timers::new()?,
            workers,
            scratch: vec![0; CHUNK_BYTES],
            now: now(),
            dirty: Vec::new(),
            naps: Naps::default(),
            pipes: PipeRoom::default(),
            disk: None,
            audit: None,
            recorder: None,
            counts: Counts::default(),
            late: Late::default(),
            to_close: Vec::new(),
        })
    }

    /// Most chunks of one stream.
    pub(super) fn stream_chunks(&self) -> usize {
        usize::try_from(self.limits.stream_bytes / CHUNK_BYTES as u64).unwrap_or(1)
    }
}
