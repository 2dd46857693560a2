//! What was done is on record: who came in, what ran and how it ended, or it did not run.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod network;

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::server::{TestServer, front};
use support::{Redial, eventually, finish};
use tempfile::TempDir;

/// A directory for an audit, and the server's arguments for it.
fn audit(more: &[&str]) -> (TempDir, PathBuf, TestServer) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    let file = dir.path().join("log/audit");
    let server = TestServer::with(&[&["--audit", file.to_str().unwrap()], more].concat());
    (dir, file, server)
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    assert!(
        text.is_ascii() && (text.is_empty() || text.ends_with('\n')),
        "{text:?}"
    );
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Those of one kind, as soon as there are so many.
fn events(file: &Path, kind: &str, count: usize) -> Vec<Value> {
    let found = eventually(|| {
        let mut found = lines(file);
        found.retain(|line| line["event"] == kind);
        (found.len() >= count).then_some(found)
    });
    let found = found.unwrap_or_else(|| panic!("{kind}: {:?}", lines(file)));
    assert_eq!(found.len(), count, "{found:?}");
    found
}

#[test]
fn a_command_has_a_line_before_it_runs_and_one_when_it_has_ended() {
    let (_dir, file, server) = audit(&[]);
    // It sees its own line.
    let look = format!("cat {}; exit 3", file.display());
    let ran = server.run().args(["-n", "-c", &look]).ran();
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let seen: Vec<Value> = String::from_utf8(ran.stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let start = seen.last().unwrap();
    assert_eq!(
        (&start["event"], &start["shell"]),
        (&"start".into(), &look.as_str().into())
    );
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(
        (&start["uid"], &start["detached"]),
        (&uid.into(), &false.into())
    );
    let ended = &events(&file, "end", 1)[0];
    assert_eq!(
        (&ended["status"], &ended["code"]),
        (&"exited".into(), &3.into())
    );
    assert_eq!(ended["stdout"]["bytes"], ran.stdout.len());
    assert_eq!(
        (&ended["job"], &ended["cause"]),
        (&start["job"], &"itself".into())
    );
    // The first was that of the test, which waits until the server accepts.
    let login = &events(&file, "login", 2)[1];
    assert_eq!(
        (&login["result"], &login["uid"]),
        (&"accepted".into(), &uid.into())
    );
}

#[test]
fn an_end_says_who_cancelled_and_why_there_was_no_process() {
    let (_dir, file, server) = audit(&[]);
    let child = server
        .run()
        .args(["-n", "-c", "echo up; exec sleep 600"])
        .spawn();
    let start = &events(&file, "start", 1)[0];
    let job = format!("{}/{}", server.target(), start["job"].as_str().unwrap());
    let killed = eventually(|| (Redial::bare(["kill", &job]).ran().code == 0).then_some(()));
    assert!(killed.is_some());
    finish(child, std::time::Instant::now());
    let act = &events(&file, "act", 1)[0];
    assert_eq!(
        (&act["action"], &act["result"], &act["signal"], &act["job"]),
        (&"signal".into(), &"done".into(), &15.into(), &start["job"])
    );
    let ended = &events(&file, "end", 1)[0];
    assert_eq!(
        (&ended["status"], &ended["signal"]),
        (&"signaled".into(), &15.into())
    );
    assert_eq!(
        server
            .run()
            .args(["-n", "--", "no-such-program"])
            .ran()
            .code,
        127
    );
    let ended = &events(&file, "end", 2)[1];
    assert_eq!(ended["status"], "not-started");
    assert!(
        ended["reason"].as_str().unwrap().contains("No such file"),
        "{ended}"
    );
    let deadline = server
        .run()
        .args(["-n", "--deadline", "0.1s", "--", "sleep", "600"])
        .ran();
    assert_eq!(deadline.code, 124);
    assert_eq!(events(&file, "end", 3)[2]["cause"], "deadline");
}

#[test]
fn after_a_rename_the_next_line_goes_to_a_new_file_and_nothing_is_told_to_do_so() {
    let (dir, file, server) = audit(&[]);
    assert_eq!(server.run().args(["-n", "--", "true"]).ran().code, 0);
    events(&file, "end", 1);
    let old = dir.path().join("log/audit.1");
    fs::rename(&file, &old).unwrap();
    assert_eq!(server.run().args(["-n", "--", "false"]).ran().code, 1);
    assert_eq!(events(&file, "end", 1)[0]["code"], 1);
    events(&old, "end", 1);
}

#[test]
fn what_cannot_be_written_down_does_not_run() {
    let (dir, file, server) = audit(&[]);
    let (log, away, ran) = (
        dir.path().join("log"),
        dir.path().join("away"),
        dir.path().join("ran"),
    );
    let go = dir.path().join("go");
    let text = format!(
        "while ! [ -e {} ]; do sleep 0.01; done; exit 4",
        go.display()
    );
    let mut waits = server.run().args(["-n", "-c", &text]).spawn();
    events(&file, "start", 1);
    fs::rename(&log, &away).unwrap();
    for how in [&["-n"][..], &["-n", "--detach"]] {
        let refused = server
            .run()
            .args(how)
            .args(["--", "touch", ran.to_str().unwrap()])
            .ran();
        assert_eq!(refused.code, 125, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("audit cannot be written"),
            "{}",
            refused.stderr
        );
    }
    // Where it is, is not the client's to know.
    let log_file = file.to_str().unwrap();
    let refused = server.run().args(["-n", "--", "true"]).ran();
    assert!(!refused.stderr.contains(log_file), "{}", refused.stderr);
    assert!(!ran.exists());
    // What runs goes on, and its end is written when it can be.
    fs::write(&go, "").unwrap();
    assert_eq!(support::wait(&mut waits), 4);
    fs::rename(&away, &log).unwrap();
    assert_eq!(events(&file, "end", 1)[0]["code"], 4);
    assert_eq!(
        server
            .run()
            .args(["-n", "--", "touch", ran.to_str().unwrap()])
            .ran()
            .code,
        0
    );
    assert!(ran.exists());
    events(&file, "start", 2);
}

#[test]
fn with_best_effort_it_runs_and_is_written_when_it_can_be() {
    let (dir, file, server) = audit(&["--audit-best-effort"]);
    let (log, away) = (dir.path().join("log"), dir.path().join("away"));
    fs::rename(&log, &away).unwrap();
    assert_eq!(server.run().args(["-n", "--", "false"]).ran().code, 1);
    fs::rename(&away, &log).unwrap();
    assert_eq!(events(&file, "end", 1)[0]["code"], 1);
    events(&file, "start", 1);
}

#[test]
fn a_server_whose_audit_cannot_be_opened_does_not_start_unless_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}/s", dir.path().display());
    let file = dir.path().join("none/audit");
    let serve = |more: &[&str]| {
        let args = [
            "serve",
            "--listen",
            &socket,
            "--audit",
            file.to_str().unwrap(),
        ];
        Redial::bare([&args, more].concat()).env("REDIAL_STATE_DIR", dir.path())
    };
    let ran = serve(&[]).ran();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    let line = ran.stderr.lines().last().unwrap();
    assert!(
        line.contains("none/audit") && line.contains("--audit-best-effort"),
        "{line}"
    );
    let ran = Redial::bare(["serve", "--listen", &socket, "--audit-argv", "hash"]).ran();
    assert!(
        ran.code == 125 && ran.stderr.contains("--audit FILE"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_audit_goes_on_over_an_upgrade_and_names_what_its_server_left() {
    let (_dir, file, mut server) = audit(&[]);
    let go = file.with_file_name("go");
    let text = format!(
        "while ! [ -e {} ]; do sleep 0.01; done; exit 5",
        go.display()
    );
    let started = server.run().args(["-n", "--detach", "-c", &text]).ran();
    assert_eq!(started.code, 0, "{}", started.stderr);
    let before = front(server.pid());
    kill_process(
        Pid::from_raw(server.pid().cast_signed()).unwrap(),
        Signal::HUP,
    )
    .unwrap();
    assert!(eventually(|| (front(server.pid()) != before).then_some(())).is_some());
    fs::write(&go, "").unwrap();
    assert_eq!(events(&file, "end", 1)[0]["code"], 5);
    let running = server
        .run()
        .args(["-n", "--detach", "--", "sleep", "600"])
        .ran();
    assert_eq!(running.code, 0, "{}", running.stderr);
    let left = support::processes::descendants(server.pid());
    server.kill_all();
    server.begin_again();
    let ended = events(&file, "end", 2);
    let start = &events(&file, "start", 2)[1];
    assert_eq!(
        (&ended[1]["status"], &ended[1]["job"]),
        (&"unknown".into(), &start["job"])
    );
    left.iter().for_each(support::processes::Process::end);
}

#[test]
fn terminals_and_login_shells_are_told_and_recorded_behind_their_line() {
    let dir_of_casts = tempfile::tempdir().unwrap();
    let casts = dir_of_casts.path().join("casts");
    let (_dir, file, server) = audit(&["--record", casts.to_str().unwrap()]);
    assert_eq!(server.run().args(["-tn", "--", "true"]).ran().code, 0);
    let shell = Redial::bare(["shell", &server.target()]).input("exit 4");
    assert_eq!(shell.ran().code, 4);
    let started = events(&file, "start", 2);
    assert_eq!(started[0]["terminal"], true);
    assert_eq!(started[0]["argv"], serde_json::json!(["true"]));
    assert_eq!(started[1].get("terminal"), None);
    assert_eq!(started[1]["login"], true);
    let names = fs::read_dir(&casts).unwrap();
    let names: Vec<_> = names.map(|it| it.unwrap().file_name()).collect();
    let job = started[0]["job"].as_str().unwrap();
    assert!(names.len() == 1 && names[0].to_str().unwrap().contains(job));
    // Without a recording nothing runs, and that is on record too.
    fs::remove_dir_all(&casts).unwrap();
    fs::write(&casts, "").unwrap();
    let ran = server.run().args(["-tn", "--", "true"]).ran();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    let ended = events(&file, "end", 3);
    assert_eq!(ended[2]["status"], "not-started");
    let reason = ended[2]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot record"), "{reason}");
}
