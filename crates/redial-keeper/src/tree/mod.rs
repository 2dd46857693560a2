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
mod rounds;
mod walk;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

pub use cgroup::{CgroupRoot, CgroupUnavailable, JobCgroup};
pub(crate) use controllers::Unlimited;
pub use holders::{HOLDERS_MAX, Holder, holders};
pub use orphans::{Next, OrphanReaper, Orphans, SpawnTicket, SpawnTickets, become_subreaper};
use process::Process;

use crate::state::TreeState;
use rounds::Done;
use walk::{Key, Seed, Walk};

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
        let seed = Seed {
            root,
            root_reaped: false,
            uid,
            mark,
            pipes: Vec::new(),
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

    /// As whom its processes run.
    pub(crate) fn uid(&self) -> u32 {
        self.seed.uid
    }

    /// Whether the cgroup is known to hold them all: no walk is needed.
    pub(crate) fn is_all_in_cgroup(&self) -> bool {
        let pids = self.cgroup.as_ref().and_then(|cgroup| cgroup.pids().ok());
        pids.is_some_and(|pids| !self.root_has_left(&pids))
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
        members_of(&[self]).pop().unwrap_or_default()
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
        let reached = signal_all_of(&[self], signal);
        reached.into_iter().next().unwrap_or(NOBODY)
    }

    /// Sends `signal` to whom the cgroup holds.
    fn signal_cgroup(&self, signal: i32) -> ByCgroup {
        let Some(cgroup) = &self.cgroup else {
            return ByCgroup::default();
        };
        let pids = cgroup.pids().unwrap_or_default();
        let has_left = self.root_has_left(&pids);
        // Those the walk is not to signal a second time.
        let done = pids.into_iter().filter(|_| has_left);
        let done = done.filter_map(process::read).map(|it| it.key()).collect();
        let sent = if signal == libc::SIGKILL {
            cgroup.kill()
        } else {
            cgroup.signal(signal)
        };
        match sent {
            Ok(signalled) => ByCgroup {
                is_all: !has_left,
                signalled,
                done,
            },
            Err(_) => ByCgroup::default(),
        }
    }
}

/// What a signal by a cgroup came to; by none, nothing.
#[derive(Default)]
struct ByCgroup {
    /// Nobody is left to be looked for.
    is_all: bool,
    signalled: usize,
    /// They had it.
    done: Vec<Key>,
}

const NOBODY: Reached = Reached {
    exact: false,
    signalled: 0,
};

/// [`Tree::kill_all`] for each of them, by the same walks: those take their time, however many
/// trees they are for.
pub fn signal_all_of(trees: &[&Tree], signal: i32) -> Vec<Reached> {
    let mut reached = vec![NOBODY; trees.len()];
    let (mut walked, mut done) = (Vec::new(), Done::new());
    for (index, tree) in trees.iter().enumerate() {
        let by_cgroup = tree.signal_cgroup(signal);
        reached[index] = Reached {
            exact: by_cgroup.is_all,
            signalled: by_cgroup.signalled,
        };
        if !by_cgroup.is_all {
            done.extend(by_cgroup.done.into_iter().map(|key| (key, walked.len())));
            walked.push(index);
        }
    }
    if walked.is_empty() {
        return reached;
    }
    let mut walk = Walk::new(walked.iter().map(|&index| &trees[index].seed).collect());
    let mut counts = vec![0; walked.len()];
    match signal {
        libc::SIGKILL => rounds::kill(&mut walk, done, &mut counts),
        _ => rounds::signal(&mut walk, signal, done, &mut counts),
    }
    for (index, count) in walked.into_iter().zip(counts) {
        reached[index].signalled += count;
    }
    reached
}

/// Sends `signal` to every member that the job's user could signal: for who asks, not for the end.
pub fn ask_all_of(trees: &[&Tree], signal: i32) -> Vec<Reached> {
    // Of root's jobs, as of ours when we are not root, that is everybody.
    let all: Vec<&Tree> = trees
        .iter()
        .copied()
        .filter(|it| !it.is_anothers())
        .collect();
    let anothers = trees.iter().copied().filter(|it| it.is_anothers());
    let anothers: Vec<&Tree> = anothers.collect();
    let mut all = signal_all_of(&all, signal).into_iter();
    let mut members = members_of(&anothers).into_iter();
    let each = trees.iter().map(|tree| {
        if !tree.is_anothers() {
            return all.next().unwrap_or(NOBODY);
        }
        let members = members.next().into_iter().flatten();
        let theirs = members
            .filter_map(process::read)
            .filter(|it| process::may_be_signalled_by(tree.seed.uid, it.pid));
        let signalled = theirs.filter(|it| process::signal(it, signal).is_ok());
        Reached {
            exact: false,
            signalled: signalled.count(),
        }
    });
    each.collect()
}

/// [`Tree::members`] of each, by one walk.
pub fn members_of(trees: &[&Tree]) -> Vec<Vec<i32>> {
    let mut members = Vec::new();
    let mut walked = Vec::new();
    for (index, tree) in trees.iter().enumerate() {
        let in_cgroup = tree.cgroup.as_ref().and_then(|cgroup| cgroup.pids().ok());
        if in_cgroup.is_none() || tree.has_left.load(Ordering::Relaxed) {
            walked.push(index);
        }
        members.push(in_cgroup.unwrap_or_default());
    }
    if !walked.is_empty() {
        let known: Vec<HashSet<i32>> = walked
            .iter()
            .map(|&index| members[index].iter().copied().collect())
            .collect();
        let seeds = walked.iter().map(|&index| &trees[index].seed).collect();
        Walk::new(seeds).members(&mut |member| {
            let pid = member.process.pid;
            if !known[member.tree].contains(&pid) {
                members[walked[member.tree]].push(pid);
            }
        });
    }
    members
}

/// The inode by which /proc names a pipe, for [`Tree::with_pipes`] and [`holders`].
///
/// # Errors
/// As fstat(2).
pub fn pipe_inode(pipe: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(pipe)?.st_ino)
}
