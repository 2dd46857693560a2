//! What is left of a job, what is not done to it, and what it costs to wait for it.

use redial_keeper::outcome::{ControlKind, Status};

use crate::harness::{Keeper, is_alive, wait_until};
use crate::seen::{code, shell};

#[test]
fn a_keeper_started_with_sigchld_ignored_knows_how_jobs_end() {
    let (keeper, mut front) = Keeper::start_with_children_ignored();
    let _line = keeper.dial();
    let who = front.connection();
    let (stdout, _, outcome) = front.run(who, shell("echo good; exit 3"));
    assert_eq!(stdout, b"good\n");
    assert_eq!(code(&outcome), Some(3), "{outcome:?}");
    wait_until("no zombie is left", || keeper.children().is_empty());
}

/// A child that heeds no TERM, holds no pipe, and has said so.
const STUBBORN: &str = "(trap '' TERM; echo; exec sleep 60 >/dev/null 2>&1 </dev/null) &";

#[test]
fn waiting_for_a_tree_takes_no_cpu_time() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut job = shell(&format!("{STUBBORN} exec sleep 60"));
    job.drain_ms = 0;
    let id = front.start(who, job);
    front.until("its child is there", |front| {
        front.jobs[&id].bytes[0] == b"\n"
    });
    front.control(who, id, 1, ControlKind::Cancel(60_000));
    front.until("it has exited", |front| front.jobs[&id].exit.is_some());
    front.until("both outputs have ended", |front| {
        front.jobs[&id].ends.iter().all(Option::is_some)
    });
    let before = keeper.loop_ticks();
    front.listen_for(600);
    let ticks = keeper.loop_ticks() - before;
    assert!(ticks <= 12, "{ticks} ticks in 600 ms");
    assert!(front.seen(&id).outcome.is_none());
    front.control(who, id, 2, ControlKind::Cancel(0));
    assert!(matches!(front.outcome(who, id).status, Status::Ended(_)));
}

#[test]
fn a_cancel_that_comes_after_the_outcome_ends_nothing() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let id = front.start(who, shell("sleep 60 >/dev/null 2>&1 & echo $!"));
    let outcome = front.outcome(who, id);
    assert_eq!(outcome.lingering, 1);
    let text = String::from_utf8(front.seen(&id).bytes[0].clone()).unwrap();
    let left: i32 = text.trim().parse().unwrap();
    for (number, control) in [(1, ControlKind::Cancel(1_000)), (2, ControlKind::Cancel(0))] {
        front.control(who, id, number, control);
        front.until("it is answered", |front| front.jobs[&id].applied == number);
    }
    // What would have been done to it came before this.
    front.run(who, shell("sleep 60 & kill $!"));
    assert!(is_alive(left), "what outlives its job stays");
    let left = rustix::process::Pid::from_raw(left).unwrap();
    rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_root_that_has_left_its_cgroup_is_ended_and_the_outcome_is_not_exact() {
    let (keeper, mut front) = Keeper::start("kill_after_ms=100");
    let _line = keeper.dial();
    let who = front.connection();
    // Not possible everywhere, and then there is nothing to get away from.
    let escape = "m=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/mounts); \
        (echo $$ > $m/cgroup.procs) 2>/dev/null; \
        if grep -q '^0::.*redial-' /proc/$$/cgroup; then echo in; else echo out; fi;";
    let stubborn = "trap '' TERM; sleep 60 & echo $!; sleep 60; sleep 60";
    let obedient = "sleep 60 & echo $!; exec sleep 60";
    let cancel = |grace_ms| Some(ControlKind::Cancel(grace_ms));
    for (what, control) in [
        (stubborn, cancel(0)),
        (stubborn, cancel(100)),
        (stubborn, None),
        (obedient, cancel(20_000)),
    ] {
        let mut escaping = shell(&format!("{escape} {what}"));
        escaping.deadline_ms = control.is_none().then_some(200);
        let id = front.start(who, escaping);
        front.until("its child is there", |front| {
            let lines = front.jobs[&id].bytes[0].split(|byte| *byte == b'\n');
            lines.count() > 2
        });
        if let Some(control) = control {
            front.control(who, id, 1, control);
        }
        let outcome = front.outcome(who, id);
        let text = String::from_utf8(front.seen(&id).bytes[0].clone()).unwrap();
        let (place, child) = text.trim().split_once('\n').unwrap();
        assert!(!is_alive(child.parse().unwrap()), "{text}");
        assert_eq!(outcome.lingering, 0);
        assert!(place == "in" || !outcome.exact, "{text}");
    }
}
