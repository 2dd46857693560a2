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
    /// How many bytes of that frame are missing, once its header is known; else 0.
    missing: usize,
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
            missing: 0,
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
        if self.missing > input.len() {
            // A long frame in short pieces: nothing to do but to keep them.
            self.missing -= input.len();
            self.cut.extend_from_slice(input);
            *input = &[];
            return Ok(None);
        }
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

    /// The frame began in an earlier piece, or goes on in a later one, or is bad.
    fn decode_cut<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'d [u8]>, FrameError> {
        if self.cut.is_empty() {
            self.begin(input)?;
            return Ok(None);
        }
        self.go_on(input)
    }

    /// The input begins with a frame that is not whole, or bad. A bad header stays in `cut`, which
    /// is what makes its error final.
    fn begin(&mut self, input: &mut &[u8]) -> Result<(), FrameError> {
        let header = self.framing.format().size();
        match self.framing.payload_length(input) {
            Ok(length) => {
                self.missing = length.map_or(0, |length| header + length - input.len());
                self.take(input, input.len());
                Ok(())
            }
            Err(error) => {
                self.take(input, header);
                Err(error)
            }
        }
    }

    /// The input goes on with the frame in `cut`.
    fn go_on<'d, 'i: 'd>(
        &'d mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'d [u8]>, FrameError> {
        let header = self.framing.format().size();
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
            self.missing = 0;
            return Ok(Some(payload));
        }
        self.take(input, header + length - self.cut.len());
        self.missing = header + length - self.cut.len();
        if self.missing > 0 {
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
