//! `run --json`: real output of every kind of end, held against the schema and against
//! what the command did.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::io::{Read, Write};

use std::time::Instant;

use serde_json::Value;
use support::processes::{mark, marked, none_left};
use support::server::{TestServer, kill_front, terminate};
use support::{Ran, Redial, eventually, finish, noise};

fn json(target: &str, args: &[&str]) -> Redial {
    Redial::run(target).args(["--json"]).args(args)
}

/// Its events.
fn events(ran: &Ran) -> Vec<Value> {
    let text = std::str::from_utf8(&ran.stdout).unwrap();
    assert!(text.ends_with('\n'), "{text:?} {}", ran.stderr);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Its last event, and that this is the only outcome and has our exit code.
fn outcome(ran: &Ran) -> Value {
    let mut events = events(ran);
    let outcome = events.pop().unwrap();
    assert_eq!(outcome["event"], "outcome");
    assert_eq!(outcome["exit_code"], ran.code, "{outcome}");
    assert!(events.iter().all(|event| event["event"] != "outcome"));
    outcome
}

/// All bytes of a stream, which follow each other without a gap.
fn stream(events: &[Value], name: &str) -> Vec<u8> {
    use base64::Engine as _;
    let mut bytes = Vec::new();
    for event in events.iter().filter(|event| event["event"] == name) {
        assert_eq!(event["offset"], bytes.len(), "{event}");
        match (&event["text"], &event["base64"]) {
            (Value::String(text), Value::Null) => bytes.extend_from_slice(text.as_bytes()),
            (Value::Null, Value::String(text)) => {
                let engine = base64::engine::general_purpose::STANDARD;
                bytes.extend(engine.decode(text).unwrap());
            }
            _ => panic!("{event}"),
        }
        assert_eq!(
            event["offset"].as_u64().unwrap() + event["bytes"].as_u64().unwrap(),
            bytes.len() as u64
        );
    }
    bytes
}

/// A run of every kind of end there is here.
fn many_kinds() -> Vec<Ran> {
    let server = TestServer::start();
    let unix = server.target();
    let mark = mark();
    let sh = |text: &str| json("local:", &["-n", "-c", text]).ran();
    let background = format!("sleep {mark} & echo done");
    let mut ran = vec![
        sh("true"),
        sh("echo out; echo err >&2; exit 125"),
        sh("kill -9 $$"),
        sh("printf '\\377\\0'; printf 'é\\n'"),
        json(&unix, &["-n", "--drain", "0", "-c", &background]).ran(),
        json(&unix, &["-n", "--deadline", "100ms", "--", "sleep", "60"]).ran(),
        json("local:", &["-n", "--", "/nonexistent"]).ran(),
        json("local:", &["-n", "--", "/etc/passwd"]).ran(),
        json("local:", &["-n", "--cwd", "/nonexistent", "--", "true"]).ran(),
        json("unix:/nonexistent/r.sock", &["-n", "--", "true"]).ran(),
        json("local:", &["-n", "--on-drop", "keep", "--", "true"]).ran(),
        json("local:", &["-n", "--on-drop", "never", "--", "true"]).ran(),
        json("local:", &["--charset", "gbk", "--", "cat"])
            .input("电话→é\n")
            .ran(),
        json("exec:exit 7", &["-n", "--", "true"]).ran(),
    ];
    marked(&mark)
        .iter()
        .for_each(|process| terminate(process.pid));
    ran.push(whose_front_was_killed());
    ran.push(ended_by_its_server());
    ran.push(interrupted());
    ran
}

fn up(child: &mut std::process::Child) {
    let mut said = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    while !said.ends_with(b"\"up\\n\"}\n") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
}

fn whose_front_was_killed() -> Ran {
    let server = TestServer::start();
    let mut child = json(&server.target(), &["-c", "echo up; cat"]).spawn();
    let stdin = child.stdin.take().unwrap();
    up(&mut child);
    kill_front(server.pid());
    let mut said = Vec::new();
    let stdout = child.stdout.as_mut().unwrap();
    while !said.ends_with(b"}\n") || !said.windows(6).any(|it| it == b"\"back\"") {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    drop(stdin);
    let rest = finish(child, Instant::now());
    Ran {
        stdout: [said, rest.stdout].concat(),
        ..rest
    }
}

#[test]
fn a_line_that_drops_and_is_back_is_two_events() {
    let events = events(&whose_front_was_killed());
    let names: Vec<&str> = events
        .iter()
        .filter_map(|it| it["event"].as_str())
        .collect();
    assert_eq!(names, ["dropped", "back", "exited", "outcome"]);
    assert!(events[1]["after_ms"].as_u64().is_some_and(|ms| ms < 5_000));
}

fn ended_by_its_server() -> Ran {
    let mut server = TestServer::start();
    let mut child = json(&server.target(), &["-n", "-c", "echo up; exec sleep 60"]).spawn();
    up(&mut child);
    server.stop();
    finish(child, Instant::now())
}

fn interrupted() -> Ran {
    let mut child = json("local:", &["-n", "-c", "echo up; exec sleep 60"]).spawn();
    up(&mut child);
    terminate(child.id());
    finish(child, Instant::now())
}

#[test]
fn every_line_of_every_kind_of_end_fits_the_schema() {
    let lines: Vec<u8> = many_kinds()
        .into_iter()
        .flat_map(|ran| ran.stdout)
        .collect();
    support::schema::all_fit(&lines, "every_line_of_every_kind_of_end_fits_the_schema");
}

#[test]
fn each_kind_of_end_says_status_and_whose_fault_it_was() {
    let expected = [
        (0, "exited", ""),
        (125, "exited", ""),
        (137, "signaled", ""),
        (0, "exited", ""),
        (0, "exited", ""),
        (124, "signaled", ""),
        (127, "not-started", ""),
        (126, "not-started", ""),
        (125, "not-started", "spawn"),
        (125, "not-started", "connect"),
        (125, "not-started", "refused"),
        (125, "not-started", "usage"),
        (0, "exited", ""),
        (125, "not-started", "connect"),
        (0, "exited", ""),
        (125, "signaled", "server-ended"),
        (143, "signaled", ""),
    ];
    let all = many_kinds();
    assert_eq!(all.len(), expected.len());
    for (ran, (code, status, kind)) in all.iter().zip(expected) {
        let outcome = outcome(ran);
        let said = outcome["error"]["kind"].as_str().unwrap_or_default();
        let is = (ran.code, outcome["status"].as_str().unwrap(), said);
        assert_eq!(is, (code, status, kind), "{outcome} {}", ran.stderr);
        if !kind.is_empty() {
            let message = outcome["error"]["message"].as_str().unwrap();
            assert!(ran.stderr.contains(message), "{message}: {}", ran.stderr);
        }
    }
    let last = outcome(&all[16]);
    assert_eq!(
        (&last["interrupted"], &last["cause"]),
        (&true.into(), &"cancelled".into())
    );
    assert!(
        last["cancel"].is_string() && last["cancelled_by"].is_string(),
        "{last}"
    );
    // Its name is still the shell's if it has not come to its exec yet.
    let held = outcome(&all[4]);
    assert!(held["holders"][0]["pid"].is_u64(), "{held}");
    assert_eq!(held["lingering"], 1);
    let deadline = outcome(&all[5]);
    assert_eq!(
        (&deadline["cause"], &deadline["signal"]),
        (&"deadline".into(), &15.into())
    );
}

#[test]
fn events_come_in_order_and_carry_what_was_written() {
    let ran = json("local:", &["-n", "-c", "echo out; echo err >&2; exit 3"]).ran();
    let events = events(&ran);
    assert_eq!(events[0]["event"], "started");
    assert_eq!(events[0]["host"], "local:");
    assert_eq!(stream(&events, "stdout"), b"out\n");
    assert_eq!(stream(&events, "stderr"), b"err\n");
    let exited = events
        .iter()
        .find(|event| event["event"] == "exited")
        .unwrap();
    assert_eq!(exited["code"], 3);
    let outcome = outcome(&ran);
    assert_eq!(outcome["job"], events[0]["job"]);
    assert_eq!(
        (&outcome["code"], &outcome["stdout"]["bytes"]),
        (&3.into(), &4.into())
    );
    assert!(ran.stderr.is_empty(), "{}", ran.stderr);
}

#[test]
fn text_stays_text_and_noise_comes_back_byte_for_byte() {
    let text = "目录 😀 ".repeat(40_000);
    let ran = json("local:", &["--", "cat"]).input(text.clone()).ran();
    let all = events(&ran);
    assert!(all.iter().all(|event| event["base64"].is_null()));
    assert!(stream(&all, "stdout") == text.as_bytes());
    let seed = 7_u64;
    println!("seed {seed}");
    let bytes = noise(seed, 3_000_000);
    let ran = json("local:", &["--", "cat"]).input(bytes.clone()).ran();
    assert!(stream(&events(&ran), "stdout") == bytes);
    assert_eq!(outcome(&ran)["stdout"]["bytes"], 3_000_000);
}

#[test]
fn a_reader_that_stalls_stalls_the_command_and_memory_stays_bounded() {
    let mut child = json(
        "local:",
        &["-n", "--", "head", "-c", "50000000", "/dev/zero"],
    )
    .spawn();
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0];
    stdout.read_exact(&mut byte).unwrap();
    let resident = support::memory::kib(&[child.id()]);
    assert!(resident < 64 * 1024, "{resident} KiB");
    let mut rest = byte.to_vec();
    stdout.read_to_end(&mut rest).unwrap();
    let lines = rest
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    let bytes = lines
        .map(|line| serde_json::from_slice::<Value>(line).unwrap())
        .filter(|event| event["event"] == "stdout")
        .map(|event| event["bytes"].as_u64().unwrap());
    assert_eq!(bytes.sum::<u64>(), 50_000_000);
    assert_eq!(support::wait(&mut child), 0);
}

#[test]
fn our_closed_stdout_ends_the_command_as_without_json() {
    let mark = mark();
    let mut child = json("local:", &["-n", "-c", &format!("exec yes {mark}")]).spawn();
    let mut byte = [0];
    child.stdout.take().unwrap().read_exact(&mut byte).unwrap();
    assert_eq!(support::wait(&mut child), 141);
    assert!(none_left(&mark));
}

#[test]
fn who_leaves_a_job_is_told_so_in_json_too() {
    let text = "trap '' INT TERM; echo up; while :; do sleep 0.05; done";
    let mut child = json("local:", &["-n", "--", "sh", "-c", text]).spawn();
    up(&mut child);
    terminate(child.id());
    // The second signal is heard only behind the first: wait for what that has said.
    let mut stderr = child.stderr.take().unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    child.stderr = Some(stderr);
    terminate(child.id());
    let ran = finish(child, Instant::now());
    let outcome = outcome(&ran);
    assert_eq!(
        (ran.code, &outcome["error"]["kind"]),
        (143, &"left".into()),
        "{outcome}"
    );
    assert_eq!(outcome["status"], "unknown");
}

#[test]
fn a_line_is_there_as_soon_as_the_command_has_written() {
    let mut child = json("local:", &["--", "cat"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"up\n").unwrap();
    // It returns though the command still runs.
    up(&mut child);
    assert!(eventually(|| child.try_wait().unwrap().is_none().then_some(())).is_some());
    drop(stdin);
    assert_eq!(outcome(&finish(child, Instant::now()))["code"], 0);
}
