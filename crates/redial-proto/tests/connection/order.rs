//! Streams: order, credit, stop, what is missed, what goes on after a break.

use redial_proto::message::*;
use redial_proto::{Body, ChannelId, CommandError, Connection, ErrorCode, Event, Kind, Stream};

use crate::frames::*;

/// Stream, offset and length of all data that may go now.
pub(crate) fn data_said(side: &mut Connection) -> Vec<(Stream, u64, u32)> {
    let mut data = vec![];
    while let Some(transmit) = side.poll_transmit() {
        if let Body::Stream {
            stream,
            offset,
            len,
            ..
        } = transmit.body
        {
            data.push((stream, offset, len));
        }
    }
    data
}

/// A server whose channel 1 has so much credit for stdout and stderr.
fn server_with_credit(stdout_credit: u64, stderr_credit: u64) -> (Connection, ChannelId) {
    let mut server = ready_server();
    let start = Start {
        stdout_credit,
        stderr_credit,
        ..start()
    };
    hear(&mut server, &message(Kind::Start, 1, &start)).expect("start");
    server.attached(ChannelId(1), attached());
    said(&mut server);
    (server, ChannelId(1))
}

use Stream::{Stderr, Stdin, Stdout};

#[test]
fn pieces_of_both_outputs_keep_their_order_and_join_only_with_their_neighbours() {
    let (mut server, channel) = server_with_credit(1_000, 1_000);
    for (stream, len) in [
        (Stdout, 3),
        (Stdout, 4),
        (Stderr, 5),
        (Stdout, 6),
        (Stderr, 7),
    ] {
        server.data_ready(channel, stream, len).expect("attached");
    }
    assert_eq!(
        data_said(&mut server),
        [
            (Stdout, 0, 7),
            (Stderr, 0, 5),
            (Stdout, 7, 6),
            (Stderr, 5, 7)
        ]
    );
}

#[test]
fn a_stream_without_credit_waits_alone_and_goes_first_when_it_has_some() {
    let (mut server, channel) = server_with_credit(2, 1_000);
    for (stream, len) in [(Stdout, 3), (Stderr, 5), (Stdout, 6), (Stderr, 7)] {
        server.data_ready(channel, stream, len).expect("attached");
    }
    assert_eq!(
        data_said(&mut server),
        [(Stdout, 0, 2), (Stderr, 0, 5), (Stderr, 5, 7)],
        "stderr does not wait"
    );
    server.data_ready(channel, Stderr, 1).expect("attached");
    hear(&mut server, &at(Kind::Credit, 1, 1, 8, b"")).expect("credit");
    assert_eq!(
        data_said(&mut server),
        [(Stdout, 2, 1), (Stdout, 3, 5), (Stderr, 12, 1)]
    );
    // A lower credit takes nothing back.
    hear(&mut server, &at(Kind::Credit, 1, 1, 0, b"")).expect("ignored");
    hear(&mut server, &at(Kind::Credit, 1, 1, 9, b"")).expect("credit");
    assert_eq!(data_said(&mut server), [(Stdout, 8, 1)]);
}

#[test]
fn alternating_pieces_without_end_take_bounded_memory_and_lose_nothing() {
    let (mut server, channel) = server_with_credit(0, 0);
    for _ in 0..100_000 {
        server.data_ready(channel, Stdout, 1).expect("attached");
        server.data_ready(channel, Stderr, 1).expect("attached");
    }
    for stream in [1, 2] {
        let credit = at(Kind::Credit, stream, 1, 1 << 40, b"");
        hear(&mut server, &credit).expect("credit");
    }
    let data = data_said(&mut server);
    assert!(data.len() < 4_200, "{} pieces were kept", data.len());
    for stream in [Stdout, Stderr] {
        let of_it = data.iter().filter(|piece| piece.0 == stream);
        let sum: u64 = of_it.map(|piece| u64::from(piece.2)).sum();
        assert_eq!(sum, 100_000);
    }
}

#[test]
fn the_outcome_waits_for_the_last_byte_and_the_ends() {
    let (mut server, channel) = server_with_credit(5, 5);
    server.data_ready(channel, Stdout, 8).expect("attached");
    server.eof(channel, Stdout);
    server.eof(channel, Stderr);
    server.exited(channel, Exit::Exited(0));
    server.ended(channel, outcome());
    use Kind::{Data, Ended, Eof, Exited};
    assert_eq!(kinds_said(&mut server), [Exited, Data, Eof]);
    hear(&mut server, &at(Kind::Credit, 1, 1, 100, b"")).expect("credit");
    assert_eq!(kinds_said(&mut server), [Data, Eof, Ended]);
    assert_eq!(
        server.data_ready(channel, Stdout, 1),
        Err(CommandError::NotSending)
    );
    server.exited(channel, Exit::Exited(1));
    server.holder(channel, false);
    server.acknowledge(channel, Stdin, 1);
    assert_eq!(kinds_said(&mut server), [], "nothing after the outcome");
}

#[test]
fn of_a_taken_job_nothing_is_sent_but_that_it_is() {
    let (mut server, channel) = server_with_credit(1_000, 1_000);
    server.data_ready(channel, Stdout, 5).expect("attached");
    server.eof(channel, Stdout);
    server.eof(channel, Stderr);
    server.ended(channel, outcome());
    assert!(server.taken(channel), "nothing of it was sent");
    assert_eq!(kinds_said(&mut server), [Kind::Holder]);
}

#[test]
fn an_outcome_that_was_sent_is_not_taken_back() {
    let (mut server, channel) = server_with_credit(1_000, 1_000);
    server.eof(channel, Stdout);
    server.eof(channel, Stderr);
    server.ended(channel, outcome());
    assert_eq!(kinds_said(&mut server), [Kind::Eof, Kind::Eof, Kind::Ended]);
    assert!(!server.taken(channel));
    assert_eq!(kinds_said(&mut server), []);
}

#[test]
fn a_stopped_output_is_not_sent_and_says_its_length() {
    let (mut server, channel) = server_with_credit(5, 100);
    let (mut client, _) = open_client();
    server.data_ready(channel, Stdout, 8).expect("attached");
    for frame in said(&mut server) {
        hear(&mut client, &frame).expect("data");
    }
    client.control(channel, ControlKind::Stop(1)).expect("open");
    for frame in said(&mut client) {
        hear(&mut server, &frame).expect("control");
    }
    server.data_ready(channel, Stdout, 92).expect("counted");
    server.data_ready(channel, Stderr, 1).expect("attached");
    server.eof(channel, Stdout);
    server.ended(channel, outcome());
    let frames = said(&mut server);
    assert_eq!(frames[0][4], Kind::Data as u8);
    let events: Vec<_> = frames
        .iter()
        .map(|frame| hear(&mut client, frame).expect("good").expect("told"))
        .collect();
    assert!(matches!(events[0], Event::Data { stream: Stderr, .. }));
    assert!(matches!(
        events[1],
        Event::Eof {
            stream: Stdout,
            offset: 100,
            ..
        }
    ));
    assert!(matches!(events[2], Event::Ended { .. }));
}

#[test]
fn an_end_that_leaves_a_gap_is_an_error_unless_the_stream_was_stopped() {
    let (mut client, _) = open_client();
    let error = hear(&mut client, &at(Kind::Eof, 1, 1, 100, b"")).expect_err("a gap");
    assert_eq!(error.code, ErrorCode::Offset);
    assert_eq!(
        error.to_string(),
        "eof on channel 1: offset 100 where 0 was due"
    );
}

#[test]
fn a_reader_that_falls_behind_is_told_what_it_missed() {
    let (mut server, channel) = server_with_credit(10, 0);
    let (mut client, _) = open_client();
    server.data_ready(channel, Stdout, 500).expect("attached");
    let mut events = vec![];
    let mut pass = |server: &mut Connection| {
        for frame in said(server) {
            match hear(&mut client, &frame).expect("good") {
                Some(Event::Data { offset, bytes, .. }) => {
                    events.push((offset, bytes.len() as u64))
                }
                Some(Event::Missed { from, to, .. }) => events.push((from, to)),
                other => panic!("{other:?}"),
            }
        }
    };
    pass(&mut server);
    server.missed(channel, Stdout, 10, 100);
    server.missed(channel, Stdout, 100, 300);
    pass(&mut server);
    hear(&mut server, &at(Kind::Credit, 1, 1, 1_000, b"")).expect("credit");
    pass(&mut server);
    assert_eq!(events, [(0, 10), (10, 300), (300, 200)]);
}

#[test]
fn an_answer_that_does_not_fit_the_question_is_an_error() {
    for answer in [
        Attached {
            stdin_from: 1,
            ..attached()
        },
        Attached {
            stdout_from: 4,
            ..attached()
        },
    ] {
        let mut client = ready_client();
        let resent = Resent {
            ago_ms: 1,
            instance: [7; 16].into(),
            stdout_from: 5,
            stderr_from: 0,
        };
        client
            .start(&Start {
                resent: Some(resent),
                ..start()
            })
            .expect("ready");
        let frame = message(Kind::Attached, 1, &answer);
        let error = hear(&mut client, &frame).expect_err("does not fit");
        assert_eq!(error.code, ErrorCode::Offset);
    }
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let (mut server, channel) = open_server();
    server.data_ready(channel, Stdout, 10).expect("attached");
    said(&mut server);
    let ack = |up_to| at(Kind::Acknowledge, 1, 1, up_to, b"");
    assert!(hear(&mut server, &ack(10)).expect("good").is_some());
    assert_eq!(hear(&mut server, &ack(10)), Ok(None), "it has not moved");
    assert_eq!(hear(&mut server, &ack(4)), Ok(None), "nor back");
    let error = hear(&mut server, &ack(11)).map(drop).expect_err("not sent");
    assert_eq!(error.code, ErrorCode::Offset);
}

#[test]
fn acknowledgements_go_before_a_close() {
    let (mut client, channel) = open_client();
    hear(&mut client, &at(Kind::Data, 1, 1, 0, b"hello")).expect("data");
    client.acknowledge(channel, Stdout, 5);
    client.close(channel, false);
    assert_eq!(kinds_said(&mut client), [Kind::Acknowledge, Kind::Close]);
    let late = at(Kind::Data, 1, 1, 5, b"late");
    assert_eq!(hear(&mut client, &late), Ok(None), "it was under way");
}
