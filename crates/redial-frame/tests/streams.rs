//! The adapters over readers and writers: ends, errors in the middle, and memory.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};

use redial_frame::{
    FrameError, FrameReader, FrameWriter, Framing, HeaderFormat, Part, StreamError,
};

const FRAMING: Framing = Framing::new(HeaderFormat::U32_BE);

#[test]
fn an_end_between_frames_is_none_and_an_end_inside_one_an_error_with_the_missing_count() {
    let mut reader = FrameReader::new(&b"\0\0\0\x02ok"[..], FRAMING);
    assert_eq!(reader.read_frame().unwrap(), Some(&b"ok"[..]));
    assert_eq!(reader.read_frame().unwrap(), None);
    assert_eq!(reader.read_frame().unwrap(), None);

    for (wire, part, missing) in [
        (&b"\0\0\0"[..], Part::Header, 1),
        (&b"\0\0\0\x05"[..], Part::Payload, 5),
        (&b"\0\0\0\x05hell"[..], Part::Payload, 1),
    ] {
        let mut reader = FrameReader::new(wire, FRAMING);
        let error = reader.read_frame().unwrap_err();
        assert!(matches!(
            error,
            StreamError::Frame(FrameError::Truncated { part: p, missing: m })
                if (p, m) == (part, missing)
        ));
        assert_eq!(io::Error::from(error).kind(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn a_frame_longer_than_the_first_buffer_arrives_whole_and_so_does_what_follows() {
    let long: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let mut wire = Vec::new();
    for payload in [b"short", &long[..], b"", &long[..70_000], b"end"] {
        FRAMING.encode(payload, &mut wire).unwrap();
    }
    let mut reader = FrameReader::new(&wire[..], FRAMING);
    for payload in [b"short", &long[..], b"", &long[..70_000], b"end"] {
        assert!(
            reader.read_frame().unwrap() == Some(payload),
            "{} bytes",
            payload.len()
        );
    }
    assert_eq!(reader.read_frame().unwrap(), None);
}

#[test]
fn a_read_that_fails_in_a_frame_may_be_repeated_without_loss() {
    let mut reader = FrameReader::new(
        Script(VecDeque::from([
            Ok(&b"\0\0"[..]),
            Err(ErrorKind::WouldBlock),
            Ok(&b"\0\x05he"[..]),
            Err(ErrorKind::TimedOut),
            Ok(&b"llo\0"[..]),
        ])),
        FRAMING,
    );
    for kind in [ErrorKind::WouldBlock, ErrorKind::TimedOut] {
        let StreamError::Io(error) = reader.read_frame().unwrap_err() else {
            panic!("not the reader's error");
        };
        assert_eq!(error.kind(), kind);
    }
    assert_eq!(reader.read_frame().unwrap(), Some(&b"hello"[..]));
    let error = reader.read_frame().unwrap_err();
    assert!(matches!(
        error,
        StreamError::Frame(FrameError::Truncated {
            part: Part::Header,
            missing: 3
        })
    ));
}

#[test]
fn a_header_that_claims_much_makes_the_reader_offer_little_room() {
    let framing = FRAMING.with_max_payload(usize::MAX);
    let mut reader = FrameReader::new(
        LargestRoom {
            wire: b"\xff\xff\xff\xffabc",
            room: 0,
        },
        framing,
    );
    assert!(reader.read_frame().is_err());
    assert!(reader.into_inner().room <= 64 * 1024);
}

#[test]
fn a_bad_length_is_an_error_of_invalid_data_and_nothing_more_is_read() {
    let framing = FRAMING.with_max_payload(4);
    let mut reader = FrameReader::new(
        Script(VecDeque::from([
            Ok(&b"\0\0\0\x05"[..]),
            Err(ErrorKind::ConnectionReset),
        ])),
        framing,
    );
    for _ in 0..2 {
        let error = io::Error::from(reader.read_frame().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(
            error.to_string(),
            "the frame's payload of 5 bytes is over the limit of 4"
        );
    }
}

#[test]
fn header_and_payload_go_out_in_one_vectored_write() {
    let mut writer = FrameWriter::new(Counting::default(), FRAMING);
    writer.write_frame(b"hello").unwrap();
    writer.write_frame(b"").unwrap();
    let counting = writer.into_inner();
    assert_eq!(counting.written, b"\0\0\0\x05hello\0\0\0\0");
    assert_eq!(counting.writes, 2);
}

#[test]
fn a_payload_that_is_too_long_is_refused_before_a_byte_is_written() {
    let mut writer = FrameWriter::new(Counting::default(), Framing::new(HeaderFormat::U8));
    let error = writer.write_frame(&[0; 256]).unwrap_err();
    assert!(matches!(
        error,
        StreamError::Frame(FrameError::TooLongForHeader { length: 256, .. })
    ));
    writer.write_frame(&[0; 255]).unwrap();
    assert_eq!(writer.into_inner().written.len(), 256);
}

#[test]
fn after_a_frame_was_written_in_part_no_other_frame_is_written() {
    let mut room = [0; 6];
    let mut writer = FrameWriter::new(&mut room[..], FRAMING);
    let StreamError::Io(error) = writer.write_frame(b"hello").unwrap_err() else {
        panic!("not the writer's error");
    };
    assert_eq!(error.kind(), ErrorKind::WriteZero);
    assert!(matches!(writer.write_frame(b""), Err(StreamError::Torn)));
    assert_eq!(room, *b"\0\0\0\x05he");
}

/// A reader that does one thing after the other, then ends.
struct Script(VecDeque<Result<&'static [u8], ErrorKind>>);

impl Read for Script {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.pop_front() {
            Some(Ok(bytes)) => (&*bytes).read(out),
            Some(Err(kind)) => Err(kind.into()),
            None => Ok(0),
        }
    }
}

/// A reader that remembers the most room it was offered.
struct LargestRoom {
    wire: &'static [u8],
    room: usize,
}

impl Read for LargestRoom {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.room = self.room.max(out.len());
        self.wire.read(out)
    }
}

/// A writer that takes everything and counts the calls.
#[derive(Default)]
struct Counting {
    written: Vec<u8>,
    writes: usize,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writes += 1;
        self.written.write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
