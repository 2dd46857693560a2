//! Length-prefixed framing of any header shape, sans-IO.
//!
//! A byte stream has no message boundaries: what was sent as two messages may arrive glued into
//! one, or cut in the middle. The cure is a header of fixed size before each message that holds its
//! length. This crate puts such headers on and takes them off. It knows no socket, file, clock or
//! thread: bytes go in, frames come out.
//!
//! - [`HeaderFormat`]: what the header looks like, in the notation of Python's `struct` (`>I` is
//!   four bytes, big-endian, unsigned).
//! - [`Framing`]: the format, whether the length counts the header itself, and the longest payload
//!   allowed. [`Framing::parse`] finds the first frame of a buffer, [`Framing::header`] makes the
//!   header for a payload; neither copies or allocates.
//! - [`Decoder`]: takes bytes at any cut and copies only the frames that a cut went through.
//! - [`Pieces`]: takes bytes at any cut and gives payloads as they come, without a copy.
//! - [`FrameReader`] and [`FrameWriter`] (feature `std`, on by default): the same over
//!   [`std::io::Read`] and [`std::io::Write`].
//! - [`FrameCodec`] (feature `codec`): the same for tokio-util's `Framed`.
//!
//! Every length is checked before anything is allocated or awaited for it, and memory grows only
//! with bytes that have really arrived: a header that claims 4 GiB costs nothing.
//!
//! ```
//! use redial_frame::{Decoder, FrameError, Framing, HeaderFormat, Part};
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let framing = Framing::new(">I".parse()?);
//! assert_eq!(framing, Framing::new(HeaderFormat::U32_BE));
//!
//! let mut wire = Vec::new();
//! framing.encode(b"hello", &mut wire)?;
//! framing.encode(b"", &mut wire)?;
//! assert_eq!(wire, b"\0\0\0\x05hello\0\0\0\0");
//!
//! // The network cuts where it likes; the frames stay what they were.
//! let mut decoder = Decoder::new(framing);
//! let mut frames = Vec::new();
//! for mut piece in wire.chunks(3) {
//!     while let Some(payload) = decoder.decode(&mut piece)? {
//!         frames.push(payload.to_vec());
//!     }
//! }
//! decoder.finish()?;
//! assert_eq!(frames, [b"hello".to_vec(), b"".to_vec()]);
//!
//! // An end inside a frame is told from an end between frames.
//! let mut cut: &[u8] = b"\0\0\0\x05hel";
//! assert_eq!(decoder.decode(&mut cut)?, None);
//! assert_eq!(
//!     decoder.finish(),
//!     Err(FrameError::Truncated { part: Part::Payload, missing: 2 })
//! );
//! # Ok(())
//! # }
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod decoder;
mod error;
mod format;
mod framing;
mod pieces;

#[cfg(feature = "codec")]
mod codec;
#[cfg(feature = "std")]
mod stream;

#[cfg(feature = "codec")]
pub use codec::FrameCodec;
pub use decoder::Decoder;
pub use error::{FormatError, FrameError, IntegerError, Part};
pub use format::HeaderFormat;
pub use framing::{DEFAULT_MAX_PAYLOAD, Framing, Header, Parsed};
pub use pieces::{Piece, Pieces};
#[cfg(feature = "std")]
pub use stream::{FrameReader, FrameWriter, StreamError};
