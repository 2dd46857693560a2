//! Bytes as hexadecimal digits.

use std::io::{self, Read};

/// A text that is not hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HexError {
    /// This byte is no hexadecimal digit and no space.
    #[error("'{}' is no hexadecimal digit", byte.escape_ascii())]
    Digit {
        /// The byte.
        byte: u8,
    },
    /// The last digit, or one before a space, has no second one.
    #[error("a byte is two hexadecimal digits, but here is one alone")]
    Half,
}

/// Reads bytes from hexadecimal digits of either case, until the input ends or there are more
/// than `most` bytes: then there is one too many. White space between bytes is skipped.
///
/// # Errors
/// The input's own; `InvalidData` with a [`HexError`].
pub fn read_hex(input: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut digits = Digits::default();
    for byte in io::BufReader::new(input).bytes() {
        let taken = digits.take(byte?);
        taken.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if digits.bytes.len() > most {
            return Ok(digits.bytes);
        }
    }
    let ended = digits.end();
    ended.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Bytes as hexadecimal digits, in lower case.
#[must_use]
pub fn write_hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(2 * bytes.len());
    append(&mut text, bytes);
    text.into_iter().map(char::from).collect()
}

/// The bytes of one text.
pub(super) fn bytes(text: &[u8]) -> Result<Vec<u8>, HexError> {
    let mut digits = Digits::default();
    for &byte in text {
        digits.take(byte)?;
    }
    digits.end()
}

/// Appends the digits of these bytes.
pub(super) fn append(text: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].map(|half| b"0123456789abcdef"[usize::from(half)]));
    }
}

/// What one hexadecimal digit stands for.
pub(super) fn digit(byte: u8) -> Option<u8> {
    // At most 15.
    char::from(byte).to_digit(16).map(|value| value as u8)
}

#[derive(Default)]
struct Digits {
    bytes: Vec<u8>,
    half: Option<u8>,
}

impl Digits {
    fn take(&mut self, byte: u8) -> Result<(), HexError> {
        match (self.half.take(), digit(byte)) {
            (None, Some(high)) => self.half = Some(high),
            (Some(high), Some(low)) => self.bytes.push(high << 4 | low),
            (half, None) if !byte.is_ascii_whitespace() => {
                self.half = half;
                return Err(HexError::Digit { byte });
            }
            (None, None) => {}
            (Some(_), None) => return Err(HexError::Half),
        }
        Ok(())
    }

    fn end(self) -> Result<Vec<u8>, HexError> {
        match self.half {
            None => Ok(self.bytes),
            Some(_) => Err(HexError::Half),
        }
    }
}
