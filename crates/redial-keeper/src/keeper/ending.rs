//! The process of a job and its tree: exit, reaping, and being ended.
//!
//! A tree that is to be ended gets TERM, later KILL, and is looked at until it is
//! empty. What takes a walk through /proc is queued, one walk at a time.

mod handed;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::process::Pid;

use super::time::Millis;
use super::workers::Walk;
use crate::outcome::{Cause, Exit};
use crate::tree::{Reached, Tree};

/// Between two looks at a tree that is being ended.
const LOOK_MS: u64 = 50;
/// The same when that has not helped for long.
const PATIENT_LOOK_MS: u64 = 1_000;
/// Rounds of KILL before a tree counts as out of reach (a process that hangs in the
/// kernel dies later).
const MAX_SWEEPS: u8 = 40;
/// Rounds of KILL after which it is no walk that a tree's end waits for.
const ENOUGH_KILLS: u8 = 10;
/// Walks that wait for the one under way; more signals are the same over again.
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
pub(super) enum Left {
    NotAsked,
    Asked,
    Known(usize),
}

/// What a tree that is being ended waits for, of what comes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaits {
    /// Perhaps for ever: a process that cannot die, a client that does not read.
    Nothing,
    /// The grace before KILL.
    Grace,
    Walk,
}

/// The part of a job that has to do with its end.
pub(super) struct Ending {
    tree: Arc<Tree>,
    /// Until the process is reaped.
    pidfd: Option<OwnedFd>,
    /// The inodes of its outputs.
    pub(super) pipes: Vec<u64>,
    pub(super) deadline_at: Option<Millis>,
    /// When it ended, and how, if that is known.
    pub(super) exit: Option<(Option<Exit>, Millis)>,
    pub(super) cpu_us: u64,
    pub(super) drain_until: Option<Millis>,
    /// Who holds the pipes is being found out, or known.
    pub(super) holders_asked: bool,
    pub(super) holders: Vec<(u32, String)>,
    pub(super) drained: bool,
    pub(super) sweep: Option<Sweep>,
    pub(super) cause: Option<Cause>,
    pub(super) exact: bool,
    pub(super) left: Left,
    pub(super) walking: bool,
    pub(super) walks: VecDeque<Walk>,
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
        self.exit.and_then(|(exit, _)| exit)
    }

    pub(super) fn is_exact(&self) -> bool {
        self.tree.is_exact()
    }

    pub(super) fn is_reaped(&self) -> bool {
        self.pidfd.is_none()
    }

    /// To the process group, as long as the process has not been reaped.
    pub(super) fn signal_group(&self, signal: i32) -> io::Result<()> {
        #[cfg(feature = "simulation")]
        if !self.is_reaped() && super::simulation::signal(self.tree.root(), signal) {
            return Ok(());
        }
        self.tree.signal_group(signal)
    }

    /// KILL to the process group, where no walk will reach it any more.
    pub(super) fn kill_group(&self) {
        // Reaped by us or by somebody else: the number may be another's.
        if self.is_reaped() || matches!(self.exit, Some((None, _))) {
            return;
        }
        #[cfg(feature = "simulation")]
        if super::simulation::signal(self.tree.root(), libc::SIGKILL) {
            return;
        }
        self.tree.kill_group();
    }

    /// A walk to be done when the one under way has ended. A signal too many is left out,
    /// and so is a milder one behind KILL. A question never is, for its answer is waited for; one of
    /// each kind waits.
    pub(super) fn queue(&mut self, walk: Walk) {
        let kind = mem::discriminant(&walk);
        let is_left_out = match walk {
            Walk::Signal(signal) | Walk::Ask(signal) => {
                let sweep = self.sweep.as_mut().filter(|sweep| sweep.kills > 0);
                let is_void = sweep.is_some_and(|sweep| {
                    let is_kill = signal == libc::SIGKILL;
                    // Another round: who ends the server does not wait for ever more of them.
                    sweep.kills = sweep.kills.saturating_add(is_kill.into());
                    !is_kill
                });
                is_void || self.walks.len() >= MAX_WALKS
            }
            Walk::Members | Walk::Holders(_) => self
                .walks
                .iter()
                .any(|waiting| mem::discriminant(waiting) == kind),
        };
        if !is_left_out {
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
            .filter(|_| self.exit.is_some() && !self.drained && !self.holders_asked);
        [deadline, kill, look, drain].into_iter().flatten().min()
    }

    /// Takes the exit status, and leaves the process as it is.
    pub(super) fn look_at_exit(&mut self, now: Millis) {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let Some(pidfd) = &self.pidfd else { return };
        #[cfg(feature = "simulation")]
        if let Some(process) = super::simulation::process(self.tree.root()) {
            let Some(exit) = process.exit else { return };
            self.exit = Some((Some(exit), now));
            return self.begin_last_rounds();
        }
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = match waitid(WaitId::PidFd(pidfd.as_fd()), look) {
            Ok(Some(status)) => status,
            Ok(None) | Err(rustix::io::Errno::INTR) => return,
            Err(error) => {
                // What it ended with is gone, and nothing is to be made up for it.
                tracing::error!(%error, "a job's process has been reaped by somebody else");
                self.exit = Some((None, now));
                return self.begin_last_rounds();
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
        self.exit = Some((Some(exit), now));
        self.begin_last_rounds();
    }

    /// Reaps the process, unless a walk under way counts on its number. Its pidfd is
    /// left `to_close`.
    pub(super) fn reap(&mut self, to_close: &mut Vec<OwnedFd>) -> bool {
        if self.pidfd.is_none() {
            return true;
        }
        let Some(tree) = Arc::get_mut(&mut self.tree) else {
            return false;
        };
        tree.root_is_reaped();
        // Who was reaped by somebody else may have left its number to another.
        let is_ours = self.exit.is_none_or(|(exit, _)| exit.is_some());
        if let Some(cpu_us) = is_ours.then(|| wait4(tree.root())).flatten() {
            self.cpu_us = cpu_us;
        }
        to_close.extend(self.pidfd.take());
        true
    }
}

/// Reaps a child that has ended; says how much CPU time it and its own reaped
/// children took, in microseconds.
fn wait4(pid: i32) -> Option<u64> {
    // SAFETY: a C struct of integers; zero is valid.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    let mut status = 0;
    // SAFETY: both pointers are to live locals.
    let reaped = unsafe { libc::wait4(pid, &mut status, libc::WNOHANG, &mut usage) };
    let micros =
        |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs();
    (reaped == pid).then(|| micros(usage.ru_utime) + micros(usage.ru_stime))
}

impl Ending {
    /// The root is gone; what was tried before does not count for what it leaves.
    fn begin_last_rounds(&mut self) {
        if let Some(sweep) = &mut self.sweep {
            sweep.kills = sweep.kills.min(1);
            sweep.look_at = None;
        }
    }

    /// KILL to the tree when its time has come, and again while the root lives: it may
    /// have been on its way out of the cgroup, or away from a walk.
    pub(super) fn kill_if_due(&mut self, now: Millis) {
        let Some(sweep) = &mut self.sweep else { return };
        if self.exit.is_none() && sweep.look_at.is_some_and(|at| at <= now) {
            sweep.look_at = None;
            sweep.kills = sweep.kills.saturating_add(1);
            // One at a time, so it needs no bound.
            self.walks.push_front(Walk::Signal(libc::SIGKILL));
        } else if sweep.kills == 0 && sweep.kill_at <= now {
            sweep.kills = 1;
            // Milder signals are void; what somebody waits for is not.
            self.walks
                .retain(|walk| !matches!(walk, Walk::Signal(_) | Walk::Ask(_)));
            self.walks.push_front(Walk::Signal(libc::SIGKILL));
            self.left = Left::NotAsked;
        }
    }

    /// Whether the tree is as it will be left: empty if it is being ended, counted
    /// if something seems to live on.
    pub(super) fn has_settled(&mut self, root: i32, now: Millis) -> bool {
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
        !self.holders.is_empty() || self.tree.is_populated().unwrap_or_else(group)
    }

    /// What is still to come that may be all it takes to end the tree.
    pub(super) fn awaits(&self) -> Awaits {
        let walks = self.walking || !self.walks.is_empty();
        match self.sweep {
            Some(sweep) if sweep.kills == 0 => Awaits::Grace,
            Some(sweep) if walks && sweep.kills < ENOUGH_KILLS => Awaits::Walk,
            Some(_) | None => Awaits::Nothing,
        }
    }

    /// A signal was sent to the tree.
    pub(super) fn on_signalled(&mut self, signal: i32, reached: Reached, now: Millis) {
        let Some(sweep) = &mut self.sweep else { return };
        self.exact &= reached.exact;
        if signal == libc::SIGKILL && self.exit.is_none() {
            // Not for ever in haste: who hangs in the kernel dies when it is let go.
            let is_patient = sweep.kills >= MAX_SWEEPS;
            let wait_ms = if is_patient { PATIENT_LOOK_MS } else { LOOK_MS };
            sweep.look_at = Some(now + wait_ms);
        }
    }

    pub(super) fn on_members(&mut self, count: usize, now: Millis) {
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

#[cfg(test)]
mod tests;
