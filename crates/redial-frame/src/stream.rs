//! Frames over `std::io::Read` and `std::io::Write`.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::vec;
use std::vec::Vec;

use crate::decoder::truncated;
use crate::{FrameError, Framing, Parsed};

/// The least that is read at once, in bytes, and so the reader's first buffer.
const READ_STEP: usize = 64 * 1024;

/// Reads frames.
///
/// The buffer begins at 64 KiB and at most doubles whenever bytes have really filled it; it is kept
/// for the next frame. The reader may read beyond the frame it returns.
///
/// ```
/// use redial_frame::{FrameReader, Framing, HeaderFormat};
///
/// let wire: &[u8] = b"\x05hello\x03you";
/// let mut reader = FrameReader::new(wire, Framing::new(HeaderFormat::U8));
/// assert_eq!(reader.read_frame()?, Some(&b"hello"[..]));
/// assert_eq!(reader.read_frame()?, Some(&b"you"[..]));
/// assert_eq!(reader.read_frame()?, None);
/// # Ok::<(), redial_frame::StreamError>(())
/// ```
#[derive(Debug)]
pub struct FrameReader<R> {
    reader: R,
    framing: Framing,
    buffer: Vec<u8>,
    /// What was read and not yet returned: `buffer[start..end]`.
    start: usize,
    end: usize,
}

impl<R: Read> FrameReader<R> {
    /// A reader at the beginning of a frame. Allocates nothing until the first read.
    #[must_use]
    pub const fn new(reader: R, framing: Framing) -> Self {
        Self {
            reader,
            framing,
            buffer: Vec::new(),
            start: 0,
            end: 0,
        }
    }

    /// The next frame's payload; `None` if the input ended between two frames.
    ///
    /// # Errors
    /// [`StreamError::Frame`] for a frame that is bad ([`Framing::parse`]) or cut off by the end of
    /// the input ([`FrameError::Truncated`]). [`StreamError::Io`] from the reader (interrupted reads
    /// are tried again); nothing is lost then, and the call may be repeated, as after a time-out.
    pub fn read_frame(&mut self) -> Result<Option<&[u8]>, StreamError> {
        let payload = loop {
            match self.framing.parse(&self.buffer[self.start..self.end])? {
                Parsed::Frame { payload, consumed } => {
                    let length = payload.len();
                    self.start += consumed;
                    break self.start - length..self.start;
                }
                Parsed::Incomplete { needed } => {
                    self.make_room(needed);
                    if self.fill()? == 0 {
                        return self.ended();
                    }
                }
            }
        };
        Ok(Some(&self.buffer[payload]))
    }

    /// The reader underneath. Bytes that were read ahead are lost.
    #[must_use]
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Leaves free room behind `end`: all that is needed if it can be had by moving what is there to
    /// the front, else at least one byte, and as much as has arrived.
    fn make_room(&mut self, needed: usize) {
        let held = self.end - self.start;
        if held == 0 {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.buffer.len() - self.end < needed {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, held);
        }
        if self.end == self.buffer.len() {
            let doubled = held.saturating_mul(2);
            let length = doubled.min(held.saturating_add(needed)).max(READ_STEP);
            // Zeroed by the allocator, so that pages nobody writes to cost no memory.
            let mut grown = vec![0; length];
            grown[..held].copy_from_slice(&self.buffer);
            self.buffer = grown;
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn ended(&self) -> Result<Option<&[u8]>, StreamError> {
        match &self.buffer[self.start..self.end] {
            [] => Ok(None),
            rest => Err(truncated(&self.framing, rest)?.into()),
        }
    }
}

/// Writes frames, each as one vectored write where the writer can.
///
/// ```
/// use redial_frame::{FrameWriter, Framing, HeaderFormat};
///
/// let mut writer = FrameWriter::new(Vec::new(), Framing::new(HeaderFormat::U16_LE));
/// writer.write_frame(b"hello")?;
/// assert_eq!(writer.into_inner(), b"\x05\0hello");
/// # Ok::<(), redial_frame::StreamError>(())
/// ```
#[derive(Debug)]
pub struct FrameWriter<W> {
    writer: W,
    framing: Framing,
    /// A frame was written in part: whatever followed would be taken for its rest.
    torn: bool,
}

impl<W: Write> FrameWriter<W> {
    /// A writer at the beginning of a frame.
    #[must_use]
    pub const fn new(writer: W, framing: Framing) -> Self {
        Self {
            writer,
            framing,
            torn: false,
        }
    }

    /// Writes one whole frame, however short the single writes are. Does not flush.
    ///
    /// # Errors
    /// [`StreamError::Frame`] for a payload that is too long ([`Framing::header`]); nothing was
    /// written then. [`StreamError::Io`] from the writer (interrupted writes are tried again), or
    /// of the kind `WriteZero` if it takes no more. [`StreamError::Torn`] if an earlier error left a
    /// frame half written.
    pub fn write_frame(&mut self, payload: &[u8]) -> Result<(), StreamError> {
        if self.torn {
            return Err(StreamError::Torn);
        }
        let header = self.framing.header(payload.len())?;
        let mut parts = [IoSlice::new(header.as_ref()), IoSlice::new(payload)];
        let mut rest = &mut parts[..];
        while !rest.is_empty() {
            match self.writer.write_vectored(rest) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(count) => {
                    self.torn = true;
                    IoSlice::advance_slices(&mut rest, count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.torn = false;
        Ok(())
    }

    /// Flushes the writer underneath.
    ///
    /// # Errors
    /// The writer's own.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The writer underneath.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.writer
    }
}

/// A frame that could not be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamError {
    /// The frame is bad, or the input ended inside it.
    Frame(FrameError),
    /// The stream underneath failed.
    Io(io::Error),
    /// An earlier write failed inside a frame, so that no further frame can follow.
    Torn,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Torn => f.write_str("an earlier frame was written only in part"),
        }
    }
}

impl Error for StreamError {
    // Frame and Io print their cause themselves, so what they name is the cause's cause.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Frame(error) => error.source(),
            Self::Io(error) => error.source(),
            Self::Torn => None,
        }
    }
}

impl From<FrameError> for StreamError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// `UnexpectedEof` for an input that ended inside a frame, `InvalidData` for a bad one.
impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match error {
            StreamError::Io(error) => return error,
            StreamError::Frame(FrameError::Truncated { .. }) => ErrorKind::UnexpectedEof,
            StreamError::Frame(_) => ErrorKind::InvalidData,
            StreamError::Torn => ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}
