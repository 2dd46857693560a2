//! What becomes of a job whose line drops.

use redial_keeper::outcome::{Cause, Exit, RefusedCode, Status};
use redial_keeper::wire::{DropPolicy, ToKeeper};

use crate::harness::{Keeper, is_alive, wait_until};
use crate::seen::{code, command, shell};

#[test]
fn kill_ends_the_tree_at_once() {
    let (keeper, mut front) = Keeper::start("");
    let (_line, _other_line) = (keeper.dial(), keeper.dial());
    let (who, other) = (front.connection(), front.connection());
    let id = front.start(who, shell("echo ready; sleep 60"));
    front.until("it runs", |front| !front.jobs[&id].bytes[0].is_empty());
    front.attach(other, id, false).unwrap();
    front.say(&ToKeeper::Closed(who));
    front.until("it has ended", |front| front.jobs[&id].outcome.is_some());
    let outcome = front.seen(&id).outcome.clone().unwrap();
    assert_eq!(outcome.cause, Cause::LineDropped);
    assert_eq!(outcome.status, Status::Ended(Exit::Signal(9, false)));
    assert!(!outcome.stdout.complete, "nobody read it");
}

#[test]
fn keep_for_lets_it_run_for_a_time_and_whoever_takes_it_has_it() {
    let (keeper, mut front) = Keeper::start("");
    let _lines = [keeper.dial(), keeper.dial(), keeper.dial()];
    let [who, other, third] = [front.connection(), front.connection(), front.connection()];
    let mut kept = shell("echo first; sleep 0.3; echo second");
    kept.on_drop = DropPolicy::KeepFor(60_000);
    let id = front.start(who, kept);
    front.say(&ToKeeper::Closed(who));
    let outcome = {
        front.attach(other, id, true).unwrap();
        front.outcome(other, id)
    };
    assert_eq!(front.seen(&id).bytes[0], b"first\nsecond\n");
    assert_eq!((code(&outcome), outcome.cause), (Some(0), Cause::Itself));
    let mut short = command(&["sleep", "60"]);
    short.on_drop = DropPolicy::KeepFor(200);
    let id = front.start(other, short);
    front.attach(third, id, false).unwrap();
    front.say(&ToKeeper::Leave(other, id.into(), false, true));
    front.until("its time is over", |front| {
        front.jobs[&id].outcome.is_some()
    });
    assert_eq!(
        front.seen(&id).outcome.clone().unwrap().cause,
        Cause::LineDropped
    );
}

#[test]
fn output_nobody_has_read_waits_as_long_as_its_policy_says() {
    let (keeper, mut front) = Keeper::start("");
    let _lines = [keeper.dial(), keeper.dial()];
    let [who, other] = [front.connection(), front.connection()];
    let mut kept = command(&["echo", "still here"]);
    kept.on_drop = DropPolicy::Keep;
    let id = front.start(who, kept);
    front.until("it has ended", |front| front.jobs[&id].outcome.is_some());
    front.say(&ToKeeper::Leave(who, id.into(), false, true));
    front.attach(other, id, true).unwrap();
    assert_eq!(front.seen(&id).bytes[0], b"still here\n");
    assert!(front.seen(&id).outcome.clone().unwrap().stdout.complete);

    let id = front.start(other, command(&["echo", "gone"]));
    front.until("it has ended", |front| front.jobs[&id].outcome.is_some());
    front.say(&ToKeeper::Leave(other, id.into(), false, true));
    let (_, snapshot) = front.attach(other, id, true).unwrap();
    assert!(front.seen(&id).bytes[0].is_empty());
    let outcome = snapshot.outcome.unwrap();
    assert_eq!(code(&outcome), Some(0));
    assert!(!outcome.stdout.complete, "the outcome says what was lost");
}

#[test]
fn a_job_whose_line_drops_while_it_is_started_is_killed() {
    let (keeper, mut front) = Keeper::start("");
    let _lines = [keeper.dial(), keeper.dial()];
    let [who, other] = [front.connection(), front.connection()];
    let file = keeper.directory.path().join("pid");
    let mut command = shell(&format!("echo $$ > {}; exec sleep 60", file.display()));
    let id = front.new_id();
    command.job = id.into();
    front.send_start(who, &command);
    front.say(&ToKeeper::Closed(who));
    // Who only reads does not keep it.
    front.attach(other, id, false).unwrap();
    front.until("it has ended", |front| front.jobs[&id].outcome.is_some());
    let outcome = front.seen(&id).outcome.clone().unwrap();
    assert_eq!(outcome.cause, Cause::LineDropped);
    wait_until("no child is left", || keeper.children().is_empty());
    if let Ok(pid) = std::fs::read_to_string(file) {
        assert!(pid.is_empty() || pid.trim().parse().is_ok_and(|pid| !is_alive(pid)));
    }
}

#[test]
fn a_capability_is_void_when_its_connection_is_closed() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    front.say(&ToKeeper::Closed(who));
    front.say(&ToKeeper::Closed(who));
    let refused = front.start_as(who, &command(&["true"])).unwrap_err();
    assert_eq!(refused, RefusedCode::NotAllowed);
}
