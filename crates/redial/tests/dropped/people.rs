//! What people do and see while the line is down.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::support::cutting::Cutting;
use crate::support::network::NetworkServer;
use crate::support::processes::{mark, none_left};
use crate::support::{eventually, skip, wait};
use crate::{address, sees, signal, through};

#[test]
fn a_signal_that_is_sent_while_the_line_is_down_arrives_once() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let (caught, done) = (dir.path().join("caught"), dir.path().join("done"));
    let text = format!(
        "trap 'echo caught >> {0}' INT; echo up; while ! [ -e {1} ]; do sleep 0.02; done; \
         cat {0}; exit 4",
        caught.display(),
        done.display()
    );
    let run = through(&server, port, "run").in_own_group();
    let mut child = run.args(["-n", "-c", &text]).spawn();
    let mut rest = sees(&mut child, "up\n");
    line.down();
    signal(&child, Signal::INT);
    line.up();
    assert!(eventually(|| caught.exists().then_some(())).is_some());
    fs::write(&done, "").unwrap();
    let mut out = String::new();
    rest.read_to_string(&mut out).unwrap();
    assert_eq!((wait(&mut child), &*out), (4, "caught\n"));
}

#[test]
fn a_cancel_that_is_sent_while_the_line_is_down_arrives() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let mark = mark();
    let run = through(&server, port, "run").in_own_group();
    let text = format!("echo up; exec sleep {mark}");
    let mut child = run.args(["-n", "-c", &text]).spawn();
    let rest = sees(&mut child, "up\n");
    line.down();
    signal(&child, Signal::TERM);
    line.up();
    assert_eq!(wait(&mut child), 143);
    assert!(none_left(&mark));
    drop(rest);
}

/// Says that it is up, and ends when there is such a file.
fn up_until(done: &Path) -> String {
    let done = done.display();
    format!("echo up; while ! [ -e {done} ]; do sleep 0.01; done")
}

#[test]
fn on_a_terminal_one_line_says_that_the_line_dropped_and_is_back() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let run = through(&server, port, "run").args(["-n", "-c", &up_until(&done)]);
    let mut terminal = run.on_terminal();
    terminal.sees("up\r\n");
    line.down();
    terminal.sees(&format!(
        "redial: line to 127.0.0.1:{port} dropped, dialling again … "
    ));
    line.up();
    let between = terminal.sees(" s, nothing lost\r\n");
    assert!(between.starts_with("back after "), "{between:?}");
    fs::write(&done, "").unwrap();
    assert_eq!(terminal.ends(), (0, String::new()));
}

#[test]
fn a_passphrase_is_typed_once_however_often_the_line_drops() {
    let server = NetworkServer::start();
    let key = server.home().join(".ssh/id_ed25519");
    let mut lock = Command::new("ssh-keygen");
    lock.args(["-q", "-p", "-P", "", "-N", "horse", "-f"])
        .arg(&key);
    if !lock.output().is_ok_and(|ran| ran.status.success()) {
        return skip("a_passphrase_is_typed_once_however_often_the_line_drops: no ssh-keygen");
    }
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let run = through(&server, port, "run").args(["-n", "-c", &up_until(&done)]);
    let mut terminal = run.on_terminal();
    terminal.sees("id_ed25519");
    terminal.types_hidden("horse");
    terminal.sees("up\r\n");
    for _ in 0..2 {
        line.down();
        terminal.sees("dialling again … ");
        line.up();
        let between = terminal.sees("nothing lost\r\n");
        assert!(between.starts_with("back after "), "{between:?}");
    }
    fs::write(&done, "").unwrap();
    assert_eq!(terminal.ends(), (0, String::new()));
}
