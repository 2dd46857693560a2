//! vectors/ and the code say the same.
//!
//! With `REDIAL_BLESS=1` the files are written anew from the code; look at the difference.

mod conversation;
mod entries;
mod invalid;
mod requests;
mod valid;

use std::fmt::Write;
use std::path::PathBuf;

use redial_proto::{Side, StreamDigest};

use crate::frames::hear;
use crate::states::{client_states, server_states};
use entries::Entry;

const FRAMES: &str = "\
# Frames of every kind that a receiver must take.
#
# from: who sends it. state: the state of the receiver, see README.md. hex: the whole frame.
# Channel 1 is the one that is open; start and attach open channel 2.
";

const INVALID: &str = "\
# Frames that a receiver must not take, and the error code it finds (README.md). In some, hex is
# the beginning of a frame: that much is enough to refuse it.
";

const CONVERSATION: &str = "\
# One connection from hello to goodbye, frame after frame, on a transport that proves the client
# (no authentication). The client runs `cat`, writes two lines and closes stdin; the command writes
# them back, says `bye` on stderr, and exits with 3.
";

const CHECKSUMS: &str = "\
# Checksums of streams (PROTOCOL.md section 7). The byte at offset i of each stream is
# (7 * i + i / 251) mod 256, the quotient cut to an integer.
";

#[test]
fn the_frames_in_vectors_are_those_of_the_code_and_are_taken() {
    let entries = valid::entries();
    for entry in &entries {
        let mut side = receiver(entry);
        match hear(&mut side, &entry.hex) {
            Ok(_) => {}
            Err(error) => panic!("{}: {error}", entry.name),
        }
    }
    for kind in redial_proto::Kind::ALL {
        let has = entries.iter().any(|entry| entry.hex[4] == *kind as u8);
        assert!(has, "no frame of kind {kind}");
    }
    same("frames.txt", FRAMES, &entries);
}

#[test]
fn the_invalid_frames_in_vectors_are_refused_for_their_reason() {
    let entries = invalid::entries();
    for entry in &entries {
        let mut side = receiver(entry);
        let error = side
            .handle_input(crate::frames::NOW, &entry.hex)
            .map(|_| panic!("{}: taken", entry.name));
        let error = error.expect_err("refused");
        assert_eq!(
            Some(error.code.name()),
            entry.error,
            "{}: {error}",
            entry.name
        );
    }
    same("invalid.txt", INVALID, &entries);
}

#[test]
fn the_conversation_in_vectors_is_what_two_connections_say() {
    same("conversation.txt", CONVERSATION, &conversation::entries());
}

#[test]
fn the_checksums_in_vectors_are_those_of_the_code() {
    let mut text = String::from(CHECKSUMS);
    for length in [0, 1, 65_535, 65_536, 65_537, 200_000] {
        let stream: Vec<u8> = (0..length).map(|at| (7 * at + at / 251) as u8).collect();
        let mut digest = StreamDigest::new();
        digest.update(&stream);
        let checksum = hex(&digest.checksum());
        write!(text, "\nbytes: {length}\nchecksum: {checksum}\n").expect("a String");
    }
    same_text("checksums.txt", &text);
}

/// The side that an entry's frame is for, in its state.
fn receiver(entry: &Entry) -> redial_proto::Connection {
    let states = match entry.from {
        Side::Client => server_states(),
        Side::Server => client_states(),
    };
    let found = states.into_iter().find(|(name, _)| *name == entry.state);
    found.expect("a known state").1
}

fn same(file: &str, comment: &str, entries: &[Entry]) {
    let mut text = String::from(comment);
    for entry in entries {
        write!(text, "\n{entry}").expect("a String");
    }
    same_text(file, &text);
}

fn same_text(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../vectors")
        .join(file);
    if std::env::var_os("REDIAL_BLESS").is_some() {
        std::fs::write(&path, text).expect("vectors/ can be written");
    }
    let there = std::fs::read_to_string(&path).expect("vectors/ can be read");
    for (number, (there, here)) in there.lines().zip(text.lines()).enumerate() {
        assert_eq!(there, here, "{file}, line {}", number + 1);
    }
    assert_eq!(there.lines().count(), text.lines().count(), "{file}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String");
        text
    })
}
