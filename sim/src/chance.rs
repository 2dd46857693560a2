//! Random numbers that are the same for a seed, everywhere.

/// xorshift64*.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Of a seed, and of who asks: what one takes changes nothing for another.
    pub(crate) fn new(seed: u64, who: u64) -> Self {
        let mixed = (seed ^ who.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut chance = Self((mixed ^ mixed >> 29).wrapping_add(seed) | 1);
        chance.next();
        chance.next();
        chance
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // The upper bits are the better ones.
        (self.next() >> 16) % end.max(1)
    }

    /// From `from` to `to`, both included.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// Up to `most`, small ones much more often: every magnitude is as likely.
    pub(crate) fn size(&mut self, most: u64) -> u64 {
        let bits = self.below(u64::from(64 - most.leading_zeros()) + 1);
        self.below(1 << bits).min(most)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }
}
