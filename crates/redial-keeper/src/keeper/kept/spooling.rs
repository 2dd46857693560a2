//! The part of a kept job that has to do with its file.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use super::super::ground::Ground;
use super::super::job::Job;
use super::super::streams::Output;
use super::super::time::{Millis, unix_ms};
use super::super::upgrade::Inherited;
use super::disk::{Append, Place};
use super::record::{End, Record};
use super::room::{fits, space};
use super::store::Log;
use crate::outcome::Cause;
use crate::spool::{BLOCK_BYTES, OldestGo, SpoolState, SpoolWriter};
use crate::state::JobSpoolState;

/// Appended at once, at most.
const MAX_APPEND_BYTES: u64 = 1024 * 1024;
/// Pieces of one append, each of which has a head in the file.
const MAX_APPEND_PIECES: usize = 4_096;
/// After an error of the disk's, tried again after so long.
const RETRY_MS: u64 = 1_000;

/// Where a job's output goes.
#[derive(Debug)]
pub(in crate::keeper) struct Spool {
    /// None while something is being appended.
    writer: Option<Box<SpoolWriter>>,
    file: Arc<File>,
    reader: OwnedFd,
    pub(in crate::keeper) state: SpoolState,
    pub(in crate::keeper) told: SpoolState,
    stalled: Option<Stall>,
    /// It was, and nothing was appended since.
    is_short: bool,
    /// Nothing is taken from memory before the front has answered this: it may still have to copy
    /// from there for those who read along.
    held: Option<u64>,
    /// Of the quota, for what is being appended.
    reserved: u64,
    end: Ended,
}

/// Why nothing more is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stall {
    /// It has as much as it may have.
    Full,
    /// All together have.
    Quota,
    /// Its user has as much of it as one may.
    Share,
    /// The disk says no; tried again then.
    Disk(String, Millis),
}

/// Whether its end is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    Writing,
    Again(Millis),
    Written,
}

impl Spool {
    /// Begins at the oldest bytes that the job's logs still have.
    pub(in crate::keeper) fn new(log: Log, offsets: [u64; 2]) -> Self {
        let writer = SpoolWriter::new(Arc::clone(&log.file), offsets);
        Self {
            state: writer.state(),
            told: writer.state(),
            writer: Some(Box::new(writer)),
            file: log.file,
            reader: log.reader,
            stalled: None,
            is_short: false,
            held: None,
            reserved: 0,
            end: Ended::No,
        }
    }

    /// For another program. Nothing is being appended, nor written down.
    pub(in crate::keeper) fn save(&self) -> JobSpoolState {
        JobSpoolState {
            file: self.file.as_raw_fd(),
            reader: self.reader.as_raw_fd(),
            state: self.state,
        }
    }

    /// As it was saved; none without its descriptors.
    pub(in crate::keeper) fn restore(state: JobSpoolState, fds: &mut Inherited) -> Option<Self> {
        let (file, reader) = (fds.take(Some(state.file))?, fds.take(Some(state.reader))?);
        let file = Arc::new(File::from(file));
        let writer = SpoolWriter::at(Arc::clone(&file), state.state);
        Some(Self {
            writer: Some(Box::new(writer)),
            file,
            reader,
            state: state.state,
            told: SpoolState::default(),
            stalled: None,
            is_short: false,
            held: None,
            reserved: 0,
            end: Ended::No,
        })
    }

    /// Whether something of it is on its way to the disk.
    pub(in crate::keeper) fn is_under_way(&self) -> bool {
        self.is_appending() || self.end == Ended::Writing
    }

    /// Whether something is being appended.
    pub(in crate::keeper) fn is_appending(&self) -> bool {
        self.writer.is_none()
    }

    /// Waits for this echo.
    pub(super) fn hold(&mut self, echo: u64) {
        self.held = Some(echo);
    }

    /// Whether it waits for an echo.
    pub(in crate::keeper) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// What was not appended is lost.
    pub(in crate::keeper) fn has_no_more(&mut self) {
        self.stalled = None;
        self.is_short = false;
    }

    /// For another reader.
    pub(in crate::keeper) fn reader(&self) -> io::Result<OwnedFd> {
        self.reader.try_clone()
    }

    /// When something is to be tried again.
    pub(in crate::keeper) fn due(&self) -> Option<Millis> {
        let retry = match &self.stalled {
            Some(Stall::Disk(_, at)) => Some(*at),
            _ => None,
        };
        let again = match self.end {
            Ended::Again(at) => Some(at),
            _ => None,
        };
        retry.into_iter().chain(again).min()
    }

    /// Why its output is read no further, for people.
    pub(in crate::keeper) fn stalled(&self) -> Option<String> {
        Some(match self.stalled.as_ref()? {
            Stall::Full => "its file is full (--keep-output)".to_owned(),
            Stall::Quota => "the quota for kept output is used up (--keep-quota)".to_owned(),
            Stall::Share => {
                "its user's half of the quota for kept output is used up (--keep-quota)".to_owned()
            }
            Stall::Disk(error, _) => format!("its file cannot be written: {error}"),
        })
    }

    pub(in crate::keeper) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Whether it waits for room, or tries right now whether there is some.
    pub(in crate::keeper) fn is_short(&self) -> bool {
        self.is_short
    }

    /// Its end is on the disk.
    pub(in crate::keeper) fn is_over(&self) -> bool {
        self.end == Ended::Written
    }

    /// There may be room again.
    pub(in crate::keeper) fn try_again(&mut self) {
        if matches!(self.stalled, Some(Stall::Quota | Stall::Share)) {
            self.stalled = None;
        }
    }

    /// It goes on in another program: what has not been written down is tried again there.
    fn wake(&mut self, now: Millis) {
        if matches!(&self.stalled, Some(Stall::Disk(_, at)) if *at <= now) {
            self.stalled = None;
        }
        if matches!(self.end, Ended::Again(at) if at <= now) {
            self.end = Ended::No;
        }
    }
}

impl Job {
    /// Appends what has come in, or writes down how it ended.
    pub(in crate::keeper) fn spool_on(&mut self, ground: &mut Ground) {
        // How it ended may be known, and the rest of its output in nobody's way but its own.
        if self.outcome.is_some() && self.is_stuck(ground.now) {
            self.drop_rest(ground);
        }
        let Some(spool) = &mut self.spool else { return };
        spool.wake(ground.now);
        if spool.held.is_some_and(|echo| !ground.late.has_heard(echo)) {
            return;
        }
        spool.held = None;
        if spool.is_appending() {
            return;
        }
        if self.journal.is_empty() {
            return self.write_end_down(ground);
        }
        if spool.stalled.is_some() {
            return;
        }
        let Some(disk) = &mut ground.disk else { return };
        let (keep, used, uid) = (self.terms.keep, spool.state.used(), self.terms.owner.uid);
        let room = ground.room.left(uid);
        let left = keep.bytes.saturating_sub(used).min(room);
        let (most, oldest_go) = if keep.tail {
            // It may shrink itself, but not below what a reader can make something of.
            let beyond = keep.bytes.min(used + room);
            let oldest_go = OldestGo::Beyond(beyond.max(BLOCK_BYTES));
            (MAX_APPEND_BYTES, oldest_go)
        } else {
            let pieces = self.journal.len().min(MAX_APPEND_PIECES);
            (fits(left, pieces).min(MAX_APPEND_BYTES), OldestGo::Never)
        };
        let places = self.places(most);
        let Some(spool) = &mut self.spool else { return };
        if places.is_empty() {
            let stall = if room < keep.bytes.saturating_sub(used) {
                ground.room.want();
                match ground.room.is_share_short(uid) {
                    true => Stall::Share,
                    false => Stall::Quota,
                }
            } else {
                Stall::Full
            };
            spool.stalled = Some(stall);
            spool.is_short = true;
            return self.say_stalled();
        }
        if let Some(writer) = spool.writer.take() {
            spool.reserved = reserve(&places).min(room);
            ground.room.change(uid, 0, spool.reserved);
            disk.append(Append {
                serial: self.serial,
                writer,
                places,
                oldest_go,
            });
        }
    }

    /// Where the next bytes lie, in the order in which they came. From now on they count as told:
    /// what is written is acknowledged.
    fn places(&mut self, most: u64) -> Vec<Place> {
        for output in &mut self.outputs {
            drop(output.log.take_new_chunks());
        }
        drop(self.journal.take_news());
        let mut at = self.outputs.each_ref().map(|it| it.log.oldest());
        let (mut places, mut left) = (Vec::new(), most);
        for piece in self.journal.pieces().into_iter().take(MAX_APPEND_PIECES) {
            let index = usize::from(piece.stream) - 1;
            let len = piece.len.min(left);
            let ranges = self.outputs[index].log.ranges(at[index], at[index] + len);
            let place = |(slot, range)| (piece.stream, slot, range);
            places.extend(ranges.into_iter().map(place));
            at[index] += len;
            left -= len;
            if left == 0 {
                break;
            }
        }
        places
    }

    /// Something was appended, or could not be.
    pub(in crate::keeper) fn appended(
        &mut self,
        ground: &mut Ground,
        writer: Box<SpoolWriter>,
        result: io::Result<()>,
    ) {
        let Some(spool) = &mut self.spool else { return };
        let before = spool.state.used() + std::mem::take(&mut spool.reserved);
        spool.state = writer.state();
        spool.writer = Some(writer);
        let uid = self.terms.owner.uid;
        ground.room.change(uid, before, spool.state.used());
        let ends = spool.state.ends();
        if let Err(error) = result {
            let retry_at = ground.now + RETRY_MS;
            spool.stalled = Some(Stall::Disk(error.to_string(), retry_at));
            spool.is_short = true;
            self.say_stalled();
        } else {
            spool.is_short = false;
        }
        self.free(ground, ends);
    }

    fn say_stalled(&self) {
        let job = super::super::command::job_name(&self.terms.id);
        if let Some(reason) = self.spool.as_ref().and_then(Spool::stalled) {
            tracing::warn!(job, reason, "a job's output is not read for now");
        }
    }

    /// When what is left is given up, for want of room: nobody writes any more who could be made to
    /// wait, and the file is full. If only the quota or the disk is, it is waited as long as it
    /// takes, but not for a job that somebody wanted to end.
    pub(in crate::keeper) fn stuck_at(&self) -> Option<Millis> {
        let spool = self.spool.as_ref()?;
        let (_, exited_at) = self.ending.exit?;
        let was_ended = !matches!(self.ending.cause, None | Some(Cause::Itself));
        let is_full = spool.stalled == Some(Stall::Full);
        let all_is_here = self.outputs.iter().all(Output::has_ended);
        let patience = if all_is_here { 0 } else { self.terms.drain_ms };
        (is_full || was_ended && spool.stalled.is_some()).then(|| exited_at + u64::from(patience))
    }

    pub(in crate::keeper) fn is_stuck(&self, now: Millis) -> bool {
        self.stuck_at().is_some_and(|at| at <= now)
    }

    fn write_end_down(&mut self, ground: &Ground) {
        let (Some(spool), Some(outcome)) = (&mut self.spool, &self.outcome) else {
            return;
        };
        let Some(disk) = &ground.disk else { return };
        if spool.end != Ended::No {
            return;
        }
        spool.end = Ended::Writing;
        let end = End {
            outcome: (**outcome).clone(),
            at_ms: unix_ms(),
            spool: spool.state,
        };
        let record = Record {
            end: Some(end),
            ..self.terms.record()
        };
        disk.finish(self.serial, record, Arc::clone(&spool.file));
    }

    /// Its end is written down, or could not be.
    pub(in crate::keeper) fn end_written(&mut self, now: Millis, error: Option<&io::Error>) {
        let Some(spool) = &mut self.spool else { return };
        let Some(error) = error else {
            spool.end = Ended::Written;
            self.tell.ended = true;
            return;
        };
        tracing::error!(%error, "a job's end cannot be written down; tried again");
        spool.end = Ended::Again(now + RETRY_MS);
    }
}

/// Of a file, what these bytes may take.
fn reserve(places: &[Place]) -> u64 {
    let bytes = |(_, _, range): &Place| range.len() as u64;
    space(places.iter().map(bytes).sum(), places.len())
}
