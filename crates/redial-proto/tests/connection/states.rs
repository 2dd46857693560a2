//! Every kind of frame, in every state, on both sides.

use redial_proto::message::GoodbyeCode;
use redial_proto::{ChannelId, Config, Connection, Kind, Side};

use crate::frames::{
    NOW, authenticate, authenticated, client_hello, frame, hear, list, message, outcome, sample,
    server_hello, start,
};

/// What a server does with a frame about channel 1 (start, attach and query: about a channel above all
/// used so far). `event`: taken, and told. `quiet`: taken or skipped, and nothing told. `unread`: left
/// where it is for now. Else the code of the protocol error.
const SERVER: &str = "
              hello        authenticate deciding     denied       ready        pieces       opening      open         ended        closed       asking       leaving      left
 hello        event        state        unread       quiet        state        state        state        state        state        state        state        state        state
 authenticate state        event        unread       event        state        state        state        state        state        state        state        state        state
 authenticated kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 ping         state        state        unread       quiet        quiet        quiet        quiet        quiet        quiet        quiet        quiet        quiet        state
 pong         state        state        unread       quiet        quiet        quiet        quiet        quiet        quiet        quiet        quiet        quiet        state
 goodbye      state        state        unread       quiet        event        event        event        event        event        event        event        event        state
 start        state        state        unread       quiet        event        state        event        event        event        event        event        quiet        state
 attach       state        state        unread       quiet        event        event        event        event        event        event        event        quiet        state
 control      state        state        unread       quiet        channel      state        event        event        event        quiet        event        event        state
 close        state        state        unread       quiet        channel      state        event        event        event        quiet        event        event        state
 query        state        state        unread       quiet        event        event        event        event        event        event        event        quiet        state
 data         state        state        unread       quiet        channel      state        event        event        quiet        quiet        credit       event        state
 eof          state        state        unread       quiet        channel      state        event        event        quiet        quiet        event        event        state
 credit       state        state        unread       quiet        channel      state        quiet        quiet        quiet        quiet        quiet        quiet        state
 acknowledge  state        state        unread       quiet        channel      state        quiet        quiet        quiet        quiet        quiet        quiet        state
 stdin-closed kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 missed       kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 attached     kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 refused      kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 applied      kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 exited       kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 ended        kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 holder       kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
 answer       kind         kind         unread       quiet        kind         kind         kind         kind         kind         kind         kind         kind         state
";

/// The same for a client.
const CLIENT: &str = "
              hello        authenticate deciding     ready        opening      open         ended        closed       asking       left
 hello        event        state        state        state        state        state        state        state        state        state
 authenticate kind         kind         kind         kind         kind         kind         kind         kind         kind         state
 authenticated state        state        event        state        state        state        state        state        state        state
 ping         state        state        state        quiet        quiet        quiet        quiet        quiet        quiet        state
 pong         state        state        state        quiet        quiet        quiet        quiet        quiet        quiet        state
 goodbye      event        event        event        event        event        event        event        event        event        state
 start        kind         kind         kind         kind         kind         kind         kind         kind         kind         state
 attach       kind         kind         kind         kind         kind         kind         kind         kind         kind         state
 control      kind         kind         kind         kind         kind         kind         kind         kind         kind         state
 close        kind         kind         kind         kind         kind         kind         kind         kind         kind         state
 query        kind         kind         kind         kind         kind         kind         kind         kind         kind         state
 data         state        state        state        channel      state        event        state        quiet        state        state
 eof          state        state        state        channel      state        event        state        quiet        state        state
 credit       state        state        state        channel      state        quiet        state        quiet        state        state
 acknowledge  state        state        state        channel      state        quiet        state        quiet        state        state
 stdin-closed state        state        state        channel      state        event        state        quiet        state        state
 missed       state        state        state        channel      state        event        state        quiet        state        state
 attached     state        state        state        channel      event        state        state        quiet        state        state
 refused      state        state        state        channel      event        state        state        quiet        event        state
 applied      state        state        state        channel      state        event        state        quiet        state        state
 exited       state        state        state        channel      state        event        state        quiet        state        state
 ended        state        state        state        channel      event        event        state        quiet        state        state
 holder       state        state        state        channel      state        event        state        quiet        state        state
 answer       state        state        state        channel      state        state        state        quiet        event        state
";

pub(crate) fn server_states() -> Vec<(&'static str, Connection)> {
    let mut open = Config::server([7; 16]);
    open.limits.early_stdin = 16;
    let auth = Config {
        auth: true,
        ..open.clone()
    };
    let hello = message(Kind::Hello, 0, &client_hello());
    let new = |config: &Config, frames: &[Vec<u8>]| {
        let mut server = Connection::server(config.clone(), NOW);
        for frame in frames {
            hear(&mut server, frame).expect("a good frame");
        }
        server
    };
    let ask = message(Kind::Authenticate, 0, &authenticate());
    let deciding = || new(&auth, &[hello.clone(), ask.clone()]);
    let mut denied = deciding();
    denied.authenticated(authenticated(2));
    let piece = frame(Kind::Start, 2, 0, 1, b"\xaf");
    let request = message(Kind::Start, 1, &start());
    let request = [hello.clone(), request];
    let mut attached = new(&open, &request);
    attached.attached(ChannelId(1), crate::frames::attached());
    let mut ended = new(&open, &request);
    ended.attached(ChannelId(1), crate::frames::attached());
    ended.ended(ChannelId(1), outcome());
    let mut refused = new(&open, &request);
    refused.refused(ChannelId(1), redial_proto::message::RefusedCode::Jobs, "");
    let question = message(Kind::Query, 1, &list());
    let asked = [hello.clone(), question];
    let mut left = new(&open, &request);
    left.goodbye(GoodbyeCode::ShuttingDown, "");
    vec![
        ("hello", new(&open, &[])),
        ("authenticate", new(&auth, std::slice::from_ref(&hello))),
        ("deciding", deciding()),
        ("denied", denied),
        ("ready", new(&open, std::slice::from_ref(&hello))),
        ("pieces", new(&open, &[hello.clone(), piece])),
        ("opening", new(&open, &request)),
        ("open", attached),
        ("ended", ended),
        ("closed", refused),
        ("asking", new(&open, &asked)),
        ("leaving", left),
        (
            "left",
            new(&open, &[hello, sample(Kind::Goodbye, Side::Server, 0)]),
        ),
    ]
}

pub(crate) fn client_states() -> Vec<(&'static str, Connection)> {
    let new = |auth: bool, opened: bool, frames: &[Kind]| {
        let mut client = Connection::client(Config::client(), NOW);
        if auth {
            hear(&mut client, &message(Kind::Hello, 0, &server_hello(true))).expect("hello");
        }
        if opened {
            client.start(&start()).expect("allowed");
        }
        for &kind in frames {
            hear(&mut client, &sample(kind, Side::Client, 1)).expect("a good frame");
        }
        client
    };
    use Kind::{Attached, Ended, Goodbye, Hello};
    let mut deciding = new(true, false, &[]);
    deciding.authenticate(&authenticate()).expect("asked for");
    let mut closed = new(false, true, &[Hello, Attached]);
    closed.close(ChannelId(1), false);
    let mut asking = new(false, false, &[Hello]);
    asking.query(&list()).expect("allowed");
    vec![
        ("hello", new(false, true, &[])),
        ("authenticate", new(true, false, &[])),
        ("deciding", deciding),
        ("ready", new(false, false, &[Hello])),
        ("opening", new(false, true, &[Hello])),
        ("open", new(false, true, &[Hello, Attached])),
        ("ended", new(false, true, &[Hello, Attached, Ended])),
        ("closed", closed),
        ("asking", asking),
        ("left", new(false, true, &[Hello, Goodbye])),
    ]
}

fn what_becomes_of(frame: &[u8], side: &mut Connection) -> String {
    if !side.wants_input() {
        let input = side.handle_input(NOW, frame).expect("left");
        assert_eq!((input.consumed, input.needed, input.event), (0, 0, None));
        assert_eq!(side.whole_frames(frame), 0);
        return "unread".to_owned();
    }
    match hear(side, frame) {
        Ok(Some(_)) => "event".to_owned(),
        Ok(None) => "quiet".to_owned(),
        Err(error) => {
            assert!(!side.wants_input());
            let input = side.handle_input(NOW, frame).expect("thrown away");
            assert_eq!((input.consumed, input.event), (frame.len(), None));
            error.code.name().to_owned()
        }
    }
}

fn table(receiver: Side, states: fn() -> Vec<(&'static str, Connection)>) -> String {
    let cell = |text: &str| format!(" {text:12}");
    let mut table = cell("");
    for (name, _) in states() {
        table += &cell(name);
    }
    table.truncate(table.trim_end().len());
    for &kind in Kind::ALL {
        table += "\n";
        table += &cell(kind.name());
        for (_, mut side) in states() {
            let channel = match kind {
                Kind::Start | Kind::Attach | Kind::Query => 2,
                _ => 1,
            };
            let frame = sample(kind, receiver, channel);
            table += &cell(&what_becomes_of(&frame, &mut side));
        }
        table.truncate(table.trim_end().len());
    }
    table
}

#[test]
fn a_server_takes_each_kind_in_its_states_only() {
    let table = table(Side::Server, server_states);
    assert_eq!(table, SERVER.trim_matches('\n'), "\n{table}");
}

#[test]
fn a_client_takes_each_kind_in_its_states_only() {
    let table = table(Side::Client, client_states);
    assert_eq!(table, CLIENT.trim_matches('\n'), "\n{table}");
}
