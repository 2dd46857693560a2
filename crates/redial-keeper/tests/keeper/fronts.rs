//! Fronts die, are replaced, and misbehave; the server ends.

use redial_keeper::outcome::{Cause, Exit, Status};
use redial_keeper::wire::{DropPolicy, ToKeeper};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Keeper, is_alive, processes, wait_until};
use crate::seen::{code, command, shell};

#[test]
fn a_new_front_finds_every_job_as_it_was() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let ended = front.start(who, command(&["echo", "ended"]));
    front.until("one has ended", |front| {
        front.jobs[&ended].outcome.is_some()
    });
    let text = "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two; exit 6";
    let mut running = shell(text);
    running.stdin = true;
    running.cwd = Some(
        keeper
            .directory
            .path()
            .as_os_str()
            .as_encoded_bytes()
            .to_vec()
            .into(),
    );
    let running = front.start(who, running);
    front.until("it runs", |front| !front.jobs[&running].bytes[0].is_empty());
    front.write_stdin(who, running, b"abc");
    let instance = front.instance;

    let mut next = keeper.supply_front();
    front.die();
    next.begin();
    assert_eq!(next.instance, instance);
    let _new_line = keeper.dial();
    let who = next.connection();
    let (_, snapshot) = next.attach(who, running, true).unwrap();
    assert_eq!(next.seen(&running).bytes[0], b"one\n");
    assert_eq!(snapshot.stdin_arrived, 3);
    std::fs::write(keeper.directory.path().join("go"), "").unwrap();
    let outcome = next.outcome(who, running);
    assert_eq!(next.seen(&running).bytes[0], b"one\ntwo\n");
    assert_eq!((code(&outcome), outcome.cause), (Some(6), Cause::Itself));
    next.attach(who, ended, true).unwrap();
    assert_eq!(next.seen(&ended).bytes[0], b"ended\n");
}

/// The client may have been told that this stdin has arrived.
#[test]
fn what_a_front_had_said_before_it_died_counts_also_if_it_had_not_heard_all() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut reads = shell("cat > /dev/null");
    reads.stdin = true;
    let id = front.start(who, reads);
    front.say(&ToKeeper::Attach(who, 1_000, id.into(), true));
    front.until_spoken_to();
    let mut next = keeper.supply_front();
    let signal = |signal| {
        let pid = Pid::from_raw(keeper.pid().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    };
    signal(Signal::STOP);
    wait_until("the keeper stands still", || {
        let stopped = |(pid, _, state): &(i32, i32, char)| {
            (*pid, *state) == (keeper.pid().cast_signed(), 'T')
        };
        processes().iter().any(stopped)
    });
    front.write_stdin(who, id, b"abc");
    front.die();
    signal(Signal::CONT);
    next.begin();
    let _new_line = keeper.dial();
    let who = next.connection();
    let (_, snapshot) = next.attach(who, id, true).unwrap();
    assert_eq!(snapshot.stdin_arrived, 3);
}

#[test]
fn a_job_nobody_takes_after_its_front_died_is_killed_after_the_grace() {
    let (keeper, mut front) = Keeper::start("front_grace_ms=700");
    let _line = keeper.dial();
    let who = front.connection();
    let lost = front.start(who, command(&["sleep", "60"]));
    let mut kept = command(&["sleep", "60"]);
    kept.on_drop = DropPolicy::Keep;
    let kept = front.start(who, kept);
    let mut next = keeper.supply_front();
    front.die();
    next.begin();
    let _line = keeper.dial();
    let who = next.connection();
    next.attach(who, lost, false).unwrap();
    next.attach(who, kept, false).unwrap();
    assert!(next.seen(&lost).exit.is_none());
    next.until("the grace is over", |front| {
        front.jobs[&lost].outcome.is_some()
    });
    let outcome = next.seen(&lost).outcome.clone().unwrap();
    assert_eq!(outcome.cause, Cause::LineDropped);
    assert!(next.seen(&kept).exit.is_none());
}

#[test]
fn a_front_that_speaks_no_language_of_ours_is_replaced() {
    let (keeper, mut front) = Keeper::start("");
    for nonsense in [&b"\xFF\xFF\xFF"[..], b"\x82\x18\x63\x80", &[0x9F; 60_000]] {
        let mut next = keeper.supply_front();
        front.say_raw(nonsense);
        front.until_gone();
        next.begin();
        front = next;
    }
    // Nor does one that speaks before it is ready, or is of another build.
    for message in [ToKeeper::Closed(1), ToKeeper::Ready(99)] {
        let mut next = keeper.supply_front();
        let last = keeper.supply_front();
        front.say_raw(b"\xFF");
        next.hear_welcome();
        next.say(&message);
        next.until_gone();
        front = last;
        front.begin();
    }
    let _line = keeper.dial();
    let who = front.connection();
    assert_eq!(code(&front.run(who, command(&["true"])).2), Some(0));
}

#[test]
fn the_end_of_the_server_ends_its_jobs_and_leaves_no_child() {
    let (mut keeper, mut front) = Keeper::start("kill_after_ms=400");
    let _line = keeper.dial();
    let who = front.connection();
    let gentle = front.start(who, command(&["sleep", "60"]));
    let stubborn = front.start(
        who,
        shell("trap '' TERM; echo $$; while :; do sleep 0.1; done"),
    );
    front.until("it traps", |front| {
        !front.jobs[&stubborn].bytes[0].is_empty()
    });
    let children: Vec<i32> = keeper.children().into_iter().map(|child| child.0).collect();
    assert!(children.len() >= 2);
    keeper.shut_down();
    assert_eq!(front.outcome(who, gentle).cause, Cause::ServerEnded);
    assert!(front.shutting_down);
    assert!(!keeper.socket().exists());
    let refused = front.start_as(who, &command(&["true"])).unwrap_err();
    assert_eq!(refused, redial_keeper::outcome::RefusedCode::ShuttingDown);
    let outcome = front.outcome(who, stubborn);
    assert_eq!(outcome.status, Status::Ended(Exit::Signal(9, false)));
    front.die();
    assert!(keeper.ended());
    assert!(children.into_iter().all(|pid| !is_alive(pid)));
}

#[test]
fn a_second_signal_does_not_wait() {
    let (mut keeper, mut front) = Keeper::start("kill_after_ms=60000");
    let _line = keeper.dial();
    let who = front.connection();
    let id = front.start(
        who,
        shell("trap '' TERM; echo $$; while :; do sleep 0.1; done"),
    );
    front.until("it traps", |front| !front.jobs[&id].bytes[0].is_empty());
    keeper.shut_down();
    front.until("it says so", |front| front.shutting_down);
    keeper.shut_down();
    assert_eq!(front.outcome(who, id).cause, Cause::ServerEnded);
    front.die();
    assert!(keeper.ended());
}

#[test]
fn output_that_nobody_reads_does_not_hold_up_the_end() {
    let (mut keeper, mut front) = Keeper::start("kill_after_ms=100");
    let _line = keeper.dial();
    let who = front.connection();
    let id = front.start(who, command(&["head", "-c", "5000000", "/dev/zero"]));
    front.until("the log is full", |front| {
        front.jobs[&id].bytes[0].len() >= 1024 * 1024
    });
    keeper.shut_down();
    assert!(keeper.ended());
    wait_until("no process of it is left", || keeper.children().is_empty());
}
