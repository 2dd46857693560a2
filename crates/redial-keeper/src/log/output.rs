//! One output stream, from the oldest byte that is not acknowledged to the newest.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;

use super::Chain;
use crate::outcome::Digest;
use crate::pool::{CHUNK_BYTES, Pool};
use crate::state::OutputLogState;
use crate::wire::{Chunk, StreamState};

const CHUNK: u64 = CHUNK_BYTES as u64;
/// Read at once from a stream that keeps its pipe full, for one turn of the loop: as large as a
/// pipe can be made by everybody (pipe(7), pipe-max-size).
pub(crate) const MAX_READ_BYTES: usize = 1024 * 1024;
/// Chunks that one read may touch.
const MAX_READ_CHUNKS: usize = MAX_READ_BYTES / CHUNK_BYTES + 1;
/// A read this long means that the writer fills the pipe faster than we look.
const BUSY_READ_BYTES: usize = 32 * 1024;
/// So many short reads after a long one, before a writer counts as slow: we may just have come
/// early, and would read what it writes piece by piece from then on.
const BUSY_READS: u8 = 8;

/// What one read has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    /// So many bytes.
    Bytes(usize),
    /// The pipe has ended.
    End,
    /// The pipe is empty.
    Empty,
    /// The log is full; the pipe was not looked at.
    Full,
}

/// A queue of chunks; chunk `n` holds the offsets from `n * 65,536`.
pub(crate) struct OutputLog {
    stream: u8,
    /// Chunks `first ..`; at least one until [`OutputLog::close`].
    slots: VecDeque<u32>,
    first: u64,
    oldest: u64,
    end: u64,
    max_chunks: usize,
    chain: Chain,
    /// The front knows the chunks before this one, and the bytes before this offset.
    told_chunks: u64,
    told: u64,
    /// Reads to come that a writer counts as busy for, however little they bring.
    busy: u8,
}

impl OutputLog {
    /// An empty log that lies in `slot`, its own, and takes `max_chunks` at most.
    pub(crate) fn new(stream: u8, slot: u32, max_chunks: usize) -> Self {
        Self {
            stream,
            slots: VecDeque::from([slot]),
            first: 0,
            oldest: 0,
            end: 0,
            max_chunks: max_chunks.max(1),
            chain: Chain::default(),
            told_chunks: 0,
            told: 0,
            busy: 0,
        }
    }

    /// For another program.
    pub(crate) fn save(&self, pool: &Pool) -> OutputLogState {
        let filled = self.chain.filled() as u64;
        let mut block = Vec::new();
        for (slot, range) in self.ranges(self.end - filled, self.end) {
            block.extend_from_slice(pool.slice(slot, range).unwrap_or_default());
        }
        OutputLogState {
            slots: self.slots.iter().copied().collect(),
            first: self.first,
            oldest: self.oldest,
            end: self.end,
            chain: self.chain.save(Some(block)),
        }
    }

    /// As it was saved; the front is told of all of it anew.
    pub(crate) fn restore(stream: u8, state: OutputLogState, max_chunks: usize) -> Self {
        Self {
            stream,
            slots: state.slots.into(),
            first: state.first,
            oldest: state.oldest,
            end: state.end,
            max_chunks: max_chunks.max(1),
            chain: Chain::restore(state.chain),
            told_chunks: state.first,
            told: state.oldest,
            busy: 0,
        }
    }

    /// Reads what is there, at most `at_most` bytes of it, into the log.
    pub(crate) fn fill(&mut self, pool: &mut Pool, pipe: BorrowedFd<'_>, at_most: u64) -> Filled {
        self.make_room(pool, at_most);
        let wanted = self.room().min(at_most).min(MAX_READ_BYTES as u64);
        if wanted == 0 {
            return if at_most == 0 {
                Filled::Empty
            } else {
                Filled::Full
            };
        }
        let mut slices: Vec<IoSliceMut<'_>> = Vec::with_capacity(MAX_READ_CHUNKS);
        for (slot, range) in self.ranges(self.end, self.end + wanted) {
            slices.extend(pool.room(slot, range));
        }
        let read = rustix::io::retry_on_intr(|| rustix::io::readv(pipe, &mut slices));
        drop(slices);
        match read {
            Ok(0) => Filled::End,
            Ok(len) => {
                self.busy = match len {
                    BUSY_READ_BYTES.. => BUSY_READS,
                    _ => self.busy.saturating_sub(1),
                };
                let start = self.end;
                self.end += len as u64;
                for (slot, range) in self.ranges(start, self.end) {
                    // It was room just now, so it is there.
                    self.chain
                        .update(pool.slice(slot, range).unwrap_or_default());
                }
                Filled::Bytes(len)
            }
            Err(rustix::io::Errno::AGAIN) => Filled::Empty,
            // EIO is the end of a terminal; nothing else can happen to a pipe.
            Err(_) => Filled::End,
        }
    }

    /// Whether the writer was faster than us not long ago.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy > 0
    }

    fn make_room(&mut self, pool: &mut Pool, at_most: u64) {
        let wanted = if self.is_busy() {
            MAX_READ_BYTES as u64
        } else {
            1
        }
        .min(at_most);
        while self.room() < wanted && self.slots.len() < self.max_chunks {
            let Some(slot) = pool.take_shared() else {
                break;
            };
            self.slots.push_back(slot);
        }
    }

    fn room(&self) -> u64 {
        (self.first + self.slots.len() as u64) * CHUNK - self.end
    }

    /// Where the bytes `from .. to` lie: slot, and range within its chunk.
    pub(crate) fn ranges(&self, from: u64, to: u64) -> Vec<(u32, std::ops::Range<usize>)> {
        let mut ranges = Vec::with_capacity(MAX_READ_CHUNKS);
        let mut at = from;
        while at < to {
            let number = at / CHUNK;
            let until = to.min((number + 1) * CHUNK);
            let start = (at % CHUNK) as usize;
            let index = number.checked_sub(self.first).map(|index| index as usize);
            let Some(&slot) = index.and_then(|index| self.slots.get(index)) else {
                break;
            };
            ranges.push((slot, start..start + (until - at) as usize));
            at = until;
        }
        ranges
    }

    /// Everything before `offset` is acknowledged; what cannot be true is clamped, so
    /// nothing goes that was not told of. Says how many bytes that freed.
    pub(crate) fn acknowledge(&mut self, pool: &mut Pool, offset: u64) -> u64 {
        let offset = offset.clamp(self.oldest, self.told);
        let freed = offset - self.oldest;
        self.oldest = offset;
        while (self.first + 1) * CHUNK <= self.oldest && !self.slots.is_empty() {
            let Some(slot) = self.slots.pop_front() else {
                break;
            };
            self.first += 1;
            if self.slots.is_empty() {
                // The stream's own chunk: it becomes the next one.
                self.slots.push_back(slot);
            } else {
                pool.give_back(slot);
            }
        }
        if pool.is_short() {
            self.give_back_unused(pool);
        }
        freed
    }

    fn give_back_unused(&mut self, pool: &mut Pool) {
        let used = (self.end.div_ceil(CHUNK) - self.first).max(1) as usize;
        while self.slots.len() > used {
            self.slots
                .pop_back()
                .into_iter()
                .for_each(|slot| pool.give_back(slot));
        }
    }

    /// Chunks that it has.
    pub(crate) fn held(&self) -> usize {
        self.slots.len()
    }

    /// Gives all chunks back; later, if they may still be read. Says how many bytes are lost by that.
    pub(crate) fn close(&mut self, pool: &mut Pool, is_read: bool) -> u64 {
        for slot in self.slots.drain(..) {
            if is_read {
                pool.give_up(slot);
            } else {
                pool.give_back(slot);
            }
        }
        self.first = self.end.div_ceil(CHUNK);
        let lost = self.end - self.oldest;
        (self.oldest, self.told) = (self.end, self.end);
        lost
    }

    /// The chunks with bytes in them that the front has not been told of; from now
    /// on it has, and of all bytes in them.
    pub(crate) fn take_new_chunks(&mut self) -> Vec<Chunk> {
        let from = self.told_chunks.max(self.first);
        self.told = self.end;
        self.told_chunks = self.told_chunks.max(self.end.div_ceil(CHUNK));
        self.chunks_from(from)
    }

    /// Every chunk with bytes in it.
    pub(crate) fn chunks(&self) -> Vec<Chunk> {
        self.chunks_from(self.first)
    }

    fn chunks_from(&self, from: u64) -> Vec<Chunk> {
        let numbered = (self.first..).zip(&self.slots);
        let with_bytes = from..self.end.div_ceil(CHUNK);
        numbered
            .filter(|(number, _)| with_bytes.contains(number))
            .map(|(number, &slot)| Chunk {
                stream: self.stream,
                number,
                slot,
            })
            .collect()
    }

    /// Offsets, and `ended` as the caller knows it.
    pub(crate) fn state(&self, ended: bool) -> StreamState {
        StreamState {
            oldest: self.oldest,
            end: self.end,
            ended,
        }
    }

    /// Offset of the oldest byte that is not acknowledged.
    pub(crate) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Offset behind the newest byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes and checksum of all that was read.
    pub(crate) fn digest(&self, complete: bool) -> Digest {
        self.chain.digest(complete)
    }
}
