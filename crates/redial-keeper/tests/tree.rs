//! Killing one job's tree, all of it, and nothing of another's.

mod child;

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use child::{Job, account, argv, eventually, request};
use redial_keeper::account::environment;
use redial_keeper::spawn::{SpawnRequest, Spawner, Stdio3};
use redial_keeper::tree::{
    CgroupRoot, Next, OrphanReaper, Reached, SpawnTickets, Tree, become_subreaper, holders,
    pipe_inode,
};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// One test at a time: each reaps whatever orphans the process has.
fn alone() -> MutexGuard<'static, ()> {
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
const FAMILY: &str = "
    sleep $T & setsid sleep $T &
    (setsid sh -c '(sleep $0 &) ; sleep $0 & exit 0' $T &)
    env -i /usr/bin/setsid /bin/sh -c '(sleep $0 &) ; (setsid sleep $0 &)' $T
    echo started; wait";
const FAMILY_SLEEPERS: usize = 6;

/// A job whose processes all have its `time` on their command lines.
struct Family {
    job: Job,
    tree: Tree,
    time: String,
}

impl Family {
    fn start(name: u32, script: &str, cgroups: Option<&mut CgroupRoot>) -> Self {
        let time = format!("{}.{name}", 100_000 + std::process::id());
        let mark = format!("job-{time}").into_bytes();
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
    fn alive(&self) -> HashSet<i32> {
        let entries = std::fs::read_dir("/proc").expect("/proc");
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| command_line(*pid).contains(&self.time))
            .collect()
    }

    fn sleepers(&self) -> usize {
        let sleep = format!("sleep\0{}\0", self.time);
        self.alive()
            .iter()
            .filter(|pid| command_line(**pid) == sleep)
            .count()
    }

    fn grown(self) -> Self {
        eventually("the family is complete", || {
            self.sleepers() == FAMILY_SLEEPERS
        });
        eventually("its parents have left", || {
            self.alive().len() == FAMILY_SLEEPERS + 1
        });
        self
    }

    /// Kills it and sees to it that nothing is left, not even a zombie.
    fn is_killed(&mut self, jobs: &[i32]) -> Reached {
        let reached = self.tree.kill_all(libc::SIGKILL);
        eventually("all of it is gone", || self.alive().is_empty());
        self.tree.root_is_reaped();
        let (code, signal) = self.job.wait();
        assert!(
            code.is_none() && signal == Some(libc::SIGKILL),
            "{code:?} {signal:?}"
        );
        let mut reaper = OrphanReaper::new(SpawnTickets::new());
        eventually("its orphans are reaped", || {
            let orphans = reaper.reap(|pid| jobs.contains(&pid)).expect("waitid");
            orphans.next == Next::Nothing
        });
        // One look may miss who is just handing over to a child.
        for _ in 0..10 {
            let left = self.alive();
            let left = left
                .iter()
                .map(|pid| child::slurp(&format!("/proc/{pid}/stat")));
            let left: Vec<_> = left
                .map(|stat| String::from_utf8(stat.unwrap_or_default()))
                .collect();
            assert!(left.is_empty(), "{reached:?}, but {left:?}");
        }
        reached
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

fn command_line(pid: i32) -> String {
    let bytes = child::slurp(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn cgroups() -> Option<CgroupRoot> {
    let instance = format!("test-{}", std::process::id());
    CgroupRoot::discover(&instance)
        .inspect_err(|error| println!("skipped: {error}"))
        .ok()
}

fn killing_one_leaves_the_other(mut cgroups: Option<&mut CgroupRoot>) {
    let mut one = Family::start(1, FAMILY, cgroups.as_deref_mut()).grown();
    let mut other = Family::start(2, FAMILY, cgroups.as_deref_mut()).grown();
    let (mine, others) = (one.alive(), other.alive());
    assert_eq!(one.tree.members().into_iter().collect::<HashSet<_>>(), mine);
    let exact = cgroups.is_some();
    let reached = one.is_killed(&[other.tree.root()]);
    assert_eq!(
        reached,
        Reached {
            exact,
            signalled: FAMILY_SLEEPERS + 1
        }
    );
    assert_eq!(other.alive(), others, "nothing of the other is touched");
    let reached = other.is_killed(&[]);
    assert_eq!(
        reached,
        Reached {
            exact,
            signalled: FAMILY_SLEEPERS + 1
        }
    );
}

#[test]
fn by_walking_proc_killing_one_job_takes_all_of_it_and_nothing_of_another() {
    let _alone = alone();
    killing_one_leaves_the_other(None);
}

#[test]
fn by_cgroup_killing_one_job_takes_all_of_it_and_nothing_of_another() {
    let _alone = alone();
    if let Some(mut cgroups) = cgroups() {
        killing_one_leaves_the_other(Some(&mut cgroups));
    }
}

#[test]
fn what_outlives_its_root_is_still_found() {
    let _alone = alone();
    let script = FAMILY.replace("; wait", "; exit 0");
    let mut family = Family::start(3, &script, None);
    assert_eq!(family.job.wait().0, Some(0));
    family.tree.root_is_reaped();
    eventually("the root's children are left", || {
        family.alive().len() == FAMILY_SLEEPERS
    });
    assert_eq!(
        family
            .tree
            .signal_group(0)
            .expect_err("gone")
            .raw_os_error(),
        Some(libc::ESRCH)
    );
    let reached = family.tree.kill_all(libc::SIGKILL);
    assert_eq!(
        reached,
        Reached {
            exact: false,
            signalled: FAMILY_SLEEPERS
        }
    );
    eventually("all of it is gone", || family.alive().is_empty());
}

#[test]
fn a_milder_signal_reaches_everyone_too() {
    let _alone = alone();
    let mut cgroups = cgroups();
    for cgroups in [None, cgroups.as_mut()] {
        let family = Family::start(4, FAMILY, cgroups).grown();
        let reached = family.tree.kill_all(libc::SIGTERM);
        assert_eq!(reached.signalled, FAMILY_SLEEPERS + 1);
        eventually("all of it is gone", || family.alive().is_empty());
    }
}

#[test]
fn a_signal_to_the_group_spares_other_sessions() {
    let _alone = alone();
    let mut family = Family::start(5, FAMILY, None).grown();
    family.tree.signal_group(libc::SIGTERM).expect("it lives");
    assert_eq!(family.job.wait(), (None, Some(libc::SIGTERM)));
    family.tree.root_is_reaped();
    eventually("the root and its plain child are gone", || {
        family.alive().len() == FAMILY_SLEEPERS - 1
    });
}

/// Forks and exits, over and over, beside forkers that fork and stay; it ends by
/// itself, should we fail.
const STORM: &str = "
    hop() { [ $1 -gt 0 ] && hop $(($1 - 1)) & exit; }
    fork() { i=0; while [ $i -lt 400 ]; do sleep $T & i=$((i + 1)); done; wait; }
    (hop 20000) & (hop 20000) & (setsid sh -c \"$(printf 'hop() { [ $1 -gt 0 ] && hop $(($1 - 1)) & exit; }; hop 20000 # $T')\" &)
    fork & fork & fork & wait";

#[test]
fn a_fork_storm_is_outrun() {
    let _alone = alone();
    let mut cgroups = cgroups();
    for cgroups in [None, cgroups.as_mut()] {
        let mut family = Family::start(6, STORM, cgroups);
        eventually("it rages", || family.sleepers() > 60);
        family.is_killed(&[]);
    }
}

/// Each process starts the next in a new session, and leaves.
const LEAPS: &str = "
    export LEAP='[ $0 -gt 0 ] && setsid sh -c \"$LEAP\" $(($0 - 1)) $T & exit'
    for i in 1 2 3; do sh -c \"$LEAP\" 20000 $T & done; sleep $T & wait";

#[test]
fn leaps_from_session_to_session_are_caught() {
    let _alone = alone();
    let mut cgroups = cgroups();
    for cgroups in [None, cgroups.as_mut()] {
        let mut family = Family::start(12, LEAPS, cgroups);
        eventually("they leap", || {
            family.sleepers() == 1 && family.alive().len() > 3
        });
        family.is_killed(&[]);
    }
}

#[test]
fn who_carries_another_jobs_mark_is_left_alone_though_it_holds_our_pipes() {
    let _alone = alone();
    let script = "REDIAL_JOB=another setsid sleep $T & echo; wait";
    let mut family = Family::start(7, script, None);
    eventually("both run", || family.sleepers() == 1);
    assert_eq!(family.tree.members(), [family.tree.root()]);
    assert_eq!(family.tree.kill_all(libc::SIGKILL).signalled, 1);
    assert_eq!(family.job.wait().1, Some(libc::SIGKILL));
    assert_eq!(family.sleepers(), 1);
}

#[test]
fn who_holds_the_output_after_the_exit_is_named() {
    let _alone = alone();
    let mut family = Family::start(8, "sleep $T & sleep $T >/dev/null 2>&1 & exit 0", None);
    assert_eq!(family.job.wait().0, Some(0));
    eventually("both run", || family.sleepers() == 2);
    let stdout = family.job.spawned.stdout.as_ref().expect("a pipe");
    let found = holders(&[pipe_inode(stdout).expect("fstat")], &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].name, b"sleep");
    assert!(holders(&[pipe_inode(stdout).expect("fstat")], &[found[0].pid]).is_empty());
}

#[test]
fn a_cgroup_is_used_again_only_when_it_is_empty() {
    let _alone = alone();
    let Some(mut cgroups) = cgroups() else { return };
    let mut family = Family::start(9, "sleep $T & exit 0", Some(&mut cgroups));
    assert_eq!(family.job.wait().0, Some(0));
    eventually("the child runs", || family.sleepers() == 1);
    let inode = |cgroup: &redial_keeper::tree::JobCgroup| pipe_inode(cgroup.fd()).expect("fstat");
    let tree = std::mem::replace(&mut family.tree, Tree::new(0, 0, Vec::new()));
    let used = tree.into_cgroup().expect("it has one");
    let first = inode(&used);
    assert!(used.populated().expect("readable"));
    cgroups.release(used);
    let second = cgroups.acquire().expect("another");
    assert_ne!(inode(&second), first, "somebody lives in the first");
    cgroups.release(second);
    drop(cgroups);
    eventually("what is left dies with the root", || {
        family.alive().is_empty()
    });
    let instance = format!("test-{}", std::process::id());
    assert!(
        CgroupRoot::discover(&instance).is_ok(),
        "nothing is left of the first"
    );
}

/// Linux 6.14 to (at least) 6.18: a process born into a cgroup that was ever killed is
/// killed at birth.
#[test]
fn a_job_is_not_born_into_a_cgroup_that_was_killed_before() {
    let _alone = alone();
    let Some(mut cgroups) = cgroups() else { return };
    for name in [20, 22, 24] {
        let mut job = Family::start(name, "exec sleep $T", Some(&mut cgroups));
        job.tree.kill_all(libc::SIGKILL);
        assert_eq!(job.job.wait().1, Some(libc::SIGKILL));
        job.tree.root_is_reaped();
        let tree = std::mem::replace(&mut job.tree, Tree::new(0, 0, Vec::new()));
        cgroups.release(tree.into_cgroup().expect("it has one"));
        let mut next = Family::start(name + 1, "exit 7", Some(&mut cgroups));
        assert_eq!(next.job.wait(), (Some(7), None), "the job after {name}");
        next.tree.root_is_reaped();
    }
}

#[test]
fn an_ended_child_is_reaped_only_when_it_can_be_no_job() {
    let _alone = alone();
    let tickets = SpawnTickets::new();
    let mut reaper = OrphanReaper::new(tickets.clone());
    let ticket = tickets.begin();
    let mut family = Family::start(10, "exit 5", None);
    let root = family.tree.root();
    eventually("it is seen, and left for its thread to claim", || {
        reaper.reap(|_| false).expect("waitid").next == Next::Deferred
    });
    // A start that began later has nothing to do with it.
    let later = tickets.begin();
    drop(ticket);
    let claimed = reaper.reap(|pid| pid == root).expect("waitid");
    assert_eq!((claimed.reaped, claimed.next), (0, Next::Job(root)));
    assert_eq!(family.job.wait().0, Some(5), "its exit is still there");
    drop(later);
    let family = Family::start(11, "exit 5", None);
    let gone = format!("/proc/{}", family.tree.root());
    eventually("nobody's child is reaped", || {
        reaper.reap(|_| false).expect("waitid");
        !std::fs::exists(&gone).expect("/proc")
    });
}
