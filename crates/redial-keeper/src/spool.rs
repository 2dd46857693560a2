//! The file that the output of a kept job goes to.
//!
//! It holds both outputs in the order in which they came, in blocks of 64 KiB. Each block begins
//! with the offsets at which the two streams stand there, so a place is found by halving, and what
//! is lost of one block says nothing of the next. The keeper appends; whoever has the descriptor
//! reads, up to where the keeper says that it is written.
//!
//! ```text
//! block: "RDLG" version:2 zero:2 stdout:8 stderr:8 check:8 frame…
//! frame: stream:1 length:3 byte…            a stream of 0: nothing more in this block
//! ```
//!
//! Numbers are big-endian; `check` is the lower half of XXH3-128 of what stands before it. Where the oldest goes when
//! the file is full, whole blocks are taken out of it from the front (fallocate(2), PUNCH_HOLE):
//! the file keeps its length, and gets sparse.

mod reader;
mod writer;

use minicbor::{Decode, Encode};
use twox_hash::xxhash3_128::Hasher;

pub use reader::{Bytes, SpoolReader};
pub use writer::{OldestGo, SpoolWriter};

/// Bytes of a block.
pub const BLOCK_BYTES: u64 = 64 * 1024;
/// Before the frames of a block.
const HEADER_BYTES: usize = 32;
/// Before the bytes of a frame.
const FRAME_BYTES: usize = 4;
const MAGIC: &[u8; 4] = b"RDLG";
const VERSION: u16 = 1;

/// How far a file is written, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct SpoolState {
    /// Bytes of the file that are written.
    #[n(0)]
    pub len: u64,
    /// The first byte of the file that is kept; at the start of a block.
    #[n(1)]
    pub first: u64,
    /// Offsets of stdout and stderr behind what is written.
    #[n(2)]
    pub stdout: u64,
    /// The same of stderr.
    #[n(3)]
    pub stderr: u64,
    /// Offsets of the oldest bytes kept.
    #[n(4)]
    pub oldest_stdout: u64,
    /// The same of stderr.
    #[n(5)]
    pub oldest_stderr: u64,
}

impl SpoolState {
    /// Bytes on the disk.
    pub fn used(&self) -> u64 {
        self.len - self.first.min(self.len)
    }

    /// Offsets behind what is written: stdout, stderr.
    pub fn ends(&self) -> [u64; 2] {
        [self.stdout, self.stderr]
    }

    /// Offsets of the oldest bytes kept: stdout, stderr.
    pub fn oldest(&self) -> [u64; 2] {
        [self.oldest_stdout, self.oldest_stderr]
    }
}

fn header(offsets: [u64; 2]) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(MAGIC);
    header[4..6].copy_from_slice(&VERSION.to_be_bytes());
    header[8..16].copy_from_slice(&offsets[0].to_be_bytes());
    header[16..24].copy_from_slice(&offsets[1].to_be_bytes());
    let check = check(&header[..24]);
    header[24..].copy_from_slice(&check.to_be_bytes());
    header
}

/// The offsets that a block begins with; none if it is not one of ours, or was taken out.
fn offsets(header: &[u8]) -> Option<[u64; 2]> {
    let number = |from: usize| {
        let bytes = header.get(from..from + 8)?;
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    };
    let known = header.get(..4)? == MAGIC && header.get(4..6)? == VERSION.to_be_bytes();
    let check = check(header.get(..24)?);
    (known && number(24)? == check).then_some([number(8)?, number(16)?])
}

fn check(bytes: &[u8]) -> u64 {
    // The lower half.
    Hasher::oneshot(bytes) as u64
}

#[cfg(test)]
mod tests;
