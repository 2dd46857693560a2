//! Every message at its limit, and one past it.

use redial_proto::message::*;
use redial_proto::{Config, Connection, ErrorCode, Kind, Stream, limits};

use crate::frames::*;

/// What becomes of a frame: its event, or the error's code.
fn verdict(mut side: Connection, frame: &[u8]) -> Result<(), ErrorCode> {
    hear(&mut side, frame).map(drop).map_err(|error| error.code)
}

fn new_server() -> Connection {
    Connection::server(Config::server([7; 16]), NOW)
}

fn new_client() -> Connection {
    Connection::client(Config::client(), NOW)
}

fn asking_server() -> Connection {
    let config = Config {
        auth: true,
        ..Config::server([7; 16])
    };
    server_with(config)
}

#[test]
fn hellos_at_their_limits_are_taken_and_past_them_refused() {
    type Change = fn(&mut ClientHello);
    let cases: [(Change, Result<(), ErrorCode>); 16] = [
        (|hello| hello.agent = "a".repeat(128), Ok(())),
        (|hello| hello.agent = "a".repeat(129), Err(ErrorCode::Limit)),
        (|hello| hello.features = vec!["f".repeat(64); 32], Ok(())),
        (
            |hello| hello.features = vec!["f".repeat(65)],
            Err(ErrorCode::Limit),
        ),
        (
            |hello| hello.features = vec!["f".into(); 33],
            Err(ErrorCode::Limit),
        ),
        (|hello| hello.limits.max_payload = 65_544, Ok(())),
        (
            |hello| hello.limits.max_payload = 65_543,
            Err(ErrorCode::Limit),
        ),
        (
            |hello| hello.limits.max_payload = 262_145,
            Err(ErrorCode::Limit),
        ),
        (|hello| hello.limits.channels = 1, Ok(())),
        (|hello| hello.limits.channels = 0, Err(ErrorCode::Limit)),
        (|hello| hello.limits.start_bytes = 65_544, Ok(())),
        (
            |hello| hello.limits.start_bytes = 65_543,
            Err(ErrorCode::Limit),
        ),
        (
            |hello| hello.limits.start_bytes = 2_097_153,
            Err(ErrorCode::Limit),
        ),
        (|hello| hello.limits.keepalive_ms = 100, Ok(())),
        (
            |hello| hello.limits.keepalive_ms = 99,
            Err(ErrorCode::Limit),
        ),
        (|hello| hello.max_version = 0, Err(ErrorCode::Limit)),
    ];
    for (at, (change, expected)) in cases.into_iter().enumerate() {
        let mut hello = client_hello();
        change(&mut hello);
        let frame = message(Kind::Hello, 0, &hello);
        assert_eq!(verdict(new_server(), &frame), expected, "case {at}");
        if hello.max_version > 0 {
            let mut answer = server_hello(false);
            // No feature was offered, so none can come back.
            if !hello.features.is_empty() {
                continue;
            }
            answer.limits = hello.limits;
            answer.agent = hello.agent;
            let frame = message(Kind::Hello, 0, &answer);
            assert_eq!(verdict(new_client(), &frame), expected, "case {at}");
        }
    }
}

#[test]
fn before_it_knows_who_is_there_a_server_takes_16_kib_at_most() {
    for (length, expected) in [(16_384, None), (16_385, Some(ErrorCode::Length))] {
        let head = &frame(Kind::Hello, 0, 0, 0, &vec![0; length])[..12];
        let found = new_server().handle_input(NOW, head).err();
        assert_eq!(found.map(|error| error.code), expected);
        let head = &frame(Kind::Authenticate, 0, 0, 0, &vec![0; length])[..12];
        let found = asking_server().handle_input(NOW, head).err();
        assert_eq!(found.map(|error| error.code), expected);
    }
}

#[test]
fn a_length_is_refused_as_soon_as_it_is_there() {
    for (length, side) in [
        (u32::MAX, ready_server()),
        (8 + 262_145, ready_server()),
        (8 + 262_145, ready_client()),
        (7, ready_server()),
        (0, ready_client()),
        (8 + 16_385, new_server()),
    ] {
        let mut side = side;
        let error = side
            .handle_input(NOW, &length.to_be_bytes())
            .expect_err("out of range");
        assert_eq!(error.code, ErrorCode::Length, "{length}");
        assert_eq!(kinds_said(&mut side), [Kind::Goodbye]);
        assert!(side.is_finished());
    }
    let mut server = ready_server();
    let length = (8_u32 + 262_144).to_be_bytes();
    let input = server.handle_input(NOW, &length);
    assert_eq!(input.expect("in range").needed, 8);
}

#[test]
fn authenticate_offers_256_keys_at_most() {
    for (keys, expected) in [(256, Ok(())), (257, Err(ErrorCode::Limit))] {
        let offer = Authenticate {
            keys: vec![vec![].into(); keys],
            ..authenticate()
        };
        let frame = message(Kind::Authenticate, 0, &offer);
        assert_eq!(verdict(asking_server(), &frame), expected);
    }
    let frame = message(
        Kind::Authenticate,
        0,
        &Authenticate {
            user: "u".repeat(1_025),
            ..authenticate()
        },
    );
    assert_eq!(verdict(asking_server(), &frame), Err(ErrorCode::Limit));
}

#[test]
fn texts_have_1_024_bytes_at_most() {
    for (length, expected) in [(1_024, Ok(())), (1_025, Err(ErrorCode::Limit))] {
        let text = "x".repeat(length);
        let goodbye = Goodbye {
            code: 0,
            text: text.clone(),
        };
        let refused = Refused {
            code: 1,
            text: text.clone(),
        };
        let frame = message(Kind::Goodbye, 0, &goodbye);
        assert_eq!(verdict(ready_server(), &frame), expected);
        assert_eq!(verdict(ready_client(), &frame), expected);
        let mut client = ready_client();
        client.start(&start()).expect("ready");
        let frame = message(Kind::Refused, 1, &refused);
        assert_eq!(verdict(client, &frame), expected);
        let ended = Outcome {
            cause: Cause::Cancelled(text),
            ..outcome()
        };
        let frame = message(Kind::Ended, 1, &ended);
        assert_eq!(verdict(open_client().0, &frame), expected);
    }
}

#[test]
fn an_outcome_names_16_holders_by_64_bytes_and_a_path_of_4_096() {
    let holders = |count: usize, length: usize| Outcome {
        holders: vec![(1, "n".repeat(length)); count],
        ..outcome()
    };
    let path = |length: usize| Outcome {
        status: Status::NotStarted("exec".into(), 2, vec![b'/'; length].into()),
        ..outcome()
    };
    for (outcome, expected) in [
        (holders(16, 64), Ok(())),
        (holders(17, 1), Err(ErrorCode::Limit)),
        (holders(1, 65), Err(ErrorCode::Limit)),
        (path(4_096), Ok(())),
        (path(4_097), Err(ErrorCode::Limit)),
    ] {
        let frame = message(Kind::Ended, 1, &outcome);
        assert_eq!(verdict(open_client().0, &frame), expected);
        // A server cuts its own.
        let (mut server, channel) = open_server();
        server.ended(channel, outcome);
        let said = said(&mut server).concat();
        assert_eq!(verdict(open_client().0, &said), Ok(()));
    }
}

#[test]
fn values_out_of_their_range_are_refused() {
    let control = |number, kind| message(Kind::Control, 1, &Control { number, kind });
    for (frame, expected) in [
        (control(1, ControlKind::Stop(1)), Ok(())),
        (control(1, ControlKind::Stop(2)), Ok(())),
        (control(1, ControlKind::Stop(0)), Err(ErrorCode::Limit)),
        (control(1, ControlKind::Stop(3)), Err(ErrorCode::Limit)),
        (control(0, ControlKind::Signal(15)), Err(ErrorCode::Limit)),
    ] {
        assert_eq!(verdict(open_server().0, &frame), expected);
    }
    let missed = |stream, from, to| message(Kind::Missed, 1, &Missed { stream, from, to });
    for (frame, expected) in [
        (missed(2, 0, 1), Ok(())),
        (missed(0, 0, 1), Err(ErrorCode::Limit)),
        (missed(3, 0, 1), Err(ErrorCode::Limit)),
        (missed(1, 0, 0), Err(ErrorCode::Limit)),
        (missed(1, 5, 9), Err(ErrorCode::Offset)),
    ] {
        assert_eq!(verdict(open_client().0, &frame), expected);
    }
    let mut client = new_client();
    hear(&mut client, &message(Kind::Hello, 0, &server_hello(true))).expect("hello");
    client.authenticate(&authenticate()).expect("asked for");
    let answer = Authenticated {
        result: 3,
        ..authenticated(0)
    };
    let frame = message(Kind::Authenticated, 0, &answer);
    assert_eq!(verdict(client, &frame), Err(ErrorCode::Limit));
}

#[test]
fn data_frames_have_64_kib_at_most_and_longer_ones_are_taken() {
    let (mut server, channel) = open_server();
    server
        .data_ready(channel, Stream::Stdout, 65_537)
        .expect("attached");
    let lengths: Vec<usize> = said(&mut server)
        .iter()
        .map(|frame| frame.len() - 20)
        .collect();
    assert_eq!(lengths, [limits::DATA_MAX_BYTES as usize, 1]);
    let (client, _) = open_client();
    let longest = at(Kind::Data, 1, 1, 0, &vec![0; 262_136]);
    assert_eq!(verdict(client, &longest), Ok(()));
    let empty = at(Kind::Data, 1, 1, 0, b"");
    assert_eq!(verdict(open_client().0, &empty), Err(ErrorCode::Length));
}

#[test]
fn offsets_and_credit_hold_to_the_last_byte() {
    for (offset, bytes, expected) in [
        (0, 1_000_000, Ok(())),
        (0, 1_000_001, Err(ErrorCode::Credit)),
        (1, 1, Err(ErrorCode::Offset)),
        (u64::MAX, 1, Err(ErrorCode::Offset)),
    ] {
        let (mut client, _) = open_client();
        let mut left = bytes;
        let mut next = offset;
        let mut found = Ok(());
        while left > 0 && found.is_ok() {
            let len = left.min(100_000);
            let frame = at(Kind::Data, 1, 1, next, &vec![0; len]);
            found = hear(&mut client, &frame)
                .map(drop)
                .map_err(|error| error.code);
            next = next.wrapping_add(len as u64);
            left -= len;
        }
        assert_eq!(found, expected, "{bytes} bytes from {offset}");
    }
    let mut far = attached();
    far.stdout_from = u64::MAX - 1;
    let mut client = ready_client();
    let wanted = Attach {
        stdout_credit: u64::MAX,
        ..attach()
    };
    client.attach(&wanted).expect("ready");
    hear(&mut client, &message(Kind::Attached, 1, &far)).expect("attached");
    let frame = at(Kind::Data, 1, 1, u64::MAX - 1, b"ab");
    assert_eq!(verdict(client, &frame), Err(ErrorCode::Offset));
}
