//! Bytes as a printable line: what cannot be printed is escaped, and nothing is lost.

use super::hex;

/// An escape that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EscapeError {
    /// Nothing that is escaped begins with this byte.
    #[error(
        "'\\{}' is no escape; there are \\\\ \\n \\r \\t \\0 and \\x with two hexadecimal digits",
        byte.escape_ascii()
    )]
    Unknown {
        /// The byte behind the backslash.
        byte: u8,
    },
    /// The line ends behind a backslash or inside `\x`.
    #[error("the line ends inside an escape; a backslash itself is \\\\")]
    Cut,
    /// A digit after `\0` would be part of an octal number elsewhere.
    #[error("'\\0' before a digit may be read in two ways; write \\x00")]
    Octal,
}

/// The bytes of one line.
pub(super) fn bytes(mut text: &[u8]) -> Result<Vec<u8>, EscapeError> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((&first, rest)) = text.split_first() {
        text = rest;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&letter, rest) = text.split_first().ok_or(EscapeError::Cut)?;
        text = rest;
        bytes.push(match letter {
            b'\\' => b'\\',
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' if text.first().is_some_and(u8::is_ascii_digit) => {
                return Err(EscapeError::Octal);
            }
            b'0' => 0,
            b'x' => {
                let (&[high, low], rest) = text.split_first_chunk().ok_or(EscapeError::Cut)?;
                text = rest;
                let unknown = |byte| EscapeError::Unknown { byte };
                let half = |byte| hex::digit(byte).ok_or(unknown(b'x'));
                half(high)? << 4 | half(low)?
            }
            byte => return Err(EscapeError::Unknown { byte }),
        });
    }
    Ok(bytes)
}

/// Appends a line that [`bytes`] reads back: printable UTF-8 as it is, the rest escaped.
pub(super) fn append(line: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let encoded;
            (encoded, rest) = rest.split_at(character.len_utf8());
            match printable(character) {
                true => line.extend_from_slice(encoded),
                false => append_escaped(line, encoded, rest),
            }
        }
        let invalid;
        (invalid, rest) = rest.split_at(chunk.invalid().len());
        append_escaped(line, invalid, rest);
    }
}

fn append_escaped(line: &mut Vec<u8>, bytes: &[u8], next: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0 if !next.first().is_some_and(u8::is_ascii_digit) => line.extend_from_slice(b"\\0"),
            _ => {
                line.extend_from_slice(b"\\x");
                hex::append(line, &[byte]);
            }
        }
    }
}

/// Whether a terminal shows it as it is: no control, format or combining character.
fn printable(character: char) -> bool {
    match character {
        '\\' => false,
        '\'' | '"' => true,
        _ => character.escape_debug().len() == 1,
    }
}
