//! What can be wrong with a frame, with a format's text, and with an integer.

use core::error::Error;
use core::fmt;

use crate::HeaderFormat;

/// A frame that cannot be decoded or encoded.
///
/// After a decoding error the place of the next frame is unknown: the stream is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The header holds a negative number.
    Negative {
        /// The number in the header.
        length: i64,
    },
    /// The payload is longer than [`Framing::max_payload`](crate::Framing::max_payload).
    OverLimit {
        /// The payload's length in bytes.
        length: u64,
        /// The longest payload allowed, in bytes.
        limit: usize,
    },
    /// The payload is longer than the header's type can say.
    TooLongForHeader {
        /// The payload's length in bytes.
        length: usize,
        /// The longest payload that the header can announce, in bytes.
        max: u64,
        /// The header's format.
        format: HeaderFormat,
    },
    /// The length counts the header, but is smaller than it.
    ShorterThanHeader {
        /// The number in the header.
        length: u64,
        /// The header's size in bytes.
        header: usize,
    },
    /// The input ended inside a frame.
    Truncated {
        /// The part of the frame in which it ended.
        part: Part,
        /// How many bytes of that part are missing.
        missing: usize,
    },
}

/// The two parts of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The length before the payload.
    Header,
    /// The bytes that were framed.
    Payload,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Negative { length } => write!(f, "the frame's length is negative: {length}"),
            Self::OverLimit { length, limit } => write!(
                f,
                "the frame's payload of {length} bytes is over the limit of {limit}"
            ),
            Self::TooLongForHeader {
                length,
                max,
                format,
            } => write!(
                f,
                "a payload of {length} bytes is too long for the header `{format}`, \
                 which can announce at most {max}"
            ),
            Self::ShorterThanHeader { length, header } => write!(
                f,
                "the frame's length of {length} counts its header, yet is less than \
                 that header's {header} bytes"
            ),
            Self::Truncated { part, missing } => write!(
                f,
                "the input ended inside a frame; bytes missing from its {part}: {missing}"
            ),
        }
    }
}

impl Error for FrameError {}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
        })
    }
}

/// A text that describes no header. Its message says what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// There is no letter: the text is empty, or only a byte order, or ends after a count.
    NoLetter,
    /// This character stands where the letter of an integer is due.
    NotAnInteger(char),
    /// This letter (`n` or `N`) has a native size only, but a standard byte order is before it.
    NativeOnly(char),
    /// The text describes no number (`0I`) or more than one (`2I`, `HH`); a header is exactly one.
    NotOne,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLetter => f.write_str("the header format names no integer")?,
            Self::NotAnInteger(letter) => {
                write!(
                    f,
                    "{letter:?} in the header format is not an integer's letter"
                )?;
            }
            Self::NativeOnly(letter) => write!(
                f,
                "{letter:?} in the header format has a native size only, so it takes no byte \
                 order but `@`"
            )?,
            Self::NotOne => f.write_str("the header format is not exactly one number")?,
        }
        f.write_str(
            "; accepted is one letter of `b B h H i I l L q Q n N` after one of `@ = < > !` or \
             nothing (native), as in Python's struct, for example `>I`",
        )
    }
}

impl Error for FormatError {}

/// An integer that a [`HeaderFormat`] cannot write or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntegerError {
    /// The number is outside the format's range.
    OutOfRange {
        /// The number.
        value: i128,
        /// The format's smallest number.
        min: i128,
        /// The format's largest number.
        max: i128,
        /// The format.
        format: HeaderFormat,
    },
    /// The bytes are more or fewer than the format's size.
    WrongSize {
        /// How many bytes there are.
        got: usize,
        /// How many bytes the format has.
        expected: usize,
        /// The format.
        format: HeaderFormat,
    },
}

impl fmt::Display for IntegerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange {
                value,
                min,
                max,
                format,
            } => write!(
                f,
                "{value} is outside the range of `{format}`, {min} to {max}"
            ),
            Self::WrongSize {
                got,
                expected,
                format,
            } => write!(
                f,
                "`{format}` is read from exactly {expected} bytes, not from {got}"
            ),
        }
    }
}

impl Error for IntegerError {}
