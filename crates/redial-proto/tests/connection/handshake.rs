//! Hellos, time, goodbyes, and what a hostile peer can make wait.

use std::time::Duration;

use redial_proto::message::*;
use redial_proto::{
    Body, ChannelId, Config, Connection, ErrorCode, Event, Kind, Side, Stream, limits,
};

use crate::frames::*;
use crate::login::asking;

#[test]
fn without_a_version_in_common_the_server_says_so() {
    for (min_version, max_version) in [(0, 0), (2, 9)] {
        let mut server = Connection::server(Config::server([7; 16]), NOW);
        let hello = ClientHello {
            min_version,
            max_version,
            ..client_hello()
        };
        let error = hear(&mut server, &message(Kind::Hello, 0, &hello)).map(drop);
        assert_eq!(error.expect_err("no version").code, ErrorCode::Version);
        let said = said(&mut server);
        let goodbye: Goodbye = minicbor::decode(&said[0][12..]).expect("goodbye");
        assert_eq!(goodbye.code, GoodbyeCode::Version as u16);
    }
    let mut client = Connection::client(Config::client(), NOW);
    let hello = ServerHello {
        version: 2,
        ..server_hello(false)
    };
    let error = hear(&mut client, &message(Kind::Hello, 0, &hello)).map(drop);
    assert_eq!(error.expect_err("not offered").code, ErrorCode::Version);
}

#[test]
fn a_handshake_has_ten_seconds() {
    for mut side in [
        Connection::client(Config::client(), NOW),
        Connection::server(Config::server([7; 16]), NOW),
        server_with(asking()),
    ] {
        let until = NOW + Duration::from_secs(10);
        assert_eq!(side.poll_timeout(), Some(until));
        side.handle_timeout(until - Duration::from_nanos(1));
        assert_eq!(side.poll_event(), None);
        side.handle_timeout(until);
        let Some(Event::Failed(error)) = side.poll_event() else {
            panic!("no end");
        };
        assert_eq!(error.code, ErrorCode::Timeout);
        assert_eq!(
            said(&mut side).last().expect("goodbye")[4],
            Kind::Goodbye as u8
        );
        assert!(side.is_finished());
        assert_eq!(side.poll_timeout(), None);
    }
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let mut config = Config::server([7; 16]);
    config.limits.keepalive_ms = 30_000;
    let mut server = Connection::server(config, NOW);
    let mut hello = client_hello();
    hello.limits.keepalive_ms = 1_000;
    hear(&mut server, &message(Kind::Hello, 0, &hello)).expect("hello");
    said(&mut server);
    let second = Duration::from_secs(1);
    assert_eq!(
        server.poll_timeout(),
        Some(NOW + second),
        "the shorter interval"
    );
    server.handle_timeout(NOW + second);
    assert_eq!(kinds_said(&mut server), [Kind::Ping]);
    assert_eq!(server.poll_timeout(), Some(NOW + 3 * second));
    // One byte is a sign of life; the same byte again is none.
    let pong = frame(Kind::Pong, 0, 0, 0, b"12345678");
    let later = NOW + second / 2 * 3;
    server.handle_input(later, &pong[..1]).expect("a byte");
    server
        .handle_input(later + second, &pong[..1])
        .expect("the same byte");
    server.handle_timeout(later + second);
    assert_eq!(kinds_said(&mut server), [Kind::Ping]);
    server.handle_timeout(later + 3 * second);
    assert!(matches!(
        server.poll_event(),
        Some(Event::Failed(error)) if error.code == ErrorCode::Silent
    ));
}

#[test]
fn goodbye_waits_for_what_may_be_sent_and_the_peer_answers_it() {
    let (mut server, channel) = open_server();
    let (mut client, _) = open_client();
    server
        .data_ready(channel, Stream::Stdout, 100_000)
        .expect("attached");
    server.goodbye(GoodbyeCode::ShuttingDown, "later");
    let refused = server.data_ready(channel, Stream::Stdout, 1);
    assert_eq!(refused, Err(redial_proto::CommandError::Closing));
    let frames = said(&mut server);
    assert_eq!(frames.len(), 3);
    assert!(!server.is_finished());
    for frame in &frames {
        hear(&mut client, frame).expect("good").expect("told");
    }
    assert!(!client.is_finished());
    let answer = said(&mut client);
    assert!(client.is_finished());
    assert_eq!(client.handle_end(b""), Ok(()));
    for frame in &answer {
        hear(&mut server, frame).expect("good");
    }
    assert!(server.is_finished());
}

#[test]
fn a_peer_that_never_answers_goodbye_is_left() {
    let mut server = ready_server();
    let much_later = NOW + Duration::from_secs(86_400);
    server.goodbye(GoodbyeCode::ShuttingDown, "");
    said(&mut server);
    assert!(server.poll_timeout().is_some_and(|at| at <= NOW), "at once");
    server.handle_timeout(much_later);
    assert_eq!(server.poll_event(), None);
    let until = much_later + Duration::from_secs(10);
    assert_eq!(server.poll_timeout(), Some(until));
    server.handle_timeout(until);
    assert!(matches!(server.poll_event(), Some(Event::Failed(_))));
    assert!(server.is_finished());
}

#[test]
fn a_hundred_thousand_pings_never_read_are_one_pong() {
    let mut server = ready_server();
    for number in 0..100_000_u64 {
        let ping = frame(Kind::Ping, 0, 0, 0, &number.to_be_bytes());
        hear(&mut server, &ping).expect("ping");
    }
    let said = said(&mut server);
    assert_eq!(
        said,
        [frame(Kind::Pong, 0, 0, 0, &99_999_u64.to_be_bytes())]
    );
}

#[test]
fn answers_that_are_never_read_stop_the_reading_at_256_kib() {
    let mut config = Config::server([7; 16]);
    config.limits.channels = 1;
    let mut server = server_with(config);
    let mut channel = 0;
    while server.wants_input() {
        channel += 1;
        hear(&mut server, &message(Kind::Attach, channel, &attach())).expect("attach");
        assert!(channel < 100_000, "no bound");
    }
    let mut waiting = 0;
    let mut last = 0;
    while !server.wants_input() {
        let transmit = server.poll_transmit().expect("refusals");
        let Body::Owned(body) = transmit.body else {
            panic!("not a refusal");
        };
        last = 12 + body.len();
        waiting += last;
    }
    let waiting_before = waiting + limits::WAITING_CONTROL_BYTES;
    assert!(waiting_before > limits::WAITING_CONTROL_BYTES && waiting <= 2 * last);
}

#[test]
fn what_changes_often_waits_once_for_each_channel() {
    let (mut client, channel) = open_client();
    let (mut server, _) = open_server();
    for step in 1..10_000 {
        hear(&mut client, &at(Kind::Data, 1, 1, step - 1, b".")).expect("data");
        client.acknowledge(channel, Stream::Stdout, step);
        client.grant(channel, Stream::Stdout, 1_000_000 + step);
        client.grant(channel, Stream::Stderr, 1_000_000 + step);
        server.applied(channel, step);
        server.holder(channel, step % 2 == 0);
        server.grant(channel, Stream::Stdin, 1_000_000 + step);
    }
    use Kind::{Acknowledge, Applied, Credit, Holder};
    assert_eq!(kinds_said(&mut client), [Credit, Credit, Acknowledge]);
    assert_eq!(kinds_said(&mut server), [Holder, Applied, Credit]);
}

#[test]
fn unknown_kinds_are_skipped_if_they_are_optional() {
    for mut side in [ready_server(), ready_client()] {
        for channel in [0, 1, 900] {
            let frame = raw(0x7f, 1, 9, 0, channel, b"whatever");
            assert_eq!(hear(&mut side, &frame), Ok(None));
        }
        let error = hear(&mut side, &raw(0x7f, 0, 0, 0, 0, b"")).expect_err("not optional");
        assert_eq!(error.to_string(), "kind 0x7f: not known, nor optional");
    }
}

#[test]
fn reserved_bits_and_bytes_must_be_0() {
    let ping = Kind::Ping as u8;
    let data = Kind::Data as u8;
    for (frame, code) in [
        (raw(ping, 4, 0, 0, 0, b"12345678"), ErrorCode::Header),
        (raw(ping, 128, 0, 0, 0, b"12345678"), ErrorCode::Header),
        (raw(ping, 2, 0, 0, 0, b"12345678"), ErrorCode::Header),
        (raw(ping, 0, 1, 0, 0, b"12345678"), ErrorCode::Header),
        (raw(ping, 0, 0, 1, 0, b"12345678"), ErrorCode::Header),
        (raw(ping, 0, 0, 0, 1, b"12345678"), ErrorCode::Channel),
        (raw(ping, 0, 0, 0, 0, b"1234567"), ErrorCode::Length),
        (raw(ping, 0, 0, 0, 0, b"123456789"), ErrorCode::Length),
        (raw(data, 0, 0, 0, 0, b"12345678."), ErrorCode::Channel),
        (raw(data, 0, 1, 0, 1, b"12345678."), ErrorCode::Header),
        (raw(data, 0, 3, 0, 1, b"12345678."), ErrorCode::Header),
    ] {
        let error = hear(&mut open_server().0, &frame).map(drop);
        assert_eq!(error.expect_err("bad").code, code, "{frame:02x?}");
    }
}

#[test]
fn a_channel_number_is_used_once() {
    let (mut server, _) = open_server();
    let again = message(Kind::Start, 1, &start());
    let error = hear(&mut server, &again).map(drop);
    assert_eq!(error.expect_err("in use").code, ErrorCode::Channel);
    let (mut server, _) = open_server();
    hear(&mut server, &sample(Kind::Close, Side::Server, 1)).expect("close");
    assert_eq!(
        hear(&mut server, &again),
        Ok(None),
        "skipped: it may have been under way"
    );
    assert_eq!(server.channels_open(), 0);
}

#[test]
fn starts_in_pieces_are_not_interleaved_but_other_kinds_may_come_between() {
    let bytes = cbor(&start());
    let (first, last) = bytes.split_at(10);
    let mut server = ready_server();
    hear(&mut server, &frame(Kind::Start, 2, 0, 1, first)).expect("a piece");
    hear(&mut server, &sample(Kind::Ping, Side::Server, 0)).expect("between");
    hear(&mut server, &message(Kind::Attach, 2, &attach())).expect("between");
    let event = hear(&mut server, &frame(Kind::Start, 0, 0, 1, last)).map(|event| event.is_some());
    assert_eq!(event, Ok(true));

    hear(&mut server, &frame(Kind::Start, 2, 0, 3, first)).expect("a piece");
    let other = message(Kind::Start, 4, &start());
    assert_eq!(
        hear(&mut server, &other)
            .map(drop)
            .expect_err("between")
            .code,
        ErrorCode::State
    );
}

#[test]
fn an_idle_connection_is_small() {
    let size = size_of::<Connection>();
    assert!(size < 1_024, "{size} bytes");
}

#[test]
fn commands_for_a_channel_that_is_gone_do_nothing() {
    let mut server = ready_server();
    let gone = ChannelId(9);
    server.attached(gone, attached());
    server.refused(gone, RefusedCode::Jobs, "");
    server.exited(gone, Exit::Exited(0));
    server.ended(gone, outcome());
    server.eof(gone, Stream::Stdout);
    server.grant(gone, Stream::Stdin, 1);
    server.missed(gone, Stream::Stdout, 0, 1);
    assert!(server.data_ready(gone, Stream::Stdout, 1).is_err());
    assert_eq!(said(&mut server), [] as [Vec<u8>; 0]);
}
