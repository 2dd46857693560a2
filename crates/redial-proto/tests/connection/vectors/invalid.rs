//! Frames that are wrong, and how.

use redial_proto::message::*;
use redial_proto::{Kind, Side};

use super::entries::Entry;
use crate::frames::*;

fn bad(
    from: Side,
    name: &'static str,
    state: &'static str,
    error: &'static str,
    hex: Vec<u8>,
    meaning: &str,
) -> Entry {
    Entry {
        name,
        from,
        state,
        hex,
        meaning: meaning.into(),
        error: Some(error),
    }
}

pub(crate) fn entries() -> Vec<Entry> {
    let mut entries = headers();
    entries.extend(encodings());
    entries.extend(places());
    entries
}

fn headers() -> Vec<Entry> {
    use Side::{Client, Server};
    let ping = Kind::Ping as u8;
    vec![
        bad(
            Client,
            "length-huge",
            "ready",
            "length",
            vec![0xff; 4],
            "a length of 4294967295: refused at its fourth byte",
        ),
        bad(
            Client,
            "length-over",
            "ready",
            "length",
            (8 + 262_145_u32).to_be_bytes().into(),
            "a payload of 262145 bytes",
        ),
        bad(
            Server,
            "length-short",
            "ready",
            "length",
            7_u32.to_be_bytes().into(),
            "a length that does not cover the header",
        ),
        bad(
            Client,
            "length-hello",
            "hello",
            "length",
            (8 + 16_385_u32).to_be_bytes().into(),
            "a hello of 16385 bytes",
        ),
        bad(
            Client,
            "length-ping",
            "ready",
            "length",
            raw(ping, 0, 0, 0, 0, b"1234567"),
            "a ping of 7 bytes",
        ),
        bad(
            Client,
            "length-data",
            "open",
            "length",
            at(Kind::Data, 0, 1, 0, b""),
            "data without bytes",
        ),
        bad(
            Client,
            "kind-unknown",
            "ready",
            "kind",
            raw(0x7f, 0, 0, 0, 0, b""),
            "not known, not optional",
        ),
        bad(
            Client,
            "kind-from-client",
            "ready",
            "kind",
            message(
                Kind::Exited,
                1,
                &Exited {
                    exit: Exit::Exited(0),
                },
            ),
            "only a server says exited",
        ),
        bad(
            Server,
            "kind-from-server",
            "ready",
            "kind",
            message(Kind::Start, 1, &start()),
            "only a client says start",
        ),
        bad(
            Client,
            "flags-reserved",
            "ready",
            "header",
            raw(ping, 4, 0, 0, 0, b"12345678"),
            "a reserved flag",
        ),
        bad(
            Client,
            "flags-more",
            "ready",
            "header",
            raw(ping, 2, 0, 0, 0, b"12345678"),
            "MORE on a ping",
        ),
        bad(
            Client,
            "zero",
            "ready",
            "header",
            raw(ping, 0, 0, 1, 0, b"12345678"),
            "the reserved byte is 1",
        ),
        bad(
            Client,
            "stream-3",
            "open",
            "header",
            at(Kind::Data, 3, 1, 0, b"."),
            "there is no stream 3",
        ),
        bad(
            Client,
            "stream-stdout",
            "open",
            "header",
            at(Kind::Data, 1, 1, 0, b"."),
            "a client does not send stdout",
        ),
        bad(
            Client,
            "channel-0",
            "open",
            "channel",
            at(Kind::Data, 0, 0, 0, b"."),
            "data on the connection's channel",
        ),
        bad(
            Client,
            "channel-1",
            "ready",
            "channel",
            raw(ping, 0, 0, 0, 1, b"12345678"),
            "ping on another",
        ),
        bad(
            Client,
            "channel-never-opened",
            "ready",
            "channel",
            at(Kind::Data, 0, 9, 0, b"."),
            "a channel above all opened so far",
        ),
        bad(
            Client,
            "channel-again",
            "open",
            "channel",
            message(Kind::Start, 1, &start()),
            "a number that is in use",
        ),
    ]
}

/// Payloads of close, `{0: false}` when they are good.
fn encodings() -> Vec<Entry> {
    let close = |name, payload: &[u8], meaning| {
        let hex = frame(Kind::Close, 0, 0, 1, payload);
        bad(Side::Client, name, "open", "encoding", hex, meaning)
    };
    let nested = [&b"\xa2\x00\xf4\x01"[..], &[0x81; 7], b"\x80"].concat();
    vec![
        close("cbor-empty", b"", "no item"),
        close(
            "cbor-trailing",
            b"\xa1\x00\xf4\x00",
            "a byte behind the item",
        ),
        close("cbor-cut", b"\xa1\x00", "the item is cut"),
        close("cbor-key-twice", b"\xa2\x00\xf4\x00\xf4", "key 0 twice"),
        close(
            "cbor-key-order",
            b"\xa2\x01\xf4\x00\xf4",
            "key 1 before key 0",
        ),
        close("cbor-key-long", b"\xa1\x18\x00\xf4", "key 0 in two bytes"),
        close("cbor-key-text", b"\xa1\x61a\xf4", "a text as key"),
        close(
            "cbor-indefinite",
            b"\xbf\x00\xf4\xff",
            "a map of indefinite length",
        ),
        close(
            "cbor-float",
            b"\xa2\x00\xf4\x01\xf9\x00\x00",
            "a float, under a key that is not known",
        ),
        close(
            "cbor-null",
            b"\xa2\x00\xf4\x01\xf6",
            "null, under a key that is not known",
        ),
        close(
            "cbor-tag",
            b"\xa2\x00\xf4\x01\xc0\x00",
            "a tag, under a key that is not known",
        ),
        close(
            "cbor-deep",
            &nested,
            "nesting 9 deep, under a key that is not known",
        ),
        close(
            "cbor-utf8",
            b"\xa2\x00\xf4\x01\x61\xff",
            "a text that is not UTF-8",
        ),
        close(
            "cbor-count",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
            "a map of 18446744073709551615 pairs",
        ),
        close(
            "cbor-shape",
            b"\xa1\x00\x01",
            "an integer where a boolean is due",
        ),
        close("cbor-missing", b"\xa0", "key 0 is missing"),
    ]
}

fn places() -> Vec<Entry> {
    use Side::{Client, Server};
    let early = at(Kind::Data, 1, 1, 0, b".");
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
        bad(
            Client,
            "state-start-first",
            "hello",
            "state",
            message(Kind::Start, 1, &start()),
            "hello is due",
        ),
        bad(
            Client,
            "state-not-authenticated",
            "authenticate",
            "state",
            message(Kind::Start, 1, &start()),
            "authenticate is due",
        ),
        bad(
            Client,
            "state-deciding",
            "deciding",
            "state",
            message(Kind::Authenticate, 0, &authenticate()),
            "the last one is not answered",
        ),
        bad(
            Client,
            "state-hello-again",
            "ready",
            "state",
            message(Kind::Hello, 0, &client_hello()),
            "hello comes once",
        ),
        bad(
            Client,
            "state-pieces",
            "pieces",
            "state",
            message(Kind::Start, 2, &start()),
            "pieces of another start are under way",
        ),
        bad(
            Server,
            "state-not-attached",
            "opening",
            "state",
            early,
            "data before attached",
        ),
        bad(
            Server,
            "state-attached-again",
            "open",
            "state",
            message(Kind::Attached, 1, &attached()),
            "a request is answered once",
        ),
        bad(
            Server,
            "state-after-ended",
            "ended",
            "state",
            at(Kind::Data, 1, 1, 0, b"."),
            "ended is the last word",
        ),
        bad(
            Client,
            "state-after-goodbye",
            "left",
            "state",
            sample(Kind::Ping, Side::Server, 0),
            "goodbye is the last frame",
        ),
        bad(
            Client,
            "version",
            "hello",
            "version",
            message(Kind::Hello, 0, &old),
            "versions 2 to 9",
        ),
        bad(
            Client,
            "limit-stop-stdin",
            "open",
            "limit",
            message(Kind::Control, 1, &stop),
            "stop is for outputs",
        ),
        bad(
            Client,
            "limit-text",
            "ready",
            "limit",
            message(Kind::Goodbye, 0, &text),
            "a text of 1025 bytes",
        ),
        bad(
            Client,
            "offset-gap",
            "open",
            "offset",
            at(Kind::Data, 0, 1, 1, b"."),
            "offset 1 where 0 is due",
        ),
        bad(
            Client,
            "offset-eof",
            "open",
            "offset",
            at(Kind::Eof, 0, 1, 5, b""),
            "a length of 5, and no byte has come",
        ),
        bad(
            Client,
            "offset-acknowledge",
            "open",
            "offset",
            at(Kind::Acknowledge, 1, 1, 1, b""),
            "a byte that was not sent",
        ),
        bad(
            Server,
            "offset-overflow",
            "open",
            "offset",
            at(Kind::Data, 1, 1, u64::MAX, b"."),
            "an offset without room",
        ),
        bad(
            Client,
            "credit-early",
            "opening",
            "credit",
            at(Kind::Data, 0, 1, 0, &[b'.'; 17]),
            "17 bytes of stdin before attached, where hello allows 16",
        ),
    ]
}
