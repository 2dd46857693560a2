//! Bytes that a stranger sent, for a person's eyes.

use std::fmt::{self, Write as _};

use crate::report::Harmless;

/// Shows bytes on one line: text as it is, but for control characters (`\n`, `\u{1b}`) and
/// bytes that are no UTF-8 (`\xff`). Of more than so many bytes, the first ones and their
/// number.
pub(in crate::commands) struct Shown<'a>(
    pub(in crate::commands) &'a [u8],
    pub(in crate::commands) usize,
);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(bytes, most) = *self;
        let shown = bytes.get(..most).unwrap_or(bytes);
        for chunk in shown.utf8_chunks() {
            for character in chunk.valid().chars() {
                write!(f, "{}", Harmless(character))?;
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if shown.len() < bytes.len() {
            f.write_char('…')?;
            write!(f, " ({} bytes)", bytes.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is_and_nothing_in_it_steers_the_terminal() {
        for (bytes, shown) in [
            (&b"hello"[..], "hello"),
            ("你好, ä".as_bytes(), "你好, ä"),
            (b"a\r\n\x1b[2Jb", "a\\r\\n\\u{1b}[2Jb"),
            (b"\xffx\xe4\xbd", "\\xffx\\xe4\\xbd"),
            ("\u{9b}\u{202e}".as_bytes(), "\\u{9b}\\u{202e}"),
        ] {
            assert_eq!(Shown(bytes, 100).to_string(), shown);
        }
    }

    #[test]
    fn of_a_long_text_the_beginning_and_the_length_are_shown() {
        assert_eq!(Shown(b"abcdef", 6).to_string(), "abcdef");
        assert_eq!(Shown(b"abcdefg", 6).to_string(), "abcdef… (7 bytes)");
    }
}
