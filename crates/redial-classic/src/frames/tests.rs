//! Encoding and decoding as streams, cut anywhere.

use super::*;

const POSTGRES: Shape = Shape {
    framing: Framing::new(HeaderFormat::U32_BE).with_includes_header(true),
    prefix_bytes: 1,
};
const ALL: [Plain; 5] = [
    Plain::Lines,
    Plain::Nul,
    Plain::Hex,
    Plain::Escaped,
    Plain::Raw,
];

fn shape() -> Shape {
    Shape {
        framing: Framing::new(HeaderFormat::U32_BE).with_max_payload(8),
        prefix_bytes: 0,
    }
}

/// Gives at most so many bytes by one read.
struct Cut<'a>(&'a [u8], usize);

impl io::Read for Cut<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(out.len());
        self.0.read(&mut out[..length])
    }
}

fn encoded(text: &[u8], plain: Plain, shape: &Shape) -> (Vec<u8>, Result<(), FramesError>) {
    let mut expected = None;
    for cut in 1..=text.len().max(1) {
        let mut frames = Vec::new();
        let ended = encode(Cut(text, cut), &mut frames, plain, shape);
        let said = ended.as_ref().map_err(ToString::to_string).copied();
        let (before, words) = expected.get_or_insert_with(|| (frames.clone(), said.clone()));
        assert_eq!((&frames, &said), (&*before, &*words), "cut every {cut}");
        if cut == text.len().max(1) {
            return (frames, ended);
        }
    }
    unreachable!("the loop returns");
}

fn decoded(frames: &[u8], plain: Plain, shape: &Shape) -> (Vec<u8>, Decoded, Option<String>) {
    let mut every = (1..=frames.len().max(1)).map(|cut| {
        let (mut text, mut count) = (Vec::new(), Decoded::default());
        let ended = decode(Cut(frames, cut), &mut text, plain, shape, &mut count);
        (text, count, ended.err().map(|error| error.to_string()))
    });
    let first = every.next().unwrap();
    every.for_each(|other| assert_eq!(other, first));
    first
}

#[test]
fn any_bytes_survive_hex_and_escapes_at_any_cut() {
    let all: Vec<u8> = (0..=255).collect();
    let tricky = "a\\0\0".as_bytes().to_vec();
    let messages = [
        &all[..],
        b"",
        b"\x001\n\0x",
        "长\u{202e}e\u{301}\u{7f}".as_bytes(),
        &tricky,
    ];
    let mut frames = Vec::new();
    for message in messages {
        let (prefix, payload) = message.split_at(message.len().min(1));
        frames.extend_from_slice(if prefix.is_empty() { b"Z" } else { prefix });
        POSTGRES.framing.encode(payload, &mut frames).unwrap();
    }
    for plain in [Plain::Hex, Plain::Escaped] {
        let (text, count, error) = decoded(&frames, plain, &POSTGRES);
        assert_eq!((count.frames, count.ambiguous, error), (5, 0, None));
        assert_eq!(text.split(|&byte| byte == b'\n').count(), 6);
        assert!(plain == Plain::Hex || text.iter().all(|byte| !matches!(byte, 0..9 | 0x7f)));
        assert_eq!(encoded(&text, plain, &POSTGRES).0, frames);
    }
}

#[test]
fn what_cannot_be_printed_is_escaped_and_nothing_else() {
    let mut line = Vec::new();
    escape::append(
        &mut line,
        "it's \"长\" \\ \0, \x001\t\x1b\u{9b}\u{202e}".as_bytes(),
    );
    escape::append(&mut line, b"\xff\xfea");
    let shown = "it's \"长\" \\\\ \\0, \\x001\\t\\x1b\\xc2\\x9b\\xe2\\x80\\xae\\xff\\xfea";
    assert_eq!(String::from_utf8(line).unwrap(), shown);
}

#[test]
fn lines_are_messages_and_empty_ones_too() {
    let (frames, ended) = encoded(b"ab\n\nc", Plain::Lines, &shape());
    assert!(ended.is_ok());
    assert_eq!(frames, b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c");
    assert_eq!(decoded(&frames, Plain::Lines, &shape()).0, b"ab\n\nc\n");
    assert_eq!(decoded(&frames, Plain::Nul, &shape()).0, b"ab\0\0c\0");
    assert_eq!(decoded(&frames, Plain::Raw, &shape()).0, b"abc");
    assert_eq!(encoded(b"ab\0\0c", Plain::Nul, &shape()).0, frames);
}

#[test]
fn no_input_is_no_message_but_one_empty_message_when_raw() {
    for plain in ALL {
        let (frames, ended) = encoded(b"", plain, &shape());
        let expected: &[u8] = match plain {
            Plain::Raw => b"\0\0\0\0",
            _ => b"",
        };
        assert_eq!((&frames[..], ended.is_ok()), (expected, true), "{plain:?}");
        assert_eq!(
            decoded(b"", plain, &shape()),
            (vec![], Decoded::default(), None)
        );
    }
}

#[test]
fn a_newline_inside_a_message_is_counted_and_not_lost() {
    let frames = b"\0\0\0\x03a\nb\0\0\0\x01c";
    let (text, count, error) = decoded(frames, Plain::Lines, &shape());
    assert_eq!((&text[..], error), (&b"a\nb\nc\n"[..], None));
    assert_eq!((count.frames, count.ambiguous), (2, 1));
    assert_eq!(decoded(frames, Plain::Nul, &shape()).1.ambiguous, 0);
    assert_eq!(decoded(frames, Plain::Escaped, &shape()).1.ambiguous, 0);
}

#[test]
fn a_truncated_input_says_what_is_missing_after_all_that_was_whole() {
    let frames = b"x\0\0\0\x05a\ny\0\0\0\x06bc";
    let shape = Shape { ..POSTGRES };
    for (end, words) in [
        (6, None),
        (
            7,
            Some("frame 2, which begins at byte 6; bytes missing from its header: 4"),
        ),
        (
            10,
            Some("frame 2, which begins at byte 6; bytes missing from its header: 1"),
        ),
        (
            11,
            Some("frame 2, which begins at byte 6; bytes missing from its payload: 2"),
        ),
        (
            12,
            Some("frame 2, which begins at byte 6; bytes missing from its payload: 1"),
        ),
        (13, None),
        (
            5,
            Some("frame 1, which begins at byte 0; bytes missing from its payload: 1"),
        ),
    ] {
        // The newline above keeps the frames apart for the eye only.
        let frames: Vec<u8> = frames
            .iter()
            .copied()
            .filter(|&byte| byte != b'\n')
            .collect();
        let (text, _, error) = decoded(&frames[..end], Plain::Lines, &shape);
        let whole: &[u8] = match end {
            13 => b"xa\nybc\n",
            6.. => b"xa\n",
            _ => b"",
        };
        assert_eq!(text, whole, "{end}");
        match (words, error) {
            (None, None) => {}
            (Some(words), Some(error)) => assert!(error.contains(words), "{end}: {error}"),
            other => panic!("{end}: {other:?}"),
        }
    }
}

#[test]
fn a_bad_frame_says_where_it_is_after_all_that_was_whole() {
    let (text, _, error) = decoded(b"\0\0\0\x01a\0\0\0\x09", Plain::Lines, &shape());
    assert_eq!(text, b"a\n");
    let error = error.unwrap();
    assert!(error.starts_with("frame 2, at byte 5: "), "{error}");
    assert!(error.contains("9 bytes is over the limit of 8"), "{error}");
}

#[test]
fn a_bad_message_says_which_it_is_after_all_that_was_whole() {
    for (text, plain, words) in [
        (&b"a\n123456789\nb"[..], Plain::Lines, "over the limit of 8"),
        (b"61\n6\n", Plain::Hex, "two hexadecimal digits"),
        (b"61\n6 1\n", Plain::Hex, "two hexadecimal digits"),
        (b"6 1\n6g\n", Plain::Hex, "two hexadecimal digits"),
        (b"61\n g1\n", Plain::Hex, "'g' is no hexadecimal digit"),
        (b"\\x61\n\\q", Plain::Escaped, "'\\q' is no escape"),
        (b"a\n\\", Plain::Escaped, "ends inside an escape"),
        (b"a\n\\x1", Plain::Escaped, "ends inside an escape"),
        (b"a\n\\xg1", Plain::Escaped, "'\\x' is no escape"),
        (b"a\n\\012", Plain::Escaped, "write \\x00"),
    ] {
        let (frames, ended) = encoded(text, plain, &shape());
        let first_is_bad = text.starts_with(b"6 1");
        assert_eq!(frames.is_empty(), first_is_bad, "{words}");
        let error = ended.unwrap_err().to_string();
        let place = if first_is_bad {
            "message 1: "
        } else {
            "message 2: "
        };
        assert!(error.starts_with(place) && error.contains(words), "{error}");
    }
    let (_, ended) = encoded(b"Qx\n\n", Plain::Lines, &POSTGRES);
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("0 bytes are fewer than the 1"), "{error}");
}

#[test]
fn a_message_without_end_is_refused_at_the_limit() {
    for plain in ALL {
        let endless = io::repeat(b'6');
        let ended = encode(endless, io::sink(), plain, &shape());
        assert!(
            matches!(ended, Err(FramesError::Message { message: 1, .. })),
            "{plain:?}"
        );
    }
}
