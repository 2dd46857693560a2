//! The telephone over streams: many clients, one call, clients that behave badly.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use redial_classic::connect::Stream;
use redial_classic::echo::{Answers, EchoCaller, EchoError, MAX_CLIENTS};

use crate::server::{Server, said, socket_in};

#[test]
fn every_kind_of_address_is_answered_in_upper_case_message_after_message() {
    let dir = tempfile::tempdir().unwrap();
    for listen in [
        "127.0.0.1:0".to_owned(),
        "[::1]:0".to_owned(),
        "localhost:0".to_owned(),
        "udp:127.0.0.1:0".to_owned(),
        "udp:localhost:0".to_owned(),
        socket_in(&dir, "unix"),
        socket_in(&dir, "unixgram"),
    ] {
        let server = Server::for_ever(&listen);
        let caller = server.caller();
        assert_eq!(said(&caller, b"hello"), b"HELLO", "{listen}");
        // Python's bytes.upper(): ASCII letters only.
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(said(&caller, &bytes), bytes.to_ascii_uppercase());
    }
    assert!(!dir.path().join("phone").exists());
}

#[test]
fn the_server_tells_who_called_what_was_said_and_how_it_ended() {
    let server = Server::for_ever("127.0.0.1:0");
    let mut client = server.tcp();
    client.write_all(b"hello").unwrap();
    let from = client.local_addr().unwrap();
    let connected = format!("connected AF_INET SOCK_STREAM {from}");
    assert_eq!(server.next(), connected);
    assert_eq!(server.next(), "heard hello");
    // Who closes with an answer unread resets, tcp(7).
    client.read_exact(&mut [0; 5]).unwrap();
    drop(client);
    server.until("client hung up");
}

#[test]
fn fifty_clients_talk_at_once_and_none_waits_for_another() {
    let server = Server::for_ever("127.0.0.1:0");
    // All connected before the first speaks: with one call at a time this would hang.
    let clients: Vec<TcpStream> = (0..50).map(|_| server.tcp()).collect();
    for round in 0..3 {
        for (number, mut client) in clients.iter().enumerate().rev() {
            let message = format!("client {number} round {round}");
            client.write_all(message.as_bytes()).unwrap();
            let mut heard = vec![0; message.len()];
            client.read_exact(&mut heard).unwrap();
            assert_eq!(heard, message.to_uppercase().as_bytes());
        }
    }
}

#[test]
fn more_clients_than_may_be_wait_until_one_hangs_up() {
    let server = Server::for_ever("127.0.0.1:0");
    let mut clients: Vec<TcpStream> = (0..MAX_CLIENTS).map(|_| server.tcp()).collect();
    for _ in 0..MAX_CLIENTS {
        server.until("connected");
    }
    let mut next = server.tcp();
    next.write_all(b"me too").unwrap();
    // The others are served meanwhile.
    clients[0].write_all(b"x").unwrap();
    assert_eq!(server.next(), "heard x");
    clients.pop();
    let mut heard = [0; 6];
    next.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"ME TOO");
}

#[test]
fn a_client_that_vanishes_in_the_middle_or_resets_harms_nobody() {
    let server = Server::for_ever("127.0.0.1:0");
    let steady = server.caller();
    assert_eq!(said(&steady, b"before"), b"BEFORE");

    let mut half = server.tcp();
    half.write_all(b"half a li").unwrap();
    server.until("heard half a li");
    drop(half);

    let resetting = server.tcp();
    server.until("connected");
    // close(2) sends RST then, socket(7).
    rustix::net::sockopt::set_socket_linger(&resetting, Some(Duration::ZERO)).unwrap();
    drop(resetting);
    server.until("vanished ConnectionReset");

    assert_eq!(said(&steady, b"after"), b"AFTER");
    assert_eq!(said(&server.caller(), b"new"), b"NEW");
}

#[test]
fn a_client_that_does_not_read_stalls_only_itself() {
    let server = Server::for_ever("127.0.0.1:0");
    let mut deaf = server.tcp();
    deaf.set_nonblocking(true).unwrap();
    // Until both directions are full: the server waits for us, and we for it.
    let block = vec![b'x'; 1024 * 1024];
    let full = (0..100).find_map(|_| deaf.write(&block).err());
    assert!(full.is_some(), "100 MiB fit between us");
    assert_eq!(said(&server.caller(), b"hello"), b"HELLO");
}

#[test]
fn ten_megabytes_come_back_whole_though_neither_side_waits_for_the_other_to_finish() {
    let dir = tempfile::tempdir().unwrap();
    let message: Vec<u8> = (0..10_000_000_u32).map(|i| b'a' + (i % 26) as u8).collect();
    for listen in ["127.0.0.1:0".to_owned(), socket_in(&dir, "unix")] {
        let server = Server::for_ever(&listen);
        let caller = server.caller();
        assert!(said(&caller, &message) == message.to_ascii_uppercase());
        assert_eq!(said(&caller, b"more"), b"MORE");
    }
}

#[test]
fn one_call_is_answered_hung_up_on_and_meanwhile_nobody_else_gets_through() {
    let dir = tempfile::tempdir().unwrap();
    for listen in ["127.0.0.1:0".to_owned(), socket_in(&dir, "unix")] {
        let mut server = Server::start(&listen, Answers::Once);
        let mut client = Stream::connect(&server.address).unwrap();
        server.until("connected");
        let second = EchoCaller::connect(&server.address).unwrap_err();
        assert!(second.to_string().contains("nobody listens"), "{second}");
        client.write_all(b"hello").unwrap();
        let mut heard = Vec::new();
        // To the end: the server hangs up, not we.
        client.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"HELLO");
        server.until("server hung up");
        server.ended();
    }
}

#[test]
fn one_call_may_be_of_ten_megabytes() {
    let mut server = Server::start("127.0.0.1:0", Answers::Once);
    let message = vec![b'm'; 10_000_000];
    assert!(said(&server.caller(), &message) == message.to_ascii_uppercase());
    server.ended();
}

#[test]
fn at_the_end_everybody_is_hung_up_on() {
    let mut server = Server::for_ever("127.0.0.1:0");
    let mut client = server.tcp();
    server.until("connected");
    server.end();
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard, b"");
    server.until("server hung up");
    server.ended();
}

#[test]
fn the_caller_says_when_the_server_hangs_up_before_the_answer_is_complete() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let caller = EchoCaller::connect(&address.parse().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let half = thread::spawn(move || {
        server.read_exact(&mut [0; 5]).unwrap();
        server.write_all(b"HEL").unwrap();
    });
    let mut reply = Vec::new();
    let error = caller.say(b"hello", &mut reply).unwrap_err();
    half.join().unwrap();
    assert_eq!(reply, b"HEL");
    assert!(error.to_string().contains("3 of 5 bytes"), "{error}");
    let error = caller.say(b"again", &mut reply).unwrap_err();
    assert!(matches!(error, EchoError::HungUp { .. }), "{error}");
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_put_together() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let caller = EchoCaller::connect(&address.parse().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.set_nodelay(true).unwrap();
    let slow = thread::spawn(move || {
        server.read_exact(&mut [0; 5]).unwrap();
        for byte in b"HELLO" {
            server.write_all(&[*byte]).unwrap();
            thread::yield_now();
        }
        server.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(said(&caller, b"hello"), b"HELLO");
    slow.join().unwrap();
}

#[test]
fn a_server_that_says_more_than_it_heard_is_no_echo_server() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let caller = EchoCaller::connect(&address.parse().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(b"220 welcome").unwrap();
    drop(server);
    let error = caller.say(b"hello", &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EchoError::Unasked { .. }), "{error}");
}
