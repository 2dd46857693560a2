//! Frames out of bytes that arrive at any cut.

use alloc::vec::Vec;

use crate::{FrameError, Framing, Parsed, Part};

/// Takes bytes in pieces and gives frames.
///
/// A payload that lies wholly in one piece is borrowed from it. Only a frame that a cut went
/// through is copied, into a buffer that grows with the bytes that have arrived and never with the
/// length that a header claims; it holds at most one frame, and keeps its capacity for the next
/// one until [`shrink_to`](Self::shrink_to).
///
/// An error is final: every later call gives it again, since nobody knows where the next frame
/// begins.
#[derive(Clone, Debug)]
pub struct Decoder {
    framing: Framing,
    /// The beginning of a frame that was cut; or that whole frame, if `given`.
    cut: Vec<u8>,
    /// The frame in `cut` was handed out and is done with at the next call.
    given: bool,
}

impl Decoder {
    /// A decoder at the beginning of a frame.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        Self {
            framing,
            cut: Vec::new(),
            given: false,
        }
    }

    /// How the frames look.
    #[must_use]
    pub const fn framing(&self) -> &Framing {
        &self.framing
    }

    /// Takes the next frame from `input`, which moves on past the bytes used. `None` means that all
    /// of `input` was taken and the frame goes on in the next piece. To be called until then:
    ///
    /// ```
    /// # use redial_frame::{Decoder, Framing, HeaderFormat};
    /// # let mut decoder = Decoder::new(Framing::new(HeaderFormat::U8));
    /// # let mut piece: &[u8] = b"\x02hi\x03you";
    /// while let Some(payload) = decoder.decode(&mut piece)? {
    ///     println!("{} bytes", payload.len());
    /// }
    /// # Ok::<(), redial_frame::FrameError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Framing::parse`].
    #[inline]
    pub fn decode<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'d [u8]>, FrameError> {
        if self.given {
            self.given = false;
            self.cut.clear();
        }
        if self.cut.is_empty()
            && let Ok(Parsed::Frame { payload, consumed }) = self.framing.parse(input)
        {
            *input = &input[consumed..];
            return Ok(Some(payload));
        }
        self.decode_cut(input)
    }

    /// Says whether the input may end here, once all of it has been decoded.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] inside a frame; or the error that `decode` gave.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.given || self.cut.is_empty() {
            return Ok(());
        }
        Err(truncated(&self.framing, &self.cut)?)
    }

    /// Gives back the buffer's memory beyond `capacity` bytes, as far as it holds no part of a
    /// frame. For those who keep many decoders that are mostly idle.
    pub fn shrink_to(&mut self, capacity: usize) {
        if self.given {
            self.given = false;
            self.cut.clear();
        }
        self.cut.shrink_to(capacity);
    }

    /// The slow path: the frame began in an earlier piece, or goes on in a later one, or is bad.
    fn decode_cut<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'d [u8]>, FrameError> {
        let header = self.framing.format().size();
        // A bad header stays in `cut`, which is what makes its error final.
        self.take(input, header.saturating_sub(self.cut.len()));
        let Some(length) = self.framing.payload_length(&self.cut)? else {
            return Ok(None);
        };
        if self.cut.len() == header
            && let Some((payload, rest)) = input.split_at_checked(length)
        {
            // Only the header was cut off: the payload need not be copied.
            *input = rest;
            self.cut.clear();
            return Ok(Some(payload));
        }
        self.take(input, header + length - self.cut.len());
        if self.cut.len() < header + length {
            return Ok(None);
        }
        self.given = true;
        Ok(Some(&self.cut[header..]))
    }

    /// Copies up to `wanted` bytes of the input.
    fn take(&mut self, input: &mut &[u8], wanted: usize) {
        let (taken, rest) = input.split_at(wanted.min(input.len()));
        self.cut.extend_from_slice(taken);
        *input = rest;
    }
}

/// The error for an input that ends after `rest`, the beginning of a frame (not empty, not whole).
///
/// # Errors
/// That of the frame's header, if it is a bad one.
pub(crate) fn truncated(framing: &Framing, rest: &[u8]) -> Result<FrameError, FrameError> {
    let header = framing.format().size();
    Ok(match framing.payload_length(rest)? {
        None => FrameError::Truncated {
            part: Part::Header,
            missing: header - rest.len(),
        },
        Some(length) => FrameError::Truncated {
            part: Part::Payload,
            missing: (header + length).saturating_sub(rest.len()),
        },
    })
}
