//! Frames to messages.

use std::borrow::Cow;
use std::io;

use redial_frame::{Decoder, FrameError, Part};

use super::{CHUNK, FramesError, Plain, Shape, escape, hex, read, write};

/// What was decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// How many frames.
    pub frames: u64,
    /// How many of them have the output's separator inside, so that they look like several
    /// ([`Plain::Lines`], [`Plain::Nul`]).
    pub ambiguous: u64,
}

/// Turns each frame of the input into a message of the output, until the input ends. Each is
/// written as soon as its last byte has come.
///
/// # Errors
/// [`FramesError`]; all whole frames before it have been written, and `decoded` counts them.
pub fn decode(
    mut input: impl io::Read,
    mut output: impl io::Write,
    plain: Plain,
    shape: &Shape,
    decoded: &mut Decoded,
) -> Result<(), FramesError> {
    let mut messages = Messages {
        plain,
        shape,
        decoder: Decoder::new(shape.framing),
        prefix: Vec::new(),
        offset: 0,
        text: Vec::new(),
        decoded,
    };
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = read(&mut input, &mut chunk)?;
        if length == 0 {
            return messages.end();
        }
        let taken = messages.take(&chunk[..length]);
        write(&mut output, &messages.text)?;
        messages.text.clear();
        taken?;
    }
}

struct Messages<'a> {
    plain: Plain,
    shape: &'a Shape,
    decoder: Decoder,
    /// What has come of the bytes before the header; whole while the frame's rest is awaited.
    prefix: Vec<u8>,
    /// Where the frame at hand begins.
    offset: u64,
    /// To be written.
    text: Vec<u8>,
    decoded: &'a mut Decoded,
}

impl Messages<'_> {
    fn take(&mut self, mut piece: &[u8]) -> Result<(), FramesError> {
        while !piece.is_empty() {
            let wanted = self.shape.prefix_bytes - self.prefix.len();
            let (prefix, rest) = piece.split_at(wanted.min(piece.len()));
            self.prefix.extend_from_slice(prefix);
            piece = rest;
            let payload = match self.decoder.decode(&mut piece) {
                Ok(Some(payload)) => payload,
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.bad(error)),
            };
            let bytes = self.prefix.len() + self.shape.framing.format().size() + payload.len();
            self.offset += bytes as u64;
            self.decoded.frames += 1;
            // One text: a character, or a NUL before a digit, may lie across the two.
            let message = match self.prefix.as_slice() {
                [] => Cow::Borrowed(payload),
                prefix => Cow::Owned([prefix, payload].concat()),
            };
            if print(&mut self.text, self.plain, &message) == Print::Ambiguous {
                self.decoded.ambiguous += 1;
            }
            self.prefix.clear();
        }
        Ok(())
    }

    fn end(&self) -> Result<(), FramesError> {
        let header = self.shape.framing.format().size();
        let (part, missing) = match self.decoder.finish() {
            Ok(()) if self.prefix.is_empty() => return Ok(()),
            Ok(()) => {
                let missing = self.shape.prefix_bytes - self.prefix.len() + header;
                (Part::Header, missing)
            }
            Err(FrameError::Truncated { part, missing }) => (part, missing),
            Err(error) => return Err(self.bad(error)),
        };
        Err(FramesError::Truncated {
            frame: self.decoded.frames + 1,
            offset: self.offset,
            part,
            missing,
        })
    }

    fn bad(&self, error: FrameError) -> FramesError {
        FramesError::Frame {
            frame: self.decoded.frames + 1,
            offset: self.offset,
            error,
        }
    }
}

/// Whether a printed message can be told from several.
#[derive(PartialEq, Eq)]
enum Print {
    Clear,
    Ambiguous,
}

/// Appends a message as it stands in the output.
fn print(text: &mut Vec<u8>, plain: Plain, message: &[u8]) -> Print {
    match plain {
        Plain::Lines | Plain::Nul | Plain::Raw => text.extend_from_slice(message),
        Plain::Hex => hex::append(text, message),
        Plain::Escaped => escape::append(text, message),
    }
    let Some(separator) = plain.separator() else {
        return Print::Clear;
    };
    text.push(separator);
    match matches!(plain, Plain::Lines | Plain::Nul) && message.contains(&separator) {
        true => Print::Ambiguous,
        false => Print::Clear,
    }
}
