//! Output that goes to a file: all of it, or as much as was agreed on.

use std::fs;

use crate::support::cutting::Cutting;
use crate::support::network::NetworkServer;
use crate::support::server::{TestServer, kill_front};
use crate::support::{Redial, eventually, wait};
use crate::{BOTH, detached, printed, redial, until};

#[test]
fn a_detached_job_outlives_its_client_and_all_of_it_can_be_had_later() {
    let server = TestServer::start();
    let job = detached(&server, &["-c", "seq 1 300000; echo done >&2; exit 7"]);
    let waited = redial(&["wait", &job]);
    assert_eq!((waited.code, &*waited.stdout), (7, &b""[..]));
    let expected: String = (1..=300_000).map(|i| format!("{i}\n")).collect();
    for _ in 0..2 {
        let logs = redial(&["logs", &job]);
        assert_eq!((logs.code, &*logs.stderr), (0, "done\n"));
        assert!(logs.stdout == expected.as_bytes());
    }
    let attached = redial(&["attach", "--from", "start", &job]);
    assert_eq!(attached.code, 7);
    assert!(attached.stdout == expected.as_bytes());
}

#[test]
fn what_cannot_be_started_is_told_at_once_and_leaves_nothing() {
    let server = TestServer::start();
    let ran = server
        .run()
        .args(["--detach", "--", "no-such-program"])
        .ran();
    assert_eq!(ran.code, 127);
    assert!(ran.stderr.contains("no-such-program"), "{}", ran.stderr);
    assert_eq!(printed(&["ps", "-q", &server.target()]), "");
    let gone = eventually(|| {
        let mut left = fs::read_dir(server.kept()).unwrap();
        let is_of_a_job = |name: &str| name.ends_with(".job") || name.ends_with(".log");
        left.all(|it| !is_of_a_job(it.unwrap().file_name().to_str().unwrap()))
            .then_some(())
    });
    assert!(gone.is_some());
}

#[test]
fn when_as_much_is_kept_as_may_be_the_command_waits() {
    let server = TestServer::start();
    let job = detached(
        &server,
        &[
            "--keep-output",
            "200KiB",
            "-c",
            "head -c 30000000 /dev/zero",
        ],
    );
    until(&server, "full", |job| !job["stalled"].is_null());
    let table = printed(&["ps", &server.target()]);
    assert!(table.contains('!') && table.contains("running"), "{table}");
    let logs = redial(&["logs", &job]);
    assert_eq!((logs.code, &*logs.stderr), (0, ""));
    let kept = logs.stdout.len();
    assert!((150_000..=204_800).contains(&kept), "{kept}");
    assert_eq!(redial(&["kill", "-s", "KILL", &job]).code, 0);
    assert_eq!(redial(&["wait", &job]).code, 137);
}

#[test]
fn what_a_command_leaves_behind_for_a_full_file_is_given_up_and_that_is_said() {
    let server = TestServer::start();
    let full = ["--keep-output", "100KiB", "-c"];
    // The first has all of it in memory when it ends, the other leaves some in the pipe.
    for bytes in ["200000", "2150000"] {
        let text = format!("head -c {bytes} /dev/zero; exit 7");
        let job = detached(&server, &[&full[..], &[&text]].concat());
        let waited = redial(&["wait", "--json", &job]);
        assert_eq!(waited.code, 7, "{}", waited.stderr);
        let outcome = String::from_utf8(waited.stdout).unwrap();
        let outcome: serde_json::Value = serde_json::from_str(outcome.trim()).unwrap();
        assert_eq!(outcome["stdout"]["complete"], false, "{outcome}");
        let logs = redial(&["logs", &job]);
        assert!((80_000..=102_400).contains(&logs.stdout.len()));
        assert_eq!(redial(&["rm", &job]).code, 0);
    }
}

#[test]
fn with_tail_the_oldest_go_and_that_is_seen() {
    let server = TestServer::start();
    let tail = ["--keep-output", "200KiB", "--keep-output-policy", "tail"];
    let job = detached(&server, &[&tail[..], &["-c", "seq 1 1000000"]].concat());
    assert_eq!(redial(&["wait", &job]).code, 0);
    let logs = redial(&["logs", &job]);
    assert_eq!(logs.code, 0);
    assert!(
        logs.stderr.contains("of stdout are gone"),
        "{}",
        logs.stderr
    );
    let text = String::from_utf8(logs.stdout).unwrap();
    let (first, _) = text.split_once('\n').unwrap();
    // It may begin in the middle of a line.
    let rest = &text[first.len() + 1..];
    let second: u64 = rest.split_once('\n').unwrap().0.parse().unwrap();
    let expected: String = (second..=1_000_000).map(|i| format!("{i}\n")).collect();
    assert!(rest == expected && (100_000..400_000).contains(&text.len()));
    // Whoever asks for what went is told, and it is no success.
    let asked = redial(&["logs", "--from", "0", &job]);
    assert_eq!(asked.code, 125);
    assert!(asked.stderr.contains("bytes 0 to"), "{}", asked.stderr);
}

#[test]
fn all_jobs_together_keep_no_more_than_the_quota_and_go_on_when_there_is_room() {
    let server = TestServer::with(&["--keep-quota", "300KiB"]);
    let first = detached(&server, &["-c", "head -c 250000 /dev/zero"]);
    assert_eq!(redial(&["wait", &first]).code, 0);
    let second = detached(&server, &["-c", "head -c 200000 /dev/zero"]);
    let stalled = eventually(|| {
        let lines = printed(&["ps", "--json", &server.target()]);
        lines.contains("quota").then_some(())
    });
    assert!(stalled.is_some());
    assert_eq!(redial(&["rm", &first]).code, 0);
    assert_eq!(redial(&["wait", &second]).code, 0);
    assert_eq!(redial(&["logs", &second]).stdout.len(), 200_000);
}

#[test]
fn a_job_to_be_kept_goes_on_in_a_file_when_its_client_dies() {
    let server = TestServer::start();
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let text = format!(
        "seq 1 1000; while ! [ -e {} ]; do sleep 0.01; done; seq 1001 50000; exit 4",
        go.display()
    );
    let run = server.run().args(["--on-drop", "keep", "-n", "-c", &text]);
    let mut client = run.spawn();
    until(&server, "written", |job| {
        job["stdout"].as_u64() >= Some(3_893)
    });
    client.kill().unwrap();
    assert_eq!(wait(&mut client), 137);
    until(&server, "kept", |job| job["kept"] == true);
    fs::write(&go, "").unwrap();
    until(&server, "ended", |job| job["state"] == "ended");
    let name = printed(&["ps", "-q", &server.target()]);
    let logs = redial(&["logs", name.trim_end()]);
    let text = String::from_utf8(logs.stdout).unwrap();
    // What its client had acknowledged is the client's.
    let first: u64 = text.lines().next().unwrap().parse().unwrap();
    let expected: String = (first..=50_000).map(|i| format!("{i}\n")).collect();
    assert!(text == expected && first <= 1_001, "from {first}");
    assert_eq!(redial(&["wait", name.trim_end()]).code, 4);
}

#[test]
fn the_front_may_die_at_any_time() {
    let server = TestServer::start();
    let job = detached(
        &server,
        &["-c", "seq 1 400000; sleep 0.5; seq 400001 500000; exit 5"],
    );
    let mut reader = crate::Redial::bare(["logs", "-f", &job]).spawn();
    let mut out = reader.stdout.take().unwrap();
    let mut text = vec![0; 2];
    std::io::Read::read_exact(&mut out, &mut text).unwrap();
    for _ in 0..3 {
        kill_front(server.pid());
    }
    std::io::Read::read_to_end(&mut out, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let code = wait(&mut reader);
    assert_eq!(code, 0, "{}", crate::support::said(&mut reader));
    let expected: String = (1..=500_000).map(|i| format!("{i}\n")).collect();
    assert!(text == expected);
    assert_eq!(redial(&["wait", &job]).code, 5);
}

#[test]
fn a_private_server_keeps_nothing_and_says_so() {
    let ran = crate::Redial::run("local:")
        .args(["--detach", "-c", BOTH])
        .ran();
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("cannot keep"), "{}", ran.stderr);
}

#[test]
fn a_job_over_the_network_is_kept_as_one_over_a_socket() {
    let server = NetworkServer::start();
    let target = format!("127.0.0.1:{}", server.port());
    let key = ["--host-key", server.host_key()];
    let ran = server
        .redial(["run", "--detach"])
        .args(key)
        .args([&*target, "-c", BOTH])
        .ran();
    let name = String::from_utf8(ran.stdout).unwrap();
    let with = |command: &str| server.redial([command]).args(key).args([name.trim_end()]);
    assert_eq!(with("wait").ran().code, 3);
    let logs = with("logs").ran();
    assert_eq!(logs.stdout, b"out 1\nout 2\nout 3\nout 4\n");
    assert_eq!(logs.stderr, "err 1\nerr 2\nerr 3\nerr 4\n");
}

/// Whoever detaches is told the name, wherever the line was cut: else nobody would know it.
#[test]
fn a_line_that_is_cut_at_any_byte_of_a_detached_start_runs_it_once_and_names_it() {
    let server = TestServer::start();
    let dir = tempfile::tempdir().unwrap();
    let (mut named, mut unreached) = (0, 0);
    for after in (1..700).step_by(7) {
        let runs = dir.path().join(format!("runs-{after}"));
        let socket = dir.path().join(format!("{after}.sock"));
        let line = Cutting::once(&socket, &server.socket(), after);
        let text = format!("echo $REDIAL_JOB >> {}", runs.display());
        let host = format!("unix:{}", socket.display());
        let ran = Redial::run(&host).args(["--detach", "-c", &text]).ran();
        if ran.code == 125 && !runs.exists() {
            // The first line did not get as far as the hello.
            assert_eq!(unreached, after / 7, "{after}: {}", ran.stderr);
            unreached += 1;
            continue;
        }
        assert_eq!((ran.code, &*ran.stderr), (0, ""), "{after}");
        let name = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(redial(&["wait", name.trim_end()]).code, 0, "{after}");
        let job = name.strip_prefix(&format!("{host}/")).unwrap();
        assert_eq!(fs::read_to_string(&runs).unwrap(), job, "{after}");
        named += line.made();
    }
    println!("{named} of 100 cuts behind the hello, {unreached} before it");
    assert!(named > 20);
}

#[test]
fn a_job_that_only_waits_for_room_can_be_removed() {
    let server = TestServer::with(&["--keep-quota", "100KiB"]);
    let job = detached(&server, &["-c", "head -c 250000 /dev/zero"]);
    until(&server, "over the quota", |job| !job["stalled"].is_null());
    let removed = eventually(|| (redial(&["rm", &job]).code == 0).then_some(()));
    assert!(removed.is_some());
    assert_eq!(printed(&["ps", "-q", &server.target()]), "");
}
