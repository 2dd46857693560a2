//! A sealed memfd and its mapping.

use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use super::CHUNK_BYTES;

/// Chunks of memory shared with another process.
///
/// The other process may write to it at any time, so bytes come out by copying;
/// [`Mapping::slice`] is for memory that only this process writes.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    chunks: u32,
    fd: OwnedFd,
}

// SAFETY: the mapping is plain memory that stays until the drop; the pointer is
// to nothing thread-bound. (`Sync` is not claimed.)
unsafe impl Send for Mapping {}

impl Mapping {
    /// New memory of `chunks` chunks, its size sealed; nothing of it is touched.
    pub(super) fn create(name: &str, chunks: u32) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create(name, flags)?;
        // Who was given it to read, and is another user, must not open it anew to write.
        rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::ftruncate(&fd, u64::from(chunks) * CHUNK_BYTES as u64)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&fd, seals)?;
        Self::map(fd, chunks, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// Maps memory that another process made. It must be of this size, and sealed
    /// against shrinking, so that no access to it can fault.
    pub(super) fn map(fd: OwnedFd, chunks: u32, protection: ProtFlags) -> io::Result<Self> {
        let refused = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        let len = chunks as usize * CHUNK_BYTES;
        if len == 0 || rustix::fs::fstat(&fd)?.st_size != len as i64 {
            return refused("shared memory of another size");
        }
        if !rustix::fs::fcntl_get_seals(&fd)?.contains(SealFlags::SHRINK) {
            return refused("shared memory that could shrink");
        }
        let none = std::ptr::null_mut();
        // SAFETY: a new mapping at an address of the kernel's choice touches no
        // memory that is in use.
        let start = unsafe { rustix::mm::mmap(none, len, protection, MapFlags::SHARED, &fd, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, chunks, fd })
    }

    /// The memory itself.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The same memory, by a descriptor of its own; `writable` or not.
    pub(super) fn share(&self, writable: bool) -> io::Result<OwnedFd> {
        let access = if writable {
            OFlags::RDWR
        } else {
            OFlags::RDONLY
        };
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        Ok(rustix::fs::open(
            path,
            access | OFlags::CLOEXEC,
            Mode::empty(),
        )?)
    }

    /// Gives the pages of one chunk back to the system.
    pub(super) fn punch(&self, slot: u32) -> io::Result<()> {
        let offset = u64::from(slot) * CHUNK_BYTES as u64;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(
            self.fd.as_fd(),
            flags,
            offset,
            CHUNK_BYTES as u64,
        )?)
    }

    /// Bytes of one chunk; `None` past its end or the pool's.
    ///
    /// They must be such as the owner of the memory writes no more (output before
    /// its end and not acknowledged yet): what else is read is any byte at all.
    pub(super) fn slice(&self, slot: u32, range: Range<usize>) -> Option<&[u8]> {
        let start = self.address(slot, &range)?;
        // SAFETY: inside the mapping, which cannot shrink and lives as long as
        // `self`; u8 has no invalid value. No reference to it lets anyone write.
        Some(unsafe { std::slice::from_raw_parts(start.as_ptr(), range.len()) })
    }

    /// Room in one chunk for readv(2) to fill.
    ///
    /// By `&self`, for a read takes room in several chunks at once; the caller
    /// takes no range twice.
    pub(super) fn room(&self, slot: u32, range: Range<usize>) -> Option<IoSliceMut<'_>> {
        let start = self.address(slot, &range)?;
        // SAFETY: inside a writable mapping that lives as long as `self`; the only
        // callers are the log of the stream that owns the slot, which asks for
        // ranges past its end that nobody has a reference to, and each once.
        Some(IoSliceMut::new(unsafe {
            std::slice::from_raw_parts_mut(start.as_ptr(), range.len())
        }))
    }

    /// Copies bytes out of memory that another process may be writing to.
    pub(super) fn copy_out(&self, slot: u32, at: usize, into: &mut [u8]) -> bool {
        let Some(start) = self.address(slot, &(at..at.saturating_add(into.len()))) else {
            return false;
        };
        // SAFETY: inside the mapping; `into` is ours and no part of it.
        unsafe { std::ptr::copy_nonoverlapping(start.as_ptr(), into.as_mut_ptr(), into.len()) };
        true
    }

    /// Copies bytes into a chunk.
    pub(super) fn copy_in(&self, slot: u32, at: usize, bytes: &[u8]) -> bool {
        let Some(start) = self.address(slot, &(at..at.saturating_add(bytes.len()))) else {
            return false;
        };
        // SAFETY: inside the mapping, which its only callers map writable; `bytes`
        // is no part of it, for no reference to that memory is ever handed out.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len()) };
        true
    }

    fn address(&self, slot: u32, range: &Range<usize>) -> Option<NonNull<u8>> {
        let inside = slot < self.chunks && range.start <= range.end && range.end <= CHUNK_BYTES;
        // SAFETY: checked to lie inside the mapping.
        inside.then(|| unsafe { self.start.add(slot as usize * CHUNK_BYTES + range.start) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length; every reference into it
        // borrows from `self`.
        let _ = unsafe {
            rustix::mm::munmap(
                self.start.as_ptr().cast(),
                self.chunks as usize * CHUNK_BYTES,
            )
        };
    }
}
