//! Stdin that was made ready and not yet acknowledged: kept, so that it can be sent again.

use std::collections::VecDeque;

use bytes::Bytes;
use redial_net::Slices;

/// Every block but the last has at least so many bytes, so that a frame of 64 KiB lies
/// in at most three of them.
const BLOCK_MIN: usize = 32 * 1024;
const BLOCK_MAX: usize = 64 * 1024;

/// The kept part of a stdin, addressed by absolute offset.
#[derive(Debug, Default)]
pub(crate) struct StdinQueue {
    blocks: VecDeque<Block>,
    /// Offset of the first block's first byte.
    start: u64,
    /// Offset behind the last byte.
    end: u64,
}

#[derive(Debug)]
enum Block {
    /// As the caller gave it.
    Shared(Bytes),
    /// Gathered from small writes.
    Own(Vec<u8>),
}

impl Block {
    fn bytes(&self) -> &[u8] {
        match self {
            Block::Shared(bytes) => bytes,
            Block::Own(bytes) => bytes,
        }
    }

    /// The same bytes, growable.
    fn own(&mut self) -> &mut Vec<u8> {
        if let Block::Shared(bytes) = self {
            *self = Block::Own(bytes.to_vec());
        }
        match self {
            Block::Own(bytes) => bytes,
            Block::Shared(_) => unreachable!("it was replaced above"),
        }
    }
}

impl StdinQueue {
    /// An empty one, whose next byte has this offset.
    pub(crate) fn starting_at(offset: u64) -> Self {
        Self {
            start: offset,
            end: offset,
            ..Self::default()
        }
    }

    /// Offset behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether what follows this offset is kept.
    pub(crate) fn holds(&self, from: u64) -> bool {
        (self.start..=self.end).contains(&from)
    }

    /// Adds bytes at the end; small writes are gathered.
    pub(crate) fn push(&mut self, mut bytes: Bytes) {
        self.end += bytes.len() as u64;
        if let Some(last) = self.blocks.back_mut()
            && last.bytes().len() < BLOCK_MIN
        {
            let room = BLOCK_MAX - last.bytes().len();
            let now = bytes.split_to(bytes.len().min(room));
            last.own().extend_from_slice(&now);
        }
        if !bytes.is_empty() {
            self.blocks.push_back(Block::Shared(bytes));
        }
    }

    /// Forgets what the server keeps now.
    pub(crate) fn release(&mut self, up_to: u64) {
        while let Some(first) = self.blocks.front() {
            let behind = self.start + first.bytes().len() as u64;
            if behind > up_to {
                break;
            }
            self.start = behind;
            self.blocks.pop_front();
        }
    }

    /// Pushes the `len` bytes at `offset`; false when they are not here.
    pub(crate) fn slices<'a>(&'a self, offset: u64, len: usize, out: &mut Slices<'a>) -> bool {
        if offset < self.start || offset + len as u64 > self.end {
            return false;
        }
        let (mut at, mut left) = (self.start, len);
        for block in self.blocks.iter().map(Block::bytes) {
            let behind = at + block.len() as u64;
            if left > 0 && behind > offset {
                let from = offset.saturating_sub(at) as usize;
                let part = &block[from..block.len().min(from + left)];
                left -= part.len();
                if !out.push(part) {
                    return false;
                }
            }
            at = behind;
        }
        left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a range, by asking for it in the smallest steps `Slices` can show.
    fn block_lengths(queue: &StdinQueue) -> Vec<usize> {
        queue
            .blocks
            .iter()
            .map(|block| block.bytes().len())
            .collect()
    }

    #[test]
    fn small_writes_are_gathered_and_large_ones_are_not_copied() {
        let mut queue = StdinQueue::default();
        for _ in 0..100_000 {
            queue.push(Bytes::from_static(b"x"));
        }
        assert!(
            block_lengths(&queue)
                .iter()
                .rev()
                .skip(1)
                .all(|&len| len >= BLOCK_MIN)
        );
        let large = Bytes::from(vec![0; 100_000]);
        let mut queue = StdinQueue::default();
        queue.push(large.clone());
        assert_eq!(queue.blocks[0].bytes().as_ptr(), large.as_ptr());
    }

    #[test]
    fn only_what_is_wholly_acknowledged_is_forgotten() {
        let mut queue = StdinQueue::default();
        queue.push(Bytes::from(vec![1; 40_000]));
        queue.push(Bytes::from(vec![2; 40_000]));
        queue.release(39_999);
        assert_eq!(block_lengths(&queue), [40_000, 40_000]);
        queue.release(40_000);
        assert_eq!((block_lengths(&queue), queue.start), (vec![40_000], 40_000));
        queue.release(u64::MAX);
        assert_eq!((queue.start, queue.end), (80_000, 80_000));
    }
}
