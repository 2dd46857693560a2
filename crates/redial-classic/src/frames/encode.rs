//! Messages to frames.

use std::borrow::Cow;
use std::io;

use super::{CHUNK, FramesError, MessageError, Plain, Shape, escape, hex, read, write};

/// Turns each message of the input into a frame of the output, until the input ends. A last
/// message without its separator counts.
///
/// # Errors
/// [`FramesError`]; the frames of all messages before the bad one have been written.
pub fn encode(
    mut input: impl io::Read,
    mut output: impl io::Write,
    plain: Plain,
    shape: &Shape,
) -> Result<(), FramesError> {
    let mut encoder = Encoder {
        plain,
        shape,
        begun: Vec::new(),
        frames: Vec::new(),
        messages: 0,
    };
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = read(&mut input, &mut chunk)?;
        let taken = match length {
            0 => encoder.end(),
            _ => encoder.take(&chunk[..length]),
        };
        write(&mut output, &encoder.frames)?;
        encoder.frames.clear();
        taken.map_err(|error| FramesError::Message {
            message: encoder.messages + 1,
            error,
        })?;
        if length == 0 {
            return Ok(());
        }
    }
}

struct Encoder<'a> {
    plain: Plain,
    shape: &'a Shape,
    /// A message whose end has not come.
    begun: Vec<u8>,
    /// To be written.
    frames: Vec<u8>,
    messages: u64,
}

impl Encoder<'_> {
    fn take(&mut self, mut piece: &[u8]) -> Result<(), MessageError> {
        if let Some(separator) = self.plain.separator() {
            while let Some(end) = piece.iter().position(|&byte| byte == separator) {
                if self.begun.is_empty() {
                    self.message(&piece[..end])?;
                } else {
                    self.begin(&piece[..end])?;
                    self.begun_message()?;
                }
                piece = &piece[end + 1..];
            }
        }
        self.begin(piece)
    }

    fn end(&mut self) -> Result<(), MessageError> {
        if self.begun.is_empty() && self.plain.separator().is_some() {
            return Ok(());
        }
        self.begun_message()
    }

    fn begin(&mut self, piece: &[u8]) -> Result<(), MessageError> {
        if self.begun.len() + piece.len() > self.longest() {
            return Err(self.over_limit());
        }
        self.begun.extend_from_slice(piece);
        Ok(())
    }

    /// The most bytes that a message within the limit can take in the input.
    fn longest(&self) -> usize {
        let bytes = self.shape.framing.max_payload();
        let bytes = bytes.saturating_add(self.shape.prefix_bytes);
        match self.plain {
            Plain::Lines | Plain::Nul | Plain::Raw => bytes,
            // Four for one, as in `\x00`; and as good a bound for hex with its spaces.
            Plain::Escaped | Plain::Hex => bytes.saturating_mul(4),
        }
    }

    fn begun_message(&mut self) -> Result<(), MessageError> {
        let begun = std::mem::take(&mut self.begun);
        let done = self.message(&begun);
        // Its memory serves the next one.
        self.begun = begun;
        self.begun.clear();
        done
    }

    fn message(&mut self, text: &[u8]) -> Result<(), MessageError> {
        let message = match self.plain {
            Plain::Lines | Plain::Nul | Plain::Raw => Cow::Borrowed(text),
            Plain::Hex => Cow::Owned(hex::bytes(text)?),
            Plain::Escaped => Cow::Owned(escape::bytes(text)?),
        };
        let expected = self.shape.prefix_bytes;
        let Some((prefix, payload)) = message.split_at_checked(expected) else {
            let got = message.len();
            return Err(MessageError::ShorterThanPrefix { got, expected });
        };
        if payload.len() > self.shape.framing.max_payload() {
            return Err(self.over_limit());
        }
        let header = self.shape.framing.header(payload.len())?;
        for part in [prefix, header.as_ref(), payload] {
            self.frames.extend_from_slice(part);
        }
        self.messages += 1;
        Ok(())
    }
    fn over_limit(&self) -> MessageError {
        MessageError::OverLimit {
            limit: self.shape.framing.max_payload(),
        }
    }
}
