//! An output as parts of text where it is text, and base64 where it is not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Content, Data};
use crate::charset::{Charset, Decoding};

/// One output on its way to JSON. A character that is cut waits for its other part, so
/// that text stays text wherever the line has cut it; offsets stay exact.
pub(crate) struct Text {
    charset: Option<Charset>,
    form: Form,
    /// The offset of the first byte that no part has told.
    told: u64,
    arrived: u64,
}

enum Form {
    /// As it is, and a character's beginning that waits: at most 3 bytes.
    Plain(Vec<u8>),
    /// From a charset. What waits is the decoder's affair.
    Decoded(Box<Decoding>),
}

impl Form {
    fn new(charset: Option<Charset>) -> Self {
        match charset {
            Some(charset) => Form::Decoded(Box::new(Decoding::new(charset))),
            None => Form::Plain(Vec::new()),
        }
    }
}

impl Text {
    pub(crate) fn new(charset: Option<Charset>) -> Self {
        Text {
            charset,
            form: Form::new(charset),
            told: 0,
            arrived: 0,
        }
    }

    /// What comes next lies at this offset. If that is behind a gap, what waited for the rest of a
    /// character waits in vain.
    pub(crate) fn go_on_at(&mut self, offset: u64) -> Option<Data> {
        if offset <= self.arrived {
            return None;
        }
        let rest = self.finish();
        self.form = Form::new(self.charset);
        (self.told, self.arrived) = (offset, offset);
        rest
    }

    /// More has come; nothing if it is only the beginning of a character.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Data> {
        self.arrived += bytes.len() as u64;
        match &mut self.form {
            Form::Decoded(decoding) => {
                let mut text = String::new();
                decoding.decode(bytes, &mut text);
                (!text.is_empty()).then(|| self.part(0, Content::Text(text)))
            }
            Form::Plain(waiting) => {
                waiting.extend_from_slice(bytes);
                let rest = waiting.split_off(waiting.len() - cut_character(waiting));
                let whole = std::mem::replace(waiting, rest);
                self.plain(whole)
            }
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self) -> Option<Data> {
        match &mut self.form {
            Form::Decoded(decoding) => {
                let mut text = String::new();
                decoding.finish(&mut text);
                (!text.is_empty()).then(|| self.part(0, Content::Text(text)))
            }
            Form::Plain(waiting) => {
                let whole = std::mem::take(waiting);
                self.plain(whole)
            }
        }
    }

    /// How much was no character of the charset.
    pub(crate) fn replaced(&self) -> u64 {
        match &self.form {
            Form::Decoded(decoding) => decoding.replaced(),
            Form::Plain(_) => 0,
        }
    }

    fn plain(&mut self, whole: Vec<u8>) -> Option<Data> {
        if whole.is_empty() {
            return None;
        }
        let waiting = match &self.form {
            Form::Plain(waiting) => waiting.len() as u64,
            Form::Decoded(_) => 0,
        };
        let content = String::from_utf8(whole).map_or_else(
            |error| Content::Base64(STANDARD.encode(error.as_bytes())),
            Content::Text,
        );
        Some(self.part(waiting, content))
    }

    fn part(&mut self, waiting: u64, content: Content) -> Data {
        let end = self.arrived - waiting;
        let offset = std::mem::replace(&mut self.told, end);
        Data {
            offset,
            bytes: end - offset,
            content,
        }
    }
}

/// How many bytes at the end are the beginning of a character that may go on.
fn cut_character(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    let begins = |&at: &usize| match std::str::from_utf8(&bytes[at..]) {
        Ok(_) => false,
        Err(error) => error.valid_up_to() == 0 && error.error_len().is_none(),
    };
    (from..bytes.len())
        .find(begins)
        .map_or(0, |at| bytes.len() - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(charset: Option<&str>, pieces: &[&[u8]]) -> Vec<(u64, u64, Content)> {
        let mut text = Text::new(charset.map(|label| Charset::parse(label).unwrap()));
        let mut parts: Vec<Data> = pieces.iter().filter_map(|piece| text.push(piece)).collect();
        parts.extend(text.finish());
        let shown = parts.into_iter();
        shown
            .map(|data| (data.offset, data.bytes, data.content))
            .collect()
    }

    fn is_text(text: &str) -> Content {
        Content::Text(text.to_owned())
    }

    fn is_base64(text: &str) -> Content {
        Content::Base64(text.to_owned())
    }

    #[test]
    fn what_lies_behind_a_gap_has_its_own_offset() {
        let mut text = Text::new(None);
        assert!(text.go_on_at(7).is_none());
        assert_eq!(text.push("a\u{e9}".as_bytes()).unwrap().offset, 7);
        assert!(text.push(b"\xC3").is_none(), "half of a character");
        let rest = text.go_on_at(20).unwrap();
        assert_eq!((rest.offset, rest.bytes), (10, 1));
        assert!(matches!(rest.content, Content::Base64(_)));
        let next = text.push(b"b").unwrap();
        assert_eq!((next.offset, next.bytes), (20, 1));
        assert!(text.go_on_at(21).is_none());
    }

    #[test]
    fn a_cut_character_waits_and_offsets_stay_exact() {
        assert_eq!(
            parts(
                None,
                &["a€".as_bytes().split_at(2).0, &"a€".as_bytes()[2..]]
            ),
            [(0, 1, is_text("a")), (1, 3, is_text("€"))]
        );
        let smile = "😀".as_bytes();
        let one_by_one: Vec<&[u8]> = smile.chunks(1).collect();
        assert_eq!(parts(None, &one_by_one), [(0, 4, is_text("😀"))]);
    }

    #[test]
    fn what_is_no_text_is_base64_and_text_behind_it_is_text_again() {
        assert_eq!(
            parts(None, &[b"\xff\x00\xe2", b"\x82\xac", b"\xe2"]),
            [
                (0, 2, is_base64("/wA=")),
                (2, 3, is_text("€")),
                (5, 1, is_base64("4g=="))
            ]
        );
        // A surrogate and an overlong form are no beginnings of a character.
        assert_eq!(parts(None, &[b"\xed\xa0"]), [(0, 2, is_base64("7aA="))]);
        assert_eq!(parts(None, &[b"\xc0"]), [(0, 1, is_base64("wA=="))]);
    }

    #[test]
    fn a_charset_is_always_text_and_offsets_are_the_commands() {
        assert_eq!(
            parts(Some("gbk"), &[b"a\xb5", b"\xe7", b"\xff\xff", b"\xb5"]),
            [
                (0, 2, is_text("a")),
                (2, 1, is_text("电")),
                (3, 2, is_text("\u{fffd}\u{fffd}")),
                (5, 1, is_text("\u{fffd}"))
            ]
        );
    }

    #[test]
    fn parts_follow_each_other_without_a_gap_at_any_cut() {
        let bytes = "x€\u{0}😀ü"
            .bytes()
            .chain([0xff, 0xe2, 0x28])
            .collect::<Vec<u8>>();
        for one in 0..bytes.len() {
            for two in one..bytes.len() {
                let mut at = 0;
                for (offset, length, content) in
                    parts(None, &[&bytes[..one], &bytes[one..two], &bytes[two..]])
                {
                    let back = match content {
                        Content::Text(text) => text.into_bytes(),
                        Content::Base64(text) => STANDARD.decode(text).unwrap(),
                    };
                    let end = usize::try_from(offset + length).unwrap();
                    assert_eq!((offset, &back[..]), (at as u64, &bytes[at..end]));
                    at = end;
                }
                assert_eq!(at, bytes.len());
            }
        }
    }
}
