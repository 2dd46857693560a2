//! The 12 bytes before a payload.

use alloc::format;

use redial_frame::{Framing, HeaderFormat};

use crate::error::{ErrorCode, Fault};
use crate::limits::HEADER_BYTES;

/// A receiver that does not know the kind skips the frame.
pub(crate) const OPTIONAL: u8 = 1;
/// Another piece follows (start only).
pub(crate) const MORE: u8 = 2;

/// Bytes of the length field.
const LENGTH_BYTES: usize = 4;
/// Bytes that the length counts beside the payload.
const COUNTED_BYTES: usize = HEADER_BYTES - LENGTH_BYTES;

/// A header whose length is in range; nothing else is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u8,
    pub(crate) zero: u8,
    pub(crate) channel: u32,
    /// Bytes of the payload.
    pub(crate) payload: usize,
}

/// What the start of the input holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Header(Header),
    /// So many bytes of the header are missing.
    Needed(usize),
}

impl Header {
    /// Reads the header at the start of `input`, for payloads of at most `max_payload` bytes.
    pub(crate) fn parse(input: &[u8], max_payload: usize) -> Result<Parsed, Fault> {
        let Some(length) = length(input, max_payload)? else {
            return Ok(Parsed::Needed(HEADER_BYTES - input.len()));
        };
        let Some(&[_, _, _, _, kind, flags, stream, zero, a, b, c, d]) =
            input.first_chunk::<HEADER_BYTES>()
        else {
            return Ok(Parsed::Needed(HEADER_BYTES - input.len()));
        };
        Ok(Parsed::Header(Self {
            kind,
            flags,
            stream,
            zero,
            channel: u32::from_be_bytes([a, b, c, d]),
            payload: length - COUNTED_BYTES,
        }))
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame(&self) -> usize {
        HEADER_BYTES + self.payload
    }
}

/// The length field, once it is there: known to be in range before anything else is looked at.
fn length(input: &[u8], max_payload: usize) -> Result<Option<usize>, Fault> {
    let most = COUNTED_BYTES + max_payload;
    let framing = Framing::new(HeaderFormat::U32_BE).with_max_payload(most);
    match framing.payload_length(input) {
        Ok(Some(length)) if length < COUNTED_BYTES => {}
        Ok(length) => return Ok(length),
        Err(_) => {}
    }
    let length = input
        .first_chunk()
        .map_or(0, |field| u32::from_be_bytes(*field));
    Err(Fault::new(
        ErrorCode::Length,
        format!("length {length} where {COUNTED_BYTES} to {most} are allowed"),
    ))
}
