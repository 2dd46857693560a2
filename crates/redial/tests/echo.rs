//! `redial echo`: the lesson's telephone, among ourselves and with Python's sockets.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use support::{PATIENCE, Ran, Redial, binary, skip, wait};

/// `redial echo serve`, whose output is read line by line. Ends with the test.
struct Server {
    child: Child,
    lines: Receiver<String>,
    address: String,
}

impl Server {
    fn start(listen: &str, args: &[&str]) -> Self {
        let redial = Redial::bare(["echo", "serve", "--listen", listen]).args(args);
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

    fn place(&self) -> &str {
        self.address.split_once(':').unwrap().1
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    fn call(&self, args: &[&str]) -> Ran {
        self.calling(args).ran()
    }

    fn calling(&self, args: &[&str]) -> Redial {
        Redial::bare(["echo", "call", &self.address]).args(args)
    }

    fn signal(&mut self, signal: Signal) -> i32 {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        wait(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let code = self.signal(Signal::TERM);
            assert!(
                thread::panicking() || code == 0,
                "the server ends with {code}"
            );
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

/// Runs a Python program; none if there is no Python.
fn python(test: &str, program: &str, args: &[&str]) -> Option<Child> {
    let mut command = Command::new("python3");
    command.args(["-c", program]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.stderr(Stdio::inherit()).spawn().ok();
    if child.is_none() {
        skip(&format!("{test}: no python3"));
    }
    child
}

/// What it printed.
fn printed(mut child: Child) -> String {
    let mut printed = String::new();
    let mut stdout = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        stdout.read_to_string(&mut printed).unwrap();
        printed
    });
    assert_eq!(wait(&mut child), 0, "the Python program failed");
    reader.join().unwrap()
}

fn failed(args: &[&str], says: &[&str]) {
    let ran = Redial::bare(["echo"]).args(args).ran();
    assert_eq!(ran.code, 125, "{args:?}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(
        ran.stderr.matches("os error").count() <= 1,
        "{}",
        ran.stderr
    );
    for word in says {
        assert!(ran.stderr.contains(word), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn one_call_is_shown_as_the_lesson_shows_it_answered_and_then_both_end() {
    let mut server = Server::start("127.0.0.1:0", &["--once"]);
    let ran = server.call(&["hello"]);
    assert_eq!((ran.code, ran.stdout), (0, b"HELLO\n".to_vec()));
    let connection = server.line();
    let local = format!(
        "family=AF_INET type=SOCK_STREAM local={} remote=",
        server.place()
    );
    assert!(
        connection.starts_with("call 1: connection fd="),
        "{connection}"
    );
    let (_, remote) = connection.split_once(&local).unwrap();
    assert_eq!(
        server.line(),
        format!("call 1: the client's address {remote}")
    );
    assert_eq!(server.line(), "call 1: from client: hello");
    assert!(server.line().contains("hung up"));
    assert_eq!(wait(&mut server.child), 0);
}

#[test]
fn each_line_of_stdin_is_a_message_and_an_empty_one_is_not_sent() {
    let server = Server::start("127.0.0.1:0", &[]);
    let ran = server.calling(&[]).input("one\n\ntwo\n\n\nthree").ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, b"ONE\nTWO\nTHREE\n");
    assert_eq!(server.call(&["-4"]).stdout, b"-4\n");
    let ran = server.call(&[""]);
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("empty message"), "{}", ran.stderr);
}

#[test]
fn a_line_of_ten_megabytes_comes_back_whole() {
    let server = Server::start("127.0.0.1:0", &[]);
    let message = vec![b'x'; 10_000_000];
    let ran = server.calling(&[]).input(message.clone()).ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout[..10_000_000] == message.to_ascii_uppercase());
}

/// Runs its arguments on a terminal, types, and prints what is to be seen.
const TYPIST: &str = include_str!("echo/typist.py");

#[test]
fn on_a_terminal_a_prompt_asks_and_ctrl_d_hangs_up() {
    let server = Server::start("127.0.0.1:0", &[]);
    let redial = binary();
    let args = [redial.to_str().unwrap(), "echo", "call", &server.address];
    let name = "on_a_terminal_a_prompt_asks_and_ctrl_d_hangs_up";
    let Some(mut typist) = python(name, TYPIST, &args) else {
        return;
    };
    let mut seen = Vec::new();
    typist
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut seen)
        .unwrap();
    assert_eq!(wait(&mut typist), 0);
    let seen = seen.escape_ascii().to_string();
    let expected = r">>:hello\nHELLO\n>>:\n>>:a\\b\xff\nA\\B\\xff\n>>:\n";
    assert_eq!(seen, expected);
}

#[test]
fn nothing_that_a_client_says_steers_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("phone");
    let listen = format!("unixgram:{}", path.display());
    let server = Server::start(&listen, &["--once"]);
    let named = dir.path().join("evil\x1b[2J");
    let client = std::os::unix::net::UnixDatagram::bind(named).unwrap();
    client
        .send_to(b"\x1b]0;gotcha\x07\r\nx\xff\\", &path)
        .unwrap();
    assert!(server.line().starts_with("socket fd="));
    let address = server.line();
    assert!(address.ends_with(r"evil\u{1b}[2J"), "{address}");
    let said = r"call 1: from client: \u{1b}]0;gotcha\u{7}\r\nx\xff\";
    assert_eq!(server.line(), said);
}

const PYTHON_CLIENT: &str = include_str!("echo/client.py");

#[test]
fn a_python_client_is_answered_over_tcp_and_udp() {
    for scheme in ["tcp", "udp"] {
        let server = Server::start(&format!("{scheme}:127.0.0.1:0"), &[]);
        let name = "a_python_client_is_answered_over_tcp_and_udp";
        let Some(client) = python(name, PYTHON_CLIENT, &[scheme, server.place()]) else {
            return;
        };
        assert_eq!(printed(client), "HELLO\nSOCKET\n你好 WORLD\n", "{scheme}");
    }
}

const PYTHON_SERVER: &str = include_str!("echo/server.py");

#[test]
fn a_python_server_is_called_over_tcp_and_udp() {
    for scheme in ["tcp", "udp"] {
        let name = "a_python_server_is_called_over_tcp_and_udp";
        let Some(mut server) = python(name, PYTHON_SERVER, &[scheme]) else {
            return;
        };
        let place = lines(server.stdout.take().unwrap());
        let address = format!("{scheme}:{}", place.recv_timeout(PATIENCE).unwrap());
        let long = "long ".repeat(1_000);
        let call = Redial::bare(["echo", "call", &address]);
        let ran = call.input(format!("hello\n{long}\n")).ran();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{scheme}");
        let heard = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(heard, format!("HELLO\n{}\n", long.to_uppercase()));
        assert_eq!(wait(&mut server), 0);
    }
}

#[test]
fn the_port_is_free_at_once_after_a_restart_though_a_call_was_going_on() {
    let mut server = Server::start("127.0.0.1:0", &[]);
    let mut client = TcpStream::connect(server.place()).unwrap();
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    let address = server.address.clone();
    assert_eq!(server.signal(Signal::KILL), 128 + 9);
    let again = Server::start(&address, &[]);
    assert_eq!(again.address, address);
    assert_eq!(again.call(&["hello"]).stdout, b"HELLO\n");
    drop(client);
}

#[test]
fn a_killed_servers_socket_file_is_replaced_and_a_live_ones_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("phone");
    for scheme in ["unix", "unixgram"] {
        let listen = format!("{scheme}:{}", path.display());
        let mut server = Server::start(&listen, &[]);
        assert_eq!(server.signal(Signal::KILL), 128 + 9);
        assert!(path.exists());
        let second = Server::start(&listen, &[]);
        failed(&["serve", "--listen", &listen], &[&listen, "in use"]);
        assert_eq!(second.call(&["hello"]).stdout, b"HELLO\n", "{scheme}");
        drop(second);
        assert!(!path.exists());
    }
    std::fs::write(&path, "precious").unwrap();
    let listen = format!("unix:{}", path.display());
    failed(
        &["serve", "--listen", &listen],
        &["no socket", "left alone"],
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn ctrl_c_and_sigterm_hang_up_remove_the_socket_file_and_end_the_server_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("phone");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let listen = format!("unix:{}", path.display());
        let mut server = Server::start(&listen, &[]);
        let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(server.signal(signal), 0);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert!(!path.exists());
    }
}

#[test]
fn what_cannot_be_listened_on_is_named_with_the_reason() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    failed(&["serve", "--listen", &taken], &[&taken, "in use"]);
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = format!("udp:{}", udp.local_addr().unwrap());
    failed(&["serve", "--listen", &taken], &[&taken, "in use"]);
    failed(&["serve", "--listen", "8080"], &["no port", "accepted"]);
    failed(
        &["serve", "--listen", "unix:/proc/none/x"],
        &["/proc/none/x"],
    );
    failed(
        &["serve", "--listen", "192.0.2.1:0"],
        &["192.0.2.1", "cannot listen"],
    );
    let backlog = ["serve", "--listen", "udp:127.0.0.1:0", "--backlog", "1"];
    failed(&backlog, &["--backlog"]);
}

#[test]
fn who_cannot_be_called_is_named_with_the_reason() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap().to_string();
    drop(gone);
    failed(&["call", &address, "x"], &[&address, "nobody listens"]);
    let address = format!("udp:{address}");
    failed(&["call", &address, "x"], &[&address, "nobody listens"]);
    failed(
        &["call", "unix:/nowhere", "x"],
        &["/nowhere", "nobody listens"],
    );
    failed(
        &["call", "host.invalid:1", "x"],
        &["host.invalid", "resolve"],
    );
    failed(&["call", "::1:80", "x"], &["brackets"]);
}

#[test]
fn a_message_that_fits_no_datagram_is_refused() {
    let server = Server::start("udp:127.0.0.1:0", &[]);
    let ran = server.calling(&[]).input(vec![b'x'; 65_508]).ran();
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("65508 bytes"), "{}", ran.stderr);
    assert!(ran.stderr.contains("datagram"), "{}", ran.stderr);
}

#[test]
fn a_server_whose_stdout_is_closed_goes_on_answering() {
    let mut server = Server::start("127.0.0.1:0", &[]);
    // Its reader ends with the next line.
    drop(std::mem::replace(&mut server.lines, channel().1));
    for _ in 0..3 {
        assert_eq!(server.call(&["hello"]).stdout, b"HELLO\n");
    }
}
