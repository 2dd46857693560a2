//! Which chunks of a pool are free, and which of those still cost memory.

use std::collections::{HashSet, VecDeque};

/// The free chunks of a pool, most recently used first.
///
/// A chunk that was used has touched pages; those chunks are handed out first,
/// and given back to the system when too many of them lie around.
#[derive(Debug)]
pub(super) struct Slots {
    /// Free, pages touched; the newest at the back.
    warm: VecDeque<u32>,
    /// Free, without pages.
    cold: Vec<u32>,
    total: u32,
}

impl Slots {
    /// All chunks free.
    pub(super) fn new(total: u32) -> Self {
        Self {
            warm: VecDeque::new(),
            cold: (0..total).rev().collect(),
            total,
        }
    }

    /// All free but these. Whether their pages are touched, nobody knows any more.
    pub(super) fn without(total: u32, used: &HashSet<u32>) -> Self {
        let free = (0..total).filter(|slot| !used.contains(slot));
        Self {
            warm: free.collect(),
            cold: Vec::new(),
            total,
        }
    }

    /// A chunk, or none is free.
    pub(super) fn take(&mut self) -> Option<u32> {
        self.warm.pop_back().or_else(|| self.cold.pop())
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

    /// The free chunk that was used longest ago; its pages are to be given back.
    pub(super) fn cool(&mut self) -> Option<u32> {
        let slot = self.warm.pop_front()?;
        self.cold.push(slot);
        Some(slot)
    }
}
