//! `redial classic`: remote commands as the lesson has them, and a file with its length.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use support::processes::{mark, marked, none_left};
use support::{PATIENCE, Ran, Redial, binary, eventually, finish, silent_address, skip, wait};

/// `redial classic serve` or `receive`, whose output is read line by line. Ends with the test.
struct Server {
    child: Child,
    lines: Receiver<String>,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let redial = Redial::bare(["classic"]).args(args);
        let mut child = redial.spawn();
        let lines = lines(child.stdout.take().unwrap());
        let first = lines.recv_timeout(PATIENCE).unwrap();
        let address = first.strip_prefix("listening on ").unwrap().to_owned();
        Server {
            child,
            lines,
            address,
        }
    }

    fn serve(args: &[&str]) -> Self {
        Server::start(&[&["serve", "--listen", "127.0.0.1:0"], args].concat())
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    fn call(&self, args: &[&str]) -> Ran {
        self.calling(args).ran()
    }

    fn calling(&self, args: &[&str]) -> Redial {
        Redial::bare(["classic", "call", &self.address]).args(args)
    }

    fn signal(&mut self, signal: Signal) -> i32 {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        wait(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::TERM);
        }
    }
}

fn lines(from: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    lines
}

/// Ends with this code, and one line that has all these words.
fn fails(args: &[&str], code: i32, says: &[&str]) {
    let ran = Redial::bare(["classic"]).args(args).ran();
    assert_eq!(ran.code, code, "{args:?}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
    for word in says {
        assert_eq!(
            ran.stderr.matches(word).count(),
            1,
            "{word}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_command_is_run_there_and_its_reply_printed_here() {
    let server = Server::serve(&[]);
    let ran = server.call(&["echo o; echo e >&2; exit 3"]);
    assert_eq!((ran.code, ran.stdout.as_slice()), (0, &b"o\ne\n"[..]));
    assert_eq!(ran.stderr, "");
    assert!(server.line().starts_with("call 1: connection fd="));
    let from = "call 1: the client's address 127.0.0.1:";
    assert!(server.line().starts_with(from));
    assert_eq!(
        server.line(),
        "call 1: from client: echo o; echo e >&2; exit 3"
    );
    assert_eq!(server.line(), "call 1: the client has hung up");
}

#[test]
fn each_line_of_stdin_is_a_command_and_an_empty_one_is_not_sent() {
    let server = Server::serve(&[]);
    let ran = server
        .calling(&[])
        .input("echo one\n\n   \n  echo two  \necho three")
        .ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, b"one\ntwo\nthree\n");
    let asked: Vec<String> = (0..6).map(|_| server.line()).collect();
    assert_eq!(
        asked[2..5],
        ["one", "two", "three"].map(|it| format!("call 1: from client: echo {it}"))
    );
}

/// Runs its arguments on a terminal, types, and prints what is to be seen.
const TYPIST: &str = include_str!("classic/typist.py");

#[test]
fn on_a_terminal_a_prompt_asks_and_ctrl_d_hangs_up() {
    let server = Server::serve(&[]);
    let mut python = Command::new("python3");
    python.args(["-c", TYPIST]).arg(binary());
    python.args(["classic", "call", &server.address]);
    python
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(child) = python.spawn() else {
        skip("on_a_terminal_a_prompt_asks_and_ctrl_d_hangs_up: no python3");
        return;
    };
    let ran = finish(child, Instant::now());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let seen = String::from_utf8(ran.stdout).unwrap();
    let expected = ">>:echo hello\nhello\n>>:\n>>:printf unended\nunended\n>>:\n";
    assert_eq!(seen, expected);
}

#[test]
fn every_framing_and_header_that_both_sides_agree_on_will_do() {
    for wire in [
        &["--framing", "none"][..],
        &["--framing", "reply"],
        &["--framing", "both", "--header", ">Q"],
        &["--header", "h", "--quiet-ms", "20"],
    ] {
        let server = Server::serve(wire);
        let ran = server.call(&[wire, &["echo hello"]].concat());
        assert_eq!(ran.stdout, b"hello\n", "{wire:?}: {}", ran.stderr);
    }
}

#[test]
fn without_a_header_it_is_said_once_that_the_end_of_a_reply_is_a_guess() {
    let server = Server::serve(&["--framing", "none"]);
    let calling = server.calling(&["--framing", "none"]);
    let ran = calling.input("echo one\necho two\n").ran();
    assert_eq!((ran.code, ran.stdout.as_slice()), (0, &b"one\ntwo\n"[..]));
    assert!(ran.stderr.starts_with("redial: note: "), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("--quiet-ms"), "{}", ran.stderr);
}

#[test]
fn the_lessons_reply_can_be_asked_for() {
    let server = Server::serve(&["--reply", "lesson"]);
    assert_eq!(server.call(&["echo o; echo e >&2"]).stdout, b"e\n");
}

#[test]
fn gbk_cut_inside_a_character() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let call = ["classic", "call", &address, "--charset", "gbk", "dir"];
    let mut child = Redial::bare(call).spawn();
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; 3]).unwrap();
    // The rest comes only when what is before the cut has been printed.
    stream.write_all(b"\x05\0\0\0a\xd6").unwrap();
    let mut first = [0];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    assert_eq!(&first, b"a");
    stream.write_all(b"\xd0b\xff").unwrap();
    let ran = finish(child, Instant::now());
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "中b\u{fffd}");
    assert_eq!(ran.code, 0);
    let note = "redial: note: characters replaced: 1 of stdout cannot be read as GBK\n";
    assert_eq!(ran.stderr, note);
}

#[test]
fn without_a_charset_the_bytes_come_as_they_are() {
    let server = Server::serve(&[]);
    assert_eq!(
        server.call(&["printf '\\326\\320\\377'"]).stdout,
        b"\xd6\xd0\xff"
    );
}

#[test]
fn what_is_not_on_this_machine_is_refused_and_redial_serve_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for args in [
        &["serve", "--listen", "0.0.0.0:0"][..],
        &["serve", "--listen", "[::]:0"],
        &["receive", "--listen", "192.0.2.1:0", "--force", file],
        &["call", "192.0.2.1:80", "echo"],
        &["put", "192.0.2.1:80", file],
    ] {
        fails(args, 125, &["`redial serve`"]);
    }
    fails(
        &["serve", "--listen", "udp:127.0.0.1:0"],
        125,
        &["udp:127.0.0.1:0"],
    );
}

#[test]
fn sigint_and_sigterm_end_the_server_its_running_commands_and_its_socket_file() {
    for signal in [Signal::INT, Signal::TERM] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let listen = format!("unix:{}", socket.display());
        let mut server = Server::start(&["serve", "--listen", &listen]);
        let mark = mark();
        let child = server
            .calling(&[&format!("sleep {mark} & sleep {mark}")])
            .spawn();
        let running = eventually(|| (marked(&format!("sleep {mark}")).len() >= 2).then_some(()));
        assert!(running.is_some());
        assert_eq!(server.signal(signal), 0);
        assert!(none_left(&mark) && !socket.exists());
        let ran = finish(child, Instant::now());
        assert_eq!(ran.code, 125);
        assert!(ran.stderr.contains("without an answer"), "{}", ran.stderr);
    }
}

#[test]
fn a_client_that_is_killed_takes_its_command_with_it() {
    let server = Server::serve(&[]);
    let mark = mark();
    let mut child = server.calling(&[&format!("sleep {mark}; echo")]).spawn();
    let seen = eventually(|| (!marked(&format!("sleep {mark}")).is_empty()).then_some(()));
    assert!(seen.is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(none_left(&mark));
}

#[test]
fn who_waits_in_vain_ends_with_124() {
    let server = Server::serve(&[]);
    let ran = server.call(&["--deadline", "50ms", "sleep 30"]);
    assert_eq!(ran.code, 124);
    assert!(ran.stderr.contains("0.05 s"), "{}", ran.stderr);
    let server = Server::serve(&["--framing", "none", "--deadline", "100ms"]);
    let ran = server.call(&["--framing", "none", "sleep 30"]);
    assert_eq!(ran.code, 0);
    let words = b"redial: the command was ended after 0.1 s, its deadline\n";
    assert_eq!(ran.stdout, words);
}

#[test]
fn wrong_use_and_a_server_that_is_not_there_are_said_in_one_line() {
    let (_held, address) = silent_address();
    fails(
        &["call", &address, "x"],
        125,
        &["nobody listens", "refused"],
    );
    fails(
        &["call", &address, "--header", "f", "x"],
        125,
        &["--header"],
    );
    fails(
        &["call", &address, "--charset", "gbx", "x"],
        125,
        &["--charset"],
    );
    fails(&["call", "8080", "x"], 125, &["classic: "]);
    fails(
        &["serve", "--listen", "127.0.0.1:0", "--deadline", "0"],
        125,
        &["--deadline"],
    );
    fails(
        &["serve", "--listen", "127.0.0.1:0", "--max-clients", "0"],
        125,
        &["--max-clients"],
    );
}

#[test]
fn nobody_who_reads_our_stdout_is_no_error_worth_a_word() {
    let server = Server::serve(&[]);
    let mut child = server.calling(&["head -c 10000000 /dev/zero"]).spawn();
    drop(child.stdout.take());
    assert_eq!(wait(&mut child), 141);
    let said = support::said(&mut child);
    assert_eq!(said, "");
}

#[test]
fn a_file_is_put_whole_and_not_over_another_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (from, to) = (place("from"), place("to"));
    fs::write(&from, support::noise(7, 300_000)).unwrap();
    for force in [&[][..], &["--force"]] {
        let listen = ["receive", "--listen", "127.0.0.1:0", &to];
        let mut receiver = Server::start(&[&listen, force].concat());
        let ran = Redial::bare(["classic", "put", &receiver.address, &from]).ran();
        assert_eq!(
            ran.stdout, b"300000 bytes sent, and they are stored\n",
            "{}",
            ran.stderr
        );
        assert_eq!(receiver.line(), format!("300000 bytes received: {to}"));
        assert_eq!(wait(&mut receiver.child), 0);
        assert!(fs::read(&to).unwrap() == fs::read(&from).unwrap());
        fails(&listen, 125, &["is there already; --force replaces it"]);
        fs::write(&to, "old").unwrap();
    }
}

#[test]
fn a_receiver_that_is_ended_has_received_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    let listen = ["receive", "--listen", "127.0.0.1:0", to.to_str().unwrap()];
    let mut receiver = Server::start(&listen);
    let place = receiver.address.trim_start_matches("tcp:");
    let mut sender = std::net::TcpStream::connect(place).unwrap();
    sender.write_all(b"\x05\0\0\0ab").unwrap();
    assert_eq!(receiver.signal(Signal::TERM), 125);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn with_socat_a_command_is_run_and_its_reply_taken_apart_by_redial_frame() {
    let server = Server::serve(&[]);
    let place = server.address.trim_start_matches("tcp:").to_owned();
    let mut socat = Command::new("socat");
    socat.args(["-t10", "-", &format!("TCP:{place}")]);
    socat
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut child) = socat.spawn() else {
        skip("with_socat_a_command_is_run_and_its_reply_taken_apart_by_redial_frame: no socat");
        return;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"sleep 0.3; printf hello")
        .unwrap();
    let ran = finish(child, Instant::now());
    let decode = ["frame", "decode", "--header", "i"];
    assert_eq!(
        Redial::bare(decode).input(ran.stdout).ran().stdout,
        b"hello\n"
    );
}
