//! `redial frame`: integers as bytes, messages as frames, as streams.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::time::Instant;

use support::{Ran, Redial, finish};

fn frame(args: &[&str], input: &[u8]) -> Ran {
    Redial::bare(["frame"]).args(args).input(input).ran()
}

/// What it prints, when it succeeds without a word.
fn said(args: &[&str], input: &[u8]) -> Vec<u8> {
    let ran = frame(args, input);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}");
    ran.stdout
}

/// What it complains of, when it fails.
fn complaint(args: &[&str], input: &[u8]) -> (Vec<u8>, String) {
    let ran = frame(args, input);
    assert_eq!(ran.code, 125, "{args:?}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("redial: frame: "), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    (ran.stdout, ran.stderr)
}

#[test]
fn a_packed_number_is_unpacked_as_the_tuple_that_python_prints() {
    let packed = said(&["pack", "i", "1243"], b"");
    assert_eq!(packed.len(), 9, "eight digits and a newline");
    assert_eq!(said(&["unpack", "i"], &packed), b"(1243,)\n");
    assert_eq!(said(&["pack", "<i", "1243"], b""), b"db040000\n");
    let raw = said(&["pack", "<i", "1243", "--raw"], b"");
    assert_eq!(raw, [0xdb, 4, 0, 0]);
    assert_eq!(said(&["unpack", "--raw", "<i"], &raw), b"(1243,)\n");
    assert_eq!(
        said(&["unpack", ">2H"], b" 00 01\nFf\tfe\r\n"),
        b"(1, 65534)\n"
    );
    assert_eq!(said(&["unpack", ""], b""), b"()\n");
    assert_eq!(
        said(&["pack", ">hb", "-2", "--", "-0x80"], b""),
        b"fffe80\n"
    );
}

#[test]
fn what_cannot_be_packed_or_unpacked_is_told_in_clear_words() {
    for (args, input, words) in [
        (
            &["pack", "i", "abc"][..],
            "",
            "\"abc\" is no integer; write it in decimal",
        ),
        (&["pack", "i", "1.5"], "", "\"1.5\" is no integer"),
        (
            &["pack", "b", "128"],
            "",
            "number 1: 128 is outside the range of `@b`, -128 to 127",
        ),
        (
            &["pack", "i"],
            "",
            "wrong count of numbers: the format takes 1, given: 0",
        ),
        (
            &["pack", "2i", "1", "2", "3"],
            "",
            "the format takes 2, given: 3",
        ),
        (
            &["pack", "f", "1"],
            "",
            "'f' in the format is no integer's letter; accepted are `b B h",
        ),
        (
            &["pack", "<n", "1"],
            "",
            "'n' in the format has a native size only",
        ),
        (&["pack", "99999999q", "1"], "", "more than 16777216 bytes"),
        (&["pack", "i", "\u{1b}[2J"], "", "\\u{1b}[2J"),
        (
            &["unpack", "<i"],
            "db04",
            "the format takes exactly 4, given: 2",
        ),
        (
            &["unpack", "<i"],
            "db04000000",
            "the format takes exactly 4, stdin has more",
        ),
        (
            &["unpack", "<i", "--raw"],
            "12345",
            "the format takes exactly 4, stdin has more",
        ),
        (&["unpack", "<i"], "db04000", "two hexadecimal digits"),
        (
            &["unpack", "<i"],
            "xb040000",
            "'x' is no hexadecimal digit (bytes as they are: --raw)",
        ),
    ] {
        let (stdout, complaint) = complaint(args, input.as_bytes());
        assert!(complaint.contains(words), "{args:?}: {complaint}");
        assert!(stdout.is_empty());
    }
}

#[test]
fn lines_become_frames_and_frames_lines() {
    let frames = said(&["encode", "--header", ">H"], b"hello\n\nworld");
    assert_eq!(frames, b"\0\x05hello\0\0\0\x05world");
    assert_eq!(
        said(&["decode", "--header", ">H"], &frames),
        b"hello\n\nworld\n"
    );
    assert_eq!(said(&["encode"], b"hello\n"), b"\0\0\0\x05hello");
    let counted = said(&["encode", "--header", "<q", "--includes-header"], b"a\n");
    assert_eq!(counted, b"\x09\0\0\0\0\0\0\0a");
    let one = said(&["encode", "--raw", "--header", "B"], b"two\nlines\n");
    assert_eq!(one, b"\x0atwo\nlines\n");
    assert_eq!(
        said(&["decode", "--raw", "--header", "B"], &one),
        b"two\nlines\n"
    );
    assert_eq!(
        said(&["decode", "--escape", "--header", "B"], &one),
        b"two\\nlines\\n\n"
    );
    assert_eq!(
        said(&["decode", "-0", "--header", "B"], &one),
        b"two\nlines\n\0"
    );
    let typed = said(&["encode", "--prefix-bytes", "1", "--hex"], b"51 00ff\n");
    assert_eq!(typed, b"Q\0\0\0\x02\0\xff");
    assert_eq!(
        said(&["decode", "--prefix-bytes", "1", "--hex"], &typed),
        b"5100ff\n"
    );
}

#[test]
fn a_message_that_looks_like_several_is_printed_and_noted() {
    let ran = frame(&["decode", "--header", "B"], b"\x03a\nb\x01c");
    assert_eq!((ran.code, &ran.stdout[..]), (0, &b"a\nb\nc\n"[..]));
    let note = "redial: note: frame: 1 of 2 messages have what separates them inside";
    assert!(ran.stderr.starts_with(note), "{}", ran.stderr);
}

#[test]
fn an_input_that_ends_inside_a_frame_says_how_many_bytes_are_missing() {
    for (input, words) in [
        (
            &b"\0\x02hi\0"[..],
            "frame 2, which begins at byte 4; bytes missing from its header: 1",
        ),
        (
            b"\0\x02hi\0\x05",
            "frame 2, which begins at byte 4; bytes missing from its payload: 5",
        ),
        (b"\0\x02hi\0\x05wor", "bytes missing from its payload: 2"),
    ] {
        let (stdout, complaint) = complaint(&["decode", "--header", ">H"], input);
        assert_eq!(stdout, b"hi\n");
        assert!(complaint.contains(words), "{complaint}");
    }
}

#[test]
fn the_limit_holds_both_ways_and_what_was_whole_is_out_before() {
    let (frames, words) = complaint(&["encode", "--limit", "4"], b"abcd\nabcde\nf\n");
    assert_eq!(frames, b"\0\0\0\x04abcd");
    assert!(
        words.contains("message 2: it is over the limit of 4 bytes"),
        "{words}"
    );
    let (lines, words) = complaint(&["decode", "--limit", "1K"], b"\0\0\0\x01a\0\0\x04\x01");
    assert_eq!(lines, b"a\n");
    assert!(
        words.contains("frame 2, at byte 5: the frame's payload of 1025 bytes"),
        "{words}"
    );
    assert!(
        words.contains("--header, --includes-header, --limit"),
        "{words}"
    );
    let (_, words) = complaint(&["encode", "--header", "b"], &[b'a'; 128]);
    assert!(words.contains("too long for the header `@b`"), "{words}");
    let (_, words) = complaint(&["decode", "--header", ">i"], b"\xff\xff\xff\xff");
    assert!(words.contains("negative: -1"), "{words}");
    let (_, words) = complaint(&["decode"], b"GET / HTTP/1.1\r\n");
    assert!(
        words.contains("1195725856 bytes is over the limit of 16777216"),
        "{words}"
    );
    let (_, words) = complaint(&["encode", "--header", "2H"], b"");
    assert!(
        words.contains("--header: the header format is not exactly one number"),
        "{words}"
    );
}

/// A program whose stdin stays open.
struct Open {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Open {
    fn new(args: &[&str]) -> Self {
        let mut child = Redial::bare(["frame"]).args(args).spawn();
        Open {
            stdin: child.stdin.take().unwrap(),
            stdout: child.stdout.take().unwrap(),
            child,
        }
    }

    fn give(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).unwrap();
    }

    /// What comes while stdin is open: were it held back, this would not return.
    fn expect(&mut self, bytes: &[u8]) {
        let mut seen = vec![0; bytes.len()];
        self.stdout.read_exact(&mut seen).unwrap();
        assert_eq!(seen, bytes);
    }

    fn end(mut self) -> Ran {
        drop(self.stdin);
        self.child.stdout = Some(self.stdout);
        finish(self.child, Instant::now())
    }
}

#[test]
fn a_frame_is_printed_when_its_last_byte_has_come_not_when_the_input_ends() {
    let mut decode = Open::new(&["decode", "--header", ">H"]);
    for byte in b"\0\x02hi" {
        decode.give(&[*byte]);
    }
    decode.expect(b"hi\n");
    decode.give(b"\0\x03you\0");
    decode.expect(b"you\n");
    decode.give(b"\x01x");
    decode.expect(b"x\n");
    let ran = decode.end();
    assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (0, vec![], ""));
}

#[test]
fn a_line_is_a_frame_when_its_newline_has_come() {
    let mut encode = Open::new(&["encode", "--header", ">H"]);
    encode.give(b"hel");
    encode.give(b"lo\nw");
    encode.expect(b"\0\x05hello");
    let ran = encode.end();
    assert_eq!((ran.code, ran.stdout), (0, b"\0\x01w".to_vec()));
}

#[test]
fn a_reader_that_has_left_ends_it_without_a_word() {
    for (args, input) in [
        (["encode", "--hex"], &b"61\n"[..]),
        (["decode", "--hex"], b"\0\0\0\0"),
    ] {
        let mut open = Open::new(&args);
        drop(open.stdout);
        open.child.stdout = None;
        // Its write fails, and so may ours after that. Not the first perhaps: a child that another test
        // starts at this moment has a copy of our end for as long as it takes to execute.
        let ended = support::eventually(|| {
            let _ = open.stdin.write_all(input);
            open.child.try_wait().unwrap()
        });
        assert!(ended.is_some(), "{args:?}");
        let code = support::wait(&mut open.child);
        let mut stderr = String::new();
        open.child
            .stderr
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        assert_eq!((code, stderr.as_str()), (141, ""), "{args:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let mut shell = std::process::Command::new("/bin/sh");
    let redial = support::binary();
    let line = format!("echo hi | '{}' frame encode > /dev/full", redial.display());
    let output = shell.arg("-c").arg(line).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        "redial: frame: cannot write: No space left on device (os error 28)\n"
    );
}

#[test]
fn a_gigabyte_claimed_costs_nothing_and_ten_megabytes_arrive_whole() {
    let payload = support::noise(7, 10 << 20);
    let frames = said(&["encode", "--raw"], &payload);
    assert_eq!(frames.len(), payload.len() + 4);
    assert_eq!(said(&["decode", "--raw"], &frames), payload);
    let claim = b"\x40\0\0\0only this";
    let (_, words) = complaint(&["decode", "--limit", "2GiB"], claim);
    assert!(
        words.contains("bytes missing from its payload: 1073741815"),
        "{words}"
    );
}
