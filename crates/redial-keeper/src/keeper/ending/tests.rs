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
    child.kill().unwrap();
    child.wait().unwrap();
}
