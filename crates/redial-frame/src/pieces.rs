//! Payloads as they arrive, in pieces that are borrowed, for those who need none whole.

use crate::{FrameError, Framing, Part};

/// The longest header.
const HEADER_ROOM: usize = 8;

/// Takes bytes at any cut and gives payloads in pieces: nothing is copied but a header that a cut went
/// through, and nothing is allocated, however long a frame is. For those who pass payloads on as they come:
/// a proxy, a checksum, a file.
///
/// An error is final: every later call gives it again.
///
/// ```
/// use redial_frame::{Framing, HeaderFormat, Pieces};
///
/// let mut pieces = Pieces::new(Framing::new(HeaderFormat::U8));
/// let mut payload = Vec::new();
/// for mut input in [&b"\x05he"[..], b"llo"] {
///     while let Some(piece) = pieces.next(&mut input)? {
///         payload.extend_from_slice(piece.bytes);
///         if piece.left == 0 {
///             println!("a frame of {} bytes", payload.len());
///         }
///     }
/// }
/// assert_eq!(payload, b"hello");
/// pieces.finish()?;
/// # Ok::<(), redial_frame::FrameError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pieces {
    framing: Framing,
    header: [u8; HEADER_ROOM],
    /// Bytes of a header that has come in part, or is a bad one.
    filled: usize,
    /// Bytes of the payload that are still to come.
    left: usize,
}

/// A part of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'i> {
    /// What has come; empty for a frame whose payload is, or of which only the header has come.
    pub bytes: &'i [u8],
    /// Whether it is the first of its frame.
    pub is_first: bool,
    /// Bytes of the frame that are still to come: 0 for its last piece.
    pub left: usize,
}

impl Pieces {
    /// At the beginning of a frame.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        Self {
            framing,
            header: [0; HEADER_ROOM],
            filled: 0,
            left: 0,
        }
    }

    /// Takes the next piece from `input`, which moves on past the bytes used. `None` means that all of
    /// `input` was taken.
    ///
    /// # Errors
    /// As [`Framing::parse`].
    #[inline]
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Piece<'i>>, FrameError> {
        if self.left > 0 {
            return Ok(self.go_on(input, self.left, false));
        }
        if self.filled == 0
            && let Ok(Some(length)) = self.framing.payload_length(input)
        {
            *input = &input[self.framing.format().size()..];
            return Ok(self.go_on(input, length, true));
        }
        self.begin(input)
    }

    /// Whether the input may end here.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] inside a frame; or the error that `next` gave.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.left > 0 {
            return Err(FrameError::Truncated {
                part: Part::Payload,
                missing: self.left,
            });
        }
        match self.framing.payload_length(&self.header[..self.filled])? {
            None if self.filled > 0 => Err(FrameError::Truncated {
                part: Part::Header,
                missing: self.framing.format().size() - self.filled,
            }),
            _ => Ok(()),
        }
    }

    /// A header that a cut went through.
    fn begin<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Piece<'i>>, FrameError> {
        let size = self.framing.format().size();
        let wanted = (size - self.filled).min(input.len());
        let (taken, rest) = input.split_at(wanted);
        self.header[self.filled..self.filled + wanted].copy_from_slice(taken);
        self.filled += wanted;
        *input = rest;
        let Some(length) = self.framing.payload_length(&self.header[..self.filled])? else {
            return Ok(None);
        };
        self.filled = 0;
        Ok(self.go_on(input, length, true))
    }

    #[inline]
    fn go_on<'i>(
        &mut self,
        input: &mut &'i [u8],
        left: usize,
        is_first: bool,
    ) -> Option<Piece<'i>> {
        if input.is_empty() && !is_first {
            return None;
        }
        let (bytes, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        self.left = left - bytes.len();
        Some(Piece {
            bytes,
            is_first,
            left: self.left,
        })
    }
}
