//! How a command on a terminal ends, and what of it is shown.

use std::fs;
use std::io::Read;

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::LocalModes;

use crate::support::processes::{Process, mark, marked, none_left};
use crate::support::server::{TestServer, kill_front};
use crate::support::{Redial, eventually, wait};
use crate::{SIZES, on_terminal, piped, stdout};

#[test]
fn all_that_it_writes_is_shown_up_to_its_end() {
    let ran = piped(&["-n", "--", "seq", "1", "100000"], "");
    let lines: String = (1..=100_000).map(|line| format!("{line}\r\n")).collect();
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    assert!(
        stdout(&ran) == lines,
        "{} bytes of {}",
        ran.stdout.len(),
        lines.len()
    );
}

#[test]
fn what_it_leaves_in_the_background_holds_nobody_up_and_makes_nothing_incomplete() {
    let mark = mark();
    let server = TestServer::start();
    let text = format!("trap '' HUP; sleep {mark} & echo here; exit 4");
    let ran = server.run().args(["-tn", "-c", &text]).ran();
    assert_eq!((ran.code, stdout(&ran), &*ran.stderr), (4, "here\r\n", ""));
    assert!(ran.took.as_secs() < 10, "{:?}", ran.took);
    // As with sshd, it stays; only its terminal is gone.
    let left = marked(&mark);
    assert_eq!(left.len(), 1, "{left:?}");
    left.iter().for_each(Process::end);
    assert!(none_left(&mark));
}

/// The kernel has more of a terminal than it says, and what outlives the command holds it open.
#[test]
fn what_is_read_late_is_shown_to_the_end_beside_who_holds_the_terminal() {
    let (holder, command) = (mark(), mark());
    let server = TestServer::start();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    // Until nothing more goes, again and again: then all between here and there is full.
    let text = format!(
        "(trap '' HUP; exec sleep {holder}) & stty -opost; : {command}; cd {}; z=0; \
         while [ $z -lt 9 ]; do LC_ALL=C dd if=/dev/zero bs=512 oflag=nonblock 2>one; cat one >>log; \
         if grep -q '^0 bytes' one; then z=$((z+1)); else z=0; fi; sleep 0.03; done; touch done",
        dir.path().display()
    );
    let mut child = server.run().args(["-tn", "-c", &text]).spawn();
    let done = dir.path().join("done");
    assert!(eventually(|| done.exists().then_some(())).is_some());
    let of_host = |process: &Process| !process.is(&Process::of(child.id()).unwrap());
    let ended = || {
        let left = marked(&command).into_iter().filter(of_host);
        left.count().eq(&0).then_some(())
    };
    assert!(eventually(ended).is_some());
    let mut shown = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_end(&mut shown).unwrap();
    assert_eq!(wait(&mut child), 0);
    let log = fs::read_to_string(&log).unwrap();
    let bytes = log.lines().filter(|line| line.contains("copied"));
    let bytes = bytes.map(|line| line.split(' ').next().unwrap());
    let written: usize = bytes.map(|bytes| bytes.parse::<usize>().unwrap()).sum();
    assert!(written > 100_000, "{log}");
    assert_eq!(shown.len(), written);
    marked(&holder).iter().for_each(Process::end);
}

#[test]
fn a_terminal_that_nobody_looks_at_any_more_is_hung_up() {
    let mut child = Redial::bare(["run", "-tn", "local:", "--", "yes"]).spawn();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    assert_eq!(wait(&mut child), 129);
}

#[test]
fn who_is_ended_ends_the_command() {
    let mark = mark();
    let text = format!("echo up; exec sleep {mark}");
    let mut terminal = on_terminal("local:", &[], &text);
    terminal.sees("up\r\n");
    let pid = Pid::from_raw(terminal.pid().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(terminal.ends().0, 143);
    assert!(none_left(&mark));
}

#[test]
fn who_has_left_takes_the_terminal_up_again() {
    let server = TestServer::start();
    let text = format!("{SIZES} echo up; while read x; do echo got $x; done; echo over");
    let mut terminal = on_terminal(&server.target(), &["--on-drop", "keep:1m"], &text);
    terminal.sees("up\r\n");
    terminal.is_raw();
    terminal.types("one");
    terminal.sees("got one\r\n");
    terminal.presses(b"~.");
    let (code, told) = terminal.ends();
    assert_eq!(code, 129);
    let job = told.split("left job ").nth(1).unwrap();
    let job = job.split(' ').next().unwrap();

    let name = format!("{}/{job}", server.target());
    let mut terminal = Redial::bare(["attach", "--take", &name]).on_terminal();
    terminal.is_raw();
    terminal.resizes(33, 99);
    terminal.sees("33 99\r\n");
    terminal.types("two");
    terminal.sees("got two\r\n");
    terminal.presses(b"\x04");
    assert_eq!(terminal.ends(), (0, "over\r\n".to_owned()));
}

#[test]
fn one_that_is_left_running_has_a_terminal_too_and_its_log() {
    let server = TestServer::start();
    let ran = server
        .run()
        .args(["--detach", "-t", "-c", "tty; exit 3"])
        .ran();
    let name = stdout(&ran).trim_end().to_owned();
    let ran = Redial::bare(["wait", &name]).ran();
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let log = Redial::bare(["logs", &name]).ran();
    assert!(stdout(&log).starts_with("/dev/pts/"), "{log:?}");
    assert!(stdout(&log).ends_with("\r\n"), "{log:?}");
}

#[test]
fn who_takes_one_that_was_left_running_types_on_it() {
    let server = TestServer::start();
    let text = "stty -echo; echo up; while read x; do echo got $x; done; exit 6";
    let ran = server.run().args(["--detach", "-t", "-c", text]).ran();
    let name = stdout(&ran).trim_end().to_owned();
    let mut terminal = Redial::bare(["attach", "--take", "--from", "start", &name]).on_terminal();
    terminal.sees("up\r\n");
    terminal.is_raw();
    terminal.types("one");
    terminal.sees("got one\r\n");
    terminal.presses(b"\x04");
    assert_eq!(terminal.ends().0, 6);
    // On one without a stdin nothing is typed, and Ctrl-C is heard here.
    let run = server.run().args(["--detach", "-tn"]);
    let ran = run.args(["-c", "echo up; exec sleep 1000"]).ran();
    let name = stdout(&ran).trim_end().to_owned();
    let mut terminal = Redial::bare(["attach", "--take", "--from", "start", &name]).on_terminal();
    terminal.sees("up");
    terminal.is_usual(LocalModes::ISIG);
    terminal.presses(b"\x03");
    assert_eq!(terminal.ends().0, 130);
}

#[test]
fn the_death_of_a_front_and_an_upgrade_are_not_noticed_on_it() {
    let server = TestServer::start();
    let text = format!("{SIZES} echo up; while read x; do echo got $x; done; echo over; exit 5");
    let mut terminal = on_terminal(&server.target(), &[], &text);
    terminal.sees("up\r\n");
    terminal.is_raw();
    let before = server.pid();
    kill_front(before);
    terminal.types("one");
    terminal.sees("got one\r\n");
    let upgraded = Redial::bare(["upgrade", &server.target()]).ran();
    assert_eq!(upgraded.code, 0, "{}", upgraded.stderr);
    terminal.resizes(40, 70);
    terminal.sees("40 70\r\n");
    // A line of which one part was typed before, and the other behind another upgrade.
    terminal.presses(b"ab");
    terminal.sees("ab");
    let upgraded = Redial::bare(["upgrade", &server.target()]).ran();
    assert_eq!(upgraded.code, 0, "{}", upgraded.stderr);
    terminal.presses(b"c\r");
    terminal.sees("got abc\r\n");
    terminal.presses(b"\x04");
    let (code, rest) = terminal.ends();
    assert!(rest.ends_with("over\r\n"), "{rest}");
    assert_eq!(code, 5);
    assert!(eventually(|| (server.pid() == before).then_some(())).is_some());
}
