//! Finding the first frame of a buffer, and making the header of a payload.

use alloc::vec::Vec;
use core::fmt;

use crate::{FrameError, HeaderFormat};

/// The longest payload unless another limit is set: 16 MiB.
pub const DEFAULT_MAX_PAYLOAD: usize = 16 * 1024 * 1024;

/// How frames look: the header's format, what its number counts, and the longest payload.
///
/// ```
/// use redial_frame::{Framing, HeaderFormat, Parsed};
///
/// const FRAMING: Framing = Framing::new(HeaderFormat::U16_BE).with_max_payload(1024);
///
/// assert_eq!(FRAMING.header(3)?.as_ref(), [0, 3]);
/// assert_eq!(
///     FRAMING.parse(b"\0\x03abc and more")?,
///     Parsed::Frame { payload: b"abc", consumed: 5 },
/// );
/// assert_eq!(FRAMING.parse(b"\0\x03a")?, Parsed::Incomplete { needed: 2 });
/// # Ok::<(), redial_frame::FrameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    format: HeaderFormat,
    includes_header: bool,
    max_payload: usize,
    /// What the number counts beside the payload, in bytes: the header's size, or 0.
    surplus: u64,
    /// The longest payload that limit and header both allow, in bytes: the one comparison that
    /// good frames need.
    ceiling: u64,
}

/// What [`Framing::parse`] finds at the start of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// A whole frame.
    Frame {
        /// What was framed.
        payload: &'a [u8],
        /// The bytes that header and payload take; the next frame begins after them.
        consumed: usize,
    },
    /// The buffer ends before the frame does.
    Incomplete {
        /// At least this many bytes are missing (never 0): those of the header, or once the header
        /// is there, exactly those of the payload.
        needed: usize,
    },
}

impl Framing {
    /// Frames whose header holds the payload's length, at most [`DEFAULT_MAX_PAYLOAD`].
    #[must_use]
    pub const fn new(format: HeaderFormat) -> Self {
        Self::build(format, false, DEFAULT_MAX_PAYLOAD)
    }

    /// Sets whether the number in the header counts the header's own bytes too.
    #[must_use]
    pub const fn with_includes_header(self, includes_header: bool) -> Self {
        Self::build(self.format, includes_header, self.max_payload)
    }

    /// Sets the longest payload in bytes, for decoding and encoding. More than a slice can hold
    /// together with its header (`isize::MAX`) is cut down to that.
    #[must_use]
    pub const fn with_max_payload(self, max_payload: usize) -> Self {
        Self::build(self.format, self.includes_header, max_payload)
    }

    /// The header's format.
    #[must_use]
    pub const fn format(&self) -> HeaderFormat {
        self.format
    }

    /// Whether the number in the header counts the header's own bytes too.
    #[must_use]
    pub const fn includes_header(&self) -> bool {
        self.includes_header
    }

    /// The longest payload in bytes. The header's type may allow less.
    #[must_use]
    pub const fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Finds the first frame of `input`, which begins at a frame's first byte. Copies nothing and
    /// remembers nothing.
    ///
    /// # Errors
    /// [`FrameError::Negative`], [`FrameError::OverLimit`] or [`FrameError::ShorterThanHeader`],
    /// as soon as the header is there.
    #[inline]
    pub fn parse<'a>(&self, input: &'a [u8]) -> Result<Parsed<'a>, FrameError> {
        let header = self.format.size();
        let Some(length) = self.payload_length(input)? else {
            return Ok(Parsed::Incomplete {
                needed: header - input.len(),
            });
        };
        // Cannot overflow: `build` keeps the sum within isize::MAX.
        let consumed = header + length;
        Ok(match input.get(header..consumed) {
            Some(payload) => Parsed::Frame { payload, consumed },
            None => Parsed::Incomplete {
                needed: consumed - input.len(),
            },
        })
    }

    /// The length in bytes of the payload that the header at the start of `input` announces; `None`
    /// if `input` is shorter than a header.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    #[inline]
    pub fn payload_length(&self, input: &[u8]) -> Result<Option<usize>, FrameError> {
        let first = match input.first_chunk::<8>() {
            Some(first) => *first,
            None if input.len() < self.format.size() => return Ok(None),
            None => {
                let mut first = [0; 8];
                first[..input.len()].copy_from_slice(input);
                first
            }
        };
        let number = self.format.load(first);
        // Negative numbers, and those below the surplus, come out above any ceiling.
        let length = number.wrapping_sub(self.surplus);
        if length > self.ceiling {
            return Err(self.refused_number(number));
        }
        Ok(Some(length as usize))
    }

    /// The header for a payload of `length` bytes, to be written right before it (best in one
    /// vectored write).
    ///
    /// # Errors
    /// [`FrameError::TooLongForHeader`] or [`FrameError::OverLimit`].
    #[inline]
    pub const fn header(&self, length: usize) -> Result<Header, FrameError> {
        if length as u64 > self.ceiling {
            return Err(self.refused_payload(length));
        }
        Ok(self.format.store(length as u64 + self.surplus))
    }

    /// Appends header and payload to `out`.
    ///
    /// # Errors
    /// As [`header`](Self::header); `out` is then unchanged.
    // A call would cost as much as all that a short frame needs.
    #[inline(always)]
    pub fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        let header = self.header(payload.len())?;
        out.reserve(Header::ROOM + payload.len());
        out.extend_from_slice(header.room());
        out.truncate(out.len() - header.spare());
        out.extend_from_slice(payload);
        Ok(())
    }

    const fn build(format: HeaderFormat, includes_header: bool, max_payload: usize) -> Self {
        let longest_slice = isize::MAX as usize - format.size();
        let max_payload = if max_payload < longest_slice {
            max_payload
        } else {
            longest_slice
        };
        let surplus = if includes_header {
            format.size() as u64
        } else {
            0
        };
        let announceable = format.max_length() - surplus;
        let ceiling = if (max_payload as u64) < announceable {
            max_payload as u64
        } else {
            announceable
        };
        Self {
            format,
            includes_header,
            max_payload,
            surplus,
            ceiling,
        }
    }

    /// Why a header with this number was refused.
    #[cold]
    fn refused_number(&self, number: u64) -> FrameError {
        if number > self.format.max_length() {
            FrameError::Negative {
                length: self.format.sign_extended(number),
            }
        } else if number < self.surplus {
            FrameError::ShorterThanHeader {
                length: number,
                header: self.format.size(),
            }
        } else {
            FrameError::OverLimit {
                length: number - self.surplus,
                limit: self.max_payload,
            }
        }
    }

    /// Why a payload of this length was refused.
    #[cold]
    const fn refused_payload(&self, length: usize) -> FrameError {
        let max = self.format.max_length() - self.surplus;
        if length as u64 > max {
            FrameError::TooLongForHeader {
                length,
                max,
                format: self.format,
            }
        } else {
            FrameError::OverLimit {
                length: length as u64,
                limit: self.max_payload,
            }
        }
    }
}

/// The bytes of one header, held inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The header, then zeros.
    bytes: [u8; Self::ROOM],
    size: u8,
}

impl Header {
    pub(crate) const fn new(bytes: [u8; 8], size: usize) -> Self {
        Self {
            bytes,
            size: size as u8,
        }
    }

    /// What the longest header takes, in bytes.
    pub(crate) const ROOM: usize = 8;

    /// The header and [`spare`](Self::spare) zeros: to append all and cut these off is one store,
    /// where a length that only the header knows would be a call.
    #[inline]
    pub(crate) const fn room(&self) -> &[u8; Self::ROOM] {
        &self.bytes
    }

    /// How many zeros follow the header in [`room`](Self::room).
    #[inline]
    pub(crate) const fn spare(&self) -> usize {
        Self::ROOM - self.size as usize
    }
}

impl AsRef<[u8]> for Header {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({:02x?})", self.as_ref())
    }
}
