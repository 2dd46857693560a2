//! Jobs whose processes get away from a plain kill, in every way there is.

use std::collections::HashSet;
use std::fmt::Debug;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redial_keeper::account::environment;
use redial_keeper::spawn::{SpawnRequest, Spawner, Stdio3};
use redial_keeper::tree::{
    CgroupRoot, Next, OrphanReaper, Reached, SpawnTickets, Tree, become_subreaper, pipe_inode,
};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::child::{self, Job, account, argv, eventually, request};

/// One test at a time: each reaps whatever orphans the process has.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    become_subreaper().expect("prctl");
    let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    eventually("the test before has left no child", || {
        waitid(WaitId::All, options).is_err_and(|error| error == rustix::io::Errno::CHILD)
    });
    alone
}

/// Children of every kind that gets away from a plain kill: a session of its own,
/// an orphan in one, one without environment, and an ordinary one.
pub(crate) const FAMILY: &str = "
    sleep $T & setsid sleep $T &
    (setsid sh -c '(sleep $0 &) ; sleep $0 & exit 0' $T &)
    env -i /usr/bin/setsid /bin/sh -c '(sleep $0 &) ; (setsid sleep $0 &)' $T
    echo started; wait";
pub(crate) const FAMILY_SLEEPERS: usize = 6;

/// A job whose processes all have its `time` on their command lines.
pub(crate) struct Family {
    pub(crate) job: Job,
    pub(crate) tree: Tree,
    time: String,
}

impl Family {
    pub(crate) fn start(name: u32, script: &str, cgroups: Option<&mut CgroupRoot>) -> Self {
        let time = format!("{}.{name}", 100_000 + std::process::id());
        let mark = mark(&time).into_bytes();
        let path = (b"PATH".to_vec(), b"/usr/bin:/bin".to_vec());
        let cgroup = cgroups.map(|root| root.acquire().expect("a cgroup"));
        let job = Job::start(
            &mut Spawner::new().expect("a spawner"),
            &SpawnRequest {
                env: environment(&account(), &mark, None, &[path]),
                cgroup: cgroup.as_ref().map(|cgroup| cgroup.fd()),
                stdin: Stdio3::Null,
                ..request(argv(&["sh", "-c", &script.replace("$T", &time)]))
            },
        );
        let ends = [&job.spawned.stdout, &job.spawned.stderr];
        let pipes = ends
            .into_iter()
            .flatten()
            .map(|end| pipe_inode(end.as_fd()).expect("fstat"));
        let uid = rustix::process::getuid().as_raw();
        let tree = Tree::new(job.spawned.pid, uid, mark).with_pipes(pipes.collect());
        let tree = match cgroup {
            Some(cgroup) => tree.with_cgroup(cgroup),
            None => tree,
        };
        Self { job, tree, time }
    }

    /// Those that /proc shows to be of this job, by no way that the code under test
    /// uses. A zombie has no command line.
    pub(crate) fn alive(&self) -> HashSet<i32> {
        pids()
            .filter(|pid| command_line(*pid).contains(&self.time))
            .collect()
    }

    /// What its processes carry in REDIAL_JOB.
    pub(crate) fn mark(&self) -> String {
        mark(&self.time)
    }

    pub(crate) fn sleepers(&self) -> usize {
        let sleep = format!("sleep\0{}\0", self.time);
        self.alive()
            .iter()
            .filter(|pid| command_line(**pid) == sleep)
            .count()
    }

    pub(crate) fn grown(self) -> Self {
        eventually("the family is complete", || {
            self.sleepers() == FAMILY_SLEEPERS
        });
        self.shrinks_to(FAMILY_SLEEPERS + 1);
        self
    }

    /// Waits until `count` of it are there and the others are no longer even dying:
    /// between its last instruction and its end as a zombie a process has no command
    /// line any more, but it is there, and a signal that reaches it counts.
    pub(crate) fn shrinks_to(&self, count: usize) {
        let own_pid = rustix::process::getpid().as_raw_nonzero().get();
        eventually("the others have left", || {
            let alive = self.alive();
            let is_dying = |pid| {
                let of_ours = |parent| alive.contains(&parent) || parent == own_pid;
                command_line(pid).is_empty()
                    && state_and_parent(pid)
                        .is_some_and(|(state, parent)| state != 'Z' && of_ours(parent))
            };
            alive.len() == count && !pids().any(is_dying)
        });
    }

    /// Kills it and sees to it that nothing is left, not even a zombie.
    pub(crate) fn is_killed(&mut self, jobs: &[i32]) -> Reached {
        let reached = self.tree.kill_all(libc::SIGKILL);
        are_gone(&mut [self], jobs, &reached);
        reached
    }
}

/// Sees to it that nothing is left of those who were killed, not even a zombie.
pub(crate) fn are_gone(families: &mut [&mut Family], jobs: &[i32], reached: &dyn Debug) {
    for family in &mut *families {
        eventually("all of it is gone", || family.alive().is_empty());
        family.tree.root_is_reaped();
        let (code, signal) = family.job.wait();
        assert!(
            code.is_none() && signal == Some(libc::SIGKILL),
            "{code:?} {signal:?}"
        );
    }
    let mut reaper = OrphanReaper::new(SpawnTickets::new());
    eventually("their orphans are reaped", || {
        let orphans = reaper.reap(|pid| jobs.contains(&pid)).expect("waitid");
        orphans.next == Next::Nothing
    });
    // One look may miss who is just handing over to a child.
    for _ in 0..10 {
        let left = families.iter().flat_map(|family| family.alive());
        let left = left.map(|pid| child::slurp(&format!("/proc/{pid}/stat")));
        let left: Vec<_> = left
            .map(|stat| String::from_utf8(stat.unwrap_or_default()))
            .collect();
        assert!(left.is_empty(), "{reached:?}, but {left:?}");
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // Nothing outlives a failed test.
        for pid in self.alive() {
            // SAFETY: takes numbers only; a process that carries this test's own mark.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

fn mark(time: &str) -> String {
    format!("job-{time}")
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// State and parent, the fields after the name in parentheses (proc_pid_stat(5)).
fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = String::from_utf8(child::slurp(&format!("/proc/{pid}/stat"))?).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn command_line(pid: i32) -> String {
    let bytes = child::slurp(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
