//! Starts at their limits, in pieces, and one channel too many.

use redial_proto::message::*;
use redial_proto::{
    ChannelId, CommandError, Config, Connection, ErrorCode, Event, Kind, Side, Stream,
};

use crate::frames::*;

/// A start whose CBOR has exactly so many bytes.
fn start_of(bytes: usize) -> Start {
    let mut long = start();
    let spare = bytes - cbor(&start()).len();
    for padding in (0..=spare).rev().take(16) {
        long.cwd = Some(vec![b'/'; padding].into());
        if cbor(&long).len() == bytes {
            return long;
        }
    }
    panic!("no start of {bytes} bytes");
}

#[test]
fn a_start_of_2_mib_comes_in_pieces_and_a_longer_one_not_at_all() {
    let mut client = ready_client();
    let longest = start_of(2_097_152);
    let channel = client.start(&longest).expect("at the limit");
    let frames = said(&mut client);
    assert_eq!(frames.len(), 8);
    let mut server = ready_server();
    let (last, first) = frames.split_last().expect("frames");
    for piece in first {
        assert_eq!(hear(&mut server, piece), Ok(None));
    }
    let start = Box::new(longest);
    assert_eq!(
        hear(&mut server, last),
        Ok(Some(Event::Start { channel, start }))
    );

    let refused = client.start(&start_of(2_097_153));
    let limit = 2_097_152;
    assert_eq!(
        refused,
        Err(CommandError::TooLong {
            bytes: limit + 1,
            limit
        })
    );
    let mut server = ready_server();
    for piece in first {
        assert_eq!(hear(&mut server, piece), Ok(None));
    }
    let last = frame(Kind::Start, 2, 0, 1, &last[12..]);
    assert_eq!(hear(&mut server, &last), Ok(None));
    let one_more = frame(Kind::Start, 0, 0, 1, b".");
    let error = hear(&mut server, &one_more);
    assert_eq!(error.expect_err("too long").code, ErrorCode::Limit);
}

#[test]
fn a_start_names_262_144_strings_at_most() {
    let start_with = |arguments: usize, variables: usize| Start {
        argv: Some(vec![vec![].into(); arguments]),
        env: Some(vec![(vec![].into(), vec![].into()); variables]),
        ..start()
    };
    let good = start_with(262_143, 1);
    let bad = start_with(262_144, 1);
    let mut client = ready_client();
    assert_eq!(client.start(&good), Ok(ChannelId(1)));
    assert!(matches!(client.start(&bad), Err(CommandError::Message(_))));
    for (start, expected) in [(good, None), (bad, Some(ErrorCode::Limit))] {
        let mut server = ready_server();
        let bytes = cbor(&start);
        let (first, rest) = bytes.split_at(262_144);
        hear(&mut server, &frame(Kind::Start, 2, 0, 1, first)).expect("a piece");
        let mut rest = rest.chunks(262_144).peekable();
        let mut error = None;
        while let Some(piece) = rest.next() {
            let more = if rest.peek().is_some() { 2 } else { 0 };
            error = hear(&mut server, &frame(Kind::Start, more, 0, 1, piece)).err();
        }
        assert_eq!(error.map(|error| error.code), expected);
    }
}

#[test]
fn one_channel_too_many_is_refused_with_all_its_pieces_and_the_others_go_on() {
    let mut config = Config::server([7; 16]);
    config.limits.channels = 2;
    let mut server = server_with(config);
    for channel in [1, 5] {
        let frame = message(Kind::Start, channel, &start());
        assert!(hear(&mut server, &frame).expect("room").is_some());
    }
    let first = frame(Kind::Start, 2, 0, 6, b"no CBOR");
    let last = frame(Kind::Start, 0, 0, 6, b"at all");
    assert_eq!(hear(&mut server, &first), Ok(None));
    assert_eq!(hear(&mut server, &last), Ok(None));
    assert_eq!(
        hear(&mut server, &sample(Kind::Data, Side::Server, 6)),
        Ok(None)
    );
    let refused = said(&mut server);
    assert_eq!(refused.len(), 1);
    let refusal: Refused = minicbor::decode(&refused[0][12..]).expect("refused");
    assert_eq!(refusal.code, RefusedCode::Channels as u16);
    // A free slot is a free slot.
    hear(&mut server, &sample(Kind::Close, Side::Server, 5)).expect("close");
    let frame = message(Kind::Start, 7, &start());
    assert!(hear(&mut server, &frame).expect("room").is_some());
}

#[test]
fn a_client_holds_itself_to_the_limits_of_its_server() {
    let mut client = Connection::client(Config::client(), NOW);
    assert_eq!(client.start(&start_of(65_545)), Err(CommandError::NotReady));
    let early = client
        .start(&start_of(65_544))
        .expect("the least every server takes");
    assert_eq!(client.start(&start()), Err(CommandError::NotReady));
    client
        .data_ready(early, Stream::Stdin, 10)
        .expect("a start counts from 0");
    assert_eq!(kinds_said(&mut client), [Kind::Hello, Kind::Start]);

    let mut hello = server_hello(false);
    hello.limits.channels = 2;
    hello.limits.early_stdin = 4;
    hello.limits.start_bytes = 100_000;
    hello.limits.max_payload = 65_544;
    hear(&mut client, &message(Kind::Hello, 0, &hello)).expect("hello");
    let data = said(&mut client);
    assert_eq!(data, [at(Kind::Data, 0, 1, 0, b"....")]);
    let limit = 100_000;
    assert_eq!(
        client.start(&start_of(100_001)),
        Err(CommandError::TooLong {
            bytes: 100_001,
            limit
        })
    );
    client.start(&start_of(100_000)).expect("at the limit");
    assert_eq!(kinds_said(&mut client), [Kind::Start, Kind::Start]);
    assert_eq!(
        client.start(&start()),
        Err(CommandError::Channels { limit: 2 })
    );
}
