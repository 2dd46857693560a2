//! Any payloads, any header format, cut anywhere: the same frames, whichever way they are read.

use std::io::{self, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use redial_frame::{
    Decoder, FrameError, FrameReader, FrameWriter, Framing, Parsed, Part, Pieces, StreamError,
};

/// The frames of a stream, and how it ended.
type Outcome = (Vec<Vec<u8>>, Result<(), FrameError>);

proptest! {
    #[test]
    fn any_split_of_any_payloads_gives_the_same_frames(
        (framing, payloads) in framed_payloads(),
        cuts in vec(1..200_usize, 1..20),
    ) {
        let wire = encode(&framing, &payloads);
        let expected: Outcome = (payloads, Ok(()));
        for (way, outcome) in every_way(&framing, &wire, &cuts) {
            prop_assert_eq!(&outcome, &expected, "{}", way);
        }
    }

    #[test]
    fn a_stream_that_ends_anywhere_gives_the_whole_frames_and_the_number_of_bytes_missing(
        (framing, payloads) in framed_payloads(),
        cuts in vec(1..200_usize, 1..20),
        end in any::<Index>(),
    ) {
        let wire = encode(&framing, &payloads);
        let end = end.index(wire.len() + 1);
        let expected = expected_until(&framing, &payloads, end);
        for (way, outcome) in every_way(&framing, &wire[..end], &cuts) {
            prop_assert_eq!(&outcome, &expected, "{}", way);
        }
    }

    #[test]
    fn any_bytes_at_all_give_the_same_frames_and_the_same_error_every_way(
        framing in framing(),
        limit in 0..64_usize,
        wire in vec(prop_oneof![4 => 0..4_u8, 1 => any::<u8>()], 0..300),
        cuts in vec(1..50_usize, 1..20),
    ) {
        let framing = framing.with_max_payload(limit);
        let mut outcomes = every_way(&framing, &wire, &cuts);
        let (_, expected) = outcomes.remove(0);
        for (way, outcome) in outcomes {
            prop_assert_eq!(&outcome, &expected, "{}", way);
        }
    }

    #[test]
    fn what_the_writer_writes_in_however_short_writes_is_what_encode_gives(
        (framing, payloads) in framed_payloads(),
        cuts in vec(1..200_usize, 1..20),
    ) {
        let sink = ShortWrites { written: Vec::new(), cuts, turn: 0 };
        let mut writer = FrameWriter::new(sink, framing);
        for payload in &payloads {
            writer.write_frame(payload).unwrap();
        }
        prop_assert_eq!(writer.into_inner().written, encode(&framing, &payloads));
    }
}

fn framing() -> impl Strategy<Value = Framing> {
    let texts: Vec<String> = ["", "@", "=", "<", ">", "!"]
        .iter()
        .flat_map(|order| {
            "bBhHiIlLqQnN"
                .chars()
                .map(move |letter| format!("{order}{letter}"))
        })
        .filter(|text| !(text.ends_with(['n', 'N']) && text.starts_with(['=', '<', '>', '!'])))
        .collect();
    (select(texts), any::<bool>()).prop_map(|(text, includes_header)| {
        Framing::new(text.parse().expect("a format")).with_includes_header(includes_header)
    })
}

/// Payloads of at most 119 bytes, which every header can announce.
fn framed_payloads() -> impl Strategy<Value = (Framing, Vec<Vec<u8>>)> {
    (framing(), vec(vec(any::<u8>(), 0..120), 0..12))
}

fn encode(framing: &Framing, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for payload in payloads {
        framing.encode(payload, &mut wire).expect("a short payload");
    }
    wire
}

/// What a stream gives that is cut off after `end` bytes, by plain counting.
fn expected_until(framing: &Framing, payloads: &[Vec<u8>], mut end: usize) -> Outcome {
    let header = framing.format().size();
    let mut frames = Vec::new();
    for payload in payloads {
        let whole = header + payload.len();
        if end == 0 {
            break;
        } else if end < header {
            let error = FrameError::Truncated {
                part: Part::Header,
                missing: header - end,
            };
            return (frames, Err(error));
        } else if end < whole {
            let error = FrameError::Truncated {
                part: Part::Payload,
                missing: whole - end,
            };
            return (frames, Err(error));
        }
        frames.push(payload.clone());
        end -= whole;
    }
    (frames, Ok(()))
}

fn every_way(framing: &Framing, wire: &[u8], cuts: &[usize]) -> Vec<(&'static str, Outcome)> {
    vec![
        ("Framing::parse", by_parse(framing, wire)),
        ("Decoder", by_decoder(framing, wire, cuts)),
        ("Pieces", by_pieces(framing, wire, cuts)),
        ("FrameReader", by_reader(framing, wire, cuts)),
        #[cfg(feature = "codec")]
        ("FrameCodec", by_codec(framing, wire, cuts)),
    ]
}

fn by_pieces(framing: &Framing, wire: &[u8], cuts: &[usize]) -> Outcome {
    let mut decoder = Pieces::new(*framing);
    let (mut frames, mut frame, mut has_begun) = (Vec::new(), Vec::new(), false);
    for mut part in pieces(wire, cuts) {
        loop {
            match decoder.next(&mut part) {
                Ok(Some(piece)) => {
                    assert_eq!(piece.is_first, !has_begun);
                    has_begun = piece.left > 0;
                    frame.extend_from_slice(piece.bytes);
                    if !has_begun {
                        frames.push(std::mem::take(&mut frame));
                    }
                }
                Ok(None) => {
                    assert!(part.is_empty());
                    break;
                }
                Err(error) => {
                    assert_eq!(decoder.next(&mut &b"more"[..]), Err(error));
                    return (frames, Err(error));
                }
            }
        }
    }
    (frames, decoder.finish())
}

fn by_parse(framing: &Framing, mut wire: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    loop {
        match framing.parse(wire) {
            Ok(Parsed::Frame { payload, consumed }) => {
                frames.push(payload.to_vec());
                wire = &wire[consumed..];
            }
            Ok(Parsed::Incomplete { .. }) if wire.is_empty() => return (frames, Ok(())),
            Ok(Parsed::Incomplete { needed }) => {
                let in_header = wire.len() < framing.format().size();
                let part = if in_header {
                    Part::Header
                } else {
                    Part::Payload
                };
                return (
                    frames,
                    Err(FrameError::Truncated {
                        part,
                        missing: needed,
                    }),
                );
            }
            Err(error) => return (frames, Err(error)),
        }
    }
}

fn by_decoder(framing: &Framing, wire: &[u8], cuts: &[usize]) -> Outcome {
    let mut decoder = Decoder::new(*framing);
    let mut frames = Vec::new();
    for mut piece in pieces(wire, cuts) {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(payload)) => frames.push(payload.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
        assert!(piece.is_empty(), "None, but the piece is not used up");
    }
    (frames, decoder.finish())
}

fn by_reader(framing: &Framing, wire: &[u8], cuts: &[usize]) -> Outcome {
    let input = Interrupting {
        pieces: pieces(wire, cuts),
        turn: 0,
    };
    let mut reader = FrameReader::new(input, *framing);
    let mut frames = Vec::new();
    loop {
        match reader.read_frame() {
            Ok(Some(payload)) => frames.push(payload.to_vec()),
            Ok(None) => return (frames, Ok(())),
            Err(StreamError::Frame(error)) => return (frames, Err(error)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[cfg(feature = "codec")]
fn by_codec(framing: &Framing, wire: &[u8], cuts: &[usize]) -> Outcome {
    use tokio_util::codec::Decoder as _;

    let mut codec = redial_frame::FrameCodec::new(*framing);
    let mut buffer = bytes::BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces(wire, cuts) {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(payload)) => frames.push(payload.to_vec()),
                Ok(None) => break,
                Err(StreamError::Frame(error)) => return (frames, Err(error)),
                Err(error) => panic!("{error}"),
            }
        }
    }
    match codec.decode_eof(&mut buffer) {
        Ok(None) => (frames, Ok(())),
        Err(StreamError::Frame(error)) => (frames, Err(error)),
        other => panic!("{other:?}"),
    }
}

fn pieces<'a>(mut wire: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in cuts.iter().cycle() {
        if wire.is_empty() {
            break;
        }
        let (piece, rest) = wire.split_at((*length).min(wire.len()));
        pieces.push(piece);
        wire = rest;
    }
    pieces
}

/// Gives each piece by one read, which is interrupted first.
struct Interrupting<'a> {
    pieces: Vec<&'a [u8]>,
    turn: usize,
}

impl Read for Interrupting<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn % 2 == 1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match self.pieces.get(self.turn / 2 - 1) {
            Some(piece) => {
                assert!(
                    out.len() >= piece.len(),
                    "the reader offers too little room"
                );
                out[..piece.len()].copy_from_slice(piece);
                Ok(piece.len())
            }
            None => Ok(0),
        }
    }
}

/// Takes a few bytes by each write, which is interrupted first.
struct ShortWrites {
    written: Vec<u8>,
    cuts: Vec<usize>,
    turn: usize,
}

impl Write for ShortWrites {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[io::IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn % 2 == 1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let count = self.cuts[self.turn / 2 % self.cuts.len()].min(all.len());
        self.written.extend_from_slice(&all[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
