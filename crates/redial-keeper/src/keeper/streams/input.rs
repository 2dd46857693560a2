//! Stdin; or what is typed on a terminal.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::PollFlags;

use super::is_polled;
use super::terminal::{Said, Typed};
use crate::keeper::ground::Ground;
use crate::keeper::poll::{Interest, Token};
use crate::keeper::upgrade::Inherited;
use crate::log::{InputLog, Written};
use crate::state::InputState;

/// Stdin.
pub(in crate::keeper) struct Input {
    pub(in crate::keeper) log: InputLog,
    token: Token,
    pipe: Option<OwnedFd>,
    /// The pipe is our side of a terminal. That is watched only while it is full: who reads it, and
    /// whether somebody does, it does not tell.
    terminal: Option<Typed>,
    interest: Interest,
    /// The front knows that the child took this much.
    pub(in crate::keeper) told_taken: u64,
    /// The child stopped reading before the end.
    pub(in crate::keeper) closed_early: bool,
    /// The front knows that.
    pub(in crate::keeper) closed_told: bool,
}

impl Input {
    /// Watched from the start, for the child may close it at any time.
    pub(in crate::keeper) fn new(
        ground: &Ground,
        token: Token,
        pipe: OwnedFd,
        log: InputLog,
    ) -> Self {
        let watched = ground.poll.add(&pipe, token, Interest::Hangup);
        if let Err(error) = &watched {
            tracing::error!(%error, "cannot watch a job's stdin; it is closed");
        }
        Self {
            log,
            token,
            closed_early: watched.is_err(),
            pipe: watched.is_ok().then_some(pipe),
            terminal: None,
            interest: Interest::Hangup,
            told_taken: 0,
            closed_told: false,
        }
    }

    /// What is typed on a terminal.
    pub(in crate::keeper) fn of_terminal(token: Token, pipe: OwnedFd, log: InputLog) -> Self {
        Self {
            log,
            token,
            closed_early: false,
            pipe: Some(pipe),
            terminal: Some(Typed::default()),
            interest: Interest::Hangup,
            told_taken: 0,
            closed_told: false,
        }
    }

    /// For another program, which has its pipe.
    pub(in crate::keeper) fn save(&self, ground: &Ground) -> InputState {
        InputState {
            pipe: self.pipe.as_ref().map(AsRawFd::as_raw_fd),
            log: self.log.save(&ground.stdin),
            closed_early: self.closed_early,
            terminal: self.terminal.map(Typed::save),
        }
    }

    /// As it was saved.
    pub(in crate::keeper) fn restore(
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
                terminal: None,
                interest: Interest::Hangup,
                closed_early: state.closed_early,
                closed_told: false,
            };
        };
        let mut input = match state.terminal {
            None => Self::new(ground, token, pipe, log),
            Some(typed) => Self {
                terminal: Some(Typed::restore(typed)),
                closed_early: state.closed_early,
                ..Self::of_terminal(token, pipe, log)
            },
        };
        // What could not be written before may be now.
        input.write(ground);
        input
    }

    pub(in crate::keeper) fn is_closed(&self) -> bool {
        self.pipe.is_none()
    }

    /// The pipe has room, or nobody reads it any more.
    pub(in crate::keeper) fn on_event(&mut self, ground: &mut Ground) {
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
    pub(in crate::keeper) fn write(&mut self, ground: &mut Ground) {
        let Some(pipe) = &self.pipe else { return };
        let written = self
            .log
            .write_to(&mut ground.stdin, pipe.as_fd(), &mut ground.scratch);
        if let Some(typed) = &mut self.terminal {
            typed.last = self.log.last_byte().or(typed.last);
        }
        let wanted = match (written, &mut self.terminal) {
            (Written::All, _) => Interest::Hangup,
            (Written::Blocked, _) => Interest::Write,
            (Written::End, None) => return self.close(ground),
            (Written::End, Some(typed)) => match typed.say_end(pipe.as_fd()) {
                Said::Done => Interest::Hangup,
                Said::Blocked => Interest::Write,
                Said::Closed => return self.close_early(ground),
            },
            (Written::Closed, _) => return self.close_early(ground),
        };
        self.log.grant(&mut ground.stdin);
        if wanted != self.interest {
            match self.watch(ground, wanted) {
                Ok(()) => self.interest = wanted,
                Err(_) => self.close_early(ground),
            }
        }
    }

    fn watch(&self, ground: &Ground, wanted: Interest) -> io::Result<()> {
        let Some(pipe) = &self.pipe else {
            return Ok(());
        };
        match (self.terminal.is_some(), wanted) {
            (false, _) => ground.poll.change(pipe, self.token, wanted),
            (true, Interest::Hangup) => ground.poll.remove(pipe),
            (true, _) => ground.poll.add(pipe, self.token, wanted),
        }
    }

    fn close_early(&mut self, ground: &mut Ground) {
        self.closed_early = true;
        self.close(ground);
    }

    /// Closes the child's stdin; the rest is dropped.
    pub(in crate::keeper) fn close(&mut self, ground: &mut Ground) {
        if self.terminal.is_some() && self.interest != Interest::Hangup {
            // The output has another descriptor of it: to close this one ends no watch (epoll(7)).
            let _ = self.watch(ground, Interest::Hangup);
            self.interest = Interest::Hangup;
        }
        self.pipe = None;
        self.log.close(&mut ground.stdin);
    }
}
