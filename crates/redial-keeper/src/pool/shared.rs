//! The keeper's side of a pool.

use std::collections::HashSet;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::mm::ProtFlags;

use super::{CHUNK_BYTES, Mapping, Slots};

/// Memory of free chunks that nobody wanted for this long goes back.
const COOL_AFTER_MS: u64 = 1_000;
/// So many chunks at a time: about a millisecond, in which jobs wait.
const COOL_AT_ONCE: usize = 128;
/// Until more of them go, when there were more.
const COOL_ON_AFTER_MS: u64 = 10;

/// A pool, and whose its chunks are.
#[derive(Debug)]
pub(crate) struct Pool {
    mapping: Mapping,
    slots: Slots,
    chunks: u32,
    /// Given up, and perhaps still read by somebody.
    late: Vec<u32>,
    /// When to look again for memory that nobody wants.
    cool_at: Option<u64>,
}

impl Pool {
    /// Sparse memory of `bytes`, rounded down to whole chunks (one at least).
    ///
    /// # Errors
    /// Out of descriptors or address space.
    pub(crate) fn create(name: &str, bytes: u64) -> io::Result<Self> {
        let chunks = u32::try_from(bytes / CHUNK_BYTES as u64)
            .unwrap_or(u32::MAX)
            .max(1);
        Ok(Self {
            mapping: Mapping::create(name, chunks)?,
            slots: Slots::new(chunks),
            chunks,
            late: Vec::new(),
            cool_at: None,
        })
    }

    /// Takes over the memory of another program's pool, of which these chunks are in use.
    ///
    /// # Errors
    /// It is no such memory.
    pub(crate) fn adopt(fd: OwnedFd, chunks: u32, used: &HashSet<u32>) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        Ok(Self {
            mapping: Mapping::map(fd, chunks, protection)?,
            slots: Slots::without(chunks, used),
            chunks,
            late: Vec::new(),
            cool_at: None,
        })
    }

    /// Its memory.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.mapping.fd()
    }

    /// Chunks in all.
    pub(crate) fn chunks(&self) -> u32 {
        self.chunks
    }

    /// Chunks free.
    pub(crate) fn free(&self) -> usize {
        self.slots.free()
    }

    /// A descriptor of the memory, for another process.
    pub(crate) fn share(&self, writable: bool) -> io::Result<OwnedFd> {
        self.mapping.share(writable)
    }

    /// A stream's first chunk, its own as long as the stream lives.
    pub(crate) fn take_own(&mut self) -> Option<u32> {
        self.slots.take()
    }

    /// A further chunk. None when little is free: the rest is for streams that have none.
    pub(crate) fn take_shared(&mut self) -> Option<u32> {
        if self.is_short() {
            None
        } else {
            self.slots.take()
        }
    }

    /// Whether less than an eighth is free.
    pub(crate) fn is_short(&self) -> bool {
        self.slots.is_short()
    }

    /// A chunk comes back.
    pub(crate) fn give_back(&mut self, slot: u32) {
        self.slots.give_back(slot);
    }

    /// A chunk is given up that somebody may still read: it comes back later.
    pub(crate) fn give_up(&mut self, slot: u32) {
        self.late.push(slot);
    }

    /// Those given up since this was last asked.
    pub(crate) fn take_late(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.late)
    }

    /// Gives the memory of those free chunks back to the system that nobody has wanted
    /// for a while; says when it is to be called again. Giving back at once what many busy
    /// streams want again would cost them more than their bytes do: each page is cleared anew.
    pub(crate) fn cool(&mut self, now_ms: u64) -> Option<u64> {
        if self.cool_at.is_some_and(|at| at <= now_ms) {
            let is_more = self.cool_some();
            self.cool_at = is_more.then(|| now_ms + COOL_ON_AFTER_MS);
        }
        if self.cool_at.is_none() && self.slots.warm() > 0 {
            self.cool_at = Some(now_ms + COOL_AFTER_MS);
        }
        self.cool_at
    }

    fn cool_some(&mut self) -> bool {
        let (unwanted, is_more) = self.slots.cool_unwanted(COOL_AT_ONCE);
        for slot in unwanted {
            // On failure the pages stay until the chunk is used again: no harm.
            if let Err(error) = self.mapping.punch(slot) {
                tracing::debug!(%error, "cannot give memory of a log pool back");
            }
        }
        is_more
    }

    /// See `Mapping::slice`: for bytes of the output pool, which only we write.
    pub(crate) fn slice(&self, slot: u32, range: Range<usize>) -> Option<&[u8]> {
        self.mapping.slice(slot, range)
    }

    /// See `Mapping::room`.
    pub(crate) fn room(&self, slot: u32, range: Range<usize>) -> Option<IoSliceMut<'_>> {
        self.mapping.room(slot, range)
    }

    /// See `Mapping::copy_out`.
    pub(crate) fn copy_out(&self, slot: u32, at: usize, into: &mut [u8]) -> bool {
        self.mapping.copy_out(slot, at, into)
    }
}
