//! Readers of a job: any number that read along, one that holds it.

use std::io::{BufRead, BufReader, Read, Write};

use crate::support::server::TestServer;
use crate::support::{Redial, finish, wait};
use crate::{BOTH, detached, printed, redial, until};

#[test]
fn logs_come_in_the_order_in_which_they_were_written() {
    let server = TestServer::start();
    let slowly = "for i in 1 2 3; do echo out $i; sleep 0.05; echo err $i >&2; sleep 0.05; done";
    let job = detached(&server, &["-c", slowly]);
    assert_eq!(redial(&["wait", &job]).code, 0);
    let lines = printed(&["logs", "--json", &job]);
    let order: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|it| it["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(order.concat(), "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n");
}

#[test]
fn one_output_or_the_last_lines_or_an_offset_can_be_asked_for() {
    let server = TestServer::start();
    let job = detached(&server, &["-c", BOTH]);
    assert_eq!(redial(&["wait", &job]).code, 3);
    let of = |arguments: &[&str]| {
        let ran = redial(&[&["logs"], arguments, &[&*job]].concat());
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        (String::from_utf8(ran.stdout).unwrap(), ran.stderr)
    };
    let (out, err) = (
        "out 1\nout 2\nout 3\nout 4\n",
        "err 1\nerr 2\nerr 3\nerr 4\n",
    );
    assert_eq!(of(&["--stdout"]), (out.into(), String::new()));
    assert_eq!(of(&["--stderr"]), (String::new(), err.into()));
    assert_eq!(
        of(&["--from", "12,18"]),
        (out[12..].into(), err[18..].into())
    );
    assert_eq!(of(&["--stdout", "--tail", "2"]).0, &out[12..]);
    let (tail_out, tail_err) = of(&["--tail", "3"]);
    assert_eq!(tail_out.lines().count() + tail_err.lines().count(), 3);
    assert_eq!(of(&["--tail", "0"]), (String::new(), String::new()));
    assert_eq!(of(&["--tail", "99"]), (out.into(), err.into()));
}

#[test]
fn the_last_lines_are_found_however_long_they_are() {
    let server = TestServer::start();
    let long = "head -c 300000 /dev/zero | tr '\\0' x";
    let text = format!("seq 1 1000; for i in 1 2 3; do {long}; echo; done; echo end");
    let job = detached(&server, &["-c", &text]);
    assert_eq!(redial(&["wait", &job]).code, 0);
    let tail = printed(&["logs", "--tail", "3", &job]);
    let lines: Vec<usize> = tail.lines().map(str::len).collect();
    assert_eq!(lines, [300_000, 300_000, 3]);
}

#[test]
fn several_read_along_and_hold_nothing_back() {
    let server = TestServer::start();
    let mut holder = server
        .run()
        .args([
            "-c",
            "echo up; while read line; do echo got $line; done; exit 6",
        ])
        .spawn();
    let mut stdin = holder.stdin.take().unwrap();
    let mut seen = BufReader::new(holder.stdout.take().unwrap());
    let mut line = String::new();
    seen.read_line(&mut line).unwrap();
    let name = printed(&["ps", "-q", &server.target()]);
    let along = |from| Redial::bare(["attach", "--from", from, name.trim_end()]).spawn();
    let began = std::time::Instant::now();
    let readers = [along("now"), along("now"), along("start")];
    until(&server, "read", |job| job["readers"] == 4);
    writeln!(stdin, "hello").unwrap();
    drop(stdin);
    let mut rest = String::new();
    seen.read_to_string(&mut rest).unwrap();
    assert_eq!((wait(&mut holder), &*rest), (6, "got hello\n"));
    for reader in readers {
        let ran = finish(reader, began);
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(text.ends_with("got hello\n"), "{text}");
        // What its holder has acknowledged, whoever came later is told of.
        assert!(ran.code == 6 && (ran.stderr.is_empty() || ran.stderr.contains("are gone")));
    }
}

#[test]
fn whoever_reads_along_too_slowly_loses_a_part_and_is_told_which() {
    let server = TestServer::start();
    let text = "echo up; read x; head -c 60000000 /dev/zero; echo end; exit 6";
    let mut holder = server.run().args(["-c", text]).spawn();
    let mut stdin = holder.stdin.take().unwrap();
    let mut seen = holder.stdout.take().unwrap();
    let mut line = [0; 3];
    seen.read_exact(&mut line).unwrap();
    let name = printed(&["ps", "-q", &server.target()]);
    let began = std::time::Instant::now();
    let slow = Redial::bare(["attach", name.trim_end()]).spawn();
    until(&server, "read", |job| job["readers"] == 2);
    let pid = rustix::process::Pid::from_child(&slow);
    let signal = |signal| rustix::process::kill_process(pid, signal).unwrap();
    signal(rustix::process::Signal::STOP);
    stdin.write_all(b"go\n").unwrap();
    let mut rest = Vec::new();
    seen.read_to_end(&mut rest).unwrap();
    assert_eq!(
        (wait(&mut holder), rest.len()),
        (6, 60_000_004),
        "nobody slows it down"
    );
    signal(rustix::process::Signal::CONT);
    let ran = finish(slow, began);
    let len = ran.stdout.len();
    assert!(
        ran.code == 125 && len < 60_000_004,
        "{}: {len} bytes",
        ran.code
    );
    let named = ran.stderr.contains("note: bytes ") && ran.stderr.contains("of stdout are gone");
    assert!(named, "{}", ran.stderr);
}

#[test]
fn a_place_behind_the_end_of_one_output_is_its_end() {
    let server = TestServer::start();
    let job = detached(&server, &["-c", "echo onlyout; echo more"]);
    assert_eq!(redial(&["wait", &job]).code, 0);
    for command in ["logs", "attach"] {
        let ran = redial(&[command, "--from", "8", &job]);
        let said = (ran.code, &ran.stdout[..], &*ran.stderr);
        assert_eq!(said, (0, &b"more\n"[..], ""), "{command}");
    }
    let ran = redial(&["logs", "--from", "99", &job]);
    assert_eq!((ran.code, &ran.stdout[..]), (0, &b""[..]));
}

#[test]
fn whoever_only_reads_leaves_when_nobody_reads_it_any_more() {
    let server = TestServer::start();
    let text = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done";
    let job = detached(&server, &["-c", text]);
    for arguments in [&["logs", "-f"][..], &["attach"], &["attach", "--json"]] {
        let mut reader = Redial::bare(arguments.iter().chain(&[&*job])).spawn();
        let mut line = [0; 5];
        reader.stdout.take().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(wait(&mut reader), 0, "{arguments:?}");
    }
    assert_eq!(redial(&["rm", "-f", &job]).code, 0, "it went on meanwhile");
}

#[test]
fn offsets_in_json_are_those_of_the_job_wherever_it_is_read_from() {
    let server = TestServer::start();
    let tail = ["--keep-output", "200KiB", "--keep-output-policy", "tail"];
    let text = "seq 1 100000; echo last >&2";
    let job = detached(&server, &[&tail[..], &["-c", text]].concat());
    assert_eq!(redial(&["wait", &job]).code, 0);
    let events = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let ran = redial(&[arguments, &["--json", &job]].concat());
        let text = String::from_utf8(ran.stdout).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all: u64 = (1..=100_000_u64)
        .map(|i| format!("{i}\n").len() as u64)
        .sum();
    for arguments in [&["logs", "--tail", "3"][..], &["logs"]] {
        let events = events(arguments);
        let of_stdout = |it: &&serde_json::Value| it["event"] == "stdout";
        let mut at = events.iter().find(of_stdout).unwrap()["offset"]
            .as_u64()
            .unwrap();
        assert!(at > 100_000, "{at}");
        for event in events.iter().filter(of_stdout) {
            assert_eq!(event["offset"], at);
            at += event["bytes"].as_u64().unwrap();
        }
        assert_eq!(at, all);
    }
    // Of stderr too, where that was read before much of stdout.
    let whole = events(&["logs"]);
    let of_stdout = |event: &str| {
        let is_it = |it: &&serde_json::Value| match event {
            "missed" => it["event"] == "missed" && it["stream"] == "stdout",
            event => it["event"] == event,
        };
        whole.iter().find(is_it).unwrap()
    };
    let missed = of_stdout("missed");
    assert_eq!(
        (&missed["from"], &missed["to"]),
        (&0.into(), &of_stdout("stdout")["offset"])
    );
}

/// Numbered lines, of which some are gone: each byte is here or named, and none is another's.
fn check_numbers(text: &[u8], notes: &str, last: u64) {
    let expected: Vec<u8> = (1..=last)
        .flat_map(|i| format!("{i}\n").into_bytes())
        .collect();
    let (mut read, mut at) = (0, 0);
    let gone = notes.lines().filter(|line| line.ends_with(" are gone"));
    let numbers = gone.map(|line| {
        let words = line
            .split(' ')
            .filter_map(|word| word.parse::<usize>().ok());
        let [from, to] = words.collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        (from, to)
    });
    for (from, to) in numbers.chain([(expected.len(), expected.len())]) {
        let len = from - at;
        assert!(
            text[read..read + len] == expected[at..from],
            "{at} to {from}"
        );
        (read, at) = (read + len, to);
    }
    assert_eq!(read, text.len());
}

#[test]
fn whoever_reads_a_tail_too_slowly_is_told_of_every_gap_and_reads_on() {
    let server = TestServer::start();
    let tail = ["--keep-output", "200KiB", "--keep-output-policy", "tail"];
    let go = server.socket().with_file_name("go");
    let text = format!(
        "seq 1 500000; until [ -e {} ]; do sleep 0.01; done; seq 500001 2000000",
        go.display()
    );
    let job = detached(&server, &[&tail[..], &["-c", &text]].concat());
    let mut reader = Redial::bare(["logs", "-f", "--from", "start", &job]).spawn();
    let mut stdout = reader.stdout.take().unwrap();
    let mut read = vec![0; 1000];
    stdout.read_exact(&mut read).unwrap();
    std::fs::write(&go, "").unwrap();
    assert_eq!(redial(&["wait", &job]).code, 0);
    stdout.read_to_end(&mut read).unwrap();
    let mut notes = String::new();
    let mut stderr = reader.stderr.take().unwrap();
    stderr.read_to_string(&mut notes).unwrap();
    wait(&mut reader);
    assert!(notes.contains(" are gone"), "{notes}");
    check_numbers(&read, &notes, 2_000_000);
}

#[test]
fn a_job_is_taken_with_its_stdin_and_whoever_held_it_is_told() {
    let server = TestServer::start();
    let mut former = server.run().args(["-c", "echo up; cat; exit 8"]).spawn();
    let mut stdin = former.stdin.take().unwrap();
    stdin.write_all(b"one\n").unwrap();
    let mut seen = BufReader::new(former.stdout.take().unwrap());
    let mut lines = String::new();
    while lines != "up\none\n" {
        assert_ne!(seen.read_line(&mut lines).unwrap(), 0);
    }
    let name = printed(&["ps", "-q", &server.target()]);
    let taken = Redial::bare(["attach", "--take", name.trim_end()]);
    let taken = taken.input("two\n").ran();
    assert_eq!((taken.code, &*taken.stderr), (8, ""));
    assert_eq!(taken.stdout, b"two\n");
    assert_eq!(wait(&mut former), 125);
    let said = crate::support::said(&mut former);
    assert!(said.contains("another client took this job"), "{said}");
    drop(stdin);
}

#[test]
fn whoever_reads_along_and_leaves_leaves_the_job_alone() {
    let server = TestServer::start();
    let job = detached(&server, &["-c", "echo up; sleep 600"]);
    let mut reader = Redial::bare(["attach", "--from", "start", &job]).spawn();
    let mut seen = BufReader::new(reader.stdout.take().unwrap());
    let mut line = String::new();
    seen.read_line(&mut line).unwrap();
    let pid = rustix::process::Pid::from_child(&reader);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(wait(&mut reader), 130);
    until(&server, "running", |job| {
        job["state"] == "running" && job["readers"] == 0
    });
    assert_eq!(redial(&["rm", "-f", &job]).code, 0);
}
