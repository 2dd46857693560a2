//! Killing one job's tree, all of it, and nothing of another's.

#[path = "../child/mod.rs"]
mod child;
mod family;
mod together;

use std::collections::HashSet;

use child::eventually;
use family::{FAMILY, FAMILY_SLEEPERS, Family, alone};
use redial_keeper::tree::{
    CgroupRoot, Next, OrphanReaper, Reached, SpawnTickets, Tree, holders, pipe_inode,
};

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
    family.shrinks_to(FAMILY_SLEEPERS);
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
    family.shrinks_to(FAMILY_SLEEPERS - 1);
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
    let other = Family::start(13, "exec sleep $T", None);
    eventually("so does another", || other.sleepers() == 1);
    let pipe = |family: &Family| {
        let stdout = family.job.spawned.stdout.as_ref().expect("a pipe");
        vec![pipe_inode(stdout).expect("fstat")]
    };
    let [found, others, none] = &holders(&[pipe(&family), pipe(&other), vec![1]])[..] else {
        panic!("one answer for each");
    };
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].name, b"sleep");
    assert_eq!(others.len(), 1, "{others:?}");
    assert_eq!(others[0].pid, other.tree.root());
    assert!(none.is_empty(), "{none:?}");
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
