//! What goes over the wire, byte for byte, and what is said in words.

use std::io::{Read, Write};
use std::time::Duration;

use redial_classic::remote::{Ending, Framed, MAX_COMMAND_BYTES, Order, RemoteError};
use redial_frame::HeaderFormat;

use crate::support::{Server, call, exchange, framed, headed, settings};

#[test]
fn a_reply_comes_behind_its_length_as_a_native_int() {
    let server = Server::start(settings());
    assert_eq!(exchange(&server.dial(), b"printf abc"), b"\x03\0\0\0abc");
    assert_eq!(exchange(&server.dial(), b"true"), [0; 4]);
}

#[test]
fn unframed_a_reply_is_the_bytes_alone() {
    let server = Server::start(framed(Framed::Neither));
    assert_eq!(exchange(&server.dial(), b"printf abc"), b"abc");
}

#[test]
fn framed_both_ways_many_requests_may_come_at_once_and_at_any_cut() {
    let mut settings = framed(Framed::Both);
    settings.wire.header = HeaderFormat::U16_BE;
    let server = Server::start(settings);
    let requests = b"\0\x08printf a\0\0\0\x0asleep 0.05\0\x08printf b";
    let replies = b"\0\x01a\0\0\0\0\0\x01b";
    assert_eq!(exchange(&server.dial(), requests), replies);
    let mut stream = server.dial();
    for byte in requests {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(exchange(&stream, b""), replies);
}

#[test]
fn any_header_of_struct_will_do() {
    for header in ["b", "B", ">H", "<I", "!i", "=l", ">q", "<Q", "n"] {
        for how in [Framed::Reply, Framed::Both] {
            let mut settings = framed(how);
            settings.wire.header = header.parse().unwrap();
            let server = Server::start(settings);
            assert_eq!(server.reply("echo hello"), b"hello\n", "{header}");
        }
    }
}

#[test]
fn a_unix_socket_serves_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let place = format!("unix:{}", dir.path().join("s").display());
    let server = Server::at(&place, settings());
    assert_eq!(server.reply("echo hello"), b"hello\n");
}

#[test]
fn stdout_comes_before_stderr_whatever_was_written_first() {
    let server = Server::start(settings());
    assert_eq!(server.reply("echo e >&2; echo o"), b"o\ne\n");
}

#[test]
fn the_lessons_reply_is_stderr_if_there_is_any_else_stdout() {
    let mut settings = settings();
    settings.order = Order::Lesson;
    let server = Server::start(settings);
    assert_eq!(server.reply("echo o; echo e >&2"), b"e\n");
    assert_eq!(server.reply("echo o"), b"o\n");
}

#[test]
fn a_client_that_hangs_up_its_half_behind_the_command_gets_its_reply() {
    let server = Server::start(settings());
    let reply = exchange(&server.dial(), b"sleep 0.1; echo late");
    assert_eq!(reply, headed(b"late\n"));
}

#[test]
fn one_connection_takes_one_command_after_the_other() {
    for how in [Framed::Neither, Framed::Reply, Framed::Both] {
        let server = Server::start(framed(how));
        let mut client = server.client();
        for number in 0..20 {
            let (reply, _) = call(&mut client, format!("echo {number}")).unwrap();
            assert_eq!(reply, format!("{number}\n").as_bytes(), "{how:?}");
        }
    }
}

#[test]
fn without_a_header_the_client_says_that_the_end_is_a_guess() {
    let server = Server::start(framed(Framed::Neither));
    let (reply, ending) = call(&mut server.client(), "echo hello").unwrap();
    assert_eq!((reply, ending), (b"hello\n".to_vec(), Ending::Quiet));
    let server = Server::start(settings());
    let (_, ending) = call(&mut server.client(), "echo hello").unwrap();
    assert_eq!(ending, Ending::Known);
}

#[test]
fn a_command_that_begins_with_a_minus_is_no_option_of_the_shell() {
    let server = Server::start(settings());
    // A program of that name is looked for.
    let reply = String::from_utf8(server.reply("-c")).unwrap();
    assert!(
        reply.contains("-c: ") && !reply.contains("argument"),
        "{reply}"
    );
}

#[test]
fn a_reply_over_the_limit_is_words_and_ends_the_command() {
    let mut settings = settings();
    settings.max_reply = 100_000;
    let server = Server::start(settings);
    let mut client = server.client();
    let (reply, _) = call(&mut client, "yes").unwrap();
    let words = "redial: the reply is over 100000 bytes; the command was ended\n";
    assert_eq!(String::from_utf8(reply).unwrap(), words);
    let (reply, _) = call(&mut client, "head -c 100000 /dev/zero").unwrap();
    assert_eq!(reply.len(), 100_000);
}

#[test]
fn a_command_of_128_kib_is_taken_and_a_longer_one_refused_in_words() {
    let command = |length: usize| {
        let words = "echo $#; : ";
        [words.to_owned(), "x".repeat(length - words.len())].concat()
    };
    for how in [Framed::Reply, Framed::Both] {
        let mut settings = framed(how);
        // A sender of so much may well pause when the machine is busy.
        settings.wire.quiet = Duration::from_millis(500);
        let server = Server::start(settings);
        let mut client = server.client();
        let (reply, _) = call(&mut client, command(MAX_COMMAND_BYTES)).unwrap();
        assert_eq!(reply, b"0\n", "{how:?}");
        let (reply, _) = call(&mut client, command(MAX_COMMAND_BYTES + 1)).unwrap();
        let words = String::from_utf8(reply).unwrap();
        assert!(
            words.starts_with("redial: ") && words.contains("over 131071"),
            "{words}"
        );
    }
}

#[test]
fn a_client_whose_framing_is_not_the_servers_is_told_so() {
    for (ours, theirs, words) in [
        (Framed::Reply, Framed::Both, "--framing both"),
        (Framed::Both, Framed::Reply, "the same header"),
    ] {
        let server = Server::start(framed(ours));
        let mut client = crate::support::client(&server.address, framed(theirs).wire);
        let reply = String::from_utf8(call(&mut client, "echo hello").unwrap().0).unwrap();
        assert!(reply.contains(words), "{reply}");
    }
}

#[test]
fn a_request_with_a_negative_length_is_refused_in_words_and_ends_the_connection() {
    let server = Server::start(framed(Framed::Both));
    let mut stream = server.dial();
    stream.write_all(&(-1_i32).to_ne_bytes()).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let words = headed(b"redial: the frame's length is negative: -1\n");
    assert_eq!(reply, words);
}

#[test]
fn what_a_browser_can_be_made_to_send_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    for (framing, first) in [
        (
            Framed::Reply,
            &b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"[..],
        ),
        (Framed::Neither, b"GET /?x HTTP/1.1\r\n\r\n"),
        (Framed::Reply, b"\x16\x03\x01\x02\x00\x01"),
        (Framed::Reply, b"\0\x01\0\0"),
        (Framed::Both, b"POST / HTTP/1.1\r\n\r\n"),
    ] {
        let server = Server::start(framed(framing));
        let request = [first, format!("\ntouch {}\n", trace.display()).as_bytes()].concat();
        exchange(&server.dial(), &request);
        // In two parts, the second after a silence.
        let mut stream = server.dial();
        stream.write_all(first).unwrap();
        if framing != Framed::Both {
            let mut words = Vec::new();
            stream.read_to_end(&mut words).unwrap();
            assert!(words.ends_with(b"not a command\n") || words.ends_with(b"both`\n"));
        }
        assert!(!trace.exists());
    }
}

#[test]
fn a_client_that_waits_in_vain_says_for_how_long() {
    let server = Server::start(settings());
    let stream = server.dial();
    let patience = Duration::from_millis(20);
    let wire = settings().wire;
    let mut client = redial_classic::remote::Client::new(stream, wire, patience, 100, None);
    let error = call(&mut client, "sleep 30").unwrap_err();
    assert!(matches!(error, RemoteError::Silent(_)), "{error}");
    assert!(error.to_string().contains("0.02 s"), "{error}");
}

#[test]
fn a_client_takes_no_longer_reply_than_it_wants_whatever_the_header_claims() {
    let server = Server::start(settings());
    let stream = server.dial();
    let patience = crate::support::PATIENCE;
    let wire = settings().wire;
    let mut client = redial_classic::remote::Client::new(stream, wire, patience, 100, None);
    assert_eq!(call(&mut client, "printf %100s x").unwrap().0.len(), 100);
    let error = call(&mut client, "printf %101s x").unwrap_err();
    assert!(error.to_string().contains("101 bytes is over"), "{error}");
}
