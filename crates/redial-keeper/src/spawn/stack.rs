//! The stack the child runs on until its exec.

use core::ffi::c_void;
use std::io;

/// The child calls a handful of small functions; in a debug build that is a few KiB.
const STACK_BYTES: usize = 64 * 1024;
/// Holds for pages of 4, 16 and 64 KiB.
const GUARD_BYTES: usize = 64 * 1024;

/// A private mapping with a guard below it, so that an overflow faults in the
/// child instead of writing over the keeper's memory.
pub(super) struct ChildStack {
    base: *mut c_void,
}

// SAFETY: the mapping belongs to this value alone and has no tie to a thread.
unsafe impl Send for ChildStack {}

impl ChildStack {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping, placed by the kernel.
        let base = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                GUARD_BYTES + STACK_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base };
        // SAFETY: the first part of the mapping just made; nothing refers to it.
        if unsafe { libc::mprotect(base, GUARD_BYTES, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }

    /// The lowest usable address, as clone3 wants it.
    pub(super) fn lowest(&self) -> u64 {
        self.base as u64 + GUARD_BYTES as u64
    }

    pub(super) fn size(&self) -> u64 {
        STACK_BYTES as u64
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; a child that used it has let go of it,
        // since the spawning thread sleeps until then.
        unsafe { libc::munmap(self.base, GUARD_BYTES + STACK_BYTES) };
    }
}
