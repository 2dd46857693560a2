//! Which chunks of a pool are free, and which of those still cost memory.

use std::collections::{HashSet, VecDeque};

/// The free chunks of a pool, most recently used first.
///
/// A chunk that was used has touched pages; those chunks are handed out first, and
/// those of them that nobody wants for a while are given back to the system.
#[derive(Debug)]
pub(super) struct Slots {
    /// Free, pages touched; the newest at the back.
    warm: VecDeque<u32>,
    /// Free, without pages.
    cold: Vec<u32>,
    /// The fewest in `warm` since it was last cooled: so many were not wanted.
    unwanted: usize,
    total: u32,
}

impl Slots {
    /// All chunks free.
    pub(super) fn new(total: u32) -> Self {
        Self {
            warm: VecDeque::new(),
            cold: (0..total).rev().collect(),
            unwanted: 0,
            total,
        }
    }

    /// All free but these. Whether their pages are touched, nobody knows any more.
    pub(super) fn without(total: u32, used: &HashSet<u32>) -> Self {
        let free = (0..total).filter(|slot| !used.contains(slot));
        let warm: VecDeque<u32> = free.collect();
        Self {
            unwanted: warm.len(),
            warm,
            cold: Vec::new(),
            total,
        }
    }

    /// A chunk, or none is free.
    pub(super) fn take(&mut self) -> Option<u32> {
        let slot = self.warm.pop_back().or_else(|| self.cold.pop());
        self.unwanted = self.unwanted.min(self.warm.len());
        slot
    }

    /// A chunk comes back; its pages were touched.
    pub(super) fn give_back(&mut self, slot: u32) {
        debug_assert!(slot < self.total && !self.warm.contains(&slot));
        self.warm.push_back(slot);
    }

    /// Chunks free.
    pub(super) fn free(&self) -> usize {
        self.warm.len() + self.cold.len()
    }

    /// Whether so little is free that streams must share.
    pub(super) fn is_short(&self) -> bool {
        self.free() < self.total as usize / 8
    }

    /// Free chunks that still cost memory.
    pub(super) fn warm(&self) -> usize {
        self.warm.len()
    }

    /// Takes up to `most` of the warm ones that were not wanted since the last time that
    /// all such were taken, used longest ago first: their pages are to be given back.
    /// Says too whether there are more.
    pub(super) fn cool_unwanted(&mut self, most: usize) -> (Vec<u32>, bool) {
        let cooled: Vec<u32> = self.warm.drain(..self.unwanted.min(most)).collect();
        self.cold.extend(&cooled);
        self.unwanted -= cooled.len();
        let is_more = self.unwanted > 0;
        if !is_more {
            self.unwanted = self.warm.len();
        }
        (cooled, is_more)
    }
}
