//! Where in the stream the line is cut, and where the front is killed.

use std::collections::VecDeque;

use super::content::number;

/// How often the line is cut.
pub(super) const CUTS: u32 = 10;
/// How often the front is killed.
pub(super) const KILLS: u32 = 2;

/// What is done to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Both its sides are closed.
    Cut,
    /// The front behind it is killed.
    Kill,
}

/// Faults by the number of bytes that the line has carried from the server, in order.
#[derive(Debug)]
pub(super) struct Plan(VecDeque<(u64, Fault)>);

impl Plan {
    /// One fault in each part of the stream, somewhere in its middle: so there are bytes before
    /// each, and behind the last.
    pub(super) fn new(seed: u64, size: u64) -> Self {
        let parts = u64::from(CUTS + KILLS);
        let part = size / parts;
        // Not what the bytes are made of.
        let random = |index: u64| number(!seed, index);
        let early = 1 + random(0) % (parts / 2 - 1);
        let late = parts / 2 + random(1) % (parts / 2 - 1);
        let fault = |at| match at == early || at == late {
            true => Fault::Kill,
            false => Fault::Cut,
        };
        let place = |at| part * at + part / 5 + random(2 + at) % (part * 3 / 5);
        Plan((0..parts).map(|at| (place(at), fault(at))).collect())
    }

    /// The next fault.
    pub(super) fn next(&self) -> Option<(u64, Fault)> {
        self.0.front().copied()
    }

    /// It has been made.
    pub(super) fn made(&mut self) {
        self.0.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_spread_over_the_stream_and_none_is_last_or_first_a_kill() {
        for seed in 0..1_000 {
            let size = 4_000_000 + seed * 1_000_003;
            let Plan(faults) = Plan::new(seed, size);
            let kills = faults.iter().filter(|(_, fault)| *fault == Fault::Kill);
            assert_eq!(kills.count(), KILLS as usize, "{seed}");
            assert_eq!(faults.len(), (CUTS + KILLS) as usize);
            assert_eq!(faults[0].1, Fault::Cut);
            assert_eq!(faults[faults.len() - 1].1, Fault::Cut);
            let mut before = 0;
            for (at, _) in &faults {
                assert!(at - before >= size / 12 / 5, "{seed}: {faults:?}");
                before = *at;
            }
            assert!(before < size - size / 12 / 6);
        }
    }
}
