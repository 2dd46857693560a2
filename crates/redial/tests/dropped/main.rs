//! The line drops, the front dies: another is dialled, and nothing is lost or done twice.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod ends;
mod exact;
mod people;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use support::network::NetworkServer;
use support::{Ran, Redial};

/// Gives back what it reads, and leaves a line in a file each time that it is run.
fn echo(runs: &Path) -> String {
    format!("echo ran >> {}; cat; echo end >&2; exit 3", runs.display())
}

fn assert_exact(ran: &Ran, input: &[u8], runs: &Path) {
    assert_eq!((ran.code, &*ran.stderr), (3, "end\n"));
    assert!(
        ran.stdout == input,
        "{} bytes of {}",
        ran.stdout.len(),
        input.len()
    );
    assert_eq!(fs::read_to_string(runs).unwrap(), "ran\n", "run once");
}

/// By way of a line of the test's own.
fn through(server: &NetworkServer, port: u16, command: &str) -> Redial {
    server
        .redial([command, "--host-key", server.host_key()])
        .args([format!("127.0.0.1:{port}")])
}

/// Waits for a line on stdout.
fn sees(child: &mut Child, line: &str) -> impl Read + use<> {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.ends_with(line) {
        assert_ne!(stdout.read_line(&mut seen).unwrap(), 0, "{seen:?}");
    }
    stdout
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn address(server: &NetworkServer) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port()))
}
