//! Which host is next, by the clock of the test.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn schedule(plan: Plan, hosts: usize) -> Schedule {
    Schedule::new(plan, 0..hosts)
}

/// Those that begin now.
fn begun(schedule: &mut Schedule, now: Duration) -> Vec<usize> {
    let next = || match schedule.step(now) {
        Step::Begin(host) => Some(host),
        Step::Wait(_) | Step::Done => None,
    };
    std::iter::from_fn(next).collect()
}

#[test]
fn no_more_than_the_fan_out_run_at_once() {
    let plan = Plan {
        fanout: 3,
        ..Plan::default()
    };
    let mut schedule = schedule(plan, 5);
    assert_eq!(begun(&mut schedule, SECOND), [0, 1, 2]);
    assert_eq!(schedule.step(SECOND), Step::Wait(None));
    schedule.ended(false);
    assert_eq!(begun(&mut schedule, SECOND), [3]);
    (0..3).for_each(|_| schedule.ended(true));
    assert_eq!(begun(&mut schedule, SECOND), [4]);
    schedule.ended(false);
    assert_eq!(schedule.step(SECOND), Step::Done);
}

#[test]
fn a_batch_begins_when_the_one_before_has_ended_and_the_pause_is_over() {
    let plan = Plan {
        rolling: Some(Share::Percent(40)),
        pause: SECOND,
        ..Plan::default()
    };
    let mut schedule = schedule(plan, 5);
    assert_eq!(begun(&mut schedule, SECOND), [0, 1]);
    schedule.ended(false);
    assert!(begun(&mut schedule, SECOND).is_empty());
    schedule.ended(true);
    assert_eq!(schedule.step(SECOND), Step::Wait(Some(SECOND * 2)));
    assert_eq!(schedule.step(SECOND * 3 / 2), Step::Wait(Some(SECOND * 2)));
    assert_eq!(begun(&mut schedule, SECOND * 2), [2, 3]);
    (0..2).for_each(|_| schedule.ended(false));
    assert!(begun(&mut schedule, SECOND * 3).is_empty());
    assert_eq!(begun(&mut schedule, SECOND * 4), [4]);
    schedule.ended(false);
    // Nothing follows: nothing is waited for.
    assert_eq!(schedule.step(SECOND * 4), Step::Done);
}

#[test]
fn a_host_that_is_tried_again_holds_up_the_next_batch() {
    let plan = Plan {
        rolling: Some(Share::Hosts(1)),
        retries: 2,
        ..Plan::default()
    };
    let mut schedule = schedule(plan, 2);
    assert_eq!(begun(&mut schedule, SECOND), [0]);
    assert!(schedule.did_not_start(0, true, SECOND));
    assert_eq!(schedule.step(SECOND), Step::Wait(Some(SECOND * 2)));
    assert_eq!(begun(&mut schedule, SECOND * 2), [0]);
    assert!(schedule.did_not_start(0, true, SECOND * 2));
    // Twice as long.
    assert_eq!(schedule.step(SECOND * 3), Step::Wait(Some(SECOND * 4)));
    assert_eq!(schedule.left(), [1, 0]);
    assert_eq!(begun(&mut schedule, SECOND * 4), [0]);
    assert!(!schedule.did_not_start(0, true, SECOND * 4));
    assert_eq!(begun(&mut schedule, SECOND * 4), [1]);
}

#[test]
fn what_does_not_pass_is_not_tried_again() {
    let plan = Plan {
        retries: 9,
        ..Plan::default()
    };
    let mut schedule = schedule(plan, 1);
    assert_eq!(begun(&mut schedule, SECOND), [0]);
    assert!(!schedule.did_not_start(0, false, SECOND));
    assert_eq!(schedule.step(SECOND), Step::Done);
}

#[test]
fn too_many_failures_begin_nothing_more_and_let_the_running_end() {
    let plan = Plan {
        fanout: 2,
        max_fail: Some(Share::Hosts(2)),
        ..Plan::default()
    };
    let mut schedule = schedule(plan, 9);
    assert_eq!(begun(&mut schedule, SECOND), [0, 1]);
    schedule.ended(true);
    assert_eq!(begun(&mut schedule, SECOND), [2]);
    schedule.ended(true);
    assert!(schedule.has_failed_too_often());
    assert_eq!(schedule.step(SECOND), Step::Wait(None));
    schedule.ended(false);
    assert_eq!(schedule.step(SECOND), Step::Done);
    assert_eq!(schedule.left(), [3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_share_is_rounded_up_and_at_least_one() {
    assert_eq!(Share::Percent(10).of(11), 2);
    assert_eq!(Share::Percent(1).of(3), 1);
    assert_eq!(Share::Hosts(5).of(3), 5);
    assert_eq!(Share::Percent(0).of(0), 1);
}

#[test]
fn a_stop_ends_what_waits_to_be_tried_again() {
    let plan = Plan {
        retries: 3,
        ..Plan::default()
    };
    let mut schedule = schedule(plan, 2);
    assert_eq!(begun(&mut schedule, SECOND), [0, 1]);
    assert!(schedule.did_not_start(1, true, SECOND));
    schedule.stop();
    assert!(!schedule.did_not_start(0, true, SECOND));
    assert_eq!(schedule.step(SECOND), Step::Done);
    assert_eq!(schedule.left(), [1]);
}
