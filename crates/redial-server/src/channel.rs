//! One channel of a connection: a job, and where its bytes lie in the pools.

use std::collections::VecDeque;
use std::ops::Range;

use redial_keeper::pool::{OutputView, StdinView};
use redial_keeper::wire::{Chunk, JobId};
use redial_net::Slices;
use redial_net::proto::Stream;
use redial_net::proto::message::Control;

use crate::source::Source;

/// Bytes of a chunk (PROTOCOL.md section 7 has the same block).
pub(crate) const CHUNK_BYTES: u64 = 65_536;

/// What a connection knows of one job.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) job: JobId,
    chunks: [ChunkMap; 3],
    /// Where its outputs come from.
    pub(crate) source: Source,
    /// The client has not said that there is no stdin: it wants to hear of its end.
    pub(crate) has_stdin: bool,
    /// From where the client wants the outputs: stdout, stderr.
    pub(crate) wanted: [u64; 2],
    /// Outputs are wanted from so many bytes before their end.
    pub(crate) last: Option<u64>,
    /// The client holds the job, or will when it is answered.
    pub(crate) holds: bool,
    /// Outputs acknowledged by the client on this connection.
    pub(crate) acknowledged: [u64; 2],
    /// Another client holds the job now: what this one still says of it is nothing.
    pub(crate) is_taken: bool,
    /// Stdin that lies in its chunks.
    pub(crate) stdin_written: u64,
    /// Stdin the keeper was told of.
    pub(crate) stdin_told: u64,
    /// The keeper has something to hear about this channel.
    pub(crate) dirty: bool,
    /// The keeper has answered: before that it takes no control.
    pub(crate) attached: bool,
    /// Controls that came before the answer.
    pub(crate) early_controls: Vec<Control>,
    /// The end of stdin, if it came before the answer.
    pub(crate) early_eof: Option<u64>,
    /// The client has been sent the outcome.
    pub(crate) ended: bool,
}

impl Channel {
    pub(crate) fn new(job: JobId) -> Self {
        Channel {
            job,
            chunks: Default::default(),
            source: Source::Pool,
            has_stdin: true,
            wanted: [0; 2],
            last: None,
            holds: true,
            acknowledged: [0; 2],
            is_taken: false,
            stdin_written: 0,
            stdin_told: 0,
            dirty: false,
            attached: false,
            early_controls: Vec::new(),
            early_eof: None,
            ended: false,
        }
    }

    /// Notes where a chunk lies; the offset behind it.
    pub(crate) fn add(&mut self, chunk: Chunk) -> u64 {
        if let Some(map) = self.chunks.get_mut(usize::from(chunk.stream)) {
            map.add(chunk.number, chunk.slot);
        }
        (chunk.number + 1).saturating_mul(CHUNK_BYTES)
    }

    /// Forgets the chunks that end at or before `offset`: the keeper takes them back.
    pub(crate) fn release(&mut self, stream: Stream, offset: u64) {
        match &mut self.source {
            Source::Copies(copies) if stream != Stream::Stdin => {
                copies.buffers.release(stream as u8, offset);
            }
            Source::File(file) if stream != Stream::Stdin => {
                file.buffers.release(stream as u8, offset);
            }
            _ => self.chunks[stream.index()].release(offset),
        }
    }

    /// Forgets where a stream lies: it is the keeper's to use for others.
    pub(crate) fn forget(&mut self, stream: Stream) {
        self.chunks[stream.index()] = ChunkMap::default();
    }

    /// The bytes of an output, as they lie in the pool; false when they do not.
    pub(crate) fn output<'a>(
        &'a self,
        stream: Stream,
        offset: u64,
        len: usize,
        pool: &'a OutputView,
        out: &mut Slices<'a>,
    ) -> bool {
        let buffers = match &self.source {
            Source::Pool => return self.pooled(stream, offset, len, pool, out),
            Source::Copies(copies) => &copies.buffers,
            Source::File(file) => &file.buffers,
            Source::Nothing => return false,
        };
        buffers.slices(stream as u8, offset, len, out)
    }

    fn pooled<'a>(
        &self,
        stream: Stream,
        offset: u64,
        len: usize,
        pool: &'a OutputView,
        out: &mut Slices<'a>,
    ) -> bool {
        self.chunks[stream.index()]
            .places(offset, len)
            .all(|place| {
                place.is_some_and(|(slot, range)| {
                    pool.slice(slot, range).is_some_and(|bytes| out.push(bytes))
                })
            })
    }

    /// Puts bytes of stdin into their chunks; false when they were not granted.
    pub(crate) fn take_stdin(&mut self, offset: u64, bytes: &[u8], pool: &StdinView) -> bool {
        let mut rest = bytes;
        for place in self.chunks[Stream::Stdin.index()].places(offset, bytes.len()) {
            let Some((slot, range)) = place else {
                return false;
            };
            let (now, later) = rest.split_at(range.len());
            if !pool.write(slot, range.start, now) {
                return false;
            }
            rest = later;
        }
        self.stdin_written = offset + bytes.len() as u64;
        true
    }
}

/// Which pool slots hold a stream, by number of the chunk in the stream.
#[derive(Debug, Default)]
pub(crate) struct ChunkMap {
    first: u64,
    slots: VecDeque<u32>,
}

impl ChunkMap {
    pub(crate) fn add(&mut self, number: u64, slot: u32) {
        if self.slots.is_empty() {
            self.first = number;
        }
        match usize::try_from(number.wrapping_sub(self.first)) {
            Ok(at) if at < self.slots.len() => self.slots[at] = slot,
            Ok(at) if at == self.slots.len() => self.slots.push_back(slot),
            // The keeper numbers chunks without gaps; anything else would be read as gone.
            _ => tracing::error!(number, first = self.first, "a chunk out of order"),
        }
    }

    pub(crate) fn release(&mut self, offset: u64) {
        while !self.slots.is_empty() && (self.first + 1) * CHUNK_BYTES <= offset {
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// Slot and range within it for each part of `len` bytes at `offset`.
    pub(crate) fn places(
        &self,
        offset: u64,
        len: usize,
    ) -> impl Iterator<Item = Option<(u32, Range<usize>)>> + '_ {
        let end = offset + len as u64;
        let mut at = offset;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let number = at / CHUNK_BYTES;
            let stop = end.min((number + 1) * CHUNK_BYTES);
            let start = at - number * CHUNK_BYTES;
            let range = start as usize..(stop - number * CHUNK_BYTES) as usize;
            at = stop;
            let index = number
                .checked_sub(self.first)
                .and_then(|at| usize::try_from(at).ok());
            let slot = index.and_then(|index| self.slots.get(index));
            Some(slot.map(|slot| (*slot, range)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(first: u64, slots: &[u32]) -> ChunkMap {
        ChunkMap {
            first,
            slots: slots.iter().copied().collect(),
        }
    }

    #[test]
    fn bytes_across_two_chunks_lie_in_two_slots() {
        let places: Vec<_> = map(1, &[7, 3]).places(2 * CHUNK_BYTES - 10, 30).collect();
        assert_eq!(places, [Some((7, 65_526..65_536)), Some((3, 0..20))]);
    }

    #[test]
    fn bytes_before_the_first_or_behind_the_last_chunk_are_not_there() {
        assert_eq!(
            map(1, &[7]).places(2 * CHUNK_BYTES, 1).collect::<Vec<_>>(),
            [None]
        );
        assert!(map(1, &[7]).places(0, 1).all(|place| place.is_none()));
        assert_eq!(
            map(1, &[7]).places(0, 1).count(),
            1,
            "a missing chunk is said, not skipped"
        );
    }

    #[test]
    fn a_chunk_is_released_once_all_of_it_is_acknowledged() {
        let mut map = map(0, &[4, 5]);
        map.release(CHUNK_BYTES - 1);
        assert_eq!(map.slots.len(), 2);
        map.release(CHUNK_BYTES);
        assert_eq!((map.first, map.slots.len()), (1, 1));
    }

    #[test]
    fn after_all_chunks_went_the_next_may_have_any_number() {
        let mut map = map(0, &[4]);
        map.release(CHUNK_BYTES);
        map.add(1, 9);
        assert_eq!(map.places(CHUNK_BYTES, 1).next(), Some(Some((9, 0..1))));
    }

    #[test]
    fn what_another_has_taken_is_not_found_any_more() {
        for stream in [Stream::Stdout, Stream::Stdin] {
            let mut channel = Channel::new([0; 16]);
            channel.add(Chunk {
                stream: stream as u8,
                number: 0,
                slot: 4,
            });
            let lies = |channel: &Channel| {
                let mut places = channel.chunks[stream.index()].places(0, 10);
                places.next().flatten().is_some()
            };
            assert!(lies(&channel));
            channel.forget(stream);
            assert!(!lies(&channel), "its slot holds another job's bytes by now");
        }
    }
}
