//! How a job ends: exit, drain, tree, outcome.
//!
//! The exit is told at once. Then the outputs are read to their end or, when
//! somebody else holds the pipes, for the drain time, and then as far as they were
//! filled at that moment. When outputs and tree are done, there is an outcome.

use super::ending::{Awaits, Left, Sweep};
use super::ground::Ground;
use super::job::Job;
use super::kept::Spool;
use super::streams::Output;
use super::time::{Millis, unix_ms};
use super::workers::{Walk, Walked};
use crate::outcome::{Cause, Digest, Exit, Outcome, Status};

/// Of signal(7).
const KILL: u8 = 9;

impl Job {
    /// TERM to the tree, KILL after `grace_ms`; the outcome says by whom.
    pub(super) fn cancel(&mut self, now: Millis, grace_ms: u64, by: String) {
        self.end_tree(now, grace_ms, Cause::Cancelled(by));
    }

    /// It is to end: what it has left, and has no place, is given up.
    pub(super) fn wait_for_no_room(&mut self, ground: &mut Ground) {
        if self.only_waits_for_room() {
            self.drop_rest(ground);
        }
    }

    /// Ends the tree: TERM, and KILL after `grace_ms`. What has outlived the job is
    /// none of it any more.
    pub(super) fn end_tree(&mut self, now: Millis, grace_ms: u64, cause: Cause) {
        if self.outcome.is_some() {
            return;
        }
        self.ending.sweep(Sweep::new(now, grace_ms), cause);
    }

    /// What it waits for, if it is to come to an end. What is left then is the disk's affair.
    pub(super) fn awaits(&self) -> Awaits {
        match self.outcome {
            None => self.ending.awaits(),
            Some(_) => Awaits::Nothing,
        }
    }

    /// The process has exited.
    pub(super) fn on_exit(&mut self, ground: &mut Ground) {
        if self.ending.exit.is_some() {
            return;
        }
        self.ending.look_at_exit(ground.now);
        if self.ending.exit.is_none() {
            return;
        }
        self.tell.exited = true;
        self.ending.drain_until = Some(ground.now + u64::from(self.terms.drain_ms));
        if self.terms.reap {
            self.ending.sweep(Sweep::new(ground.now, 0), Cause::Itself);
        }
        if let Some(pidfd) = self.ending.pidfd().filter(|_| self.watches_exit) {
            // Level-triggered: it would be reported until the process is reaped.
            let _ = ground.poll.remove(pidfd);
        }
        for output in &mut self.outputs {
            output.on_exit();
            output.read(ground, &mut self.journal, true);
        }
    }

    /// A walk has come back.
    pub(super) fn on_walked(&mut self, walked: Walked, now: Millis) {
        self.ending.walking = false;
        match walked {
            Walked::Signalled(signal, reached) => {
                self.ending.on_signalled(signal, reached, now);
            }
            Walked::Members(count) => self.ending.on_members(count, now),
            Walked::Holders(holders) => {
                let named = |holder: crate::tree::Holder| {
                    let name = String::from_utf8_lossy(&holder.name).into_owned();
                    (holder.pid.unsigned_abs(), name)
                };
                self.ending.holders = holders.into_iter().map(named).collect();
                self.ending.drained = true;
            }
        }
    }

    /// Does all that is due or has become possible. Called after every event.
    pub(super) fn advance(&mut self, ground: &mut Ground) {
        let now = ground.now;
        if self.drop_at.is_some_and(|at| at <= now) {
            self.abandon(now);
        }
        if self.outcome.is_none() {
            if self.ending.exit.is_none() && self.ending.deadline_at.is_some_and(|at| at <= now) {
                self.ending.deadline_at = None;
                self.end_tree(now, ground.limits.kill_after_ms, Cause::Deadline);
            }
            self.ending.kill_if_due(now);
            if self.ending.exit.is_some() {
                self.finish(ground);
            }
        }
        self.walk_on(ground);
        self.spool_on(ground);
        self.mark(ground);
    }

    /// The line has dropped and nobody has taken the job: its policy strikes.
    fn abandon(&mut self, now: Millis) {
        self.drop_at = None;
        self.is_abandoned = true;
        self.end_tree(now, 0, Cause::LineDropped);
    }

    fn walk_on(&mut self, ground: &Ground) {
        if !self.ending.walking
            && let Some(walk) = self.ending.walks.pop_front()
        {
            self.ending.walking = true;
            ground.workers.walk(self.serial, self.tree(), walk);
        }
    }

    /// After the exit: outputs, then tree, then outcome.
    fn finish(&mut self, ground: &mut Ground) {
        let reaped = self.ending.reap(&mut ground.to_close);
        // Nobody will ever read it: there is no use in waiting for room.
        if self.is_abandoned || self.is_stuck(ground.now) {
            self.drop_rest(ground);
        }
        if !self.drain(ground) || !reaped || !self.ending.has_settled(self.pid, ground.now) {
            return;
        }
        if let Some(input) = &mut self.input {
            input.close(ground);
        }
        let outcome = Box::new(self.conclude());
        ground.counts.ended(&outcome);
        ground.note_end(&self.terms, &outcome);
        self.outcome = Some(outcome);
        self.ended_ms = Some(unix_ms());
        // A kept job's end is told when it is written down.
        self.tell.ended = self.spool.is_none() && !self.is_being_kept;
    }

    /// Its process has ended, and what it has left has no place.
    pub(super) fn only_waits_for_room(&self) -> bool {
        let is_short = self.spool.as_ref().is_some_and(Spool::is_short);
        is_short && self.ending.exit.is_some() && self.remove_for.is_none()
    }

    /// What has not been read is lost, and the outcome says so.
    pub(super) fn drop_rest(&mut self, ground: &mut Ground) {
        let is_read = self.is_read();
        let lost = self
            .outputs
            .each_mut()
            .map(|it| it.drop_all(ground, &mut self.journal, is_read));
        if let Some(outcome) = &mut self.outcome {
            outcome.stdout.complete &= lost[0] == 0;
            outcome.stderr.complete &= lost[1] == 0;
        }
        if let Some(spool) = &mut self.spool {
            spool.has_no_more();
        }
    }

    /// Whether both outputs have come to their end.
    fn drain(&mut self, ground: &mut Ground) -> bool {
        if self.outputs.iter().all(Output::has_ended) {
            // The tree may take longer: a time that has passed must not stay due.
            self.ending.drain_until = None;
            return true;
        }
        let ending = &mut self.ending;
        let is_over = ending.drain_until.is_none_or(|until| until <= ground.now);
        if is_over && !ending.holders_asked {
            ending.holders_asked = true;
            ending.queue(Walk::Holders(ending.pipes.clone()));
        }
        if ending.drained {
            for output in &mut self.outputs {
                output.limit_to_what_is_there();
                output.read(ground, &mut self.journal, true);
            }
        }
        self.outputs.iter().all(Output::has_ended)
    }

    fn conclude(&mut self) -> Outcome {
        let ending = &mut self.ending;
        let (status, exited_at) = match ending.exit {
            Some((exit, at)) => (exit.map_or(Status::Unknown, Status::Ended), at),
            None => (Status::Unknown, self.started_at),
        };
        let left = if let Left::Known(left) = ending.left {
            left
        } else {
            0
        };
        let [stdout, stderr] = self.outputs.each_ref().map(Output::digest);
        // Asked only then: it is a file to be read.
        let killed = matches!(status, Status::Ended(Exit::Signal(KILL, _)));
        let out_of_memory = killed && ending.tree().ran_out_of_memory();
        let cause = match ending.cause.clone().unwrap_or(Cause::Itself) {
            Cause::Itself if out_of_memory => Cause::OutOfMemory,
            cause => cause,
        };
        let nothing = Digest {
            bytes: 0,
            checksum: [0; 16].into(),
            complete: true,
        };
        Outcome {
            status,
            cause,
            stdin: self
                .input
                .as_ref()
                .map_or(nothing, |input| input.log.digest()),
            stdout,
            stderr,
            holders: std::mem::take(&mut ending.holders),
            lingering: u32::try_from(left).unwrap_or(u32::MAX),
            exact: ending.exact,
            duration_ms: exited_at.saturating_sub(self.started_at),
            cpu_us: ending.cpu_us,
        }
    }

    /// The server cannot wait any longer: what is not read is lost. Where a walk hangs, the
    /// process group at least gets its KILL without one, unless its leader is gone already.
    pub(super) fn give_up(&mut self, ground: &mut Ground) {
        self.is_abandoned = true;
        self.ending.kill_group();
        self.ending.drain_until = Some(ground.now);
        self.advance(ground);
    }
}
