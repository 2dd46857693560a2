//! Frames for tokio-util's `Framed`, `FramedRead` and `FramedWrite`.

use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::decoder::truncated;
use crate::framing::Header;
use crate::{Framing, Parsed, StreamError};

/// The most that is reserved at once for a payload that has not arrived, in bytes: a header that
/// claims a long one costs no more than this.
const RESERVE_STEP: usize = 64 * 1024;

/// Decodes to [`BytesMut`] without copying; encodes anything that is bytes.
///
/// ```
/// use bytes::BytesMut;
/// use redial_frame::{FrameCodec, Framing, HeaderFormat};
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let mut codec = FrameCodec::new(Framing::new(HeaderFormat::U32_BE));
/// let mut wire = BytesMut::new();
/// codec.encode(b"hello", &mut wire)?;
/// assert_eq!(codec.decode(&mut wire)?.as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), redial_frame::StreamError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    framing: Framing,
}

impl FrameCodec {
    /// A codec for such frames.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        Self { framing }
    }
}

impl Decoder for FrameCodec {
    type Item = BytesMut;
    type Error = StreamError;

    #[inline]
    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, StreamError> {
        match self.framing.parse(input)? {
            Parsed::Frame { consumed, .. } => {
                let mut frame = input.split_to(consumed);
                frame.advance(self.framing.format().size());
                Ok(Some(frame))
            }
            Parsed::Incomplete { needed } => {
                input.reserve(needed.min(RESERVE_STEP));
                Ok(None)
            }
        }
    }

    fn decode_eof(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, StreamError> {
        match self.decode(input)? {
            None if !input.is_empty() => Err(truncated(&self.framing, input)?.into()),
            frame_or_end => Ok(frame_or_end),
        }
    }
}

impl<T: AsRef<[u8]>> Encoder<T> for FrameCodec {
    type Error = StreamError;

    #[inline]
    fn encode(&mut self, payload: T, out: &mut BytesMut) -> Result<(), StreamError> {
        let payload = payload.as_ref();
        let header = self.framing.header(payload.len())?;
        out.reserve(Header::ROOM + payload.len());
        out.extend_from_slice(header.room());
        out.truncate(out.len() - header.spare());
        out.extend_from_slice(payload);
        Ok(())
    }
}
