//! Harnesses for redial-frame.

use std::io::{self, Read};

use redial_frame::{
    Decoder, FrameError, FrameReader, Framing, HeaderFormat, Parsed, Part, StreamError,
};

/// The header formats that differ in their bytes.
const FORMATS: &[&str] = &[
    ">b", ">B", ">h", ">H", ">i", ">I", ">q", ">Q", "<h", "<H", "<i", "<I", "<q", "<Q", "@l", "@N",
];

/// Bytes as a stream of frames, cut anywhere.
///
/// Shape of the input: byte 0 chooses the format (low four bits) and whether the length counts the
/// header (bit 4); bytes 1 and 2 (little-endian) are the limit; byte 3 is the number of cut lengths
/// that follow, used in turn (0 stands for 256); the rest is the stream.
///
/// Checks that `Decoder` and `FrameReader` give, at any cut, the frames and the end that
/// `Framing::parse` finds in the whole, and that encoding those frames again gives the same bytes.
pub fn frame_decoder(data: &[u8]) {
    let &[choice, low, high, cuts, ref rest @ ..] = data else {
        return;
    };
    let format = HeaderFormat::parse(FORMATS[usize::from(choice & 15)]).expect("a listed format");
    let limit = usize::from(u16::from_le_bytes([low, high]));
    let framing = Framing::new(format)
        .with_includes_header(choice & 16 != 0)
        .with_max_payload(limit);
    let (cuts, stream) = rest.split_at(usize::from(cuts).min(rest.len()));

    let whole = parse_whole(&framing, stream);
    assert_eq!(decode_cut(&framing, stream, cuts), whole, "Decoder");
    assert_eq!(read_cut(&framing, stream, cuts), whole, "FrameReader");

    let mut again = Vec::new();
    for payload in &whole.0 {
        assert!(payload.len() <= limit);
        framing
            .encode(payload, &mut again)
            .expect("what was decoded can be encoded");
    }
    assert!(
        stream.starts_with(&again),
        "encoding does not give the same bytes"
    );
    if whole.1.is_ok() {
        assert_eq!(again.len(), stream.len());
    }
}

/// Any text as a header format; what follows its first NUL is read as integers of it.
pub fn frame_format(data: &[u8]) {
    let cut = data
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(data.len());
    let Ok(text) = std::str::from_utf8(&data[..cut]) else {
        return;
    };
    let format = match HeaderFormat::parse(text) {
        Ok(format) => format,
        Err(error) => {
            assert!(error.to_string().contains("b B h H i I l L q Q n N"));
            return;
        }
    };
    assert_eq!(HeaderFormat::parse(&format.to_string()), Ok(format));
    for bytes in data[cut..].chunks_exact(format.size()) {
        let number = format.unpack(bytes).expect("a whole integer");
        let packed = format.pack(number).expect("what was read can be written");
        assert_eq!(packed.as_ref(), bytes);
    }
}

/// The frames of a stream, and how it ended.
type Outcome = (Vec<Vec<u8>>, Result<(), FrameError>);

fn parse_whole(framing: &Framing, mut stream: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    let end = loop {
        match framing.parse(stream) {
            Ok(Parsed::Frame { payload, consumed }) => {
                frames.push(payload.to_vec());
                stream = &stream[consumed..];
            }
            Ok(Parsed::Incomplete { .. }) if stream.is_empty() => break Ok(()),
            Ok(Parsed::Incomplete { needed }) => {
                let part = match stream.len() < framing.format().size() {
                    true => Part::Header,
                    false => Part::Payload,
                };
                break Err(FrameError::Truncated {
                    part,
                    missing: needed,
                });
            }
            Err(error) => break Err(error),
        }
    };
    (frames, end)
}

fn decode_cut(framing: &Framing, stream: &[u8], cuts: &[u8]) -> Outcome {
    let mut decoder = Decoder::new(*framing);
    let mut frames = Vec::new();
    for mut piece in (Pieces {
        rest: stream,
        cuts,
        turn: 0,
    }) {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(payload)) => frames.push(payload.to_vec()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.decode(&mut &[0; 64][..]), Err(error), "not final");
                    return (frames, Err(error));
                }
            }
        }
        assert!(piece.is_empty(), "input left over");
    }
    (frames, decoder.finish())
}

fn read_cut(framing: &Framing, stream: &[u8], cuts: &[u8]) -> Outcome {
    let mut reader = FrameReader::new(
        Pieces {
            rest: stream,
            cuts,
            turn: 0,
        },
        *framing,
    );
    let mut frames = Vec::new();
    let end = loop {
        match reader.read_frame() {
            Ok(Some(payload)) => frames.push(payload.to_vec()),
            Ok(None) => break Ok(()),
            Err(StreamError::Frame(error)) => break Err(error),
            Err(error) => panic!("no such error here: {error}"),
        }
    };
    (frames, end)
}

/// A stream in pieces whose lengths are given in turn; in one piece if none is given.
struct Pieces<'a> {
    rest: &'a [u8],
    cuts: &'a [u8],
    turn: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let length = match self.cuts.get(self.turn % self.cuts.len().max(1)) {
            Some(0) => 256,
            Some(&length) => usize::from(length),
            None => self.rest.len(),
        };
        self.turn += 1;
        let (piece, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        Some(piece)
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let whole = self.rest;
        let Some(piece) = self.next() else {
            return Ok(0);
        };
        let length = piece.len().min(out.len());
        out[..length].copy_from_slice(&piece[..length]);
        self.rest = &whole[length..];
        Ok(length)
    }
}
