//! A server for one client, which ends with it.

use redial_keeper::outcome::RefusedCode;
use redial_keeper::wire::{DropPolicy, ToKeeper};

use crate::harness::{Keeper, is_alive};
use crate::seen::{code, command, shell};

#[test]
fn a_private_server_ends_when_its_connection_is_over_and_its_jobs_with_it() {
    let (mut keeper, mut front) = Keeper::start_private("");
    let who = front.connection();
    assert_eq!(code(&front.run(who, command(&["true"])).2), Some(0));
    let id = front.start(who, shell("echo $$; exec sleep 60"));
    front.until("it runs", |front| front.jobs[&id].bytes[0].ends_with(b"\n"));
    let pid = String::from_utf8(front.seen(&id).bytes[0].clone()).unwrap();
    front.say(&ToKeeper::Closed(who));
    front.until("it says so", |front| front.shutting_down);
    front.die();
    assert!(keeper.ended());
    assert!(!is_alive(pid.trim().parse().unwrap()));
}

#[test]
fn a_private_server_keeps_no_jobs() {
    let (_keeper, mut front) = Keeper::start_private("");
    let who = front.connection();
    for policy in [DropPolicy::Keep, DropPolicy::KeepFor(1)] {
        let mut kept = command(&["true"]);
        kept.on_drop = policy;
        assert_eq!(
            front.start_as(who, &kept).unwrap_err(),
            RefusedCode::Unsupported
        );
    }
}

#[test]
fn a_private_server_without_its_front_ends_its_jobs_and_fails() {
    let (mut keeper, mut front) = Keeper::start_private("");
    let who = front.connection();
    let id = front.start(
        who,
        shell("trap '' TERM; echo $$; while :; do sleep 0.1; done"),
    );
    front.until("it runs", |front| front.jobs[&id].bytes[0].ends_with(b"\n"));
    let pid = String::from_utf8(front.seen(&id).bytes[0].clone()).unwrap();
    front.die();
    assert!(!keeper.ended());
    assert!(!is_alive(pid.trim().parse().unwrap()));
}
