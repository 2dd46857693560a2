//! Where the client must log in: who speaks first, what is taken before, and how such a line ends.

use redial_proto::message::*;
use redial_proto::{ChannelId, Config, Connection, ErrorCode, Event, Kind, Side};

use crate::frames::*;

pub(crate) fn asking() -> Config {
    Config {
        auth: true,
        nonce: Some([9; 32]),
        ..Config::server([7; 16])
    }
}

/// Whose transport proves the server only.
fn asked() -> Connection {
    let config = Config {
        auth: true,
        ..Config::client()
    };
    Connection::client(config, NOW)
}

#[test]
fn before_authentication_a_server_takes_nothing_else_from_any_kind_number() {
    let hello = message(Kind::Hello, 0, &client_hello());
    for number in 0..=255_u8 {
        for (flags, channel) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            for heard in [&[][..], &[&hello[..]][..]] {
                let mut server = Connection::server(asking(), NOW);
                for frame in heard {
                    hear(&mut server, frame).expect("hello");
                }
                let due = if heard.is_empty() {
                    Kind::Hello
                } else {
                    Kind::Authenticate
                };
                let frame = raw(number, flags, 0, 0, channel, b"\x00");
                let error = hear(&mut server, &frame).expect_err("not decoded, or not CBOR");
                if number != due as u8 {
                    assert!(
                        matches!(error.code, ErrorCode::State | ErrorCode::Kind),
                        "{number}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn where_the_client_must_log_in_the_server_speaks_first_and_hello_goes_with_the_proof() {
    let mut server = Connection::server(asking(), NOW);
    let mut client = asked();
    assert_eq!(kinds_said(&mut client), []);
    for frame in said(&mut server) {
        let event = hear(&mut client, &frame).expect("good");
        assert!(matches!(event, Some(Event::ServerHello(_))));
    }
    assert_eq!(kinds_said(&mut client), []);
    client.authenticate(&authenticate()).expect("asked for");
    let frames = said(&mut client);
    assert_eq!(kinds(&frames), [Kind::Hello, Kind::Authenticate]);
    for frame in &frames {
        hear(&mut server, frame).expect("good").expect("told");
    }
    server.authenticated(authenticated(0));
    assert_eq!(kinds_said(&mut server), [Kind::Authenticated]);
}

#[test]
fn who_needs_long_for_a_proof_says_hello_before_once() {
    let mut client = asked();
    client.greet();
    client.greet();
    assert_eq!(kinds_said(&mut client), [Kind::Hello]);
    let hello = message(Kind::Hello, 0, &server_hello(true));
    hear(&mut client, &hello).expect("good");
    client.authenticate(&authenticate()).expect("asked for");
    assert_eq!(kinds_said(&mut client), [Kind::Authenticate]);
}

#[test]
fn a_server_that_speaks_first_names_features_that_nobody_has_to_know() {
    let hello = ServerHello {
        features: vec!["to-come".to_owned()],
        ..server_hello(true)
    };
    let hello = message(Kind::Hello, 0, &hello);
    assert!(hear(&mut asked(), &hello).is_ok());
    let mut first = Connection::client(Config::client(), NOW);
    let error = hear(&mut first, &hello).map(drop);
    assert_eq!(error.expect_err("not offered").code, ErrorCode::State);
}

#[test]
fn three_tries_and_no_more() {
    let mut server = Connection::server(asking(), NOW);
    let mut client = asked();
    let exchange = |client: &mut Connection, server: &mut Connection| {
        for frame in said(client) {
            hear(server, &frame).expect("good");
        }
        for frame in said(server) {
            hear(client, &frame).expect("good");
        }
    };
    exchange(&mut client, &mut server);
    assert_eq!(
        client.start(&start()),
        Err(redial_proto::CommandError::NotReady)
    );
    for result in [1, 2, 2] {
        assert!(!client.is_ready() && !server.is_ready());
        client.authenticate(&authenticate()).expect("asked for");
        let frames = said(&mut client);
        let heard = frames.iter().map(|frame| hear(&mut server, frame));
        let last = heard.last().expect("it says something").expect("good");
        assert!(matches!(last, Some(Event::Authenticate(_))));
        server.authenticated(authenticated(result));
        exchange(&mut client, &mut server);
    }
    assert_eq!(
        client.authenticate(&authenticate()),
        Err(redial_proto::CommandError::Closing)
    );
    assert!(!server.is_ready());
}

#[test]
fn who_is_authenticated_may_ask_for_jobs() {
    let mut server = Connection::server(asking(), NOW);
    hear(&mut server, &message(Kind::Hello, 0, &client_hello())).expect("hello");
    hear(
        &mut server,
        &message(Kind::Authenticate, 0, &authenticate()),
    )
    .expect("authenticate");
    server.authenticated(authenticated(0));
    assert!(server.is_ready());
    let event = hear(&mut server, &message(Kind::Start, 1, &start())).map(|event| event.is_some());
    assert_eq!(event, Ok(true));
}

#[test]
fn requests_that_went_ahead_of_a_question_for_keys_are_an_error() {
    let mut client = Connection::client(Config::client(), NOW);
    client.start(&start()).expect("allowed");
    let hello = message(Kind::Hello, 0, &server_hello(true));
    assert_eq!(
        hear(&mut client, &hello).expect_err("too late").code,
        ErrorCode::State
    );
}

#[test]
fn on_a_network_a_client_that_has_heard_all_outcomes_needs_no_goodbye() {
    for (waits_for_goodbye, outcome_seen, leaves) in [
        (false, true, true),
        (false, false, false),
        (true, true, false),
    ] {
        let mut client = logged_in(waits_for_goodbye);
        let channel = client.start(&start()).expect("it is in");
        client.close(channel, outcome_seen);
        client.goodbye(GoodbyeCode::Done, "");
        said(&mut client);
        assert_eq!(client.is_finished(), leaves);
        // Until it is written, and the transport closed, there is a limit all the same.
        assert!(client.poll_timeout().is_some());
    }
    let mut client = logged_in(false);
    client.start(&start()).expect("it is in");
    client.goodbye(GoodbyeCode::Done, "");
    said(&mut client);
    assert!(!client.is_finished(), "more may come for the channel");
}

/// On a network.
fn logged_in(waits_for_goodbye: bool) -> Connection {
    let config = Config {
        auth: true,
        waits_for_goodbye,
        ..Config::client()
    };
    let mut client = Connection::client(config, NOW);
    hear(&mut client, &message(Kind::Hello, 0, &server_hello(true))).expect("hello");
    client.authenticate(&authenticate()).expect("asked for");
    let answer = message(Kind::Authenticated, 0, &authenticated(0));
    hear(&mut client, &answer).expect("good");
    client
}

#[test]
fn on_a_network_who_has_gone_with_nothing_open_gets_no_goodbye() {
    let mut server = server_with(asking());
    hear(
        &mut server,
        &message(Kind::Authenticate, 0, &authenticate()),
    )
    .expect("good");
    server.authenticated(authenticated(0));
    said(&mut server);
    hear(&mut server, &sample(Kind::Goodbye, Side::Server, 0)).expect("good");
    assert!(!server.is_finished() && !server.is_alone());
    assert_eq!(server.handle_end(b""), Ok(()));
    assert!(server.is_finished() && server.is_alone());
    assert_eq!(kinds_said(&mut server), []);
}

#[test]
fn who_ends_one_direction_with_a_channel_open_is_still_told_how_it_goes_on() {
    let mut server = server_with(asking());
    let login = message(Kind::Authenticate, 0, &authenticate());
    hear(&mut server, &login).expect("good");
    server.authenticated(authenticated(0));
    hear(&mut server, &message(Kind::Start, 1, &start())).expect("good");
    server.attached(ChannelId(1), attached());
    hear(&mut server, &sample(Kind::Goodbye, Side::Server, 0)).expect("good");
    assert_eq!(server.handle_end(b""), Ok(()));
    assert!(!server.is_alone());
    let said = kinds_said(&mut server);
    assert_eq!(said.last(), Some(&Kind::Goodbye), "{said:?}");
}

/// A server's and a client's side, and what the client says with its proof: hello, authenticate and a
/// start.
fn hasty() -> (Connection, Connection, Vec<u8>) {
    let (mut server, mut client) = (Connection::server(asking(), NOW), asked());
    for frame in said(&mut server) {
        hear(&mut client, &frame).expect("good");
    }
    client.authenticate(&authenticate()).expect("asked for");
    client.start(&start()).expect("may go with it");
    let frames = said(&mut client);
    let all = [Kind::Hello, Kind::Authenticate, Kind::Start];
    assert_eq!(kinds(&frames), all);
    (server, client, frames.concat())
}

/// Hands in as much as is taken; what is left.
fn taken<'a>(server: &mut Connection, mut input: &'a [u8], events: &mut Vec<String>) -> &'a [u8] {
    while server.wants_input() && !input.is_empty() {
        let got = server.handle_input(NOW, input).expect("good");
        assert!(got.consumed > 0);
        events.extend(got.event.map(|event| format!("{event:?}")));
        input = &input[got.consumed..];
    }
    input
}

#[test]
fn a_start_behind_the_proof_is_looked_at_when_it_was_taken() {
    let (mut server, mut client, bytes) = hasty();
    let mut events = Vec::new();
    let left = taken(&mut server, &bytes, &mut events);
    assert_eq!((events.len(), left.is_empty()), (2, false));
    assert_eq!(server.handle_input(NOW, left).expect("left").consumed, 0);
    server.authenticated(authenticated(0));
    let left = taken(&mut server, left, &mut events);
    assert!(
        left.is_empty() && events[2].starts_with("Start"),
        "{events:?}"
    );
    for frame in said(&mut server) {
        hear(&mut client, &frame).expect("good");
    }
    assert!(client.is_ready() && client.channels_open() == 1);
}

#[test]
fn behind_a_proof_that_was_not_taken_nothing_is_looked_at_and_goodbye_is_said() {
    for result in [1, 2] {
        let (mut server, mut client, mut bytes) = hasty();
        // Whatever it is, and however much.
        bytes.extend(raw(Kind::Query as u8, 0xff, 9, 9, 0, &[0xff; 70_000]));
        let mut events = Vec::new();
        let left = taken(&mut server, &bytes, &mut events);
        server.authenticated(authenticated(result));
        assert!(taken(&mut server, left, &mut events).is_empty());
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(!server.wants_input() && !server.is_ready());
        let mut heard = Vec::new();
        for frame in said(&mut server) {
            heard.push(format!("{:?}", hear(&mut client, &frame).expect("good")));
        }
        assert!(server.is_finished());
        assert!(heard[0].contains("Authenticated"), "{heard:?}");
        assert!(heard[1].contains("code: 4"), "{heard:?}");
        assert_eq!(heard.len(), 2);
    }
}

/// However the bytes come: cut in the header of what is in vain, too.
#[test]
fn what_is_in_vain_is_thrown_away_wherever_it_is_cut() {
    let long = frame(Kind::Start, 0, 0, 1, &[0xff; 20_000]);
    let ping = frame(Kind::Ping, 0, 0, 0, &[0; 8]);
    let garbage = vec![0; 30];
    for vain in [long, ping, garbage] {
        for cut in 0..20 {
            let mut server = denied();
            for part in [&vain[..cut], &vain[..]] {
                let got = server.handle_input(NOW, part).expect("no fault");
                let whole = server.whole_frames(part);
                assert!(got.consumed <= whole, "{cut}");
            }
            let all = [Kind::Authenticated, Kind::Goodbye];
            assert_eq!(kinds_said(&mut server), all, "{cut}");
            assert!(server.is_finished());
        }
    }
}

/// A server that has answered no, which is not said yet.
fn denied() -> Connection {
    let mut server = Connection::server(asking(), NOW);
    kinds_said(&mut server);
    hear(&mut server, &message(Kind::Hello, 0, &client_hello())).expect("hello");
    let login = message(Kind::Authenticate, 0, &authenticate());
    hear(&mut server, &login).expect("authenticate");
    server.authenticated(authenticated(2));
    server
}

#[test]
fn who_breaks_the_rules_behind_a_yes_hears_the_yes_before_goodbye() {
    let (mut server, _, mut bytes) = hasty();
    let mut events = Vec::new();
    let left = taken(&mut server, &bytes, &mut events).len();
    server.authenticated(authenticated(0));
    bytes.extend(frame(Kind::Hello, 0, 0, 0, b""));
    let mut left = &bytes[bytes.len() - left - 12..];
    while let Ok(got) = server.handle_input(NOW, left) {
        left = &left[got.consumed..];
    }
    assert_eq!(events.len(), 2);
    let all = [Kind::Authenticated, Kind::Goodbye];
    assert_eq!(kinds_said(&mut server), all);
}

#[test]
fn a_long_start_and_stdin_wait_for_the_answer() {
    let (_, mut client, _) = hasty();
    let ready = client.data_ready(ChannelId(1), redial_proto::Stream::Stdin, 100);
    ready.expect("it is taken");
    assert_eq!(kinds_said(&mut client), []);
    let long = Start {
        argv: Some(vec![vec![b'x'; 9_000].into()]),
        ..start()
    };
    let not_ready = Err(redial_proto::CommandError::NotReady);
    assert_eq!(client.start(&long), not_ready);
    let yes = message(Kind::Authenticated, 0, &authenticated(0));
    hear(&mut client, &yes).expect("good");
    assert_eq!(kinds_said(&mut client), [Kind::Data]);
    assert!(client.start(&long).is_ok());
}

#[test]
fn who_has_asked_for_a_job_with_a_proof_has_no_second_try() {
    let (_, mut client, _) = hasty();
    let no = message(Kind::Authenticated, 0, &authenticated(2));
    hear(&mut client, &no).expect("good");
    let again = client.authenticate(&authenticate());
    assert_eq!(again, Err(redial_proto::CommandError::NotReady));
    let started = client.start(&start());
    assert_eq!(started, Err(redial_proto::CommandError::NotReady));
}

#[test]
fn a_server_that_leaves_while_it_owes_an_answer_looks_at_nothing_more() {
    let (mut server, _, bytes) = hasty();
    let mut events = Vec::new();
    let left = taken(&mut server, &bytes, &mut events);
    server.goodbye(GoodbyeCode::ShuttingDown, "");
    assert!(server.wants_input());
    assert_eq!(taken(&mut server, left, &mut events), b"");
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(kinds_said(&mut server), [Kind::Goodbye]);
    assert!(server.is_finished());
}
