//! Stdin: early, late, not wanted any more, and going on after a break.

use redial_proto::Stream::Stdin;
use redial_proto::message::*;
use redial_proto::{ChannelId, CommandError, Event, Kind};

use crate::frames::*;
use crate::order::data_said;

#[test]
fn stdin_that_is_not_read_any_more_is_neither_sent_nor_told() {
    let (mut client, channel) = open_client();
    let (mut server, _) = open_server();
    client.data_ready(channel, Stdin, 10).expect("open");
    let under_way = said(&mut client);
    server.stdin_closed(channel);
    server.stdin_closed(channel);
    let closed = said(&mut server);
    assert_eq!(closed.len(), 1);
    for frame in &under_way {
        assert_eq!(hear(&mut server, frame), Ok(None), "dropped");
    }
    assert_eq!(
        hear(&mut client, &closed[0]),
        Ok(Some(Event::StdinClosed { channel }))
    );
    client.data_ready(channel, Stdin, 10).expect("counted");
    client.eof(channel, Stdin);
    assert_eq!(kinds_said(&mut client), []);
}

#[test]
fn early_stdin_and_its_end_follow_a_start_at_once() {
    let mut client = ready_client();
    let channel = client.start(&start()).expect("ready");
    client.data_ready(channel, Stdin, 70_000).expect("from 0");
    let frames = said(&mut client);
    assert_eq!(
        frames.len(),
        2,
        "start, and as much as the server's hello allows"
    );
    assert_eq!(frames[1].len(), 20 + 65_536);
    let mut server = ready_server();
    for frame in &frames {
        assert!(hear(&mut server, frame).expect("good").is_some());
    }
    server.attached(
        channel,
        Attached {
            stdin_credit: 70_000,
            ..attached()
        },
    );
    for frame in said(&mut server) {
        hear(&mut client, &frame).expect("attached");
    }
    client.eof(channel, Stdin);
    for frame in said(&mut client) {
        match hear(&mut server, &frame).expect("good") {
            Some(Event::Data { offset, bytes, .. }) => {
                assert_eq!((offset, bytes.len()), (65_536, 4_464));
            }
            Some(Event::Eof { offset, .. }) => assert_eq!(offset, 70_000),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn stdin_of_a_job_that_ran_already_goes_on_where_the_server_says() {
    // Sent early by a client that did not know: what is there already is dropped.
    let mut client = ready_client();
    let channel = client.start(&start()).expect("ready");
    client.data_ready(channel, Stdin, 100_000).expect("from 0");
    let early = said(&mut client);
    let mut server = ready_server();
    hear(&mut server, &early[0]).expect("start");
    server.attached(
        channel,
        Attached {
            new: false,
            stdin_from: 80_000,
            ..attached()
        },
    );
    assert_eq!(hear(&mut server, &early[1]), Ok(None), "known");
    for frame in said(&mut server) {
        hear(&mut client, &frame).expect("attached");
    }
    let rest = said(&mut client);
    let event = hear(&mut server, &rest[0]).expect("good");
    assert!(
        matches!(event, Some(Event::Data { offset: 80_000, bytes, .. }) if bytes.len() == 20_000)
    );

    // Sent again, it waits to be told.
    let mut client = ready_client();
    let resent = Resent {
        ago_ms: 1,
        instance: [7; 16].into(),
        stdout_from: 5,
        stderr_from: 0,
    };
    let again = Start {
        resent: Some(resent),
        ..start()
    };
    let channel = client.start(&again).expect("ready");
    client.data_ready(channel, Stdin, 100).expect("from 0");
    client.eof(channel, Stdin);
    assert_eq!(kinds_said(&mut client), [Kind::Start]);
    let go_on = Attached {
        stdin_from: 60,
        stdout_from: 5,
        ..attached()
    };
    hear(&mut client, &message(Kind::Attached, 1, &go_on)).expect("attached");
    assert_eq!(data_said(&mut client), [(Stdin, 60, 40)]);
    assert_eq!(channel, ChannelId(1));
}

#[test]
fn who_attaches_writes_stdin_from_where_the_server_says() {
    let mut client = ready_client();
    let channel = client.attach(&attach()).expect("ready");
    assert_eq!(
        client.data_ready(channel, Stdin, 1),
        Err(CommandError::NotAttached)
    );
    assert_eq!(
        client.control(channel, ControlKind::Signal(2)),
        Err(CommandError::NotAttached)
    );
    let answer = Attached {
        stdin_from: 50,
        stdin_credit: 55,
        applied: 7,
        ..attached()
    };
    hear(&mut client, &message(Kind::Attached, 1, &answer)).expect("attached");
    said(&mut client);
    client.data_ready(channel, Stdin, 10).expect("attached");
    assert_eq!(data_said(&mut client), [(Stdin, 50, 5)]);
    assert_eq!(client.control(channel, ControlKind::Signal(2)), Ok(8));
}

#[test]
fn a_client_that_is_no_longer_the_holder_stops_writing() {
    let (mut client, channel) = open_client();
    hear(
        &mut client,
        &message(Kind::Holder, 1, &Holder { holder: false }),
    )
    .expect("good");
    client.data_ready(channel, Stdin, 10).expect("counted");
    client.eof(channel, Stdin);
    assert_eq!(kinds_said(&mut client), []);
}
