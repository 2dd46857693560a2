//! A number in a name, as it is written: `1`, `01` and `001` are three.

use std::fmt;

/// More digits than that are text.
pub(super) const MAX_DIGITS: usize = 17;
/// Bits of the value: 10^17 is less than 2^57.
const VALUE_BITS: u32 = 57;
const VALUE: u64 = (1 << VALUE_BITS) - 1;

/// Ordered by how many digits it has, then by value. Those of as many digits that follow each other differ
/// by one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Index(u64);

impl Index {
    /// Of so many digits at least.
    pub(super) fn new(value: u64, digits: usize) -> Self {
        let own = value.checked_ilog10().unwrap_or(0) as usize + 1;
        Index((digits.max(own) as u64) << VALUE_BITS | (value & VALUE))
    }

    /// From digits; none if they are something else, or too many.
    pub(super) fn read(digits: &str) -> Option<Self> {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let fits = !digits.is_empty() && digits.len() <= MAX_DIGITS;
        let value = digits.parse().ok().filter(|_| is_number && fits)?;
        Some(Index::new(value, digits.len()))
    }

    pub(super) fn value(self) -> u64 {
        self.0 & VALUE
    }

    pub(super) fn digits(self) -> usize {
        (self.0 >> VALUE_BITS) as usize
    }

    /// Whether zeros stand before it.
    pub(super) fn is_padded(self) -> bool {
        self.digits() > Index::new(self.value(), 0).digits()
    }

    /// One more, written as long: none behind the last of so many digits.
    pub(super) fn next(self) -> Self {
        Index(self.0 + 1)
    }

    pub(super) fn previous(self) -> Self {
        Index(self.0 - 1)
    }

    /// How many from this one to `last`, both included, of as many digits.
    pub(super) fn count_to(self, last: Self) -> u64 {
        last.0 - self.0 + 1
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.value(), width = self.digits())
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_as_it_is_written() {
        for (text, value, padded) in [
            ("0", 0, false),
            ("00", 0, true),
            ("7", 7, false),
            ("07", 7, true),
            ("10", 10, false),
            ("99999999999999999", 99_999_999_999_999_999, false),
            ("00000000000000001", 1, true),
        ] {
            let index = Index::read(text).unwrap();
            assert_eq!(
                (index.value(), index.is_padded()),
                (value, padded),
                "{text}"
            );
            assert_eq!(index.to_string(), text);
        }
        for text in ["", "x", "1x", "+1", "-1", "123456789012345678"] {
            assert_eq!(Index::read(text), None, "{text}");
        }
    }

    #[test]
    fn fewer_digits_come_first() {
        let texts = ["0", "1", "9", "00", "01", "10", "99", "001", "100"];
        let indices: Vec<_> = texts.iter().map(|text| Index::read(text)).collect();
        assert!(indices.is_sorted());
    }
}
