//! The shape of a header: one integer, in the notation of Python's `struct` module.
//!
//! Source: the Python library reference, "struct", sections "Byte Order, Size, and Alignment" and
//! "Format Characters".

use core::ffi::{c_int, c_long, c_longlong, c_short};
use core::fmt::{self, Write};
use core::str::FromStr;

use crate::framing::Header;
use crate::{FormatError, IntegerError};

/// The letters of integers.
const INTEGERS: &str = "bBhHiIlLqQnN";

/// One integer's size, sign and byte order, such as `>I`.
///
/// The text is an optional byte order and one letter:
///
/// | Order | Bytes | Sizes |
/// |---|---|---|
/// | `@` or none | native | native: those of C on this machine |
/// | `=` | native | standard |
/// | `<` | little-endian | standard |
/// | `>` or `!` | big-endian | standard |
///
/// | Letter (signed, unsigned) | C type | Standard size |
/// |---|---|---|
/// | `b` `B` | char | 1 |
/// | `h` `H` | short | 2 |
/// | `i` `I` | int | 4 |
/// | `l` `L` | long | 4 |
/// | `q` `Q` | long long | 8 |
/// | `n` `N` | ssize_t, size_t | none: native only |
///
/// As in Python a count may stand before the letter; it must be 1 (`1I`, `01I`), since a header is
/// one number. Unlike Python, white space is refused, and so is all padding.
///
/// [`Display`](fmt::Display) gives the canonical text: the order always written, `>` for `!`, no
/// count. Formats are equal when their canonical texts are; `<I` and `=I` differ although they
/// write the same bytes on some machines.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HeaderFormat {
    order: Order,
    letter: u8,
    // All that follows is derived from the two above, once, for the hot path's sake.
    big_endian: bool,
    signed: bool,
    /// The number's unused high bits in a u64: 64 less its own.
    shift: u8,
}

impl HeaderFormat {
    /// `>B`: one byte, unsigned.
    pub const U8: Self = Self::known(Order::Big, b'B');
    /// `>H`: two bytes, big-endian, unsigned.
    pub const U16_BE: Self = Self::known(Order::Big, b'H');
    /// `<H`: two bytes, little-endian, unsigned.
    pub const U16_LE: Self = Self::known(Order::Little, b'H');
    /// `>I`: four bytes, big-endian, unsigned.
    pub const U32_BE: Self = Self::known(Order::Big, b'I');
    /// `<I`: four bytes, little-endian, unsigned.
    pub const U32_LE: Self = Self::known(Order::Little, b'I');
    /// `>Q`: eight bytes, big-endian, unsigned.
    pub const U64_BE: Self = Self::known(Order::Big, b'Q');
    /// `<Q`: eight bytes, little-endian, unsigned.
    pub const U64_LE: Self = Self::known(Order::Little, b'Q');
    /// `@i`: C's int on this machine, which is what `struct.pack('i', n)` writes.
    pub const NATIVE_INT: Self = Self::known(Order::Native, b'i');

    /// Reads the notation of Python's `struct`.
    ///
    /// # Errors
    /// [`FormatError`] if the text is not exactly one integer.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let (order, rest) = match text.as_bytes().first() {
            Some(b'@') => (Order::Native, &text[1..]),
            Some(b'=') => (Order::NativeStandard, &text[1..]),
            Some(b'<') => (Order::Little, &text[1..]),
            Some(b'>' | b'!') => (Order::Big, &text[1..]),
            _ => (Order::Native, text),
        };
        let code = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let count = &rest[..rest.len() - code.len()];
        let mut letters = code.chars();
        let letter = letters.next().ok_or(FormatError::NoLetter)?;
        let format = u8::try_from(letter)
            .ok()
            .and_then(|ascii| Self::resolve(order, ascii))
            .ok_or(match letter {
                'n' | 'N' => FormatError::NativeOnly(letter),
                _ => FormatError::NotAnInteger(letter),
            })?;
        let once = count.is_empty() || count.trim_start_matches('0') == "1";
        match letters
            .clone()
            .find(|&c| !c.is_ascii_digit() && !INTEGERS.contains(c))
        {
            Some(odd) => Err(FormatError::NotAnInteger(odd)),
            None if once && letters.as_str().is_empty() => Ok(format),
            None => Err(FormatError::NotOne),
        }
    }

    /// The header's size in bytes: 1, 2, 4 or 8.
    #[inline]
    #[must_use]
    pub const fn size(self) -> usize {
        (64 - self.shift as usize) / 8
    }

    /// Where `struct` puts this integer among others: at a multiple of so many bytes. That is C's
    /// alignment on this machine with `@`, and 1 with every other order.
    #[must_use]
    pub const fn alignment(self) -> usize {
        if !matches!(self.order, Order::Native) {
            return 1;
        }
        match self.letter.to_ascii_lowercase() {
            b'h' => align_of::<c_short>(),
            b'i' => align_of::<c_int>(),
            b'l' => align_of::<c_long>(),
            b'q' => align_of::<c_longlong>(),
            b'n' => align_of::<usize>(),
            _ => 1,
        }
    }

    /// Whether the integer can be negative.
    #[inline]
    #[must_use]
    pub const fn is_signed(self) -> bool {
        self.signed
    }

    /// The largest number the header can hold.
    #[inline]
    #[must_use]
    pub const fn max_length(self) -> u64 {
        u64::MAX >> (self.shift + self.signed as u8)
    }

    /// One integer as bytes, as `struct.pack` writes it.
    ///
    /// # Errors
    /// [`IntegerError::OutOfRange`].
    pub fn pack(self, value: i128) -> Result<Header, IntegerError> {
        let max = i128::from(self.max_length());
        let min = if self.signed { -max - 1 } else { 0 };
        if !(min..=max).contains(&value) {
            return Err(IntegerError::OutOfRange {
                value,
                min,
                max,
                format: self,
            });
        }
        // Two's complement: the low 64 bits are the number, and `store` takes the low ones of them.
        Ok(self.store(value as u64))
    }

    /// One integer from exactly [`size`](Self::size) bytes, as `struct.unpack` reads it.
    ///
    /// # Errors
    /// [`IntegerError::WrongSize`].
    pub fn unpack(self, bytes: &[u8]) -> Result<i128, IntegerError> {
        if bytes.len() != self.size() {
            return Err(IntegerError::WrongSize {
                got: bytes.len(),
                expected: self.size(),
                format: self,
            });
        }
        let mut first = [0; 8];
        first[..bytes.len()].copy_from_slice(bytes);
        let number = self.load(first);
        Ok(if self.signed {
            i128::from(self.sign_extended(number))
        } else {
            i128::from(number)
        })
    }

    /// The number at the start of these eight bytes, its sign bit taken for a common one. What
    /// follows the header in them does not matter.
    #[inline]
    pub(crate) const fn load(self, first: [u8; 8]) -> u64 {
        if self.big_endian {
            u64::from_be_bytes(first) >> self.shift
        } else {
            u64::from_le_bytes(first) << self.shift >> self.shift
        }
    }

    /// The header with the low bits of this number.
    #[inline]
    pub(crate) const fn store(self, number: u64) -> Header {
        let aligned = number << self.shift;
        let bytes = if self.big_endian {
            aligned.to_be_bytes()
        } else {
            (aligned >> self.shift).to_le_bytes()
        };
        Header::new(bytes, self.size())
    }

    pub(crate) const fn sign_extended(self, number: u64) -> i64 {
        (number << self.shift).cast_signed() >> self.shift
    }

    /// A format that is known to exist; a wrong one does not compile.
    const fn known(order: Order, letter: u8) -> Self {
        match Self::resolve(order, letter) {
            Some(format) => format,
            None => panic!("no such format"),
        }
    }

    const fn resolve(order: Order, letter: u8) -> Option<Self> {
        let native = matches!(order, Order::Native);
        let size = match letter.to_ascii_lowercase() {
            b'b' => 1,
            b'h' if native => size_of::<c_short>(),
            b'h' => 2,
            b'i' if native => size_of::<c_int>(),
            b'i' => 4,
            b'l' if native => size_of::<c_long>(),
            b'l' => 4,
            b'q' if native => size_of::<c_longlong>(),
            b'q' => 8,
            b'n' if native => size_of::<usize>(),
            _ => return None,
        };
        Some(Self {
            order,
            letter,
            big_endian: match order {
                Order::Big => true,
                Order::Little => false,
                Order::Native | Order::NativeStandard => cfg!(target_endian = "big"),
            },
            signed: letter.is_ascii_lowercase(),
            shift: 64 - 8 * size as u8,
        })
    }
}

impl FromStr for HeaderFormat {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        Self::parse(text)
    }
}

impl fmt::Display for HeaderFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char(match self.order {
            Order::Native => '@',
            Order::NativeStandard => '=',
            Order::Little => '<',
            Order::Big => '>',
        })?;
        f.write_char(char::from(self.letter))
    }
}

impl fmt::Debug for HeaderFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeaderFormat({self})")
    }
}

/// The first character of the text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Order {
    Native,
    NativeStandard,
    Little,
    Big,
}
