//! A key that is taken out of the file loses what it had, and who used it is told.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::network::{Home, NetworkServer, write_private};
use crate::support::processes::{mark, marked, none_left};
use crate::support::server::front;
use crate::support::{eventually, finish};

/// In which connections and jobs of a removed key are over.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_removed_key_loses_its_connections_and_its_jobs_within_five_seconds() {
    let server = NetworkServer::start();
    let marks = [mark(), mark(), mark()];
    let started = |args: &[&str], mark: &str| {
        let child = server.run().args(args).args(["--", "sleep", mark]).spawn();
        assert!(eventually(|| (!marked(mark).is_empty()).then_some(())).is_some());
        child
    };
    let plain = started(&["-n"], &marks[0]);
    let kept = started(&["-n", "--on-drop", "keep:5m"], &marks[1]);
    // Nobody is connected to this one any more.
    let mut left = started(&["-n", "--on-drop", "keep:5m"], &marks[2]);
    left.kill().unwrap();
    left.wait().unwrap();
    let other = Home::with_key();
    write_private(&server.authorized_keys(), &other.public_key());
    let removed = Instant::now();
    for (child, mark) in [(plain, &marks[0]), (kept, &marks[1])] {
        let ran = finish(child, removed);
        assert!(ran.took < SOON, "{:?}: {}", ran.took, ran.stderr);
        assert_eq!(ran.code, 125, "{}", ran.stderr);
        let told = ran.stderr.contains("not authorised any more") || ran.stderr.contains("revoked");
        assert!(told, "{}", ran.stderr);
        assert!(none_left(mark), "{:?}", marked(mark));
    }
    assert!(none_left(&marks[2]), "{:?}", marked(&marks[2]));
    assert!(removed.elapsed() < SOON, "{:?}", removed.elapsed());
    let refused = server.run().args(["-n", "--", "true"]).ran();
    assert_eq!(refused.code, 125, "{}", refused.stderr);
}

#[test]
fn a_key_whose_line_is_narrowed_obeys_the_new_line_on_its_next_command() {
    let server = NetworkServer::start();
    let forced = format!("command=\"echo forced\" {}", server.public_key());
    assert_eq!(server.run().args(["-n", "--", "true"]).ran().code, 0);
    write_private(&server.authorized_keys(), &forced);
    let ran = server.run().args(["-n", "--", "echo", "free"]).ran();
    assert_eq!(ran.stdout, b"forced\n", "{}", ran.stderr);
}

#[test]
fn after_an_upgrade_a_removed_key_loses_its_jobs_though_nobody_logs_in() {
    let server = NetworkServer::start();
    let mark = mark();
    let started = server
        .run()
        .args(["-n", "--detach", "--", "sleep", &mark])
        .ran();
    assert_eq!(started.code, 0, "{}", started.stderr);
    let before = front(server.pid());
    let keeper = Pid::from_raw(server.pid().cast_signed()).unwrap();
    kill_process(keeper, Signal::HUP).unwrap();
    assert!(eventually(|| (front(server.pid()) != before).then_some(())).is_some());
    assert!(!marked(&mark).is_empty());
    let other = Home::with_key();
    write_private(&server.authorized_keys(), &other.public_key());
    assert!(none_left(&mark), "{:?}", marked(&mark));
}
