//! Kept jobs after the death of their server.

use std::fs;

use crate::support::processes::{Process, descendants};
use crate::support::server::TestServer;
use crate::support::{eventually, skip};
use crate::{BOTH, detached, printed, redial};

#[test]
fn what_has_ended_is_there_when_another_server_has_the_directory() {
    let mut server = TestServer::start();
    let job = detached(&server, &["-c", BOTH]);
    assert_eq!(redial(&["wait", &job]).code, 3);
    server.stop();
    server.begin_again();
    assert_eq!(redial(&["wait", &job]).code, 3);
    let logs = redial(&["logs", &job]);
    assert_eq!(logs.stdout, b"out 1\nout 2\nout 3\nout 4\n");
    assert_eq!(logs.stderr, "err 1\nerr 2\nerr 3\nerr 4\n");
}

#[test]
fn a_server_that_ends_writes_down_how_its_jobs_ended() {
    let mut server = TestServer::start();
    let job = detached(&server, &["-c", "trap '' TERM; seq 1 50000; sleep 600"]);
    crate::until(&server, "written", |job| job["stdout"] == 288_894);
    server.stop();
    server.begin_again();
    let waited = redial(&["wait", "--json", &job]);
    let outcome: serde_json::Value = serde_json::from_slice(&waited.stdout).unwrap();
    assert_eq!(outcome["cause"], "server-ended");
    assert_eq!(redial(&["logs", &job]).stdout.len(), 288_894);
}

#[test]
fn when_keeper_and_front_are_killed_the_records_stay_and_what_ran_is_unknown() {
    let mut server = TestServer::start();
    let ended = detached(&server, &["-c", BOTH]);
    assert_eq!(redial(&["wait", &ended]).code, 3);
    let running = detached(&server, &["-c", "echo out; setsid sleep 600 & sleep 600"]);
    crate::until(&server, "ended", |job| job["state"] == "ended");
    let written = eventually(|| {
        let json = printed(&["ps", "--json", &server.target()]);
        let is_it = |it: &serde_json::Value| it["state"] == "running" && it["stdout"] == 4;
        let mut jobs = json.lines().map(|it| serde_json::from_str(it).unwrap());
        jobs.any(|it| is_it(&it)).then_some(())
    });
    assert!(written.is_some());
    let left = descendants(server.pid());
    server.kill_all();
    server.begin_again();
    assert_eq!(redial(&["wait", &ended]).code, 3);
    let waited = redial(&["wait", "--json", &running]);
    let outcome: serde_json::Value = serde_json::from_slice(&waited.stdout).unwrap();
    assert_eq!((waited.code, &outcome["status"]), (125, &"unknown".into()));
    assert_eq!(redial(&["logs", &running]).stdout, b"out\n");
    if exact() {
        let gone = eventually(|| left.iter().all(|it| !it.lives()).then_some(()));
        assert!(gone.is_some(), "left running: {left:?}");
    } else {
        skip("that nothing runs on without its keeper: no cgroup can be made here");
        left.iter().for_each(Process::end);
    }
}

/// Whether a job's processes can be ended for certain here.
fn exact() -> bool {
    let server = TestServer::start();
    let ran = server.run().args(["--json", "true"]).ran();
    String::from_utf8(ran.stdout)
        .unwrap()
        .contains(r#""cancel":"exact""#)
}

#[test]
fn a_torn_or_foreign_record_is_set_aside_and_the_others_are_served() {
    let mut server = TestServer::start();
    let jobs = [(); 2].map(|()| detached(&server, &["-c", BOTH]));
    for job in &jobs {
        assert_eq!(redial(&["wait", job]).code, 3);
    }
    server.stop();
    let name = jobs[0].rsplit_once('/').unwrap().1;
    let record = server.kept().join(format!("{name}.job"));
    let bytes = fs::read(&record).unwrap();
    fs::write(&record, &bytes[..bytes.len() / 2]).unwrap();
    fs::write(server.kept().join("foreign.job"), "hello").unwrap();
    server.begin_again();
    assert_eq!(printed(&["ps", "-q", &server.target()]).trim_end(), jobs[1]);
    assert!(server.kept().join(format!("{name}.aside")).exists());
    assert!(server.kept().join("foreign.aside").exists());
}
