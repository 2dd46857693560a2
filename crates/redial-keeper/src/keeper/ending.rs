//! How a job ends: exit, drain, tree, outcome.
//!
//! The exit is told at once. Then the outputs are read to their end or, when
//! somebody else holds the pipes, for the drain time, and then as far as they were
//! filled at that moment. A tree that is to be ended gets TERM, later KILL, and is
//! looked at until it is empty. When outputs and tree are done, there is an outcome.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::process::Pid;

use super::ground::Ground;
use super::job::Job;
use super::streams::Output;
use super::time::Millis;
use super::workers::{Walk, Walked};
use crate::outcome::{Cause, Digest, Exit, Outcome, Status};
use crate::tree::Tree;

/// Between two looks at a tree that is being ended.
const LOOK_MS: u64 = 50;
/// Rounds of KILL before a tree counts as out of reach (a process that hangs in the
/// kernel dies later).
const MAX_SWEEPS: u8 = 40;
/// Walks that wait for the one under way; more are the same over again.
const MAX_WALKS: usize = 8;

/// A tree that is being ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sweep {
    kill_at: Millis,
    /// With grace; without it KILL is first.
    begins_with_term: bool,
    kills: u8,
    look_at: Option<Millis>,
}

impl Sweep {
    pub(super) fn new(now: Millis, grace_ms: u64) -> Self {
        let kill_at = now.saturating_add(grace_ms);
        Self {
            kill_at,
            begins_with_term: grace_ms > 0,
            kills: 0,
            look_at: None,
        }
    }
}

/// What is known of the processes left in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    NotAsked,
    Asked,
    Known(usize),
}

/// The part of a job that has to do with its end.
pub(super) struct Ending {
    tree: Arc<Tree>,
    /// Until the process is reaped.
    pidfd: Option<OwnedFd>,
    /// The inodes of its outputs.
    pipes: Vec<u64>,
    deadline_at: Option<Millis>,
    exit: Option<(Exit, Millis)>,
    cpu_us: u64,
    drain_until: Option<Millis>,
    /// Who holds the pipes is being found out, or known.
    holders_asked: bool,
    holders: Vec<(u32, String)>,
    drained: bool,
    sweep: Option<Sweep>,
    cause: Option<Cause>,
    exact: bool,
    left: Left,
    walking: bool,
    walks: VecDeque<Walk>,
}

impl Ending {
    pub(super) fn new(
        tree: Arc<Tree>,
        pidfd: OwnedFd,
        pipes: Vec<u64>,
        deadline_at: Option<Millis>,
    ) -> Self {
        Self {
            exact: tree.is_exact(),
            tree,
            pidfd: Some(pidfd),
            pipes,
            deadline_at,
            exit: None,
            cpu_us: 0,
            drain_until: None,
            holders_asked: false,
            holders: Vec::new(),
            drained: false,
            sweep: None,
            cause: None,
            left: Left::NotAsked,
            walking: false,
            walks: VecDeque::new(),
        }
    }

    pub(super) fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    pub(super) fn into_tree(self) -> Arc<Tree> {
        self.tree
    }

    pub(super) fn pidfd(&self) -> Option<&OwnedFd> {
        self.pidfd.as_ref()
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit.map(|(exit, _)| exit)
    }

    pub(super) fn is_exact(&self) -> bool {
        self.tree.is_exact()
    }

    pub(super) fn is_reaped(&self) -> bool {
        self.pidfd.is_none()
    }

    /// To the process group, as long as the process has not been reaped.
    pub(super) fn signal_group(&self, signal: i32) -> io::Result<()> {
        self.tree.signal_group(signal)
    }

    /// A walk to be done when the one under way has ended.
    pub(super) fn queue(&mut self, walk: Walk) {
        if self.walks.len() < MAX_WALKS {
            self.walks.push_back(walk);
        }
    }

    /// Begins to end the tree, or hurries it. The first cause stays; what ended by
    /// itself before has none.
    pub(super) fn sweep(&mut self, sweep: Sweep, cause: Cause) {
        if self.exit.is_none() {
            self.cause.get_or_insert(cause);
        }
        let first = self.sweep.is_none();
        let current = self.sweep.get_or_insert(sweep);
        current.kill_at = current.kill_at.min(sweep.kill_at);
        if first && sweep.begins_with_term {
            self.queue(Walk::Signal(libc::SIGTERM));
        }
        self.left = Left::NotAsked;
    }

    /// The next time at which something is to be done.
    pub(super) fn due(&self) -> Option<Millis> {
        let deadline = self.deadline_at.filter(|_| self.exit.is_none());
        let kill = self
            .sweep
            .filter(|sweep| sweep.kills == 0)
            .map(|sweep| sweep.kill_at);
        let look = self.sweep.and_then(|sweep| sweep.look_at);
        let drain = self
            .drain_until
            .filter(|_| !self.drained && !self.holders_asked);
        [deadline, kill, look, drain].into_iter().flatten().min()
    }

    /// Takes the exit status, and leaves the process as it is.
    fn look_at_exit(&mut self, now: Millis) {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let Some(pidfd) = &self.pidfd else { return };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = match waitid(WaitId::PidFd(pidfd.as_fd()), look) {
            Ok(Some(status)) => status,
            Ok(None) | Err(rustix::io::Errno::INTR) => return,
            Err(error) => {
                // Somebody else has reaped it: what it ended with is gone.
                tracing::error!(%error, "a job's process has been reaped by somebody else");
                self.exit = Some((Exit::Code(255), now));
                self.pidfd = None;
                return;
            }
        };
        let byte = |number: i32| u8::try_from(number & 0xFF).unwrap_or(u8::MAX);
        let exit = match status.exit_status() {
            Some(code) => Exit::Code(byte(code)),
            None => {
                let signal = status.terminating_signal().unwrap_or(0);
                Exit::Signal(byte(signal), status.dumped())
            }
        };
        self.exit = Some((exit, now));
    }

    /// Reaps the process, unless a walk under way counts on its number.
    fn reap(&mut self) -> bool {
        if self.pidfd.is_none() {
            return true;
        }
        let Some(tree) = Arc::get_mut(&mut self.tree) else {
            return false;
        };
        tree.root_is_reaped();
        if let Some(cpu_us) = wait4(tree.root()) {
            self.cpu_us = cpu_us;
        }
        self.pidfd = None;
        true
    }
}

/// Reaps a child that has ended; says how much CPU time it and its own reaped
/// children took, in microseconds.
fn wait4(pid: i32) -> Option<u64> {
    // SAFETY: a C struct of integers; zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: both pointers are to live locals.
    let reaped = unsafe { libc::wait4(pid, &mut status, libc::WNOHANG, &mut usage) };
    let micros =
        |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs();
    (reaped == pid).then(|| micros(usage.ru_utime) + micros(usage.ru_stime))
}

impl Job {
    /// TERM to the tree, KILL after `grace_ms`; the outcome says by whom.
    pub(super) fn cancel(&mut self, now: Millis, grace_ms: u64, by: String) {
        self.end_tree(now, grace_ms, Cause::Cancelled(by));
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
        if let Some(pidfd) = &self.ending.pidfd {
            // Level-triggered: it would be reported until the process is reaped.
            let _ = ground.poll.remove(pidfd);
        }
        for output in &mut self.outputs {
            output.read(ground, &mut self.journal, true);
        }
    }

    /// A walk has come back.
    pub(super) fn on_walked(&mut self, walked: Walked, now: Millis) {
        self.ending.walking = false;
        match walked {
            Walked::Signalled(signal, reached) => {
                if self.ending.sweep.is_some() {
                    self.ending.exact &= reached.exact || signal != libc::SIGKILL;
                }
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
        let reaped = self.ending.reap();
        // Nobody will ever read it: there is no use in waiting for room.
        if self.is_abandoned {
            for output in &mut self.outputs {
                output.drop_all(ground, &mut self.journal);
            }
        }
        if !self.drain(ground) || !reaped || !self.ending.has_settled(self.pid, ground.now) {
            return;
        }
        if let Some(input) = &mut self.input {
            input.close(ground);
        }
        self.outcome = Some(Box::new(self.conclude()));
        self.tell.ended = true;
    }

    /// Whether both outputs have come to their end.
    fn drain(&mut self, ground: &mut Ground) -> bool {
        if self.outputs.iter().all(Output::has_ended) {
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
            Some((exit, at)) => (Status::Ended(exit), at),
            None => (Status::Unknown, self.started_at),
        };
        let left = if let Left::Known(left) = ending.left {
            left
        } else {
            0
        };
        let [stdout, stderr] = self.outputs.each_ref().map(Output::digest);
        let nothing = Digest {
            bytes: 0,
            checksum: [0; 16].into(),
            complete: true,
        };
        Outcome {
            status,
            cause: ending.cause.clone().unwrap_or(Cause::Itself),
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

    /// The server cannot wait any longer: what is not read is lost.
    pub(super) fn give_up(&mut self, ground: &mut Ground) {
        self.is_abandoned = true;
        self.ending.drain_until = Some(ground.now);
        self.advance(ground);
    }
}

impl Ending {
    fn kill_if_due(&mut self, now: Millis) {
        let Some(sweep) = &mut self.sweep else { return };
        if sweep.kills == 0 && sweep.kill_at <= now {
            sweep.kills = 1;
            self.walks.clear();
            self.walks.push_back(Walk::Signal(libc::SIGKILL));
            self.left = Left::NotAsked;
        }
    }

    /// Whether the tree is as it will be left: empty if it is being ended, counted
    /// if something seems to live on.
    fn has_settled(&mut self, root: i32, now: Millis) -> bool {
        if let Some(sweep) = &mut self.sweep
            && let Some(at) = sweep.look_at
        {
            if at > now {
                return false;
            }
            sweep.look_at = None;
            self.left = Left::NotAsked;
        }
        match self.left {
            Left::Known(_) => true,
            Left::Asked => false,
            Left::NotAsked if self.sweep.is_some() || self.seems_alive(root) => {
                self.left = Left::Asked;
                self.queue(Walk::Members);
                false
            }
            Left::NotAsked => {
                self.left = Left::Known(0);
                true
            }
        }
    }

    /// A cheap guess, for a walk through /proc after every job would cost more than
    /// the job: pipes still held, the group still there, the cgroup not empty.
    fn seems_alive(&self, root: i32) -> bool {
        let group = || {
            Pid::from_raw(root)
                .is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok())
        };
        // With a cgroup the members are one small file, no walk.
        let in_cgroup = || !self.tree.members().is_empty();
        !self.holders.is_empty()
            || if self.tree.is_exact() {
                in_cgroup()
            } else {
                group()
            }
    }

    fn on_members(&mut self, count: usize, now: Millis) {
        if self.left != Left::Asked {
            return;
        }
        self.left = Left::Known(count);
        let Some(sweep) = &mut self.sweep else { return };
        if count == 0 || sweep.kills >= MAX_SWEEPS {
            return;
        }
        if sweep.kills > 0 {
            sweep.kills += 1;
            self.walks.push_back(Walk::Signal(libc::SIGKILL));
        }
        sweep.look_at = Some(now + LOOK_MS);
    }
}
