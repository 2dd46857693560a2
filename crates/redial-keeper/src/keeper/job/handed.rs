//! A job, handed over from one program to the next.

use super::{Job, Tell};
use crate::keeper::ending::Ending;
use crate::keeper::ground::Ground;
use crate::keeper::kept::Spool;
use crate::keeper::poll::Token;
use crate::keeper::recording::Recording;
use crate::keeper::streams::{Input, Output};
use crate::keeper::terms::Terms;
use crate::keeper::upgrade::Inherited;
use crate::log::Journal;
use crate::state::JobState;

impl Job {
    /// For another program.
    pub(in crate::keeper) fn save(&self, ground: &Ground) -> JobState {
        let [stdout, stderr] = self.outputs.each_ref().map(|it| it.save(ground));
        JobState {
            serial: self.serial,
            terms: self.terms.save(),
            pid: self.pid,
            started_at: self.started_at,
            input: self.input.as_ref().map(|it| it.save(ground)),
            stdout,
            stderr,
            pieces: self.journal.pieces(),
            applied: self.applied,
            ending: self.ending.save(),
            outcome: self.outcome.as_deref().cloned(),
            ended_ms: self.ended_ms,
            drop_at: self.drop_at,
            is_abandoned: self.is_abandoned,
            spool: self.spool.as_ref().map(Spool::save),
            recording: self.outputs[0].recording().map(Recording::save),
            requests: self.requests.iter().map(|it| (*it).into()).collect(),
        }
    }

    /// As it was saved; nobody reads or holds it. None if it makes no sense any more.
    pub(in crate::keeper) fn restore(
        ground: &mut Ground,
        state: JobState,
        fds: &mut Inherited,
    ) -> Option<Self> {
        let (serial, chunks) = (state.serial, ground.stream_chunks());
        let terms = Terms::restore(state.terms)?;
        let input = state
            .input
            .map(|input| Input::restore(ground, Token::Stdin(serial), input, fds));
        let stdout = Output::restore(1, Token::Stdout(serial), state.stdout, fds, chunks);
        let mut stdout = match terms.is_on_terminal {
            true => stdout.of_terminal(),
            false => stdout,
        };
        let recording = state.recording;
        let size = stdout.size();
        let restore = |it| Recording::restore(serial, (&terms, size), it, ground);
        let recording = recording.and_then(restore);
        if let Some(recording) = recording {
            stdout.record(recording);
        }
        let stderr = Output::restore(2, Token::Stderr(serial), state.stderr, fds, chunks);
        Some(Self {
            serial,
            pid: state.pid,
            started_at: state.started_at,
            holder: None,
            readers: Vec::new(),
            input,
            outputs: [stdout, stderr],
            journal: Journal::restore(state.pieces),
            applied: state.applied,
            ending: Ending::restore(state.pid, state.ending),
            outcome: state.outcome.map(Box::new),
            drop_at: state.drop_at,
            is_abandoned: state.is_abandoned,
            spool: state.spool.and_then(|spool| Spool::restore(spool, fds)),
            is_being_kept: false,
            remove_for: None,
            requests: state.requests.into_iter().map(Into::into).collect(),
            ended_ms: state.ended_ms,
            tell: Tell::default(),
            is_dirty: false,
            due: None,
            watches_exit: false,
            terms,
        })
    }

    /// Whether a thread has something of it in hand.
    pub(in crate::keeper) fn is_in_hand(&self) -> bool {
        let spooling = self.spool.as_ref().is_some_and(Spool::is_under_way);
        let waits = self.is_being_kept && self.spool.is_none();
        self.ending.walking || spooling || waits
    }

    /// The same of one that was taken up from another program, however far it is.
    pub(in crate::keeper) fn watch_again(&mut self, ground: &mut Ground) {
        let has_exited = self.ending.exit.is_some();
        self.on_exit(ground);
        self.resume(ground);
        if !has_exited && self.ending.exit.is_none() {
            self.watch(ground);
        }
    }
}
