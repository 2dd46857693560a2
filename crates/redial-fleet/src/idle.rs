//! What nobody has touched for a while.

use std::collections::HashSet;
use std::hash::Hash;

/// Things that were touched, by turns.
#[derive(Debug)]
pub struct Idle<T> {
    /// In this turn.
    fresh: HashSet<T>,
    /// In the last one, and not in this.
    stale: HashSet<T>,
}

impl<T> Default for Idle<T> {
    fn default() -> Self {
        Idle {
            fresh: HashSet::new(),
            stale: HashSet::new(),
        }
    }
}

impl<T: Eq + Hash> Idle<T> {
    /// It is touched now.
    pub fn touch(&mut self, thing: T) {
        self.stale.remove(&thing);
        self.fresh.insert(thing);
    }

    /// It needs no attention any more.
    pub fn forget(&mut self, thing: &T) {
        self.fresh.remove(thing);
        self.stale.remove(thing);
    }

    /// Begins another turn. Gives what was not touched for the whole of the last one, once.
    pub fn turn(&mut self) -> HashSet<T> {
        let fresh = std::mem::take(&mut self.fresh);
        std::mem::replace(&mut self.stale, fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_touched_for_a_turn_is_given_once() {
        let mut idle = Idle::default();
        idle.touch(1);
        idle.touch(2);
        idle.touch(3);
        assert!(idle.turn().is_empty());
        idle.touch(2);
        idle.forget(&3);
        assert_eq!(idle.turn(), HashSet::from([1]));
        assert_eq!(idle.turn(), HashSet::from([2]));
        assert!(idle.turn().is_empty());
    }
}
