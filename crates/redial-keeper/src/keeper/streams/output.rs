//! Stdout or stderr; or what a terminal shows.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::PollFlags;

use super::is_polled;
use crate::keeper::ground::Ground;
use crate::keeper::naps::Nap;
use crate::keeper::pipes::Capacity;
use crate::keeper::poll::{Interest, Token};
use crate::keeper::recording::Recording;
use crate::keeper::upgrade::Inherited;
use crate::log::{Filled, Journal, OutputLog};
use crate::outcome::Digest;
use crate::pool::CHUNK_BYTES;
use crate::spawn::PtySize;
use crate::state::OutputState;

/// More than a terminal's buffers have room for, in bytes: the kernel's take 64 KiB and a few
/// pages, and what has been read of them is 4 KiB (drivers/tty: TTYB_DEFAULT_MEM_LIMIT,
/// N_TTY_BUF_SIZE).
const TERMINAL_HOLDS: u64 = 256 * 1024;
/// Reads in a row from one stream, when it is to be emptied.
const MAX_READS: usize = 16;

/// Stdout or stderr.
pub(in crate::keeper) struct Output {
    pub(in crate::keeper) log: OutputLog,
    stream: u8,
    token: Token,
    /// Gone when nothing will follow.
    pipe: Option<OwnedFd>,
    /// The end that the process writes to. We have it too, as long as the process lives, so that
    /// its end is one event and not three: the end of each output is seen when the exit is.
    writer: Option<OwnedFd>,
    /// The pipe is our side of a terminal, of which stdin has another descriptor: to close this one
    /// does not end what epoll watches (epoll(7)).
    is_terminal: bool,
    /// What the terminal shows is recorded, up to its end.
    recording: Option<Recording>,
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
    pub(in crate::keeper) end_told: bool,
}

impl Output {
    pub(in crate::keeper) fn new(
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
            is_terminal: false,
            recording: None,
            watched: false,
            napping: false,
            nap: Nap::default(),
            capacity: None,
            owed: None,
            complete,
            end_told: false,
        }
    }

    /// It is what a terminal shows.
    pub(in crate::keeper) fn of_terminal(self) -> Self {
        Self {
            is_terminal: true,
            ..self
        }
    }

    /// How large the terminal is: columns and rows; nothing, where it is none.
    pub(in crate::keeper) fn size(&self) -> [u16; 2] {
        let size = self.pipe.as_ref().map(rustix::termios::tcgetwinsize);
        let size = size.and_then(Result::ok);
        size.map_or([0, 0], |size| [size.ws_col, size.ws_row])
    }

    /// What it shows is recorded from now on.
    pub(in crate::keeper) fn record(&mut self, recording: Recording) {
        self.recording = Some(recording);
    }

    pub(in crate::keeper) fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    pub(in crate::keeper) fn is_recorded(&self) -> bool {
        self.recording.is_some()
    }

    /// Whether it is what a terminal shows.
    pub(in crate::keeper) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The terminal has another size; its foreground processes get SIGWINCH (ioctl_tty(2)).
    pub(in crate::keeper) fn resize(&mut self, ground: &Ground, size: PtySize) {
        if let Some(recording) = &mut self.recording {
            recording.resized(ground, [size.columns, size.rows]);
        }
        if let Some(pipe) = self.pipe.as_ref().filter(|_| self.is_terminal) {
            // It fails for what is no terminal, and this is one.
            let _ = rustix::termios::tcsetwinsize(pipe, size.winsize());
        }
    }

    /// For another program, which has its pipes.
    pub(in crate::keeper) fn save(&self, ground: &Ground) -> OutputState {
        OutputState {
            pipe: self.pipe.as_ref().map(AsRawFd::as_raw_fd),
            writer: self.writer.as_ref().map(AsRawFd::as_raw_fd),
            log: self.log.save(&ground.output),
            owed: self.owed,
            complete: self.complete,
        }
    }

    /// As it was saved.
    pub(in crate::keeper) fn restore(
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
    pub(in crate::keeper) fn on_exit(&mut self) {
        self.writer = None;
    }

    /// Nothing will follow.
    pub(in crate::keeper) fn has_ended(&self) -> bool {
        self.pipe.is_none()
    }

    /// Reads what there is: one piece, or until the pipe is empty if it is to be `emptied`.
    pub(in crate::keeper) fn read(
        &mut self,
        ground: &mut Ground,
        journal: &mut Journal,
        emptied: bool,
    ) {
        for _ in 0..if emptied { MAX_READS } else { 1 } {
            if !self.may_have_more() {
                return self.end_here(ground);
            }
            let Some(pipe) = &self.pipe else { return };
            if journal.is_full() || (self.is_recorded() && Recording::is_behind(ground)) {
                return self.unwatch(ground);
            }
            let at_most = self.owed.unwrap_or(u64::MAX).min(self.capacity() as u64);
            match self.log.fill(&mut ground.output, pipe.as_fd(), at_most) {
                Filled::Bytes(len) => {
                    journal.push(self.stream, len as u64);
                    self.note(ground, len as u64);
                    self.owed = self.owed.map(|owed| owed - len as u64);
                    self.enlarge(ground, len);
                    if !emptied && let Some(time) = self.nap_after(len) {
                        return self.nap(ground, time);
                    }
                }
                Filled::End => {
                    self.unwatch_terminal(ground);
                    ground.to_close.extend(self.pipe.take());
                    return self.close(ground, true);
                }
                Filled::Full => return self.unwatch(ground),
                // What was owed is no longer there: a holder of the pipe's other
                // end has read it. There is nothing left to wait for.
                Filled::Empty if self.owed.is_some() => return self.end_here(ground),
                Filled::Empty => break,
            }
        }
        if !self.may_have_more() {
            return self.end_here(ground);
        }
        self.watch(ground);
    }

    /// Nothing more is read; what is logged stays.
    pub(in crate::keeper) fn cut(&mut self, ground: &Ground) {
        if self.pipe.is_some() {
            self.close(ground, false);
        }
    }

    /// For the recording.
    fn note(&mut self, ground: &Ground, len: u64) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        let end = self.log.end();
        for (slot, range) in self.log.ranges(end - len, end) {
            let bytes = ground.output.slice(slot, range).unwrap_or_default();
            recording.shown(ground, bytes.iter().copied());
        }
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
    pub(in crate::keeper) fn wake(&mut self, ground: &mut Ground, journal: &mut Journal) {
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
    pub(in crate::keeper) fn watch(&mut self, ground: &Ground) {
        if self.watched {
            return;
        }
        let Some(pipe) = &self.pipe else { return };
        match ground.poll.add(pipe, self.token, Interest::Read) {
            Ok(()) => self.watched = true,
            Err(error) => {
                tracing::error!(%error, "cannot watch a job's output; it is given up");
                self.close(ground, false);
            }
        }
    }

    /// Who else could write is not waited for. Of a pipe something may be missing then; of a terminal
    /// all is read that it had when its command ended, and then it is hung up.
    fn end_here(&mut self, ground: &Ground) {
        self.close(ground, self.is_terminal);
    }

    /// Not told until there is room again: the child will block.
    fn unwatch(&mut self, ground: &Ground) {
        if let Some(pipe) = &self.pipe
            && self.watched
        {
            self.watched = ground.poll.remove(pipe).is_err();
        }
    }

    fn unwatch_terminal(&mut self, ground: &Ground) {
        if self.is_terminal {
            self.unwatch(ground);
        }
    }

    /// There is room again.
    pub(in crate::keeper) fn resume(&mut self, ground: &mut Ground, journal: &mut Journal) {
        if self.pipe.is_some() && !self.watched && !self.napping {
            self.read(ground, journal, false);
        }
    }

    /// The time for draining is over: only what lies in the pipe now is still read.
    pub(in crate::keeper) fn limit_to_what_is_there(&mut self) {
        if self.owed.is_some() || self.nobody_writes() {
            return;
        }
        let Some(pipe) = &self.pipe else { return };
        self.owed = Some(match self.is_terminal {
            // What it says to have is a part of it: more waits in the kernel's buffers behind.
            true => TERMINAL_HOLDS,
            false => rustix::io::ioctl_fionread(pipe).unwrap_or(0),
        });
    }

    /// Nobody is to read this any more: the child gets SIGPIPE, what is logged goes, though somebody
    /// may still be reading it (`is_read`). Says how many bytes are lost.
    pub(in crate::keeper) fn drop_all(
        &mut self,
        ground: &mut Ground,
        journal: &mut Journal,
        is_read: bool,
    ) -> u64 {
        if self.pipe.is_some() {
            self.close(ground, false);
        }
        let lost = self.log.close(&mut ground.output, is_read);
        journal.forget(self.stream, lost);
        journal.drop_news(self.stream);
        self.complete &= lost == 0;
        lost
    }

    /// Closing ends the watch of a pipe as well: nobody else has its descriptor.
    fn close(&mut self, ground: &Ground, complete: bool) {
        if let Some(recording) = self.recording.take() {
            recording.end(ground);
        }
        self.unwatch_terminal(ground);
        self.pipe = None;
        self.capacity = None;
        self.watched = false;
        self.complete = complete;
    }

    pub(in crate::keeper) fn digest(&self) -> Digest {
        self.log.digest(self.complete && self.pipe.is_none())
    }
}
