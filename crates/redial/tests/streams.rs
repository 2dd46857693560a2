//! Streams end when they should, hold nobody back, and say what was left.

mod support;

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::processes::{Process, mark, marked, none_left};
use support::server::{TestServer, terminate};
use support::{Redial, eventually, finish, private, wait};

#[test]
fn what_a_command_leaves_running_stays_or_with_reap_is_ended() {
    for (flags, stays) in [(&[][..], true), (&["--reap"], false)] {
        // A private server ends all of it anyway.
        let server = TestServer::start();
        let mark = mark();
        let text = format!("sleep {mark} >/dev/null 2>&1 </dev/null & echo left; exit 3");
        let ran = server
            .run()
            .args(["-n"])
            .args(flags)
            .args(["-c", &text])
            .ran();
        assert_eq!(
            (ran.code, &*ran.stdout),
            (3, &b"left\n"[..]),
            "{}",
            ran.stderr
        );
        assert_eq!(!marked(&mark).is_empty(), stays, "{flags:?}");
        marked(&mark).iter().for_each(Process::end);
    }
}

#[test]
fn a_command_that_stops_reading_ends_our_reading() {
    let server = TestServer::start();
    for target in ["local:".to_owned(), server.target()] {
        let mut child = Redial::run(&target).args(["--", "head", "-1"]).spawn();
        let mut stdin = child.stdin.take().unwrap();
        // `yes`: endless, until nobody reads any more.
        let endless = std::thread::spawn(move || while stdin.write_all(b"y\ny\ny\ny\n").is_ok() {});
        let ran = finish(child, Instant::now());
        assert_eq!(
            (ran.code, &ran.stdout[..]),
            (0, &b"y\n"[..]),
            "{target}: {}",
            ran.stderr
        );
        endless.join().unwrap();
    }
}

#[test]
fn an_open_stdin_that_says_nothing_does_not_keep_us() {
    let mut child = Redial::run("local:").args(["--", "true"]).spawn();
    let _open = child.stdin.take();
    assert_eq!(wait(&mut child), 0);
}

#[test]
fn our_closed_stdout_ends_the_command_as_with_ssh() {
    let server = TestServer::start();
    for target in ["local:".to_owned(), server.target()] {
        let mut child = Redial::run(&target).args(["-n", "--", "yes"]).spawn();
        let mut line = [0; 2];
        child.stdout.take().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(&line, b"y\n");
        // SIGPIPE is 13.
        assert_eq!(wait(&mut child), 141, "{target}");
    }
}

#[test]
fn a_full_disk_is_our_failure_and_said() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = std::process::Command::new(support::binary());
    command.args([
        "run",
        "local:",
        "-n",
        "--",
        "sh",
        "-c",
        "echo x; echo y >&2",
    ]);
    command.stdout(full).stderr(Stdio::piped());
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(
        stderr.contains("redial: cannot write stdout: No space left"),
        "{stderr}"
    );
    assert!(stderr.contains("y\n"), "{stderr}");
}

#[test]
fn the_reason_for_125_waits_for_room_on_a_full_nonblocking_stderr() {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, fcntl_getfl(&writer).unwrap() | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    let mut command = std::process::Command::new(support::binary());
    command.args(["run", "unix:/nonexistent/r.sock", "-n", "--", "true"]);
    let mut child = command.stderr(writer).spawn().unwrap();
    drop(command);
    // It sleeps until there is room; one that did not wait would have ended.
    let waits = eventually(|| {
        let process = Process::of(child.id())?;
        matches!(process.state, 'S' | 'Z').then_some(())
    });
    assert!(waits.is_some());
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert!(
        said.contains("redial: unix:/nonexistent/r.sock: "),
        "{}",
        said.trim_start_matches('x')
    );
    assert_eq!(wait(&mut child), 125);
}

#[test]
fn a_stdin_that_cannot_be_read_is_our_failure() {
    let mut command = std::process::Command::new(support::binary());
    command
        .args(["run", "local:", "--", "cat"])
        .stdin(std::fs::File::open("/").unwrap());
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(
        stderr.contains("redial: cannot read stdin: Is a directory"),
        "{stderr}"
    );
}

#[test]
fn a_stdout_that_nobody_reads_does_not_hold_stderr() {
    let mut child = Redial::run("local:")
        .args([
            "-n",
            "--",
            "sh",
            "-c",
            "head -c 500000 /dev/zero; echo done >&2; exec head -c 9000000 /dev/zero",
        ])
        .spawn();
    let mut stderr = child.stderr.take().unwrap();
    let mut word = [0; 5];
    stderr.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"done\n");
    let mut stdout = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut stdout)
        .unwrap();
    assert_eq!((wait(&mut child), stdout.len()), (0, 9_500_000));
}

#[test]
fn a_background_process_is_drained_for_a_bounded_time_then_named() {
    let server = TestServer::start();
    for target in ["local:".to_owned(), server.target()] {
        let mark = mark();
        let text = format!("sleep {mark} & echo done");
        let ran = Redial::run(&target).args(["-n", "-c", &text]).ran();
        assert_eq!(
            (ran.code, &ran.stdout[..]),
            (0, &b"done\n"[..]),
            "{}",
            ran.stderr
        );
        assert!(ran.took < Duration::from_secs(4), "{:?}", ran.took);
        assert!(
            ran.stderr.contains(" (sleep) still holds the output open"),
            "{}",
            ran.stderr
        );
        let left = marked(&mark);
        let said = |fate| ran.stderr.contains(fate);
        if target != "local:" {
            assert!(
                said("output open; what it writes later is lost"),
                "{}",
                ran.stderr
            );
            assert_eq!(left.len(), 1, "it stays, as with ssh: {left:?}");
            assert!(
                ran.stderr.contains(&format!("pid {} ", left[0].pid)),
                "{}",
                ran.stderr
            );
        }
        if said("; it is ended now, with its private server") {
            assert!(none_left(&mark), "{:?}", marked(&mark));
            continue;
        }
        if target == "local:" {
            assert!(
                said("no cgroup to end it by, so it may live on"),
                "{}",
                ran.stderr
            );
        }
        left.iter().for_each(|process| terminate(process.pid));
    }
}

#[test]
fn a_short_drain_waits_less_and_quiet_names_nobody() {
    let mark = mark();
    let text = format!("sleep {mark} & echo done");
    let ran = Redial::run("local:")
        .args(["-n", "-q", "--drain", "0", "-c", &text])
        .ran();
    assert_eq!(
        (ran.code, &ran.stdout[..], ran.stderr.as_str()),
        (0, &b"done\n"[..], "")
    );
    assert!(ran.took < Duration::from_millis(1_500), "{:?}", ran.took);
    marked(&mark)
        .iter()
        .for_each(|process| terminate(process.pid));
}

#[test]
fn a_killed_client_takes_its_command_along() {
    let server = TestServer::start();
    let mark = mark();
    let mut child = server.run().args(["-n", "--", "sleep", &mark]).spawn();
    assert!(eventually(|| (!marked(&mark).is_empty()).then_some(())).is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(none_left(&mark), "{:?}", marked(&mark));
}

#[test]
fn a_program_behind_exec_that_does_not_end_with_its_line_is_ended() {
    let mark = mark();
    let ran = Redial::run(format!("{}; exec sleep {mark}", private()))
        .args(["-n", "--", "echo", "done"])
        .ran();
    assert_eq!((ran.code, &ran.stdout[..]), (0, &b"done\n"[..]));
    assert!(ran.took < Duration::from_secs(4), "{:?}", ran.took);
    assert!(none_left(&mark), "{:?}", marked(&mark));
}
