//! The floor as a program.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};

const FLOOR: &str = env!("CARGO_BIN_EXE_redial-floor");

struct Serving {
    child: Child,
    dir: tempfile::TempDir,
    port: String,
}

impl Serving {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(FLOOR)
            .arg("serve")
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut port).unwrap();
        let port = port.trim().to_owned();
        Serving { child, dir, port }
    }

    fn client(words: &[&str]) -> Output {
        Command::new(FLOOR).args(words).output().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn each_dial_runs_one_and_a_lane_as_many_as_it_asks_for() {
    let serving = Serving::start();
    for _ in 0..2 {
        let dialled = Serving::client(&["dial", &serving.port]);
        assert!(dialled.status.success(), "{dialled:?}");
    }
    let mut lane = UnixStream::connect(serving.dir.path().join("socket")).unwrap();
    lane.write_all(&[b'.'; 100]).unwrap();
    lane.read_exact(&mut [0; 100]).unwrap();
}

#[test]
fn every_byte_is_carried_over_both_sockets_in_both_forms() {
    let serving = Serving::start();
    let socket = serving.dir.path().join("socket");
    for place in [serving.port.as_str(), socket.to_str().unwrap()] {
        for form in ["plain", "aes"] {
            let received = Serving::client(&["receive", place, form, "5000001"]);
            assert!(received.status.success(), "{received:?}");
            assert_eq!(received.stdout.len(), 5_000_001, "{place} {form}");
        }
    }
}
