//! What a beginner does wrong with `redial echo`, `redial classic` and `redial demo`, and what is said of it.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use support::{PATIENCE, Ran, Redial, binary, silent_address, wait};

/// A server whose stdout is a socket of datagrams: each of them is one write.
struct Server {
    child: Child,
    writes: UnixDatagram,
    address: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let (child, writes) = spawn(&[args, &["--listen", "127.0.0.1:0"]].concat());
        let first = write(&writes);
        let address = first.strip_prefix("listening on ").unwrap();
        let address = address.strip_suffix('\n').unwrap().to_owned();
        Server {
            child,
            writes,
            address,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(args: &[&str]) -> (Child, UnixDatagram) {
    let (writes, stdout) = UnixDatagram::pair().unwrap();
    writes.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(binary());
    command.args(args).stdin(Stdio::null());
    let child = command.stdout(OwnedFd::from(stdout)).spawn().unwrap();
    (child, writes)
}

fn write(writes: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = writes.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn failed(args: &[&str]) -> Ran {
    let ran = Redial::bare(args).ran();
    assert_eq!(ran.code, 125, "{args:?}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    ran
}

#[test]
fn a_line_is_written_at_once_so_that_lines_do_not_mix_on_a_terminal_that_is_shared() {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (from, to) = (place("from"), place("to"));
    fs::write(&from, "hello").unwrap();
    let mut receiver = Server::start(&["classic", "receive", &to]);
    let (mut put, said) = spawn(&["classic", "put", &receiver.address, &from]);
    assert_eq!(write(&said), "5 bytes sent, and they are stored\n");
    assert_eq!(write(&receiver.writes), format!("5 bytes received: {to}\n"));
    assert_eq!((wait(&mut put), wait(&mut receiver.child)), (0, 0));
    for server in ["echo", "classic"] {
        let server = Server::start(&[server, "serve"]);
        let place = server.address.strip_prefix("tcp:").unwrap();
        drop(TcpStream::connect(place).unwrap());
        for words in [": connection ", ": the client's address ", ": the client "] {
            let line = write(&server.writes);
            assert!(line.contains(words) && line.ends_with('\n'), "{line:?}");
        }
    }
}

#[test]
fn a_cause_is_named_and_named_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for what in [
        ["echo", "serve", "--listen", &address],
        ["classic", "serve", "--listen", &address],
    ] {
        assert_eq!(failed(&what).stderr.matches("in use").count(), 1);
    }
    let (_held, address) = silent_address();
    for what in [
        &["echo", "call", &address, "x"][..],
        &["classic", "call", &address, "x"],
        &["classic", "put", &address, "/etc/passwd"],
    ] {
        let said = failed(what).stderr;
        assert_eq!(said.matches("refused").count(), 1, "{said}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_said_of_the_file_that_was_named() {
    let listen = ["classic", "receive", "--listen", "127.0.0.1:0"];
    let ran = failed(&[&listen[..], &["/nowhere/copy"]].concat());
    assert_eq!(
        ran.stderr,
        "redial: classic: /nowhere/copy: No such file or directory (os error 2)\n"
    );
}

#[test]
fn a_reply_without_the_header_that_the_client_expects_points_to_the_flags() {
    let server = Server::start(&["classic", "serve", "--framing", "none"]);
    let ran = failed(&["classic", "call", &server.address, "echo hello"]);
    assert!(ran.stdout.is_empty());
    for word in ["--framing", "--header", "over the limit"] {
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
}

#[test]
fn a_full_disk_is_told_as_a_failure_to_write() {
    let server = Server::start(&["echo", "serve"]);
    for args in [
        &["echo", "call", &server.address, "hello"][..],
        &["demo", "sticky"],
        &["demo", "drop", "--size", "4MB"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(binary());
        let ran = command.args(args).stdout(full).output().unwrap();
        assert_eq!(ran.status.code(), Some(125));
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(said.contains("cannot write: "), "{said}");
    }
}
