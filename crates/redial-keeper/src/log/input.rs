//! Stdin on its way from the front to the child.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use super::Chain;
use crate::outcome::Digest;
use crate::pool::{CHUNK_BYTES, Pool};
use crate::state::InputLogState;
use crate::wire::Chunk;

const CHUNK: u64 = CHUNK_BYTES as u64;
/// Granted ahead of what has arrived, once a whole chunk has: enough to keep a pipe
/// full for the time of a round trip to the front. Most streams have less to say, and
/// what is granted cannot be taken back.
const AHEAD_CHUNKS: u64 = 4;

/// What one write has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The child was given all that has arrived.
    All,
    /// The pipe is full.
    Blocked,
    /// The child was given everything up to the end of stdin.
    End,
    /// Nobody reads the pipe any more.
    Closed,
}

/// A queue of chunks that the front fills and the keeper empties.
///
/// The front writes to this memory at any time. So bytes are copied out before
/// they are written and summed: what the checksum says is what the child got.
pub(crate) struct InputLog {
    slots: VecDeque<u32>,
    first: u64,
    arrived: u64,
    taken: u64,
    end: Option<u64>,
    max_chunks: usize,
    chain: Chain,
    /// The front knows the chunks before this one.
    told_chunks: u64,
    /// The last byte that this program has given to the child.
    last_byte: Option<u8>,
}

impl InputLog {
    /// An empty log with its own first chunk.
    pub(crate) fn new(slot: u32, max_chunks: usize) -> Self {
        Self {
            slots: VecDeque::from([slot]),
            first: 0,
            arrived: 0,
            taken: 0,
            end: None,
            max_chunks: max_chunks.max(1),
            chain: Chain::default(),
            told_chunks: 0,
            last_byte: None,
        }
    }

    /// For another program. The block under way is read where the front may write: what was
    /// summed of it is what the child got, unless a front has changed it since.
    pub(crate) fn save(&self, pool: &Pool) -> InputLogState {
        let filled = self.chain.filled();
        let index = (self.taken / CHUNK).checked_sub(self.first);
        let slot = index.and_then(|index| self.slots.get(index as usize));
        let start = (self.taken % CHUNK) as usize - filled.min((self.taken % CHUNK) as usize);
        let mut block = vec![0; filled];
        let is_there =
            filled == 0 || slot.is_some_and(|slot| pool.copy_out(*slot, start, &mut block));
        InputLogState {
            slots: self.slots.iter().copied().collect(),
            first: self.first,
            arrived: self.arrived,
            taken: self.taken,
            end: self.end,
            chain: self.chain.save(is_there.then_some(block)),
        }
    }

    /// As it was saved; the front is told of all of it anew.
    pub(crate) fn restore(state: InputLogState, max_chunks: usize) -> Self {
        Self {
            slots: state.slots.into(),
            first: state.first,
            arrived: state.arrived,
            taken: state.taken,
            end: state.end,
            max_chunks: max_chunks.max(1),
            chain: Chain::restore(state.chain),
            told_chunks: state.first,
            last_byte: None,
        }
    }

    /// The front has written up to `offset`; what cannot be true is clamped.
    pub(crate) fn arrive(&mut self, offset: u64) {
        let possible = self.granted().min(self.end.unwrap_or(u64::MAX));
        self.arrived = self.arrived.max(offset.min(possible));
    }

    /// Stdin ends at `offset`. Only the first word counts.
    pub(crate) fn finish(&mut self, offset: u64) {
        self.end.get_or_insert(offset.max(self.arrived));
    }

    fn granted(&self) -> u64 {
        (self.first + self.slots.len() as u64) * CHUNK
    }

    /// Writes what has arrived, by way of `scratch`, until the pipe is full.
    pub(crate) fn write_to(
        &mut self,
        pool: &mut Pool,
        pipe: BorrowedFd<'_>,
        scratch: &mut [u8],
    ) -> Written {
        while self.taken < self.arrived {
            let start = (self.taken % CHUNK) as usize;
            let len = (self.arrived - self.taken).min(CHUNK - start as u64) as usize;
            let bytes = &mut scratch[..len];
            let index = (self.taken / CHUNK - self.first) as usize;
            let Some(&slot) = self.slots.get(index) else {
                return Written::Closed;
            };
            if !pool.copy_out(slot, start, bytes) {
                return Written::Closed;
            }
            match rustix::io::retry_on_intr(|| rustix::io::write(pipe, bytes)) {
                Ok(written) => {
                    self.chain.update(&bytes[..written]);
                    self.last_byte = bytes[..written].last().copied();
                    self.taken += written as u64;
                    self.free_taken(pool);
                }
                Err(rustix::io::Errno::AGAIN) => return Written::Blocked,
                Err(_) => return Written::Closed,
            }
        }
        if self.end == Some(self.taken) {
            Written::End
        } else {
            Written::All
        }
    }

    fn free_taken(&mut self, pool: &mut Pool) {
        while (self.first + 1) * CHUNK <= self.taken {
            let Some(slot) = self.slots.pop_front() else {
                break;
            };
            self.first += 1;
            if self.slots.is_empty() {
                self.slots.push_back(slot);
            } else {
                pool.give_back(slot);
            }
        }
    }

    /// Takes more chunks for what is to come, as far as there is room.
    pub(crate) fn grant(&mut self, pool: &mut Pool) {
        if self.arrived < CHUNK || self.end.is_some() {
            return;
        }
        while self.granted() < self.arrived + AHEAD_CHUNKS * CHUNK
            && self.slots.len() < self.max_chunks
        {
            let Some(slot) = pool.take_shared() else {
                break;
            };
            self.slots.push_back(slot);
        }
    }

    /// Gives all chunks back; what has arrived and was not taken is lost.
    pub(crate) fn close(&mut self, pool: &mut Pool) {
        self.slots.drain(..).for_each(|slot| pool.give_back(slot));
        self.first = self.told_chunks.max(self.first);
    }

    /// The chunks the front has not been told of.
    pub(crate) fn take_new_chunks(&mut self) -> Vec<Chunk> {
        let from = self.told_chunks.max(self.first);
        self.told_chunks = self.told_chunks.max(self.first + self.slots.len() as u64);
        self.chunks()
            .into_iter()
            .filter(|chunk| chunk.number >= from)
            .collect()
    }

    /// Every chunk.
    pub(crate) fn chunks(&self) -> Vec<Chunk> {
        let numbered = (self.first..).zip(&self.slots);
        numbered
            .map(|(number, &slot)| Chunk {
                stream: 0,
                number,
                slot,
            })
            .collect()
    }

    /// The last byte that was given to the child by this program, if any was.
    pub(crate) fn last_byte(&self) -> Option<u8> {
        self.last_byte
    }

    /// Everything before this offset has arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Everything before this offset was given to the child.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// What the child was given; complete when that is all, up to the end.
    pub(crate) fn digest(&self) -> Digest {
        self.chain.digest(self.end == Some(self.taken))
    }
}
