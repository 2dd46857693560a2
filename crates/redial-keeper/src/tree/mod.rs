//! The processes of a job, all of them: who they are, signalling, killing.
//!
//! Exact where the job has a cgroup v2 of its own and its root has stayed there (a
//! child that was moved by somebody who may is not looked for). Elsewhere /proc is walked, which
//! finds children, sessions, marked environments and holders of the job's pipes;
//! what has shed all four is not found, and the result says that it is not exact.

mod cgroup;
mod controllers;
mod directory;
mod holders;
mod leftovers;
mod orphans;
mod own_cgroup;
mod process;
mod walk;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use cgroup::{CgroupRoot, CgroupUnavailable, JobCgroup};
pub(crate) use controllers::Unlimited;
pub use holders::{HOLDERS_MAX, Holder, holders};
pub use orphans::{Next, OrphanReaper, Orphans, SpawnTicket, SpawnTickets, become_subreaper};
use process::Process;

use crate::state::TreeState;
use walk::{Seed, Walk};

/// Walks of one `kill_all`. Each stops what the one before missed.
const ROUNDS_MAX: usize = 64;
/// Walks in a row that find nobody new, before a busy machine (where somebody always
/// comes and goes) is believed to hold nobody else.
const QUIET_WALKS: usize = 16;
/// A fork storm that we cannot outrun must not keep us for ever.
const TIME_MAX: Duration = Duration::from_secs(2);

/// How far a signal to a whole tree has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Whether it is certain to have been every process (a cgroup, to its end).
    pub exact: bool,
    /// How many processes were signalled.
    pub signalled: usize,
}

/// One job's processes.
#[derive(Debug)]
pub struct Tree {
    seed: Seed,
    cgroup: Option<JobCgroup>,
    /// The root has been seen outside of the cgroup, and whoever it started since.
    has_left: AtomicBool,
}

impl Tree {
    /// The tree below `root`, which leads its session and process group (as
    /// everything that [`crate::spawn`] starts), runs as `uid`, and carries `mark`
    /// in its environment ([`crate::account::JOB_MARK`]).
    pub fn new(root: i32, uid: u32, mark: Vec<u8>) -> Self {
        let (pipes, excluded) = Default::default();
        let seed = Seed {
            root,
            root_reaped: false,
            uid,
            mark,
            pipes,
            excluded,
        };
        Self {
            seed,
            cgroup: None,
            has_left: AtomicBool::new(false),
        }
    }

    /// With the cgroup that the root was born in: signals reach all, exactly.
    #[must_use]
    pub fn with_cgroup(mut self, cgroup: JobCgroup) -> Self {
        self.cgroup = Some(cgroup);
        self
    }

    /// With the inodes of the job's pipes ([`pipe_inode`]): who holds one is found.
    #[must_use]
    pub fn with_pipes(mut self, pipes: Vec<u64>) -> Self {
        self.seed.pipes = pipes;
        self
    }

    /// Without these processes, whatever they look like: the front, say. The
    /// calling process is never a member.
    #[must_use]
    pub fn without(mut self, pids: Vec<i32>) -> Self {
        self.seed.excluded = pids;
        self
    }

    /// For another program: user, mark, inodes of its pipes, its cgroup, whether its root is reaped.
    pub(crate) fn save(&self) -> TreeState {
        let cgroup = self.cgroup.as_ref().map(JobCgroup::path);
        TreeState {
            uid: self.seed.uid,
            mark: self.seed.mark.clone().into(),
            pipes: self.seed.pipes.clone(),
            cgroup: cgroup.map(|path| path.as_os_str().as_bytes().to_vec().into()),
            is_reaped: self.seed.root_reaped,
            has_left: self.has_left.load(Ordering::Relaxed),
        }
    }

    /// As it was saved. A cgroup that cannot be opened any more is none.
    pub(crate) fn restore(root: i32, state: TreeState) -> Self {
        let path = state
            .cgroup
            .map(|path| PathBuf::from(OsString::from_vec(path.into())));
        let mut tree = Self::new(root, state.uid, state.mark.into()).with_pipes(state.pipes);
        tree.seed.root_reaped = state.is_reaped;
        tree.cgroup = path.and_then(|path| JobCgroup::adopt(&path).ok());
        tree.has_left = AtomicBool::new(state.has_left);
        tree
    }

    /// The root's process id.
    pub fn root(&self) -> i32 {
        self.seed.root
    }

    /// To be told **before** the root is reaped: its number may be another's after.
    pub fn root_is_reaped(&mut self) {
        self.seed.root_reaped = true;
    }

    /// Whether signals reach every process for certain.
    pub fn is_exact(&self) -> bool {
        self.cgroup.is_some()
    }

    /// Gives the cgroup back, for [`CgroupRoot::release`].
    pub fn into_cgroup(self) -> Option<JobCgroup> {
        self.cgroup
    }

    /// Signals the root's process group.
    ///
    /// # Errors
    /// ESRCH once the root has been reaped; else as kill(2).
    pub fn signal_group(&self, signal: i32) -> io::Result<()> {
        if self.seed.root_reaped || self.seed.root <= 1 {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        if self.is_anothers() {
            return self.signal_what_is_theirs(signal);
        }
        // SAFETY: takes numbers only. The root is not reaped, so the group is its own.
        let result = unsafe { libc::kill(-self.seed.root, signal) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Kills the root's process group, as long as the root is not reaped, without a look at
    /// who is in it: for the end, where there is no time for one.
    pub(crate) fn kill_group(&self) {
        if !self.seed.root_reaped && self.seed.root > 1 {
            // SAFETY: takes numbers only. The root is not reaped, so the group is its own.
            let _ = unsafe { libc::kill(-self.seed.root, libc::SIGKILL) };
        }
    }

    /// We are root, and the job is not: the kernel would let us signal what its user may not, the
    /// likes of what sudo has started.
    fn is_anothers(&self) -> bool {
        rustix::process::geteuid().is_root() && self.seed.uid != 0
    }

    /// The group, but of it only who this user could signal.
    fn signal_what_is_theirs(&self, signal: i32) -> io::Result<()> {
        let in_group = |process: &Process| process.group == self.seed.root && !process.is_zombie;
        let group = process::pids().into_iter().filter_map(process::read);
        let theirs = group
            .filter(in_group)
            .filter(|it| process::may_be_signalled_by(self.seed.uid, it.pid));
        let signalled = theirs.filter(|it| process::signal(it, signal).is_ok());
        match signalled.count() {
            0 => Err(io::Error::from_raw_os_error(libc::EPERM)),
            _ => Ok(()),
        }
    }

    /// Whether anybody is left, where one look can tell: with a cgroup.
    pub fn is_populated(&self) -> Option<bool> {
        self.cgroup.as_ref()?.populated().ok()
    }

    /// Whether the kernel has ended processes of it for want of memory, where it has a cgroup that
    /// counts them.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.cgroup
            .as_ref()
            .is_some_and(JobCgroup::ran_out_of_memory)
    }

    /// The process ids of the members that are alive, in no order.
    pub fn members(&self) -> Vec<i32> {
        let in_cgroup = self.cgroup.as_ref().and_then(|cgroup| cgroup.pids().ok());
        let is_all = in_cgroup.is_some() && !self.has_left.load(Ordering::Relaxed);
        let mut pids = in_cgroup.unwrap_or_default();
        if !is_all {
            let known: HashSet<i32> = pids.iter().copied().collect();
            Walk::new(&self.seed).members(&mut |member| {
                pids.extend((!known.contains(&member.process.pid)).then_some(member.process.pid))
            });
        }
        pids
    }

    /// Whether the root lives, and outside of its cgroup: who may write there can move
    /// it, itself included.
    fn root_has_left(&self, in_cgroup: &[i32]) -> bool {
        let root = self.seed.root;
        // The cgroup is looked at first: who ends in between is seen to be a zombie.
        let has_left = !self.seed.root_reaped
            && !in_cgroup.contains(&root)
            && process::read(root).is_some_and(|process| !process.is_zombie);
        self.has_left.fetch_or(has_left, Ordering::Relaxed) || has_left
    }

    /// Sends `signal` to every member.
    ///
    /// Takes a walk through /proc or more without a cgroup (milliseconds with
    /// hundreds of processes, at most some seconds), so not for a thread that others
    /// wait for. Returns when the signals are sent, not when the processes are gone.
    pub fn kill_all(&self, signal: i32) -> Reached {
        let mut done = HashSet::new();
        let mut signalled = 0;
        if let Some(cgroup) = &self.cgroup {
            let pids = cgroup.pids().unwrap_or_default();
            let has_left = self.root_has_left(&pids);
            if has_left {
                // Those the walk is not to signal a second time.
                let keys = pids.into_iter().filter_map(process::read);
                done.extend(keys.map(|process| (process.pid, process.started)));
            }
            let sent = if signal == libc::SIGKILL {
                cgroup.kill()
            } else {
                cgroup.signal(signal)
            };
            match sent {
                Ok(count) if !has_left => {
                    return Reached {
                        exact: true,
                        signalled: count,
                    };
                }
                Ok(count) => signalled = count,
                Err(_) => done.clear(),
            }
        }
        let mut walk = Walk::new(&self.seed);
        signalled += match signal {
            libc::SIGKILL => kill_rounds(&mut walk, done),
            _ => signal_rounds(&mut walk, signal, done),
        };
        Reached {
            exact: false,
            signalled,
        }
    }
}

impl Tree {
    /// Sends `signal` to every member that the job's user could signal: for who asks, not for the end.
    pub(crate) fn ask_all(&self, signal: i32) -> Reached {
        if !self.is_anothers() {
            return self.kill_all(signal);
        }
        let members = self.members().into_iter().filter_map(process::read);
        let theirs = members.filter(|it| process::may_be_signalled_by(self.seed.uid, it.pid));
        let signalled = theirs.filter(|it| process::signal(it, signal).is_ok());
        Reached {
            exact: false,
            signalled: signalled.count(),
        }
    }
}

/// Processes (pid, start) that have had their signal.
type Done = HashSet<(i32, u64)>;

/// Stops, then kills, until a walk finds nobody who is not `done`.
fn kill_rounds(walk: &mut Walk<'_>, mut done: Done) -> usize {
    let deadline = Instant::now() + TIME_MAX;
    let kill = |found: &[Process]| {
        found
            .iter()
            .filter(|process| process::signal(process, libc::SIGKILL).is_ok())
            .count()
    };
    let mut killed = 0;
    for _ in 0..ROUNDS_MAX {
        // What is stopped forks no more and keeps its children, so the tree stands
        // still and whole before the first of it dies.
        let found = stop_all(walk, &mut done, deadline);
        killed += kill(&found);
        if found.is_empty() {
            return killed;
        }
        if Instant::now() > deadline {
            break;
        }
    }
    // A group may have been stopped with processes in it that no walk has shown.
    let mut missed = Vec::new();
    walk.members(&mut |member| {
        missed.extend((!done.contains(&member.key())).then_some(member.process))
    });
    killed + kill(&missed)
}

/// Stops members until walks find none that is not in `done`; returns the new ones.
fn stop_all(walk: &mut Walk<'_>, done: &mut Done, deadline: Instant) -> Vec<Process> {
    let mut stopped = Vec::new();
    let mut quiet = 0;
    for _ in 0..ROUNDS_MAX {
        let mut is_new = false;
        let mut groups = HashSet::new();
        let is_steady = walk.members(&mut |member| {
            if done.insert(member.key()) {
                is_new = true;
                if member.owns_group && groups.insert(member.process.group) {
                    stop_group(member.process.group);
                }
                // Gone, or not ours to signal: either way there is no more to try.
                if process::signal(&member.process, libc::SIGSTOP).is_ok() {
                    stopped.push(member.process);
                }
            }
        });
        quiet = if is_new { 0 } else { quiet + 1 };
        let is_over = quiet > 0 && (is_steady || quiet >= QUIET_WALKS);
        if is_over || Instant::now() > deadline {
            break;
        }
    }
    stopped
}

/// Stops a group in which a member was seen a moment ago: who forks and exits is gone
/// before a pidfd is opened, but not even a fork slips through a signal to its group
/// (fork(2) starts over). The kernel hands numbers out in turn, so the group's cannot
/// have come round to another in that moment.
fn stop_group(group: i32) {
    // SAFETY: takes numbers only.
    let _ = unsafe { libc::kill(-group, libc::SIGSTOP) };
}

/// Signals members, the oldest first: a script must not see its commands die and go
/// on to the next before it gets the signal itself.
fn signal_rounds(walk: &mut Walk<'_>, signal: i32, mut done: Done) -> usize {
    let deadline = Instant::now() + TIME_MAX;
    let mut signalled = 0;
    for _ in 0..ROUNDS_MAX {
        let mut found = Vec::new();
        walk.members(&mut |member| {
            found.extend(done.insert(member.key()).then_some(member.process))
        });
        found.sort_by_key(|member| (member.started, member.pid));
        signalled += found
            .iter()
            .filter(|it| process::signal(it, signal).is_ok())
            .count();
        if found.is_empty() || Instant::now() > deadline {
            break;
        }
    }
    signalled
}

/// The inode by which /proc names a pipe, for [`Tree::with_pipes`] and [`holders`].
///
/// # Errors
/// As fstat(2).
pub fn pipe_inode(pipe: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(pipe)?.st_ino)
}
