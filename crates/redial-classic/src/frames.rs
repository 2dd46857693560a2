//! Messages from plain text to frames and back, as a shell needs them: lines in, frames out.
//!
//! `encode` and `decode` work as streams, on any reader and writer: what is whole is written
//! before more is read, memory is bounded by the longest message allowed, and after an error
//! everything before it has been written.

mod decode;
mod encode;
mod escape;
mod hex;

use std::io;

pub use redial_frame::{DEFAULT_MAX_PAYLOAD, FormatError, FrameError, Framing, HeaderFormat, Part};

pub use decode::{Decoded, decode};
pub use encode::encode;
pub use escape::EscapeError;
pub use hex::{HexError, read_hex, write_hex};

/// Read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// How frames look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The header, what its number counts, and the longest payload.
    pub framing: Framing,
    /// Bytes of each frame that stand before its header, uncounted by it, such as the type in
    /// PostgreSQL's messages. As a message they are its first bytes.
    pub prefix_bytes: usize,
}

/// How messages stand in plain input and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Each behind the other, a newline after each. One with a newline inside is two on the way
    /// back.
    Lines,
    /// As `Lines`, with a NUL in the newline's place.
    Nul,
    /// A line of hexadecimal digits each; spaces between bytes are skipped.
    Hex,
    /// A line each; what cannot be printed, and the backslash, is `\n`, `\r`, `\t`, `\0`, `\\` or
    /// `\x` with two hexadecimal digits.
    Escaped,
    /// As they are: all of the input is one message, and the output is all payloads glued.
    Raw,
}

impl Plain {
    /// What ends a message.
    const fn separator(self) -> Option<u8> {
        match self {
            Self::Lines | Self::Hex | Self::Escaped => Some(b'\n'),
            Self::Nul => Some(0),
            Self::Raw => None,
        }
    }
}

/// What ended an encoding or decoding early. What was whole before it has been written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FramesError {
    /// A message cannot become a frame.
    #[error("message {message}: {error}")]
    Message {
        /// Which one, from 1.
        message: u64,
        /// What is wrong with it.
        error: MessageError,
    },
    /// A frame is bad; where the next one begins is unknown.
    #[error("frame {frame}, at byte {offset}: {error}")]
    Frame {
        /// Which one, from 1.
        frame: u64,
        /// Where it begins in the input, from 0.
        offset: u64,
        /// What is wrong with it.
        error: FrameError,
    },
    /// The input ended inside a frame.
    #[error(
        "the input ends inside frame {frame}, which begins at byte {offset}; bytes missing from \
         its {part}: {missing}"
    )]
    Truncated {
        /// Which one, from 1.
        frame: u64,
        /// Where it begins in the input, from 0.
        offset: u64,
        /// The part of it in which the input ended.
        part: Part,
        /// How many bytes of prefix and header, or of the payload, are missing.
        missing: usize,
    },
    /// The input cannot be read.
    #[error("cannot read: {0}")]
    Input(io::Error),
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Output(io::Error),
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It is longer than the header can announce.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It is longer than allowed; perhaps its end has not even come.
    #[error("it is over the limit of {limit} bytes")]
    OverLimit {
        /// The longest payload allowed, in bytes.
        limit: usize,
    },
    /// It has fewer bytes than belong before the header.
    #[error("its {got} bytes are fewer than the {expected} that stand before the header")]
    ShorterThanPrefix {
        /// As many as it has.
        got: usize,
        /// As many as stand before the header.
        expected: usize,
    },
    /// It is not in hexadecimal.
    #[error(transparent)]
    Hex(#[from] HexError),
    /// It has an escape that there is not.
    #[error(transparent)]
    Escape(#[from] EscapeError),
}

/// One read, tried again when a signal interrupts it.
fn read(input: &mut impl io::Read, chunk: &mut [u8]) -> Result<usize, FramesError> {
    loop {
        match input.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.map_err(FramesError::Input),
        }
    }
}

/// Writes what is there, so that it can be seen.
fn write(output: &mut impl io::Write, bytes: &[u8]) -> Result<(), FramesError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let written = output.write_all(bytes).and_then(|()| output.flush());
    written.map_err(FramesError::Output)
}

#[cfg(test)]
mod tests;
