//! A job's three streams: pipes on one side, logs on the other.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::ground::Ground;
use super::naps::Nap;
use super::pipes::Capacity;
use super::poll::{Interest, Token};
use super::upgrade::Inherited;
use crate::log::{Filled, InputLog, Journal, OutputLog, Written};
use crate::outcome::Digest;
use crate::pool::CHUNK_BYTES;
use crate::state::{InputState, OutputState};

/// Reads in a row from one stream, when it is to be emptied.
const MAX_READS: usize = 16;

/// Stdout or stderr.
pub(super) struct Output {
    pub(super) log: OutputLog,
    stream: u8,
    token: Token,
    /// Gone when nothing will follow.
    pipe: Option<OwnedFd>,
    /// The end that the process writes to. We have it too, as long as the process lives, so that
    /// its end is one event and not three: the end of each output is seen when the exit is.
    writer: Option<OwnedFd>,
    watched: bool,
    /// Left alone for a moment, and not watched meanwhile.
    napping: bool,
    nap: Nap,
    /// What the pipe holds, once it was found full and enlarged.
    capacity: Option<Capacity>,
    /// After the drain: what lay in the pipe then, and is still to be read.
    owed: Option<u64>,
    complete: bool,
    /// The front knows that it has ended.
    pub(super) end_told: bool,
}

impl Output {
    pub(super) fn new(
        stream: u8,
        token: Token,
        (pipe, writer): (Option<OwnedFd>, Option<OwnedFd>),
        log: OutputLog,
    ) -> Self {
        let complete = pipe.is_none();
        Self {
            log,
            stream,
            token,
            pipe,
            writer,
            watched: false,
            napping: false,
            nap: Nap::default(),
            capacity: None,
            owed: None,
            complete,
            end_told: false,
        }
    }

    /// For another program, which has its pipes.
    pub(super) fn save(&self, ground: &Ground) -> OutputState {
        OutputState {
            pipe: self.pipe.as_ref().map(AsRawFd::as_raw_fd),
            writer: self.writer.as_ref().map(AsRawFd::as_raw_fd),
            log: self.log.save(&ground.output),
            owed: self.owed,
            complete: self.complete,
        }
    }

    /// As it was saved.
    pub(super) fn restore(
        stream: u8,
        token: Token,
        state: OutputState,
        fds: &mut Inherited,
        chunks: usize,
    ) -> Self {
        let pipes = (fds.take(state.pipe), fds.take(state.writer));
        let log = OutputLog::restore(stream, state.log, chunks);
        Self {
            owed: state.owed,
            complete: state.complete,
            ..Self::new(stream, token, pipes, log)
        }
    }

    /// The process has exited: who writes now is somebody else, and the pipe may end.
    pub(super) fn on_exit(&mut self) {
        self.writer = None;
    }

    /// Nothing will follow.
    pub(super) fn has_ended(&self) -> bool {
        self.pipe.is_none()
    }

    /// Reads what there is: one piece, or until the pipe is empty if it is to be `emptied`.
    pub(super) fn read(&mut self, ground: &mut Ground, journal: &mut Journal, emptied: bool) {
        for _ in 0..if emptied { MAX_READS } else { 1 } {
            if !self.may_have_more() {
                return self.close(false);
            }
            let Some(pipe) = &self.pipe else { return };
            if journal.is_full() {
                return self.unwatch(ground);
            }
            let at_most = self.owed.unwrap_or(u64::MAX).min(self.capacity() as u64);
            match self.log.fill(&mut ground.output, pipe.as_fd(), at_most) {
                Filled::Bytes(len) => {
                    journal.push(self.stream, len as u64);
                    self.owed = self.owed.map(|owed| owed - len as u64);
                    self.enlarge(ground, len);
                    if !emptied && let Some(time) = self.nap_after(len) {
                        return self.nap(ground, time);
                    }
                }
                Filled::End => {
                    ground.to_close.extend(self.pipe.take());
                    return self.close(true);
                }
                Filled::Full => return self.unwatch(ground),
                // What was owed is no longer there: a holder of the pipe's other
                // end has read it. There is nothing left to wait for.
                Filled::Empty if self.owed.is_some() => return self.close(false),
                Filled::Empty => break,
            }
        }
        if !self.may_have_more() {
            return self.close(false);
        }
        self.watch(ground);
    }

    /// How long the pipe is worth being left alone after a read, if at all.
    fn nap_after(&mut self, read: usize) -> Option<Duration> {
        let capacity = self.capacity.as_ref()?.bytes();
        if self.owed.is_some() || !self.log.is_busy() {
            return None;
        }
        self.nap.adapt(read, capacity);
        self.nap.time()
    }

    fn nap(&mut self, ground: &mut Ground, time: Duration) {
        self.unwatch(ground);
        self.napping = true;
        ground.naps.begin(self.token, time);
    }

    /// The nap is over.
    pub(super) fn wake(&mut self, ground: &mut Ground, journal: &mut Journal) {
        self.napping = false;
        self.read(ground, journal, false);
    }

    /// Whether something is still to be read. When nobody can write any more, what is
    /// in the pipe is all there will be, however late we come: its end is behind it.
    fn may_have_more(&mut self) -> bool {
        if self.owed == Some(0) && self.nobody_writes() {
            self.owed = None;
        }
        self.owed != Some(0)
    }

    fn nobody_writes(&self) -> bool {
        let gone = PollFlags::HUP;
        self.pipe.as_ref().is_some_and(|pipe| is_polled(pipe, gone))
    }

    fn enlarge(&mut self, ground: &Ground, read: usize) {
        if read >= CHUNK_BYTES
            && self.capacity.is_none()
            && let Some(pipe) = &self.pipe
        {
            self.capacity = Some(ground.pipes.enlarge(pipe.as_fd()));
        }
    }

    /// What one read can bring: a pipe is made to hold a chunk.
    fn capacity(&self) -> usize {
        self.capacity.as_ref().map_or(CHUNK_BYTES, Capacity::bytes)
    }

    /// From now on told when there is more.
    pub(super) fn watch(&mut self, ground: &Ground) {
        if self.watched {
            return;
        }
        let Some(pipe) = &self.pipe else { return };
        match ground.poll.add(pipe, self.token, Interest::Read) {
            Ok(()) => self.watched = true,
            Err(error) => {
                tracing::error!(%error, "cannot watch a job's output; it is given up");
                self.close(false);
            }
        }
    }

    /// Not told until there is room again: the child will block.
    fn unwatch(&mut self, ground: &Ground) {
        if let Some(pipe) = &self.pipe
            && self.watched
        {
            self.watched = ground.poll.remove(pipe).is_err();
        }
    }

    /// There is room again.
    pub(super) fn resume(&mut self, ground: &mut Ground, journal: &mut Journal) {
        if self.pipe.is_some() && !self.watched && !self.napping {
            self.read(ground, journal, false);
        }
    }

    /// The time for draining is over: only what lies in the pipe now is still read.
    pub(super) fn limit_to_what_is_there(&mut self) {
        if self.owed.is_some() || self.nobody_writes() {
            return;
        }
        if let Some(pipe) = &self.pipe {
            self.owed = Some(rustix::io::ioctl_fionread(pipe).unwrap_or(0));
        }
    }

    /// Nobody is to read this any more: the child gets SIGPIPE, what is logged goes, though somebody
    /// may still be reading it (`is_read`). Says how many bytes are lost.
    pub(super) fn drop_all(
        &mut self,
        ground: &mut Ground,
        journal: &mut Journal,
        is_read: bool,
    ) -> u64 {
        if self.pipe.is_some() {
            self.close(false);
        }
        let lost = self.log.close(&mut ground.output, is_read);
        journal.forget(self.stream, lost);
        journal.drop_news(self.stream);
        self.complete &= lost == 0;
        lost
    }

    /// Closing ends the watch as well: nobody else has this descriptor.
    fn close(&mut self, complete: bool) {
        self.pipe = None;
        self.capacity = None;
        self.watched = false;
        self.complete = complete;
    }

    pub(super) fn digest(&self) -> Digest {
        self.log.digest(self.complete && self.pipe.is_none())
    }
}

/// Whether `flag`, one of those that poll(2) always reports, is set now.
fn is_polled(pipe: &OwnedFd, flag: PollFlags) -> bool {
    let mut asked = [PollFd::new(pipe, PollFlags::empty())];
    let polled = rustix::event::poll(&mut asked, Some(&Timespec::default()));
    polled.is_ok() && asked[0].revents().contains(flag)
}

/// Stdin.
pub(super) struct Input {
    pub(super) log: InputLog,
    token: Token,
    pipe: Option<OwnedFd>,
    interest: Interest,
    /// The front knows that the child took this much.
    pub(super) told_taken: u64,
    /// The child stopped reading before the end.
    pub(super) closed_early: bool,
    /// The front knows that.
    pub(super) closed_told: bool,
}

impl Input {
    /// Watched from the start, for the child may close it at any time.
    pub(super) fn new(ground: &Ground, token: Token, pipe: OwnedFd, log: InputLog) -> Self {
        let watched = ground.poll.add(&pipe, token, Interest::Hangup);
        if let Err(error) = &watched {
            tracing::error!(%error, "cannot watch a job's stdin; it is closed");
        }
        Self {
            log,
            token,
            closed_early: watched.is_err(),
            pipe: watched.is_ok().then_some(pipe),
            interest: Interest::Hangup,
            told_taken: 0,
            closed_told: false,
        }
    }

    /// For another program, which has its pipe.
    pub(super) fn save(&self, ground: &Ground) -> InputState {
        InputState {
            pipe: self.pipe.as_ref().map(AsRawFd::as_raw_fd),
            log: self.log.save(&ground.stdin),
            closed_early: self.closed_early,
        }
    }

    /// As it was saved.
    pub(super) fn restore(
        ground: &mut Ground,
        token: Token,
        state: InputState,
        fds: &mut Inherited,
    ) -> Self {
        let log = InputLog::restore(state.log, ground.stream_chunks());
        let Some(pipe) = fds.take(state.pipe) else {
            return Self {
                told_taken: 0,
                log,
                token,
                pipe: None,
                interest: Interest::Hangup,
                closed_early: state.closed_early,
                closed_told: false,
            };
        };
        let mut input = Self::new(ground, token, pipe, log);
        // What could not be written before may be now.
        input.write(ground);
        input
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pipe.is_none()
    }

    /// The pipe has room, or nobody reads it any more.
    pub(super) fn on_event(&mut self, ground: &mut Ground) {
        if self.interest != Interest::Hangup {
            self.write(ground);
        } else if self.nobody_reads() {
            self.close_early(ground);
        }
        // Else it was room in the pipe, reported together with what has filled it since.
    }

    fn nobody_reads(&self) -> bool {
        let gone = PollFlags::ERR;
        self.pipe.as_ref().is_some_and(|pipe| is_polled(pipe, gone))
    }

    /// Gives the child what has arrived, as far as it takes it.
    pub(super) fn write(&mut self, ground: &mut Ground) {
        let Some(pipe) = &self.pipe else { return };
        let written = self
            .log
            .write_to(&mut ground.stdin, pipe.as_fd(), &mut ground.scratch);
        let wanted = match written {
            Written::All => Interest::Hangup,
            Written::Blocked => Interest::Write,
            Written::End => return self.close(ground),
            Written::Closed => return self.close_early(ground),
        };
        self.log.grant(&mut ground.stdin);
        if wanted != self.interest {
            match ground.poll.change(pipe, self.token, wanted) {
                Ok(()) => self.interest = wanted,
                Err(_) => self.close_early(ground),
            }
        }
    }

    fn close_early(&mut self, ground: &mut Ground) {
        self.closed_early = true;
        self.close(ground);
    }

    /// Closes the child's stdin; the rest is dropped.
    pub(super) fn close(&mut self, ground: &mut Ground) {
        self.pipe = None;
        self.log.close(&mut ground.stdin);
    }
}
