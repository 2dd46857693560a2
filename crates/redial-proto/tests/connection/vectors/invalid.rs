//! Frames that are wrong, and how.

use redial_proto::message::*;
use redial_proto::{Kind, Side};

use super::entries::{Entry, client, server};
use crate::frames::*;

pub(crate) fn entries() -> Vec<Entry> {
    let mut entries = lengths();
    entries.extend(kinds());
    entries.extend(channels());
    entries.extend(encodings());
    entries.extend(shapes());
    entries.extend(states());
    entries.extend(values());
    entries.extend(offsets());
    entries
}

fn lengths() -> Vec<Entry> {
    let ping = Kind::Ping as u8;
    vec![
        client(
            "length-huge ready length",
            vec![0xff; 4],
            "a length of 4294967295: refused at its fourth byte",
        ),
        client(
            "length-over ready length",
            (8 + 262_145_u32).to_be_bytes().into(),
            "a payload of 262145 bytes",
        ),
        server(
            "length-short ready length",
            7_u32.to_be_bytes().into(),
            "a length that does not cover the header",
        ),
        client(
            "length-hello hello length",
            (8 + 16_385_u32).to_be_bytes().into(),
            "a hello of 16385 bytes",
        ),
        client(
            "length-ping ready length",
            raw(ping, 0, 0, 0, 0, b"1234567"),
            "a ping of 7 bytes",
        ),
        client(
            "length-data open length",
            at(Kind::Data, 0, 1, 0, b""),
            "data without bytes",
        ),
    ]
}

fn kinds() -> Vec<Entry> {
    let ping = Kind::Ping as u8;
    vec![
        client(
            "kind-unknown ready kind",
            raw(0x7f, 0, 0, 0, 0, b""),
            "not known, not optional",
        ),
        client(
            "kind-from-client ready kind",
            message(
                Kind::Exited,
                1,
                &Exited {
                    exit: Exit::Exited(0),
                },
            ),
            "only a server says exited",
        ),
        server(
            "kind-from-server ready kind",
            message(Kind::Start, 1, &start()),
            "only a client says start",
        ),
        client(
            "flags-reserved ready header",
            raw(ping, 4, 0, 0, 0, b"12345678"),
            "a reserved flag",
        ),
        client(
            "flags-more ready header",
            raw(ping, 2, 0, 0, 0, b"12345678"),
            "MORE on a ping",
        ),
        client(
            "zero ready header",
            raw(ping, 0, 0, 1, 0, b"12345678"),
            "the reserved byte is 1",
        ),
    ]
}

fn channels() -> Vec<Entry> {
    let ping = Kind::Ping as u8;
    vec![
        client(
            "stream-3 open header",
            at(Kind::Data, 3, 1, 0, b"."),
            "there is no stream 3",
        ),
        client(
            "stream-stdout open header",
            at(Kind::Data, 1, 1, 0, b"."),
            "a client does not send stdout",
        ),
        client(
            "channel-0 open channel",
            at(Kind::Data, 0, 0, 0, b"."),
            "data on the connection's channel",
        ),
        client(
            "channel-1 ready channel",
            raw(ping, 0, 0, 0, 1, b"12345678"),
            "ping on another",
        ),
        client(
            "channel-never-opened ready channel",
            at(Kind::Data, 0, 9, 0, b"."),
            "a channel above all opened so far",
        ),
        client(
            "channel-again open channel",
            message(Kind::Start, 1, &start()),
            "a number that is in use",
        ),
    ]
}

/// A close with this payload.
fn close(what: &'static str, payload: &[u8], meaning: &str) -> Entry {
    client(what, frame(Kind::Close, 0, 0, 1, payload), meaning)
}

/// Payloads of close, `{0: false}` when they are good.
fn encodings() -> Vec<Entry> {
    let nested = [&b"\xa2\x00\xf4\x01"[..], &[0x81; 7], b"\x80"].concat();
    vec![
        close("cbor-empty open encoding", b"", "no item"),
        close(
            "cbor-trailing open encoding",
            b"\xa1\x00\xf4\x00",
            "a byte behind the item",
        ),
        close("cbor-cut open encoding", b"\xa1\x00", "the item is cut"),
        close(
            "cbor-key-twice open encoding",
            b"\xa2\x00\xf4\x00\xf4",
            "key 0 twice",
        ),
        close(
            "cbor-key-order open encoding",
            b"\xa2\x01\xf4\x00\xf4",
            "key 1 before key 0",
        ),
        close(
            "cbor-key-long open encoding",
            b"\xa1\x18\x00\xf4",
            "key 0 in two bytes",
        ),
        close(
            "cbor-key-text open encoding",
            b"\xa1\x61a\xf4",
            "a text as key",
        ),
        close(
            "cbor-indefinite open encoding",
            b"\xbf\x00\xf4\xff",
            "a map of indefinite length",
        ),
        close(
            "cbor-float open encoding",
            b"\xa2\x00\xf4\x01\xf9\x00\x00",
            "a float, under a key that is not known",
        ),
        close(
            "cbor-null open encoding",
            b"\xa2\x00\xf4\x01\xf6",
            "null, under a key that is not known",
        ),
        close(
            "cbor-tag open encoding",
            b"\xa2\x00\xf4\x01\xc0\x00",
            "a tag, under a key that is not known",
        ),
        close(
            "cbor-deep open encoding",
            &nested,
            "nesting 9 deep, under a key that is not known",
        ),
        close(
            "cbor-utf8 open encoding",
            b"\xa2\x00\xf4\x01\x61\xff",
            "a text that is not UTF-8",
        ),
    ]
}

/// The same; these lie about how much there is, or are canonical but no close.
fn shapes() -> Vec<Entry> {
    vec![
        close(
            "cbor-count open encoding",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
            "a map of 18446744073709551615 pairs",
        ),
        close(
            "cbor-shape open encoding",
            b"\xa1\x00\x01",
            "an integer where a boolean is due",
        ),
        close("cbor-missing open encoding", b"\xa0", "key 0 is missing"),
    ]
}

fn states() -> Vec<Entry> {
    let early = at(Kind::Data, 1, 1, 0, b".");
    vec![
        client(
            "state-start-first hello state",
            message(Kind::Start, 1, &start()),
            "hello is due",
        ),
        client(
            "state-not-authenticated authenticate state",
            message(Kind::Start, 1, &start()),
            "authenticate is due",
        ),
        client(
            "state-hello-again ready state",
            message(Kind::Hello, 0, &client_hello()),
            "hello comes once",
        ),
        client(
            "state-pieces pieces state",
            message(Kind::Start, 2, &start()),
            "pieces of another start are under way",
        ),
        server(
            "state-not-attached opening state",
            early,
            "data before attached",
        ),
        server(
            "state-attached-again open state",
            message(Kind::Attached, 1, &attached()),
            "a request is answered once",
        ),
        server(
            "state-after-ended ended state",
            at(Kind::Data, 1, 1, 0, b"."),
            "ended is the last word",
        ),
        client(
            "state-after-goodbye left state",
            sample(Kind::Ping, Side::Server, 0),
            "goodbye is the last frame",
        ),
    ]
}

fn values() -> Vec<Entry> {
    let text = Goodbye {
        code: 0,
        text: "x".repeat(1_025),
    };
    let old = ClientHello {
        min_version: 2,
        max_version: 9,
        ..client_hello()
    };
    let stop = Control {
        number: 1,
        kind: ControlKind::Stop(0),
    };
    vec![
        client(
            "version hello version",
            message(Kind::Hello, 0, &old),
            "versions 2 to 9",
        ),
        client(
            "limit-stop-stdin open limit",
            message(Kind::Control, 1, &stop),
            "stop is for outputs",
        ),
        client(
            "limit-text ready limit",
            message(Kind::Goodbye, 0, &text),
            "a text of 1025 bytes",
        ),
    ]
}

fn offsets() -> Vec<Entry> {
    vec![
        client(
            "offset-gap open offset",
            at(Kind::Data, 0, 1, 1, b"."),
            "offset 1 where 0 is due",
        ),
        client(
            "offset-eof open offset",
            at(Kind::Eof, 0, 1, 5, b""),
            "a length of 5, and no byte has come",
        ),
        client(
            "offset-acknowledge open offset",
            at(Kind::Acknowledge, 1, 1, 1, b""),
            "a byte that was not sent",
        ),
        server(
            "offset-overflow open offset",
            at(Kind::Data, 1, 1, u64::MAX, b"."),
            "an offset without room",
        ),
        client(
            "credit-early opening credit",
            at(Kind::Data, 0, 1, 0, &[b'.'; 17]),
            "17 bytes of stdin before attached, where hello allows 16",
        ),
    ]
}
