//! What memory there is for bytes that channels have here, shared among them.

use std::cell::Cell;
use std::rc::Rc;

/// For all channels together, but for the least that each has.
const ALL_BYTES: usize = 64 * 1024 * 1024;
/// The least that one has: a data frame.
const LEAST_BYTES: usize = 64 * 1024;

/// How many have a share.
#[derive(Debug, Default)]
pub(crate) struct Shares(Rc<Cell<usize>>);

/// The share of one channel, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share(Shares);

impl Shares {
    /// One more has a share.
    pub(crate) fn one_more(&self) -> Share {
        self.0.set(self.0.get() + 1);
        Share(Self(Rc::clone(&self.0)))
    }

    /// What one may have, which is no more than `wanted`.
    pub(crate) fn most(&self, wanted: usize) -> usize {
        let share = ALL_BYTES / self.0.get().max(1);
        share.clamp(LEAST_BYTES, wanted.max(LEAST_BYTES))
    }
}

impl Share {
    /// As [`Shares::most`].
    pub(crate) fn most(&self, wanted: usize) -> usize {
        self.0.most(wanted)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let shares = &self.0.0;
        shares.set(shares.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn few_have_what_they_want_and_many_share_what_there_is() {
        let shares = Shares::default();
        let mut taken = vec![shares.one_more()];
        assert_eq!(taken[0].most(4 * MIB), 4 * MIB);
        taken.extend((0..63).map(|_| shares.one_more()));
        assert_eq!(taken[0].most(4 * MIB), MIB);
        taken.extend((0..9_936).map(|_| shares.one_more()));
        assert_eq!(taken[0].most(4 * MIB), LEAST_BYTES);
        taken.truncate(1);
        assert_eq!(taken[0].most(4 * MIB), 4 * MIB);
    }
}
