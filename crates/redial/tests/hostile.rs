//! Peers that break the protocol, or only pretend to speak it: the server stays up, its
//! memory small, and others are served as before.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use redial_net::proto::message::{ByteArray, OnDrop, Start};
use redial_net::proto::{Body, Config, Connection, Time};
use support::processes::{Process, descendants};
use support::server::TestServer;
use support::{PATIENCE, eventually, memory, noise};

/// How much the server may have grown afterwards.
const GROWTH_MAX_KIB: u64 = 10 * 1024;

/// The keeper and the front.
fn processes(server: &TestServer) -> Vec<u32> {
    let front = |process: &Process| process.arguments.contains("--front");
    let found = eventually(|| descendants(server.pid()).into_iter().find(front));
    vec![server.pid(), found.expect("a front").pid]
}

/// Its sockets, pipes and processes. (Not counted: the empty cgroups kept for next jobs.)
fn lines(pid: u32) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let kinds = ["socket:", "pipe:", "anon_inode:[pidfd]"];
    let is_line = |link: &std::path::PathBuf| {
        let link = link.to_string_lossy().into_owned();
        kinds.iter().any(|kind| link.starts_with(kind))
    };
    links.filter(is_line).count()
}

/// Does `attack` to a server that has served, and looks what is left of it.
fn survives(name: &str, args: &[&str], attack: impl FnOnce(&Path)) {
    let server = TestServer::with(args);
    assert_eq!(server.run().args(["--", "true"]).ran().code, 0);
    let pids = processes(&server);
    let before = memory::kib(&pids);
    let open: Vec<usize> = pids.iter().map(|pid| lines(*pid)).collect();
    attack(&server.socket());
    // At the limit on connections the next is turned away, until those have gone.
    let served = eventually(|| {
        let ran = server.run().args(["--", "echo", "still here"]).ran();
        (ran.code == 0 && ran.stdout == b"still here\n").then_some(())
    });
    assert!(served.is_some(), "{name}: nobody is served any more");
    assert_eq!(processes(&server), pids, "the same keeper and front");
    let closed = eventually(|| {
        let now: Vec<usize> = pids.iter().map(|pid| lines(*pid)).collect();
        (now <= open).then_some(())
    });
    assert!(closed.is_some(), "{name}: descriptors are left open");
    let after = memory::kib(&pids);
    println!("{name}: {before} KiB before, {after} KiB after");
    assert!(
        after < before + GROWTH_MAX_KIB,
        "{name}: {before} -> {after} KiB"
    );
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends what it can, and waits until the server has hung up.
fn send_and_be_left(socket: &Path, bytes: &[u8]) {
    let mut stream = connect(socket);
    // The server may hang up before all of it is written.
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server does not hang up on {:?}…: {error}", &bytes[..8]),
    }
}

/// What a client sends that starts `true`.
fn conversation() -> Vec<u8> {
    let mut connection = Connection::client(Config::client(), Time::ZERO);
    let start = Start {
        job: ByteArray::from([0x5a; 16]),
        argv: Some(vec![b"true".to_vec().into()]),
        shell: None,
        cwd: None,
        env: None,
        stdin: false,
        pty: None,
        deadline_ms: None,
        drain_ms: 0,
        on_drop: OnDrop::Kill,
        reap: false,
        detach: false,
        stdout_credit: 1 << 20,
        stderr_credit: 1 << 20,
        resent: None,
        keep: None,
        resources: None,
    };
    connection.start(&start).unwrap();
    let mut bytes = Vec::new();
    while let Some(frame) = connection.poll_transmit() {
        bytes.extend_from_slice(frame.head.as_ref());
        if let Body::Owned(body) = frame.body {
            bytes.extend_from_slice(&body);
        }
    }
    bytes
}

#[test]
fn garbage_is_hung_up_on() {
    survives("garbage", &[], |socket| {
        for seed in 1..=300 {
            // Not a length of an acceptable hello, so that it need not wait for more.
            let mut bytes = noise(seed, 1 + (seed as usize * 37) % 5_000);
            bytes.splice(..0, [0x7f]);
            bytes.extend_from_slice(&[0; 16]);
            send_and_be_left(socket, &bytes);
        }
    });
}

#[test]
fn ten_thousand_frames_that_claim_four_gigabytes_take_no_memory() {
    survives("length 0xFFFFFFFF", &[], |socket| {
        let frame = [0xff, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0, 0, 0];
        for _ in 0..10_000 {
            send_and_be_left(socket, &frame);
        }
    });
}

#[test]
fn the_same_claim_after_a_good_hello_is_hung_up_on_too() {
    survives("length after hello", &[], |socket| {
        let mut bytes = conversation();
        bytes.extend_from_slice(&[0xff; 12]);
        for _ in 0..200 {
            send_and_be_left(socket, &bytes);
        }
    });
}

#[test]
fn a_conversation_cut_after_any_byte_harms_nobody() {
    survives("cut frames", &[], |socket| {
        let bytes = conversation();
        for cut in 0..bytes.len() {
            let mut stream = connect(socket);
            stream.write_all(&bytes[..cut]).unwrap();
            // Closed here, inside a frame or between two.
        }
    });
}

#[test]
fn any_bit_flipped_in_a_conversation_harms_nobody() {
    survives(
        "flipped bits",
        &["--handshake-timeout", "500ms"],
        |socket| {
            let bytes = conversation();
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let mut stream = connect(socket);
                let _ = stream.write_all(&flipped);
            }
        },
    );
}

#[test]
fn half_open_connections_go_when_their_time_is_over_and_hold_nobody_up() {
    survives("half open", &["--handshake-timeout", "2s"], |socket| {
        let silent: Vec<UnixStream> = (0..200).map(|_| connect(socket)).collect();
        let began = Instant::now();
        let mut client = connect(socket);
        client.write_all(&conversation()).unwrap();
        let mut header = [0; 12];
        client.read_exact(&mut header).unwrap();
        println!("served beside 200 silent ones after {:?}", began.elapsed());
        for mut stream in silent {
            let mut said = Vec::new();
            let ended = stream.read_to_end(&mut said);
            assert!(ended.is_ok(), "a silent connection is kept: {ended:?}");
        }
    });
}

#[test]
fn more_connections_than_the_limit_are_closed_and_the_next_is_served() {
    survives("too many", &["--max-connections", "8"], |socket| {
        let held: Vec<UnixStream> = (0..8).map(|_| connect(socket)).collect();
        let mut one_more = connect(socket);
        let mut said = Vec::new();
        match one_more.read_to_end(&mut said) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        drop(held);
    });
}

#[test]
fn a_front_that_is_killed_is_replaced_and_its_successor_serves() {
    let server = TestServer::start();
    let before = processes(&server)[1];
    let pid = rustix::process::Pid::from_raw(before.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let served = eventually(|| {
        let ran = server.run().args(["--", "true"]).ran();
        (ran.code == 0).then_some(())
    });
    assert!(served.is_some(), "a new front serves");
    assert_ne!(processes(&server)[1], before);
}
