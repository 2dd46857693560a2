//! The order in which contestants run within a round.

/// Shuffles from a seed: were the order always the same, one contestant would
/// always pay for what its predecessor left running.
pub(crate) struct Order {
    state: u64,
}

impl Order {
    pub(crate) fn new(seed: u64) -> Self {
        Order { state: seed }
    }

    /// The numbers below `count`, in a new order.
    pub(crate) fn round(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            let other = (self.next() % (last as u64 + 1)) as usize;
            order.swap(last, other);
        }
        order
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_has_everybody_once_and_any_may_be_first() {
        let mut order = Order::new(1);
        let mut first = [0; 3];
        for _ in 0..300 {
            let mut round = order.round(3);
            first[round[0]] += 1;
            round.sort_unstable();
            assert_eq!(round, [0, 1, 2]);
        }
        assert!(first.iter().all(|&count| count > 50), "{first:?}");
    }
}
