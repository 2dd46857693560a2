//! The link and its packets.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use minicbor::bytes::{ByteArray, ByteVec};

use super::*;

fn received(link: &Link) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut buffer = vec![0; MAX_PACKET_BYTES];
    let received = link.receive(&mut buffer).unwrap();
    buffer.truncate(received.len);
    (buffer, received.fds)
}

#[test]
fn messages_pushed_together_arrive_in_one_packet_in_order() {
    let (one, other) = Link::pair().unwrap();
    let mut outbox = Outbox::new();
    let messages = [
        ToKeeper::Ready(VERSION),
        ToKeeper::Closed(7),
        ToKeeper::Closed(8),
    ];
    messages
        .iter()
        .for_each(|message| outbox.push(message).unwrap());
    assert!(outbox.len_bytes() > 0);
    assert!(outbox.flush(&one).unwrap());
    assert!(outbox.is_empty());
    let (packet, _) = received(&other);
    let decoded: Vec<ToKeeper> = decode_packet(&packet).map(Result::unwrap).collect();
    assert_eq!(decoded, messages);
}

#[test]
fn messages_that_do_not_fit_one_packet_take_the_next() {
    let (one, other) = Link::pair().unwrap();
    let mut outbox = Outbox::new();
    for number in 0..4 {
        outbox
            .push(&ToKeeper::StartPiece(
                number,
                ByteVec::from(vec![1; 30_000]),
            ))
            .unwrap();
    }
    let too_long = ToKeeper::StartPiece(9, ByteVec::from(vec![1; MAX_PACKET_BYTES]));
    assert!(matches!(outbox.push(&too_long), Err(WireError::TooLong(_))));
    outbox.flush(&one).unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (packet, _) = received(&other);
        seen.extend(
            decode_packet::<ToKeeper>(&packet).map(|message| match message.unwrap() {
                ToKeeper::StartPiece(number, _) => number,
                other => panic!("{other:?}"),
            }),
        );
    }
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[test]
fn descriptors_go_with_their_message() {
    let (one, other) = Link::pair().unwrap();
    let (mut reader, writer) = io::pipe().unwrap();
    let mut outbox = Outbox::new();
    let connection = ToFront::Connection(1, ConnectionKind::Stdio);
    outbox.push(&ToFront::ShuttingDown).unwrap();
    outbox
        .push_with(&connection, vec![OwnedFd::from(writer)])
        .unwrap();
    outbox.push(&ToFront::ShuttingDown).unwrap();
    outbox.flush(&one).unwrap();
    assert!(received(&other).1.is_empty());
    let (packet, mut fds) = received(&other);
    assert_eq!(
        decode_packet::<ToFront>(&packet).next().unwrap().unwrap(),
        connection
    );
    assert!(
        rustix::io::fcntl_getfd(&fds[0])
            .unwrap()
            .contains(rustix::io::FdFlags::CLOEXEC)
    );
    io::PipeWriter::from(fds.remove(0)).write_all(b"x").unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "x");
}

#[test]
fn a_full_link_keeps_the_rest_for_later() {
    let (one, other) = Link::pair().unwrap();
    let mut outbox = Outbox::new();
    for number in 0..100 {
        outbox
            .push(&ToKeeper::StartPiece(
                number,
                ByteVec::from(vec![1; 60_000]),
            ))
            .unwrap();
    }
    let mut packets = 0;
    while !outbox.flush(&one).unwrap() {
        received(&other);
        packets += 1;
    }
    let mut buffer = vec![0; MAX_PACKET_BYTES];
    while other.receive(&mut buffer).is_ok() {
        packets += 1;
    }
    assert_eq!(packets, 100);
}

#[test]
fn the_end_of_the_other_side_is_an_empty_packet() {
    let (one, other) = Link::pair().unwrap();
    drop(other);
    assert_eq!(received(&one).0.len(), 0);
    assert_eq!(
        one.send(b"x", &[]).unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
}

#[test]
fn what_was_sent_before_the_other_side_died_arrives_also_if_it_had_not_read_all() {
    let (one, other) = Link::pair().unwrap();
    one.send(b"not read", &[]).unwrap();
    for packet in [b"first", b"last!"] {
        other.send(packet, &[]).unwrap();
    }
    drop(other);
    let packets = [0; 3].map(|_| received(&one).0);
    assert_eq!(packets, [&b"first"[..], b"last!", b""]);
}

#[test]
fn what_is_no_packet_socket_is_no_link() {
    let (reader, _writer) = io::pipe().unwrap();
    assert!(Link::from_fd(OwnedFd::from(reader)).is_err());
    let (stream, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(Link::from_fd(OwnedFd::from(stream)).is_err());
    let (one, _other) = Link::pair().unwrap();
    assert!(Link::from_fd(one.as_fd().try_clone_to_owned().unwrap()).is_ok());
}

#[test]
fn a_packet_that_breaks_off_says_so_and_ends() {
    let mut packet = Vec::new();
    minicbor::encode(ToKeeper::Closed(1), &mut packet).unwrap();
    let job = ByteArray::from([7; 16]);
    minicbor::encode(ToKeeper::Acknowledge(1, job, 2, 3), &mut packet).unwrap();
    for cut in 1..packet.len() {
        let decoded: Vec<_> = decode_packet::<ToKeeper>(&packet[..cut]).collect();
        assert!(decoded.len() <= 2, "cut at {cut}");
        let whole = decoded.iter().filter(|message| message.is_ok()).count();
        assert!(whole <= 1, "cut at {cut}");
    }
}

#[test]
fn a_command_of_too_many_items_is_given_up_not_collected() {
    let command = |items: usize| Command {
        job: ByteArray::from([1; 16]),
        program: Program::Argv(vec![ByteVec::from(Vec::new()); items]),
        cwd: None,
        env: Vec::new(),
        stdin: false,
        pty: None,
        deadline_ms: None,
        drain_ms: 0,
        on_drop: DropPolicy::Kill,
        reap: false,
        detach: false,
        resent: None,
        keep: None,
        resources: None,
    };
    let decoded = |items| {
        let bytes = minicbor::to_vec(command(items)).unwrap();
        minicbor::decode::<Command>(&bytes).map(|decoded| decoded == command(items))
    };
    assert!(decoded(MAX_COMMAND_ITEMS).unwrap());
    assert!(decoded(MAX_COMMAND_ITEMS + 1).is_err());
}
