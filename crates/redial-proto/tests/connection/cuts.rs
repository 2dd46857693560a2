//! One conversation, cut at every byte.

use redial_proto::{Config, Connection, Event, Side};

use crate::frames::NOW;
use crate::pair::{Errand, Pair, Weather};

/// What both directions carried in a conversation with all that is usual.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let errand = Errand {
        stdin: 700,
        stdout: 900,
        stderr: 300,
        window: 250,
        padding: 20,
        stalled: false,
    };
    let mut pair = Pair::new(4, Weather::FAIR, vec![errand, Errand::SMALL]);
    pair.run(4);
    (pair.up.record, pair.down.record)
}

/// What one side heard before the cut: the bytes of streams, and how it ended.
fn hear_until(side: Side, record: &[u8], cut: usize) -> (Vec<u8>, bool) {
    let mut hearer = match side {
        Side::Server => Connection::server(Config::server([7; 16]), NOW),
        Side::Client => {
            // It has asked for what the record answers.
            let mut client = Connection::client(Config::client(), NOW);
            client.start(&crate::frames::start()).expect("allowed");
            client
        }
    };
    let mut bytes = vec![];
    let mut rest = &record[..cut];
    loop {
        let input = match hearer.handle_input(NOW, rest) {
            Ok(input) => input,
            Err(error) => panic!("{side:?} cut at {cut}: {error}"),
        };
        if input.consumed == 0 {
            assert!(input.needed > 0);
            break;
        }
        rest = &rest[input.consumed..];
        match input.event {
            Some(Event::Data { bytes: data, .. }) => bytes.extend(data),
            Some(Event::Start { channel, .. }) => {
                hearer.attached(channel, crate::frames::attached());
                let _ = hearer.data_ready(channel, redial_proto::Stream::Stdout, 1 << 20);
                let _ = hearer.data_ready(channel, redial_proto::Stream::Stderr, 1 << 20);
            }
            _ => {}
        }
        while hearer.poll_transmit().is_some() {}
    }
    let clean = hearer.handle_end(rest).is_ok();
    while hearer.poll_transmit().is_some() {}
    assert!(hearer.is_finished());
    (bytes, clean)
}

#[test]
fn a_line_cut_at_any_byte_is_noticed_and_what_came_before_is_a_prefix() {
    let (up, down) = conversation();
    // The client of the second half knows one start only.
    let one_job = first_channel_only(&down);
    for (side, record) in [(Side::Server, &up), (Side::Client, &one_job)] {
        let (whole, clean) = hear_until(side, record, record.len());
        assert!(clean, "{side:?}: goodbye was said");
        assert!(!whole.is_empty());
        for cut in 0..record.len() {
            let (bytes, clean) = hear_until(side, record, cut);
            assert!(!clean, "{side:?} cut at {cut} of {}", record.len());
            assert!(whole.starts_with(&bytes), "{side:?} cut at {cut}");
        }
    }
}

fn first_channel_only(record: &[u8]) -> Vec<u8> {
    let mut kept = vec![];
    let mut rest = record;
    while let Some(head) = rest.first_chunk::<12>() {
        let length = 4 + u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if head[8..12] != [0, 0, 0, 2] {
            // Its client closes no channel, so acknowledgements of stdin stay out.
            if !(head[4] == 0x23 || head[4] == 0x32) {
                kept.extend(&rest[..length]);
            }
        }
        rest = &rest[length..];
    }
    kept
}

#[test]
fn the_end_of_a_line_says_what_is_missing() {
    let (up, _) = conversation();
    let text = |unread: &[u8]| {
        let mut server = Connection::server(Config::server([7; 16]), NOW);
        let error = server.handle_end(unread).expect_err("dropped");
        error.to_string()
    };
    assert_eq!(text(b""), "the line ended without goodbye");
    assert_eq!(
        text(&up[..3]),
        "the line ended inside a header, 9 bytes of it are missing"
    );
    assert_eq!(
        text(&up[..12]),
        format!(
            "the line ended inside a frame, {} bytes of it are missing",
            up[3] - 8
        )
    );
}
