//! Any cut gives the same text, and nothing is lost without being counted.

use super::*;

fn decoded(charset: &str, pieces: &[&[u8]]) -> (String, u64) {
    let mut decoding = Decoding::new(Charset::parse(charset).unwrap());
    let mut text = String::new();
    for piece in pieces {
        decoding.decode(piece, &mut text);
    }
    decoding.finish(&mut text);
    (text, decoding.replaced())
}

fn recoded(charset: &str, pieces: &[&[u8]]) -> (Vec<u8>, u64) {
    let mut recoding = Recoding::new(Charset::parse(charset).unwrap());
    let mut bytes: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| recoding.recode(piece))
        .collect();
    bytes.extend(recoding.finish());
    (bytes, recoding.replaced())
}

#[test]
fn every_cut_of_a_text_decodes_and_encodes_alike() {
    let text = "目電話.txt → 中 a\n";
    for charset in ["gbk", "gb18030", "big5", "utf-8", "utf-16le", "utf-16be"] {
        let (whole, lost) = recoded(charset, &[text.as_bytes()]);
        assert_eq!(lost, 0, "{charset}");
        for cut in 0..text.len() {
            let (one, two) = text.as_bytes().split_at(cut);
            let cut_bytes = recoded(charset, &[one, two]);
            assert_eq!(cut_bytes, (whole.clone(), 0), "{charset} at {cut}");
        }
        for cut in 0..whole.len() {
            let (one, two) = whole.split_at(cut);
            let back = decoded(charset, &[one, b"", two]);
            assert_eq!(back, (text.to_owned(), 0), "{charset} at {cut}");
        }
    }
}

#[test]
fn gbk_is_what_the_lesson_uses() {
    assert_eq!(
        decoded("gbk", &[b"\xb5", b"\xe7\xbb", b"\xb0"]),
        ("电话".into(), 0)
    );
    assert_eq!(
        recoded("GBK", &["电话".as_bytes()]),
        (b"\xb5\xe7\xbb\xb0".to_vec(), 0)
    );
}

#[test]
fn what_cannot_be_decoded_is_replaced_and_counted() {
    assert_eq!(
        decoded("gbk", &[b"a\xff\xffb\xb5"]),
        ("a\u{fffd}\u{fffd}b\u{fffd}".into(), 3)
    );
    assert_eq!(
        decoded("utf-16le", &[b"a\0\x00\xd8"]),
        ("a\u{fffd}".into(), 1)
    );
    assert_eq!(
        recoded("latin1", &["é→".as_bytes(), b"\xff"]),
        (b"\xe9??".to_vec(), 2)
    );
    assert_eq!(recoded("utf-8", &[b"\xff"]), ("\u{fffd}".into(), 1));
}

#[test]
fn a_charset_with_states_ends_in_the_first() {
    let (bytes, lost) = recoded("iso-2022-jp", &["電".as_bytes(), "é話".as_bytes()]);
    assert_eq!(lost, 1);
    assert!(bytes.ends_with(b"\x1b(B"), "{bytes:?}");
    assert_eq!(decoded("iso-2022-jp", &[&bytes]).0, "電?話");
}

#[test]
fn a_byte_order_mark_is_a_character_like_others() {
    assert_eq!(decoded("utf-8", &[b"\xef\xbb\xbfx"]).0, "\u{feff}x");
    assert_eq!(decoded("gbk", &[b"\xff\xfe"]).1, 2);
}

#[test]
fn a_line_is_encoded_whole_or_not_at_all() {
    let gbk = Charset::parse("gbk").unwrap();
    assert_eq!(gbk.encode("ls 电话"), Ok(b"ls \xb5\xe7\xbb\xb0".to_vec()));
    assert_eq!(
        Charset::parse("latin1").unwrap().encode("ls 电话"),
        Err('电')
    );
}

#[test]
fn an_unknown_label_suggests_a_known_one() {
    for (label, name) in [
        ("gbkk", "gbk"),
        ("gkb", "gbk"),
        ("cp936", "gbk"),
        ("GB-2312", "gb2312"),
        ("shift-jiss", "shift_jis"),
        ("utf-9", "utf-8"),
    ] {
        match Charset::parse(label) {
            Ok(charset) => panic!("{label} is {}", charset.name()),
            Err(error) => assert!(error.ends_with(&format!("did you mean {name}?")), "{error}"),
        }
    }
    for label in ["", "klingon", "iso-2022-kr"] {
        let error = Charset::parse(label).unwrap_err();
        assert!(
            error.contains("no charset") && !error.contains("\n"),
            "{error}"
        );
    }
    for label in super::labels::KNOWN {
        assert!(Charset::parse(label).is_ok(), "{label}");
    }
}
