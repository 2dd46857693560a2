//! Integers as bytes and back, in the notation of Python's `struct`, padding included.
//!
//! Source: the Python library reference, "struct", sections "Byte Order, Size, and Alignment" and
//! "Format Characters".

use std::str::FromStr;

use redial_frame::{FormatError, HeaderFormat, IntegerError};

/// The longest packing, in bytes: a format such as `999999999x` must not take what memory there
/// is.
pub const MAX_PACKED_BYTES: usize = 16 * 1024 * 1024;

/// What Python's `struct` skips between letters (C's `isspace`).
const SPACES: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];

/// A format of any number of integers, such as `>HI`, `3i` or `b3xI`.
///
/// The letters and orders are those of [`HeaderFormat`], each letter with an optional count before
/// it, and `x`, a byte of padding. In native order (`@` or none) integers stand where C would put
/// them in a struct; `0q` at the end pads up to a `q`.
///
/// ```
/// use redial_classic::packing::Packing;
///
/// let packing: Packing = ">BH".parse()?;
/// assert_eq!(packing.pack(&[1, 515])?, [1, 2, 3]);
/// assert_eq!(packing.unpack(&[1, 2, 3])?, [1, 515]);
/// # Ok::<(), redial_classic::packing::PackError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    runs: Vec<Run>,
    size: usize,
    count: usize,
}

/// Integers of one format, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    format: HeaderFormat,
    offset: usize,
    count: usize,
}

impl Packing {
    /// How many bytes it takes, padding included: `struct.calcsize`.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// How many numbers it takes.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The numbers as bytes, padding as zeros: `struct.pack`.
    ///
    /// # Errors
    /// [`PackError::Count`] or [`PackError::Number`].
    pub fn pack(&self, numbers: &[i128]) -> Result<Vec<u8>, PackError> {
        if numbers.len() != self.count {
            return Err(PackError::Count {
                expected: self.count,
                got: numbers.len(),
            });
        }
        let mut packed = vec![0; self.size];
        for (index, (number, (format, place))) in numbers.iter().zip(self.places()).enumerate() {
            let bytes = format.pack(*number).map_err(|error| PackError::Number {
                position: index + 1,
                error,
            })?;
            packed[place..place + format.size()].copy_from_slice(bytes.as_ref());
        }
        Ok(packed)
    }

    /// The numbers in exactly [`size`](Self::size) bytes, whatever is in the padding:
    /// `struct.unpack`.
    ///
    /// # Errors
    /// [`PackError::Size`].
    pub fn unpack(&self, packed: &[u8]) -> Result<Vec<i128>, PackError> {
        if packed.len() != self.size {
            return Err(PackError::Size {
                expected: self.size,
                got: packed.len(),
            });
        }
        let numbers = self.places().enumerate().map(|(index, (format, place))| {
            let bytes = &packed[place..place + format.size()];
            format.unpack(bytes).map_err(|error| PackError::Number {
                position: index + 1,
                error,
            })
        });
        numbers.collect()
    }

    /// Format and offset of each number, in turn.
    fn places(&self) -> impl Iterator<Item = (HeaderFormat, usize)> {
        self.runs.iter().flat_map(|run| {
            (0..run.count).map(|index| (run.format, run.offset + index * run.format.size()))
        })
    }

    fn push(&mut self, order: char, letter: char, count: usize) -> Result<(), PackError> {
        if letter == 'x' {
            return self.grow(self.size, count);
        }
        let format = one(order, letter)?;
        let offset = self.size.next_multiple_of(format.alignment());
        let bytes = format.size().checked_mul(count);
        self.grow(offset, bytes.ok_or(PackError::TooLong)?)?;
        if count > 0 {
            self.count += count;
            self.runs.push(Run {
                format,
                offset,
                count,
            });
        }
        Ok(())
    }

    /// Ends `bytes` after `offset`.
    fn grow(&mut self, offset: usize, bytes: usize) -> Result<(), PackError> {
        let size = offset.checked_add(bytes);
        self.size = size
            .filter(|&size| size <= MAX_PACKED_BYTES)
            .ok_or(PackError::TooLong)?;
        Ok(())
    }
}

/// The format of one integer.
fn one(order: char, letter: char) -> Result<HeaderFormat, PackError> {
    HeaderFormat::parse(&format!("{order}{letter}")).map_err(|error| match error {
        FormatError::NativeOnly(letter) => PackError::NativeOnly { letter, order },
        _ => PackError::Letter(letter),
    })
}

impl FromStr for Packing {
    type Err = PackError;

    fn from_str(text: &str) -> Result<Self, PackError> {
        let (order, mut rest) = match text.chars().next() {
            Some(order @ ('@' | '=' | '<' | '>' | '!')) => (order, &text[1..]),
            _ => ('@', text),
        };
        let mut packing = Self {
            runs: Vec::new(),
            size: 0,
            count: 0,
        };
        loop {
            rest = rest.trim_start_matches(SPACES);
            if rest.is_empty() {
                return Ok(packing);
            }
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let count = match &rest[..rest.len() - after.len()] {
                "" => 1,
                // Only digits, so only too many of them can be wrong.
                digits => digits.parse().map_err(|_| PackError::TooLong)?,
            };
            let letter = after.chars().next().ok_or(PackError::CountAlone)?;
            packing.push(order, letter, count)?;
            rest = &after[letter.len_utf8()..];
        }
    }
}

/// An integer as people write it for a shell: decimal, or after `0x`, `0o` or `0b`, with or
/// without a sign.
///
/// # Errors
/// [`PackError::NoInteger`].
pub fn integer(text: &str) -> Result<i128, PackError> {
    let (sign, digits) = match text.split_at_checked(1) {
        Some((sign @ ("-" | "+"), digits)) => (sign, digits),
        _ => ("", text),
    };
    let (radix, digits) = match digits.split_at_checked(2) {
        Some(("0x" | "0X", digits)) => (16, digits),
        Some(("0o" | "0O", digits)) => (8, digits),
        Some(("0b" | "0B", digits)) => (2, digits),
        _ => (10, digits),
    };
    let wrong = || PackError::NoInteger(text.to_owned());
    // `from_str_radix` would take a second sign.
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return Err(wrong());
    }
    i128::from_str_radix(&format!("{sign}{digits}"), radix).map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
            PackError::Huge(text.to_owned())
        }
        _ => wrong(),
    })
}

/// What cannot be packed or unpacked, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// This character is no letter of an integer.
    #[error(
        "{0:?} in the format is no integer's letter; accepted are `b B h H i I l L q Q n N` and \
         `x` (a byte of padding), each after an optional count, behind one of `@ = < > !` or \
         nothing (native, aligned as in C), as in Python's struct, for example `>HI` or `3i`"
    )]
    Letter(char),
    /// `n` and `N` have a native size only.
    #[error(
        "{letter:?} in the format has a native size only: it takes no order but `@`, not `{order}`"
    )]
    NativeOnly {
        /// The letter.
        letter: char,
        /// The order it stands behind.
        order: char,
    },
    /// The text ends after a count, or a space follows one.
    #[error("the format ends after a count: a letter belongs behind it, for example `3i`")]
    CountAlone,
    /// The format is over [`MAX_PACKED_BYTES`].
    #[error("the format takes more than {MAX_PACKED_BYTES} bytes, the most that is packed at once")]
    TooLong,
    /// More or fewer numbers than the format takes.
    #[error("wrong count of numbers: the format takes {expected}, given: {got}")]
    Count {
        /// As many as the format takes.
        expected: usize,
        /// As many as were given.
        got: usize,
    },
    /// A number is outside its letter's range.
    #[error("number {position}: {error}")]
    Number {
        /// Which one, from 1.
        position: usize,
        /// What is wrong with it.
        error: IntegerError,
    },
    /// More or fewer bytes than the format has.
    #[error("wrong count of bytes: the format takes exactly {expected}, given: {got}")]
    Size {
        /// As many as the format has.
        expected: usize,
        /// As many as there are.
        got: usize,
    },
    /// The text is no integer.
    #[error(
        "{0:?} is no integer; write it in decimal, or after `0x`, `0o` or `0b`, for example -5 \
         or 0xff"
    )]
    NoInteger(String),
    /// The integer has more than 127 bits.
    #[error("{0} is outside the range of every format")]
    Huge(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(format: &str) -> Result<usize, PackError> {
        format.parse().map(|packing: Packing| packing.size())
    }

    #[test]
    fn native_order_aligns_as_c_does_and_other_orders_do_not() {
        assert_eq!(size("=bi"), Ok(5));
        assert_eq!(size("bi"), Ok(8));
        assert_eq!(size("@ib"), Ok(5));
        assert_eq!(size("ib0i"), Ok(8));
        assert_eq!(size(">b2xh"), Ok(5));
        assert_eq!(size(""), Ok(0));
        let packing: Packing = "bi".parse().unwrap();
        let packed = packing.pack(&[-1, 2]).unwrap();
        assert_eq!(packed[..4], [255, 0, 0, 0]);
        assert_eq!(packing.unpack(&packed), Ok(vec![-1, 2]));
    }

    #[test]
    fn a_format_is_bounded_before_anything_is_allocated_for_it() {
        assert_eq!(size("16777216x"), Ok(MAX_PACKED_BYTES));
        for long in [
            "16777217x",
            "2097153q",
            "18446744073709551615q",
            "9999999999999999999999b",
        ] {
            assert_eq!(size(long), Err(PackError::TooLong), "{long}");
        }
        assert_eq!(size("16777216xb"), Err(PackError::TooLong));
    }

    #[test]
    fn what_a_format_cannot_be_is_told_with_what_it_can_be() {
        for (format, letter) in [
            ("f", 'f'),
            ("i>i", '>'),
            ("3 i", ' '),
            ("é", 'é'),
            ("i\0", '\0'),
        ] {
            assert_eq!(size(format), Err(PackError::Letter(letter)), "{format:?}");
        }
        assert_eq!(size("i3"), Err(PackError::CountAlone));
        let native = PackError::NativeOnly {
            letter: 'n',
            order: '<',
        };
        assert_eq!(size("<n"), Err(native));
        assert!(
            PackError::Letter('f')
                .to_string()
                .contains("`b B h H i I l L q Q n N`")
        );
    }

    #[test]
    fn an_integer_is_decimal_or_after_a_prefix() {
        for (text, number) in [
            ("0", 0),
            ("-5", -5),
            ("+7", 7),
            ("007", 7),
            ("0xfF", 255),
            ("-0x80", -128),
            ("0b101", 5),
            ("0o17", 15),
        ] {
            assert_eq!(integer(text), Ok(number), "{text}");
        }
        for text in [
            "", "-", "abc", "1.5", "1e3", "0x", "--5", "0x-5", "5 ", "٣", "1_000",
        ] {
            assert_eq!(integer(text), Err(PackError::NoInteger(text.to_owned())));
        }
        let huge = "9".repeat(60);
        assert_eq!(integer(&huge), Err(PackError::Huge(huge.clone())));
    }
}
