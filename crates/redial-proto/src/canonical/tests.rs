//! What is canonical and what is not; and what becomes of it when bytes change.

use super::check;

#[test]
fn canonical_items_pass() {
    for item in [
        &b"\x00"[..],
        b"\x17",
        b"\x18\x18",
        b"\x19\x01\x00",
        b"\x1a\x00\x01\x00\x00",
        b"\x1b\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\x20",
        b"\x40",
        b"\x43abc",
        b"\x62\xc3\xa9",
        b"\x80",
        b"\xa0",
        b"\xf4",
        b"\xf5",
        b"\xa2\x00\x01\x18\x18\x82\x00\xa0",
        b"\x81\x81\x81\x81\x81\x81\x81\x80",
        b"\xa1\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x00",
    ] {
        assert_eq!(check(item), Ok(()), "{item:02x?}");
    }
}

#[test]
fn everything_else_is_refused() {
    for (item, why) in [
        (&b""[..], "nothing"),
        (b"\x00\x00", "a byte after the item"),
        (b"\x18\x17", "one byte where none is needed"),
        (b"\x19\x00\xff", "two where one is"),
        (b"\x1a\x00\x00\xff\xff", "four where two are"),
        (
            b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
            "eight where four are",
        ),
        (b"\x58\x01a", "a long length of a string"),
        (b"\x98\x01\x00", "a long length of an array"),
        (b"\x19\x01", "a cut integer"),
        (b"\x44abc", "a cut string"),
        (
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
            "a string of 2^64 bytes",
        ),
        (
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
            "an array of 2^64 items",
        ),
        (
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
            "a map of 2^64 pairs",
        ),
        (b"\x82\x00", "a cut array"),
        (b"\xa1\x00", "a cut map"),
        (b"\x5f\x41a\xff", "an indefinite string"),
        (b"\x9f\x00\xff", "an indefinite array"),
        (b"\xbf\x00\x00\xff", "an indefinite map"),
        (b"\xff", "a break"),
        (b"\x1c", "a reserved head"),
        (b"\xc0\x00", "a tag"),
        (b"\xf6", "null"),
        (b"\xf7", "undefined"),
        (b"\xf8\x20", "a simple value"),
        (b"\xf9\x00\x00", "a half float"),
        (b"\xfb\x00\x00\x00\x00\x00\x00\x00\x00", "a float"),
        (b"\x61\xff", "a text that is not UTF-8"),
        (b"\xa2\x00\x00\x00\x00", "a key twice"),
        (b"\xa2\x01\x00\x00\x00", "keys in descending order"),
        (b"\xa1\x20\x00", "a negative key"),
        (b"\xa1\x61a\x00", "a text as key"),
        (b"\xa1\x80\x00", "an array as key"),
        (b"\x81\x81\x81\x81\x81\x81\x81\x81\x80", "nesting 9 deep"),
    ] {
        assert!(check(item).is_err(), "{why}");
    }
    let bomb = [b'\x81'; 262_144];
    assert!(check(&bomb).is_err(), "nesting without end");
    let after_largest = b"\xa2\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00";
    assert!(check(after_largest).is_err(), "a key after the largest");
}
