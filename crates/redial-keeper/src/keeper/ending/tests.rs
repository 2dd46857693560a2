//! What can be said of an end without a keeper.

use std::process::{Command, Stdio};

use rustix::process::PidfdFlags;

use super::*;

/// The end of `sleep 60`, and that process.
fn ending() -> (Ending, std::process::Child) {
    let child = Command::new("sleep")
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&child);
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let tree = Tree::new(pid.as_raw_pid(), 0, b"unit test".to_vec());
    (Ending::new(Arc::new(tree), pidfd, vec![1], None), child)
}

fn kinds(ending: &Ending) -> Vec<&'static str> {
    let kind = |walk: &Walk| match walk {
        Walk::Signal(libc::SIGKILL) => "kill",
        Walk::Signal(_) | Walk::Ask(_) => "signal",
        Walk::Members => "members",
        Walk::Holders(_) => "holders",
    };
    ending.walks.iter().map(kind).collect()
}

#[test]
fn how_it_ended_is_not_made_up_when_somebody_else_has_reaped_it() {
    let (mut ending, mut child) = ending();
    child.kill().unwrap();
    child.wait().unwrap();
    ending.look_at_exit(7);
    assert_eq!((ending.exit, ending.exit()), (Some((None, 7)), None));
    assert!(ending.reap(&mut Vec::new()) && ending.is_reaped());
    assert!(ending.signal_group(libc::SIGTERM).is_err());
}

#[test]
fn signals_that_wait_are_bounded_and_questions_never_lost() {
    let (mut ending, mut child) = ending();
    for _ in 0..100 {
        ending.queue(Walk::Signal(libc::SIGUSR1));
    }
    for _ in 0..3 {
        ending.queue(Walk::Holders(vec![1]));
        ending.queue(Walk::Members);
    }
    let mut wanted = vec!["signal"; MAX_WALKS];
    wanted.extend(["holders", "members"]);
    assert_eq!(kinds(&ending), wanted);
    ending.sweep(Sweep::new(0, 0), Cause::Itself);
    ending.kill_if_due(0);
    assert_eq!(kinds(&ending), ["kill", "holders", "members"]);
    // Behind KILL a milder signal is void, and more of it another round.
    ending.queue(Walk::Ask(libc::SIGUSR1));
    assert_eq!(kinds(&ending), ["kill", "holders", "members"]);
    ending.queue(Walk::Ask(libc::SIGKILL));
    assert_eq!(kinds(&ending).len(), 4);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_an_end_waits_for_is_bounded() {
    let (mut ending, mut child) = ending();
    ending.queue(Walk::Members);
    assert_eq!(ending.awaits(), Awaits::Nothing);
    ending.sweep(Sweep::new(0, 1_000), Cause::ServerEnded);
    assert_eq!(ending.awaits(), Awaits::Grace);
    ending.kill_if_due(1_000);
    assert_eq!(ending.awaits(), Awaits::Walk);
    // A client that asks for KILL again and again.
    for _ in 0..ENOUGH_KILLS {
        ending.queue(Walk::Ask(libc::SIGKILL));
    }
    assert_eq!(ending.awaits(), Awaits::Nothing);
    ending.walks.clear();
    child.kill().unwrap();
    child.wait().unwrap();
}
