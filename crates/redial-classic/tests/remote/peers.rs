//! Python programs that behave as the lesson's do, both ways round.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use redial_classic::address::Address;
use redial_classic::connect::Stream;
use redial_classic::remote::{
    Answer, Ending, Framed, Order, Parcel, RemoteError, ServerSettings, Wire,
};
use redial_frame::HeaderFormat;

use crate::support::{PATIENCE, Server, call, client, framed, place, settings, skip};

const SERVER: &str = include_str!("../peers/server.py");
const CLIENT: &str = include_str!("../peers/client.py");
const RECEIVER: &str = include_str!("../peers/receiver.py");

/// A Python program with pipes; `None`, and that is said, where there is no python3.
fn python(test: &str, program: &str, arguments: &[&str]) -> Option<Child> {
    let mut command = Command::new("python3");
    command.args(["-c", program]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    match command.spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            skip(&format!("{test}: python3: {error}"));
            None
        }
    }
}

/// A Python server; ended with the test.
struct Peer {
    child: Child,
    address: Address,
}

impl Peer {
    fn start(test: &str, program: &str, arguments: &[&str]) -> Option<Self> {
        let mut child = python(test, program, arguments)?;
        let mut port = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut port).unwrap();
        let address = format!("127.0.0.1:{}", port.trim()).parse().unwrap();
        Some(Peer { child, address })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn unframed() -> Wire {
    framed(Framed::Neither).wire
}

#[test]
fn our_client_gets_whole_replies_from_the_lessons_server() {
    let test = "our_client_gets_whole_replies_from_the_lessons_server";
    let Some(peer) = Peer::start(test, SERVER, &["reply"]) else {
        return;
    };
    let mut client = client(&peer.address, Wire::default());
    // Less than a pipe holds, else that server would wait for ever.
    for (command, reply) in [
        ("echo hello", "hello\n".to_owned()),
        ("true", String::new()),
        (
            "seq 5000",
            (1..=5_000).map(|it| format!("{it}\n")).collect(),
        ),
        ("echo o; echo e >&2", "e\n".to_owned()),
    ] {
        let (got, ending) = call(&mut client, command).unwrap();
        assert!(got == reply.as_bytes(), "{command}");
        assert_eq!(ending, Ending::Known);
    }
}

#[test]
fn our_client_guesses_the_end_of_a_reply_of_the_lessons_server_before_the_cure() {
    let test = "our_client_guesses_the_end_of_a_reply_of_the_lessons_server_before_the_cure";
    let Some(peer) = Peer::start(test, SERVER, &["none"]) else {
        return;
    };
    let mut one = client(&peer.address, unframed());
    for _ in 0..3 {
        let (got, ending) = call(&mut one, "echo hello").unwrap();
        assert_eq!((&got[..], ending), (&b"hello\n"[..], Ending::Quiet));
    }
    drop(one);
    // A command that says nothing leaves every client waiting there, but ours not for ever.
    let stream = Stream::connect(&peer.address).unwrap();
    let patience = std::time::Duration::from_millis(100);
    let mut one = redial_classic::remote::Client::new(stream, unframed(), patience, 100, None);
    let error = call(&mut one, "true").unwrap_err();
    assert!(matches!(error, RemoteError::Silent(_)), "{error}");
}

#[test]
fn our_client_is_told_when_the_lessons_server_hangs_up_on_a_command_that_is_not_utf8() {
    let test = "our_client_is_told_when_the_lessons_server_hangs_up_on_a_command_that_is_not_utf8";
    let Some(peer) = Peer::start(test, SERVER, &["reply"]) else {
        return;
    };
    let error = call(&mut client(&peer.address, Wire::default()), b"\xff").unwrap_err();
    assert!(matches!(error, RemoteError::NoAnswer), "{error}");
}

/// What the lesson's client prints for these commands.
fn lessons_client(
    test: &str,
    settings: ServerSettings,
    kind: &str,
    commands: &str,
) -> Option<String> {
    let server = Server::start(settings);
    let port = place(&server.address).port().to_string();
    let mut child = python(test, CLIENT, &[&port, kind])?;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(commands.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_lessons_client_gets_what_it_expects_from_our_server() {
    let test = "the_lessons_client_gets_what_it_expects_from_our_server";
    let mut settings = settings();
    settings.order = Order::Lesson;
    let commands = "echo hello\n\n  true  \necho o; echo e >&2\n";
    for kind in ["broken", "mended"] {
        let Some(printed) = lessons_client(test, settings, kind, commands) else {
            return;
        };
        assert_eq!(printed, "b'hello\\n'\nb''\nb'e\\n'\n", "{kind}");
    }
}

#[test]
fn the_lessons_client_with_its_loop_mended_gets_long_replies_whole() {
    let test = "the_lessons_client_with_its_loop_mended_gets_long_replies_whole";
    let commands = "printf %100000s x\necho on\n";
    if let Some(printed) = lessons_client(test, settings(), "mended", commands) {
        assert_eq!(printed, format!("b'{}x'\nb'on\\n'\n", " ".repeat(99_999)));
    }
}

#[test]
fn the_lessons_client_with_its_broken_loop_is_cut_by_itself_and_hurts_only_itself() {
    let test = "the_lessons_client_with_its_broken_loop_is_cut_by_itself_and_hurts_only_itself";
    // It takes 1,024 bytes; the rest would be the next header, and it leaves.
    let commands = "printf %100000s x\n";
    if let Some(printed) = lessons_client(test, settings(), "broken", commands) {
        assert_eq!(printed, format!("b'{}'\n", " ".repeat(1024)));
    }
}

#[test]
fn the_lessons_client_before_the_cure_is_never_left_waiting_by_our_server() {
    let test = "the_lessons_client_before_the_cure_is_never_left_waiting_by_our_server";
    let commands = "echo hello\ntrue\necho on\n";
    if let Some(printed) = lessons_client(test, framed(Framed::Neither), "none", commands) {
        assert_eq!(printed, "b'hello\\n'\nb'\\n'\nb'on\\n'\n");
    }
}

#[test]
fn a_learners_receiver_gets_the_file_that_put_sends() {
    let test = "a_learners_receiver_gets_the_file_that_put_sends";
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    std::fs::write(&from, "line\n".repeat(50_000)).unwrap();
    for (answers, answer) in [("silent", Answer::None), ("answering", Answer::Wanted)] {
        let arguments = [to.to_str().unwrap(), answers];
        let Some(mut peer) = Peer::start(test, RECEIVER, &arguments) else {
            return;
        };
        let stream = Stream::connect(&peer.address).unwrap();
        let parcel = Parcel::open(&from, HeaderFormat::NATIVE_INT).unwrap();
        let sent = parcel.send(stream, answer, PATIENCE, None);
        assert_eq!(sent.unwrap(), 250_000);
        assert!(peer.child.wait().unwrap().success());
        assert!(std::fs::read(&to).unwrap() == std::fs::read(&from).unwrap());
    }
}
