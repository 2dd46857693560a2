//! A whole connection, as two real ones speak it.

use redial_proto::message::*;
use redial_proto::{Body, Config, Connection, Event, Kind, Side, Stream, StreamDigest};

use super::entries::Entry;
use crate::frames::{NOW, attached, start};

const STDIN: &[u8] = b"one\ntwo\n";
const STDERR: &[u8] = b"bye\n";

/// Both sides, and what was said so far.
struct Talk {
    client: Connection,
    server: Connection,
    said: Vec<Entry>,
}

pub(crate) fn entries() -> Vec<Entry> {
    let config = |config: Config| Config {
        agent: "example/1".into(),
        ..config
    };
    let mut talk = Talk {
        client: Connection::client(config(Config::client()), NOW),
        server: Connection::server(config(Config::server([7; 16])), NOW),
        said: vec![],
    };
    let cat = Start {
        argv: Some(vec![b"cat".to_vec().into()]),
        ..start()
    };
    let channel = talk.client.start(&cat).expect("allowed at once");
    talk.client_says();
    talk.server_says();
    talk.client
        .data_ready(channel, Stream::Stdin, 4)
        .expect("early");
    talk.client_says();
    talk.server.attached(channel, attached());
    talk.server_says();
    talk.client
        .data_ready(channel, Stream::Stdin, 4)
        .expect("attached");
    talk.client.eof(channel, Stream::Stdin);
    talk.client_says();
    talk.server.acknowledge(channel, Stream::Stdin, 8);
    talk.server
        .data_ready(channel, Stream::Stdout, 8)
        .expect("attached");
    talk.server
        .data_ready(channel, Stream::Stderr, 4)
        .expect("attached");
    talk.server_says();
    talk.client.acknowledge(channel, Stream::Stdout, 8);
    talk.client.acknowledge(channel, Stream::Stderr, 4);
    talk.client.grant(channel, Stream::Stdout, 1_000_008);
    talk.client_says();
    talk.server.exited(channel, Exit::Exited(3));
    talk.server.eof(channel, Stream::Stdout);
    talk.server.eof(channel, Stream::Stderr);
    talk.server.ended(channel, outcome());
    talk.server_says();
    talk.client.close(channel, true);
    talk.client.goodbye(GoodbyeCode::Done, "");
    talk.client_says();
    talk.server_says();
    assert!(talk.client.is_finished() && talk.server.is_finished());
    talk.said
}

impl Talk {
    fn client_says(&mut self) {
        pass(
            Side::Client,
            &mut self.client,
            &mut self.server,
            &mut self.said,
        );
    }

    fn server_says(&mut self) {
        pass(
            Side::Server,
            &mut self.server,
            &mut self.client,
            &mut self.said,
        );
    }
}

fn pass(from: Side, sender: &mut Connection, receiver: &mut Connection, said: &mut Vec<Entry>) {
    while let Some(transmit) = sender.poll_transmit() {
        let mut hex = transmit.head.as_ref().to_vec();
        match transmit.body {
            Body::None => {}
            Body::Owned(body) => hex.extend(body),
            Body::Stream {
                stream,
                offset,
                len,
                ..
            } => {
                let bytes = if stream == Stream::Stderr {
                    STDERR
                } else {
                    STDIN
                };
                hex.extend(&bytes[offset as usize..][..len as usize]);
            }
        }
        let event = crate::frames::hear(receiver, &hex).expect("good");
        let kind = Kind::try_from(hex[4]).expect("a known kind");
        let meaning = meaning(kind, event.as_ref(), hex[6], hex.get(12..20));
        said.push(Entry {
            name: kind.name(),
            from,
            state: "",
            hex,
            meaning,
            error: None,
        });
    }
}

fn meaning(kind: Kind, event: Option<&Event<'_>>, stream: u8, value: Option<&[u8]>) -> String {
    let stream = Stream::try_from(stream).expect("a stream");
    let value = value
        .and_then(|value| value.try_into().ok())
        .map(u64::from_be_bytes);
    let text = match event {
        Some(Event::ClientHello(_)) => "the first frame: versions, limits, agent",
        Some(Event::Start { .. }) => {
            "a job on channel 1: cat. Sent at once, before the server's hello has come"
        }
        Some(Event::ServerHello(_)) => "the version chosen, the server's limits, its instance",
        Some(Event::Attached { .. }) => "the job runs; stdin goes on behind what was sent early",
        Some(Event::Data { offset, bytes, .. }) => {
            return format!("{} bytes of {stream} from offset {offset}", bytes.len());
        }
        Some(Event::Eof { offset, .. }) => return format!("{stream} has {offset} bytes"),
        Some(Event::Exited { .. }) => "exit code 3",
        Some(Event::Ended { .. }) => {
            "the outcome: exit code 3, by itself, and the checksums of the three streams"
        }
        Some(Event::Closed { .. }) => "the outcome has arrived; channel 1 is free",
        Some(Event::Goodbye(_)) => "done",
        _ => {
            let up_to = value.expect("an offset");
            return format!("{kind} of {stream} up to offset {up_to}");
        }
    };
    text.into()
}

fn outcome() -> Outcome {
    let digest = |bytes: &[u8]| {
        let mut digest = StreamDigest::new();
        digest.update(bytes);
        DigestMessage {
            bytes: digest.bytes(),
            checksum: digest.checksum().into(),
            complete: true,
        }
    };
    Outcome {
        stdin: digest(STDIN),
        stdout: digest(STDIN),
        stderr: digest(STDERR),
        ..crate::frames::outcome()
    }
}
