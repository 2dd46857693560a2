//! An agent that does not move for a while.

use std::io::Read;

use rustix::process::{Pid, Signal, kill_process};

use super::support::eventually;
use super::support::nats::{Broker, Host};
use super::support::network::Home;

/// What it is sent while it stands still is a window, which the broker keeps for it.
#[test]
fn an_agent_that_stands_still_holds_up_its_own_lines_and_no_others() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let [slow, other] = ["slow", "other"].map(|name| Host::start(&broker, &home, name));
    let begun = slow.dir().join("begun");
    let script = format!("touch {}; cat; seq 500000", begun.display());
    let said = vec![b'x'; 8 << 20];
    let run = slow.run(&home).args(["--", "sh", "-c", &script]);
    let mut child = run.spawn();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let expected = said.clone();
    let saying = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &said));
    let hearing = std::thread::spawn(move || {
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).map(|_| all)
    });
    eventually(|| begun.exists().then_some(())).unwrap();
    let agent = Pid::from_raw(slow.agent().cast_signed()).unwrap();
    kill_process(agent, Signal::STOP).unwrap();
    // More than could wait for it anywhere on the way.
    let much = ["--", "sh", "-c", "seq 3000000"];
    let ran = other.run(&home).args(much).ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.ends_with(b"\n3000000\n"));
    assert!(!hearing.is_finished());
    kill_process(agent, Signal::CONT).unwrap();
    saying.join().unwrap().unwrap();
    let ended = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{words}");
    let heard = hearing.join().unwrap().unwrap();
    assert!(heard.starts_with(&expected) && heard.ends_with(b"\n500000\n"));
    // Nobody has dialled again: the line has held.
    assert_eq!(slow.logins(), 1, "{}", slow.log());
}
