//! Exit, drain, deadline, cancel, and what is left.

use std::time::Instant;

use redial_keeper::outcome::{Cause, ControlKind, Exit, RefusedCode, Status};
use redial_keeper::wire::{Command, JobId, ToKeeper};

use crate::front::Front;
use crate::harness::{Keeper, is_alive, wait_until};
use crate::seen::{code, command, shell};

/// Waits until the job has written so many whole lines to stdout; returns them as pids.
fn pids(front: &mut Front, id: JobId, count: usize) -> Vec<i32> {
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    front.until("all pids are there", |front| {
        lines(&front.jobs[&id].bytes[0]) >= count
    });
    let text = String::from_utf8(front.seen(&id).bytes[0].clone()).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn the_exit_is_told_before_the_drain_ends_and_the_holder_is_named() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut command = shell("sleep 60 & echo $!; exit 5");
    command.drain_ms = 600;
    let id = front.start(who, command);
    front.until("it has exited", |front| front.jobs[&id].exit.is_some());
    assert_eq!(front.seen(&id).exit, Some(Exit::Code(5)));
    assert_eq!(front.seen(&id).ends, [None, None]);
    let exited = Instant::now();
    let outcome = front.outcome(who, id);
    assert!(
        exited.elapsed().as_millis() > 300,
        "drained for {:?}",
        exited.elapsed()
    );
    let holder = pids(&mut front, id, 1)[0];
    assert!(
        outcome
            .holders
            .contains(&(holder.unsigned_abs(), "sleep".to_owned()))
    );
    assert!(!outcome.stdout.complete && !outcome.stderr.complete);
    assert_eq!(outcome.lingering, 1);
    assert!(is_alive(holder), "what outlives its job stays");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(holder).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    wait_until("the orphan is reaped", || {
        crate::harness::processes()
            .iter()
            .all(|process| process.0 != holder)
    });
}

#[test]
fn reap_ends_what_would_outlive_the_job() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut command = shell("sleep 60 & echo $!; setsid sleep 60 & echo $!");
    command.reap = true;
    let id = front.start(who, command);
    let outcome = front.outcome(who, id);
    let left = pids(&mut front, id, 2);
    assert!(left.into_iter().all(|pid| !is_alive(pid)));
    assert_eq!(outcome.lingering, 0);
    assert!(outcome.holders.is_empty() && outcome.stdout.complete);
    assert_eq!(outcome.cause, Cause::Itself);
}

#[test]
fn a_deadline_ends_the_tree_and_is_named() {
    let (keeper, mut front) = Keeper::start("kill_after_ms=300");
    let _line = keeper.dial();
    let who = front.connection();
    let mut gentle = command(&["sleep", "60"]);
    gentle.deadline_ms = Some(100);
    let outcome = front.run(who, gentle).2;
    assert_eq!(
        (outcome.status, outcome.cause),
        (ended_by(15), Cause::Deadline)
    );
    let mut stubborn = shell("trap '' TERM; sleep 60 & sleep 60 & echo $!; wait; wait; wait");
    stubborn.deadline_ms = Some(200);
    let id = front.start(who, stubborn);
    let child = pids(&mut front, id, 1)[0];
    let outcome = front.outcome(who, id);
    assert_eq!(
        (outcome.status, outcome.cause),
        (ended_by(9), Cause::Deadline)
    );
    assert!(!is_alive(child));
}

fn ended_by(signal: u8) -> Status {
    Status::Ended(Exit::Signal(signal, false))
}

#[test]
fn a_signal_reaches_the_group_and_is_reported() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let id = front.start(
        who,
        shell("trap 'echo caught; exit 9' USR1; echo $$; while :; do sleep 0.05; done"),
    );
    pids(&mut front, id, 1);
    front.control(who, id, 1, ControlKind::Signal(10));
    // Not a signal: applied, without effect.
    front.control(who, id, 2, ControlKind::Signal(200));
    let outcome = front.outcome(who, id);
    assert!(front.seen(&id).bytes[0].ends_with(b"caught\n"));
    assert_eq!(code(&outcome), Some(9));
}

#[test]
fn controls_are_applied_once_and_answered_always() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let text = "trap 'echo 1' USR1; echo 1; while :; do sleep 0.02; done";
    let id = front.start(who, shell(text));
    pids(&mut front, id, 1);
    front.control(who, id, 3, ControlKind::Signal(10));
    pids(&mut front, id, 2);
    for number in [3, 2, 1] {
        front.seen(&id).applied = 0;
        front.control(who, id, number, ControlKind::Signal(9));
        front.until("it is answered", |front| front.jobs[&id].applied == 3);
    }
    front.control(who, id, 4, ControlKind::Cancel(0));
    let outcome = front.outcome(who, id);
    assert_eq!(front.seen(&id).bytes[0], b"1\n1\n");
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(outcome.cause, Cause::Cancelled(format!("uid {uid}")));
}

/// A tree with a child in another session, a double-forked one, and one without
/// environment; five pids.
fn escaping_tree() -> Command {
    shell(
        "echo $$; sleep 100 & echo $!; setsid sleep 100 & echo $!; \
         (setsid sh -c 'sleep 100 & echo $!; exit' &) ; \
         env -i /bin/sh -c 'sleep 100 & echo $!; exec sleep 100' & wait; sleep 100",
    )
}

#[test]
fn cancelling_one_job_leaves_none_of_its_processes_and_all_of_the_others() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    for grace_ms in [0, 500] {
        let (one, other) = (
            front.start(who, escaping_tree()),
            front.start(who, escaping_tree()),
        );
        let (its, others) = (pids(&mut front, one, 5), pids(&mut front, other, 5));
        front.control(who, one, 1, ControlKind::Cancel(grace_ms));
        let outcome = front.outcome(who, one);
        assert!(matches!(outcome.cause, Cause::Cancelled(_)));
        assert_eq!(outcome.lingering, 0);
        assert!(
            its.iter().all(|pid| !is_alive(*pid)),
            "cancel after {grace_ms} ms"
        );
        assert!(others.iter().all(|pid| is_alive(*pid)));
        assert!(front.seen(&other).exit.is_none());
        front.control(who, other, 1, ControlKind::Cancel(0));
        front.outcome(who, other);
        assert!(others.iter().all(|pid| !is_alive(*pid)));
    }
}

#[test]
fn a_start_that_fails_says_how_far_it_came() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut bad_directory = command(&["true"]);
    bad_directory.cwd = Some(b"/no/such/place".to_vec().into());
    let cases = [
        (
            command(&["/no/such/place"]),
            "program",
            libc::ENOENT,
            "/no/such/place",
        ),
        (
            command(&["/etc/passwd"]),
            "program",
            libc::EACCES,
            "/etc/passwd",
        ),
        (bad_directory, "directory", libc::ENOENT, "/no/such/place"),
    ];
    for (mut command, stage, errno, path) in cases {
        let id = front.new_id();
        command.job = id.into();
        let (started, snapshot) = front.start_as(who, &command).unwrap();
        assert!(started);
        let wanted = Status::NotStarted(stage.to_owned(), errno, path.as_bytes().to_vec().into());
        assert_eq!(snapshot.outcome.unwrap().status, wanted);
        // It is remembered like any that ended.
        assert!(!front.start_as(who, &command).unwrap().0);
        front.say(&ToKeeper::Leave(who, id.into(), true, true));
        let again = front
            .attach(who, id, false)
            .unwrap()
            .1
            .outcome
            .unwrap()
            .status;
        assert!(matches!(again, Status::NotStarted(_, number, _) if number == errno));
    }
}

#[test]
fn malformed_and_unsupported_commands_are_refused_in_words() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let variable = |name: &str, value: &str| {
        (
            name.as_bytes().to_vec().into(),
            value.as_bytes().to_vec().into(),
        )
    };
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = command(&["true"]);
        change(&mut command);
        command
    };
    let malformed = [
        command(&[]),
        command(&[""]),
        command(&["echo", "a\0b"]),
        shell("a\0b"),
        with(&|it| it.env = vec![variable("", "x")]),
        with(&|it| it.env = vec![variable("A=B", "x")]),
        with(&|it| it.env = vec![variable("A", "\0")]),
        with(&|it| it.cwd = Some(Vec::new().into())),
        with(&|it| it.env = vec![variable("A", &"x".repeat(2 * 1024 * 1024))]),
    ];
    for command in malformed {
        assert_eq!(
            front.start_as(who, &command).unwrap_err(),
            RefusedCode::Malformed
        );
    }
    let detached = with(&|it| it.detach = true);
    assert_eq!(
        front.start_as(who, &detached).unwrap_err(),
        RefusedCode::Unsupported
    );
    let unknown = front.start_as(who + 100, &command(&["true"]));
    assert_eq!(unknown.unwrap_err(), RefusedCode::NotAllowed);
}

#[test]
fn a_command_of_two_mebibytes_arrives_whole() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut arguments = vec![
        "sh".to_owned(),
        "-c".to_owned(),
        "cat /proc/$$/cmdline | wc -c".to_owned(),
    ];
    // The kernel wants room for all of it in a quarter of the stack's limit.
    arguments.extend((0..12).map(|number| number.to_string().repeat(100_000 / (1 + number / 10))));
    let references: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (stdout, _, outcome) = front.run(who, command(&references));
    assert_eq!(code(&outcome), Some(0), "{outcome:?}");
    let expected: usize = arguments.iter().map(|argument| argument.len() + 1).sum();
    assert_eq!(
        String::from_utf8(stdout).unwrap().trim(),
        expected.to_string()
    );
}

#[test]
fn cancelling_a_job_does_not_touch_those_that_are_being_started() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    for _ in 0..60 {
        let victim = front.start(who, command(&["sleep", "60"]));
        let starts: Vec<JobId> = (0..16)
            .map(|number| {
                let id = front.new_id();
                let mut bystander = command(&["true"]);
                bystander.job = id.into();
                front.send_start(who, &bystander);
                if number == 4 {
                    front.control(who, victim, 1, ControlKind::Cancel(0));
                }
                id
            })
            .collect();
        for id in starts.into_iter().chain([victim]) {
            front.until("it has ended", |front| {
                front.jobs.get(&id).is_some_and(|job| job.outcome.is_some())
            });
            let status = front.seen(&id).outcome.clone().unwrap().status;
            let wanted = if id == victim {
                ended_by(9)
            } else {
                Status::Ended(Exit::Code(0))
            };
            assert_eq!(status, wanted);
            front.say(&ToKeeper::Leave(who, id.into(), true, true));
        }
    }
}
