//! The front's side of the two pools.

use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::mm::ProtFlags;

use super::Mapping;

/// The output pool, to read from.
///
/// A chunk may be written again once the keeper has been told that its bytes are
/// acknowledged: send from a slice before, or copy what must outlive that.
#[derive(Debug)]
pub struct OutputView {
    mapping: Mapping,
}

// SAFETY: shared access only reads; see `Mapping::slice` for what may be read.
unsafe impl Sync for OutputView {}

impl OutputView {
    /// Maps the pool's descriptor, which holds `chunks` chunks, for good.
    ///
    /// # Errors
    /// It has another size or could shrink, or there is no address space.
    pub fn map(fd: OwnedFd, chunks: u32) -> io::Result<Self> {
        Ok(Self {
            mapping: Mapping::map(fd, chunks, ProtFlags::READ)?,
        })
    }

    /// Bytes of one chunk; `None` past the chunk's end or the pool's.
    pub fn slice(&self, slot: u32, range: Range<usize>) -> Option<&[u8]> {
        self.mapping.slice(slot, range)
    }
}

/// The stdin pool, to write to.
#[derive(Debug)]
pub struct StdinView {
    mapping: Mapping,
}

impl StdinView {
    /// Maps the pool's descriptor, which holds `chunks` chunks, for good.
    ///
    /// # Errors
    /// It has another size or could shrink, or there is no address space.
    pub fn map(fd: OwnedFd, chunks: u32) -> io::Result<Self> {
        Ok(Self {
            mapping: Mapping::map(fd, chunks, ProtFlags::READ | ProtFlags::WRITE)?,
        })
    }

    /// Puts bytes at `at` of one chunk; false, and nothing written, past the
    /// chunk's end or the pool's.
    pub fn write(&self, slot: u32, at: usize, bytes: &[u8]) -> bool {
        self.mapping.copy_in(slot, at, bytes)
    }
}

// SAFETY: writes are plain copies; two threads that write one range at once leave
// either's bytes there, and no reference to this memory exists.
unsafe impl Sync for StdinView {}
