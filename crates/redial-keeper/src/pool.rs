//! The shared memory that job logs lie in: two memfds of 64 KiB chunks, mapped
//! once by keeper and front.
//!
//! The size is sealed, so no access inside it can fault; the memory is sparse, so
//! only touched pages count. The keeper owns which chunk is whose; the front reads
//! output where it is told to, and writes stdin where it was granted chunks.

mod mapping;
mod shared;
mod slots;
mod view;

use mapping::Mapping;
pub(crate) use shared::Pool;
use slots::Slots;
pub use view::{OutputView, StdinView};

/// Bytes of a chunk: one block of the checksum, one data frame.
pub const CHUNK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
