//! One job, from its process's start until its output is read.

mod controls;
mod handed;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::ending::Ending;
use super::ground::Ground;
use super::kept::{Asker, Spool};
use super::poll::{Interest, Serial, Token};
use super::streams::{Input, Output};
use super::terms::{Share, Terms};
use super::time::Millis;
use super::workers::{Started, Walk};
use crate::log::{InputLog, Journal, OutputLog};
use crate::outcome::{Exit, Outcome};
use crate::spawn::Spawned;
use crate::tree::Tree;
use crate::wire::{Capability, DropPolicy, JobInfo, JobPhase};

/// A job with a process, or with output that nobody has read yet.
pub(super) struct Job {
    pub(super) serial: Serial,
    pub(super) terms: Terms,
    pub(super) pid: i32,
    pub(super) started_at: Millis,
    /// Whose acknowledgements count.
    pub(super) holder: Option<Capability>,
    /// Connections that are told about it, the holder's among them.
    pub(super) readers: Vec<Capability>,
    pub(super) input: Option<Input>,
    pub(super) outputs: [Output; 2],
    pub(super) journal: Journal,
    /// Number of the last control applied.
    pub(super) applied: u64,
    pub(super) ending: Ending,
    pub(super) outcome: Option<Box<Outcome>>,
    /// The drop policy strikes then, if nobody takes the job.
    pub(super) drop_at: Option<Millis>,
    /// It has struck: nobody will read this any more.
    pub(super) is_abandoned: bool,
    /// Its output goes to a file.
    pub(super) spool: Option<Spool>,
    /// It soon will.
    pub(super) is_being_kept: bool,
    /// To be removed when its end is written down, and who waits for that.
    pub(super) remove_for: Option<Asker>,
    /// The last requests of who does not hold it.
    pub(super) requests: VecDeque<[u8; 16]>,
    /// When it got its outcome, in milliseconds of Unix time.
    pub(super) ended_ms: Option<u64>,
    /// The front is to be told these anew.
    pub(super) tell: Tell,
    pub(super) is_dirty: bool,
    /// When it is registered to be due.
    due: Option<Millis>,
    /// Its pidfd is watched.
    pub(super) watches_exit: bool,
}

/// Who of a connection leaves a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// One that reads along.
    Reader,
    /// The one that holds it.
    Holder,
    /// All: the connection is over.
    All,
}

/// Facts that wait to be told.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tell {
    pub(super) applied: bool,
    pub(super) exited: bool,
    pub(super) ended: bool,
}

impl Job {
    /// Takes over a started process; see [`Job::watch`].
    pub(super) fn new(
        ground: &mut Ground,
        serial: Serial,
        mut terms: Terms,
        share: Share,
        started: Started,
    ) -> Self {
        let Started {
            mut process,
            tree,
            outputs: inodes,
            at,
            took_us: _,
            account,
        } = started;
        terms.user = String::from_utf8_lossy(&account.name).into_owned();
        let (outputs, input) = streams(ground, serial, &terms, share, &mut process);
        let deadline_at = terms.deadline_ms.map(|ms| at.saturating_add(ms));
        Self {
            serial,
            pid: process.pid,
            started_at: at,
            holder: None,
            readers: Vec::new(),
            input,
            outputs,
            journal: Journal::default(),
            applied: 0,
            ending: Ending::new(Arc::new(tree), process.pidfd, inodes, deadline_at),
            outcome: None,
            drop_at: None,
            is_abandoned: false,
            spool: None,
            is_being_kept: false,
            remove_for: None,
            requests: VecDeque::new(),
            ended_ms: None,
            tell: Tell::default(),
            is_dirty: false,
            due: None,
            watches_exit: false,
            terms,
        }
    }

    /// From now on its outputs and its end are seen. A short command has mostly ended before
    /// its start is told of: then there is nothing to be watched.
    pub(super) fn watch(&mut self, ground: &mut Ground) {
        self.on_exit(ground);
        if self.ending.exit.is_some() {
            return;
        }
        for output in &mut self.outputs {
            output.watch(ground);
        }
        let token = Token::Exit(self.serial);
        let pidfd: Option<&OwnedFd> = self.ending.pidfd();
        let watched = pidfd.map(|it| ground.poll.add(it, token, Interest::Read));
        self.watches_exit = matches!(watched, Some(Ok(())));
        if let Some(Err(error)) = watched {
            // Its exit would never be seen. It cannot be: watches are limited per
            // user, far above what the limit on jobs lets us have.
            tracing::error!(%error, "cannot watch a job's process; it is killed");
            self.ending.queue(Walk::Signal(libc::SIGKILL));
        }
    }

    /// Somebody reads along; with `take` as the holder. Returns who held it before.
    pub(super) fn attach(&mut self, who: Capability, take: bool) -> Option<Capability> {
        self.readers.push(who);
        if !take {
            return None;
        }
        self.drop_at = None;
        // If its policy has struck, it ends all the same, but somebody reads this now: chunks that
        // went to another job would be sent in its name.
        self.is_abandoned = false;
        self.holder.replace(who).filter(|before| *before != who)
    }

    /// The front was told that outputs are acknowledged up to these offsets.
    pub(super) fn acknowledge(&mut self, ground: &mut Ground, offsets: [u64; 2]) {
        // What goes to a file is free when it is there.
        if self.spool.is_none() {
            self.free(ground, offsets);
        }
    }

    /// Output up to these offsets is where it belongs.
    pub(super) fn free(&mut self, ground: &mut Ground, offsets: [u64; 2]) {
        for ((output, offset), stream) in self.outputs.iter_mut().zip(offsets).zip([1, 2]) {
            let freed = output.log.acknowledge(&mut ground.output, offset);
            self.journal.forget(stream, freed);
        }
        self.resume(ground);
    }

    /// Goes on reading where there is room again.
    pub(super) fn resume(&mut self, ground: &mut Ground) {
        for output in &mut self.outputs {
            output.resume(ground, &mut self.journal);
        }
    }

    /// Stdin has arrived up to `offset`; it ends there if that is its `end`.
    pub(super) fn stdin(&mut self, ground: &mut Ground, offset: u64, end: bool) {
        let Some(input) = &mut self.input else { return };
        if end {
            input.log.finish(offset);
        } else {
            input.log.arrive(offset);
        }
        input.write(ground);
    }

    /// A channel of a connection that reads this job leaves, or all of them. True if that was the
    /// holder.
    pub(super) fn leave(&mut self, who: Capability, leaves: Leaves) -> bool {
        match leaves {
            Leaves::All => self.readers.retain(|reader| *reader != who),
            Leaves::Holder | Leaves::Reader => {
                let at = self.readers.iter().position(|reader| *reader == who);
                at.map(|at| self.readers.swap_remove(at));
            }
        }
        if self.holder != Some(who) || leaves == Leaves::Reader {
            return false;
        }
        self.holder = None;
        true
    }

    /// Nobody holds the job any more: when does its policy strike? `grace_ms` is
    /// given to those that are to be killed.
    pub(super) fn let_drop(&mut self, now: Millis, grace_ms: u64) {
        self.drop_at = match self.terms.on_drop {
            DropPolicy::Kill => Some(now.saturating_add(grace_ms)),
            DropPolicy::KeepFor(ms) => Some(now.saturating_add(ms)),
            DropPolicy::Keep => None,
        };
    }

    /// Whether somebody may be reading what it still has of its output.
    pub(super) fn is_read(&self) -> bool {
        !self.readers.is_empty() || self.spool.as_ref().is_some_and(Spool::is_appending)
    }

    /// Whether it outlives its line whatever happens.
    pub(super) fn is_to_be_kept(&self) -> bool {
        self.terms.detached || self.terms.on_drop == DropPolicy::Keep
    }

    /// Whether something of it is still to come that a server should not end without.
    pub(super) fn is_unfinished(&self) -> bool {
        self.outcome.is_none() || self.spool.is_some() || self.is_being_kept
    }

    /// Whether this holder's having seen the outcome is the end of it.
    pub(super) fn is_done_for(&self, who: Capability) -> bool {
        self.holder == Some(who) && self.outcome.is_some() && self.spool.is_none()
    }

    /// What a list says of it.
    pub(super) fn info(&self, unix_ms: u64, now: Millis) -> JobInfo {
        let is_over = self.outcome.is_some();
        let in_file = self.spool.as_ref().map(|spool| spool.state.ends());
        let bytes = self.outputs.each_ref().map(|output| output.log.end());
        let [stdout, stderr] = in_file.unwrap_or(bytes);
        let expires = self.drop_at.filter(|_| is_over);
        JobInfo {
            phase: if is_over {
                JobPhase::Ended
            } else {
                JobPhase::Running
            },
            pid: self.pid.unsigned_abs(),
            stdout,
            stderr,
            kept: self.spool.is_some(),
            held: self.holder.is_some(),
            readers: u32::try_from(self.readers.len()).unwrap_or(u32::MAX),
            outcome: self.outcome.as_deref().cloned(),
            ended_ms: self.ended_ms,
            expires_ms: expires.map(|at| unix_ms.saturating_add(at.saturating_sub(now))),
            stalled: self.spool.as_ref().and_then(Spool::stalled),
            ..self.terms.info()
        }
    }

    /// The exit, once it is known.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.ending.exit()
    }

    /// Puts it on the list of those that have something to tell.
    pub(super) fn mark(&mut self, ground: &mut Ground) {
        if !self.is_dirty {
            self.is_dirty = true;
            ground.dirty.push(self.serial);
        }
        let ending = if self.outcome.is_some() {
            None
        } else {
            self.ending.due()
        };
        let spool = self.spool.as_ref().and_then(Spool::due);
        let due = [ending, self.drop_at, spool, self.stuck_at()];
        let due = due.into_iter().flatten().min();
        ground.timers.set(self.serial, self.due, due);
        self.due = due;
    }

    /// The time it was registered for has come, and is taken from the list.
    pub(super) fn on_due(&mut self) {
        self.due = None;
    }

    /// Gives back all that it holds; what nobody has read is lost, and the outcome
    /// says so.
    pub(super) fn release(mut self, ground: &mut Ground) -> (Terms, Option<Box<Outcome>>) {
        ground.timers.set(self.serial, self.due, None);
        let along = self.readers.iter().any(|who| self.holder != Some(*who));
        let is_read = along || self.spool.as_ref().is_some_and(Spool::is_appending);
        let lost = self
            .outputs
            .each_mut()
            .map(|it| it.drop_all(ground, &mut self.journal, is_read));
        if let Some(input) = &mut self.input {
            input.close(ground);
        }
        if let Some(outcome) = &mut self.outcome {
            outcome.stdout.complete &= lost[0] == 0;
            outcome.stderr.complete &= lost[1] == 0;
        }
        ground.workers.release(self.ending.into_tree());
        (self.terms, self.outcome)
    }

    /// The tree, for a walk.
    pub(super) fn tree(&self) -> &Arc<Tree> {
        self.ending.tree()
    }
}

/// Our ends of its streams, and what goes through them. Of a terminal stdout and stdin are one.
fn streams(
    ground: &Ground,
    serial: Serial,
    terms: &Terms,
    share: Share,
    process: &mut Spawned,
) -> ([Output; 2], Option<Input>) {
    let chunks = ground.stream_chunks();
    let [out, err] = process.writers.each_mut().map(Option::take);
    let stdout = (process.stdout.take(), out);
    let stderr = (process.stderr.take(), err);
    let log = |stream, slot| OutputLog::new(stream, slot, chunks);
    let stdout = Output::new(1, Token::Stdout(serial), stdout, log(1, share.stdout));
    let stderr = Output::new(2, Token::Stderr(serial), stderr, log(2, share.stderr));
    let stdin = share.stdin.zip(process.stdin.take());
    let token = Token::Stdin(serial);
    let stdin = stdin.map(|(slot, pipe)| (pipe, InputLog::new(slot, chunks)));
    if terms.is_on_terminal {
        let input = stdin.map(|(pipe, log)| Input::of_terminal(token, pipe, log));
        return ([stdout.of_terminal(), stderr], input);
    }
    let input = stdin.map(|(pipe, log)| Input::new(ground, token, pipe, log));
    ([stdout, stderr], input)
}
