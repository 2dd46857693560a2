//! The telephone over datagrams: one message, one answer, or none.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::channel;
use std::thread;

use redial_classic::address::Address;
use redial_classic::echo::{Answers, EchoCaller, EchoError, MAX_DATAGRAM_BYTES};

use crate::server::{PATIENCE, Server, said, socket_in};

#[test]
fn an_empty_message_is_never_sent() {
    let server = Server::for_ever("udp:127.0.0.1:0");
    let error = server.caller().say(b"", &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EchoError::Empty), "{error}");
}

#[test]
fn one_datagram_is_one_message_and_an_empty_one_is_answered_too() {
    let server = Server::for_ever("udp:127.0.0.1:0");
    let address = server.address.to_string();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client
        .connect(address.strip_prefix("udp:").unwrap())
        .unwrap();
    for message in [&b"one"[..], b"", b"three"] {
        client.send(message).unwrap();
    }
    let mut buffer = [0; 16];
    for message in [&b"ONE"[..], b"", b"THREE"] {
        let len = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], message);
    }
    assert_eq!(server.next(), "mailbox AF_INET SOCK_DGRAM");
    let from = format!("datagram {}", client.local_addr().unwrap());
    assert_eq!(server.next(), from);
    assert_eq!(server.next(), "heard one");
}

#[test]
fn the_largest_datagram_is_answered_and_one_byte_more_is_refused_with_the_reason() {
    let server = Server::for_ever("udp:127.0.0.1:0");
    let caller = server.caller();
    // 65,535 less the headers of IPv4 and UDP.
    let largest = vec![b'a'; 65_507];
    assert_eq!(said(&caller, &largest).len(), largest.len());
    let one_more = vec![b'a'; 65_508];
    let error = caller.say(&one_more, &mut Vec::new()).unwrap_err();
    assert!(
        matches!(error, EchoError::TooLong { len: 65_508, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("at most 65507"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let server = Server::for_ever(&socket_in(&dir, "unixgram"));
    let beyond = vec![b'a'; 64 * MAX_DATAGRAM_BYTES];
    let error = server.caller().say(&beyond, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EchoError::TooLong { .. }), "{error}");
    assert_eq!(said(&server.caller(), b"hello"), b"HELLO");
}

#[test]
fn a_datagram_to_nobody_is_refused_and_one_that_is_not_answered_counts_as_lost() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address: Address = format!("udp:{}", silent.local_addr().unwrap())
        .parse()
        .unwrap();
    let caller = EchoCaller::connect(&address).unwrap();
    let error = caller.say(b"hello", &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EchoError::Lost { .. }), "{error}");
    assert!(error.to_string().contains("after 5 s"), "{error}");
    drop(silent);
    let error = caller.say(b"hello", &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EchoError::Refused { .. }), "{error}");
}

#[test]
fn an_answer_that_came_too_late_is_none_to_the_next_message() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = format!("udp:{}", server.local_addr().unwrap());
    let caller = EchoCaller::connect(&address.parse().unwrap()).unwrap();
    let (doubled, is_doubled) = channel();
    let answering = thread::spawn(move || {
        let mut buffer = [0; 16];
        for _ in 0..2 {
            let (len, from) = server.recv_from(&mut buffer).unwrap();
            let upper = buffer[..len].to_ascii_uppercase();
            server.send_to(&upper, from).unwrap();
            // The network may double a datagram.
            server.send_to(&upper, from).unwrap();
            doubled.send(()).unwrap();
        }
    });
    assert_eq!(said(&caller, b"one"), b"ONE");
    // On loopback what was sent has arrived.
    is_doubled.recv_timeout(PATIENCE).unwrap();
    assert_eq!(said(&caller, b"two"), b"TWO");
    answering.join().unwrap();
}

#[test]
fn a_datagram_without_an_address_to_answer_to_is_told_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::for_ever(&socket_in(&dir, "unixgram"));
    let unbound = UnixDatagram::unbound().unwrap();
    unbound.send_to(b"who?", dir.path().join("phone")).unwrap();
    assert!(server.until("unanswered").contains("not bound"));
    let gone = UnixDatagram::bind(dir.path().join("gone")).unwrap();
    gone.send_to(b"bye", dir.path().join("phone")).unwrap();
    server.until("heard bye");
    drop(gone);
    assert_eq!(said(&server.caller(), b"hello"), b"HELLO");
}

#[test]
fn a_client_that_does_not_fetch_its_answers_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::for_ever(&socket_in(&dir, "unixgram"));
    let deaf = UnixDatagram::bind(dir.path().join("deaf")).unwrap();
    // Longer than any queue (unix(7), max_dgram_qlen) as long as the test does not mean
    // to wait: what the server takes, it can only throw away.
    for _ in 0..2_000 {
        deaf.send_to(b"hello", dir.path().join("phone")).unwrap();
    }
    assert_eq!(said(&server.caller(), b"hello"), b"HELLO");
    server.until("unanswered");
}

#[test]
fn one_datagram_is_answered_and_then_nobody_is_there() {
    let mut server = Server::start("udp:127.0.0.1:0", Answers::Once);
    let caller = server.caller();
    assert_eq!(said(&caller, b"hello"), b"HELLO");
    server.ended();
    let error = caller.say(b"again", &mut Vec::new()).unwrap_err();
    assert!(matches!(error, EchoError::Refused { .. }), "{error}");
}
