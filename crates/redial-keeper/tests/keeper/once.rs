//! At most once, however often a start is sent.

use redial_keeper::outcome::{RefusedCode, Status};
use redial_keeper::wire::{Resent, ToKeeper};

use crate::harness::Keeper;
use crate::seen::{code, command, shell};

#[test]
fn a_start_sent_many_times_runs_once() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let file = keeper.directory.path().join("runs");
    let mut command = shell(&format!("echo x >> {}; sleep 0.2", file.display()));
    let id = front.new_id();
    command.job = id.into();
    // Some while it is being started, some while it runs, some when it has ended.
    let numbers: Vec<u32> = (0..20).map(|_| front.send_start(who, &command)).collect();
    let started: Vec<bool> = numbers
        .iter()
        .map(|it| front.answer(*it).unwrap().0)
        .collect();
    assert_eq!(started.iter().filter(|it| **it).count(), 1);
    assert!(started[0]);
    assert_eq!(code(&front.outcome(who, id)), Some(0));
    for seen in [false, true, true] {
        let (started, snapshot) = front.start_as(who, &command).unwrap();
        assert!(!started);
        assert!(matches!(snapshot.outcome.unwrap().status, Status::Ended(_)));
        front.say(&ToKeeper::Leave(who, id.into(), seen, true));
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "x\n");
}

#[test]
fn a_known_id_with_another_command_is_refused() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let id = front.start(who, command(&["sleep", "60"]));
    let mut other = command(&["sleep", "61"]);
    other.job = id.into();
    assert_eq!(
        front.start_as(who, &other).unwrap_err(),
        RefusedCode::OtherCommand
    );
    let mut same = command(&["sleep", "60"]);
    same.job = id.into();
    // How it is to be treated is not part of what it is.
    same.drain_ms = 7;
    same.deadline_ms = Some(99_999);
    assert!(!front.start_as(who, &same).unwrap().0);
}

#[test]
fn what_may_have_run_and_is_forgotten_is_unknown() {
    let (keeper, mut front) = Keeper::start("ended_records=2");
    let _line = keeper.dial();
    let who = front.connection();
    let mut resent = command(&["true"]);
    resent.job = front.new_id().into();
    resent.resent = Some(Resent {
        ago_ms: 60_000,
        instance: [1; 16].into(),
    });
    assert_eq!(
        front.start_as(who, &resent).unwrap_err(),
        RefusedCode::Unknown
    );
    // Nothing is forgotten yet, so it cannot have run here.
    resent.resent = Some(Resent {
        ago_ms: 60_000,
        instance: front.instance.into(),
    });
    assert!(front.start_as(who, &resent).unwrap().0);
    for _ in 0..4 {
        front.run(who, command(&["true"]));
    }
    resent.job = front.new_id().into();
    assert_eq!(
        front.start_as(who, &resent).unwrap_err(),
        RefusedCode::Unknown
    );
    resent.resent = None;
    assert!(front.start_as(who, &resent).unwrap().0);
}

#[test]
fn nobody_attaches_to_a_job_that_is_not_there() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    assert_eq!(
        front.attach(who, [7; 16], true).unwrap_err(),
        RefusedCode::NoSuchJob
    );
    assert_eq!(
        front.attach(77, [7; 16], true).unwrap_err(),
        RefusedCode::NotAllowed
    );
}
