//! Connections from the network that have not said who they are: how many there may be, and who
//! goes first.
//!
//! Nothing here is a slot that a stranger could keep from others: the newest always gets in, and
//! somebody goes for it. Who that is: of a full source, or if all together are too many, of the
//! source that has the most, the oldest; those that have finished TLS and said hello last, but only half of a
//! source's places are theirs, so that they cannot shut out who comes after them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use super::penalties::Source;
use super::time::Millis;
use crate::wire::Capability;

/// All together. Stops half-open connections from taking memory and descriptors; what a login
/// takes, a few milliseconds, is over long before a thousand others have come.
pub(super) const MAX_STRANGERS: usize = 1_000;
/// From one source. Stops one source from driving out the others.
const MAX_PER_SOURCE: usize = 100;
/// Fewer there are nowhere, however few descriptors there may be.
const MIN_STRANGERS: usize = 16;

/// One of them.
#[derive(Debug)]
pub(super) struct Stranger {
    pub(super) address: SocketAddr,
    source: Source,
    since: Millis,
    /// It has finished TLS and said hello.
    secured: bool,
    /// What its proof must cover; goes with the stranger when one was taken.
    nonce: [u8; 32],
    /// A login of it is being looked at.
    pub(super) busy: bool,
    /// A login of it has failed.
    pub(super) has_failed: bool,
    pub(super) tries: u8,
    /// Gone with it: nobody waits for its login any more.
    waits: Arc<()>,
}

impl Stranger {
    pub(super) fn new(address: SocketAddr, nonce: [u8; 32], now: Millis) -> Self {
        Self {
            address,
            source: address.ip().into(),
            since: now,
            secured: false,
            nonce,
            busy: false,
            has_failed: false,
            tries: 0,
            waits: Arc::new(()),
        }
    }

    pub(super) fn source(&self) -> Source {
        self.source
    }

    /// The nonce, while it is good: as long as a handshake may take.
    pub(super) fn nonce(&self, now: Millis, good_for_ms: u64) -> Option<[u8; 32]> {
        (now.saturating_sub(self.since) <= good_for_ms).then_some(self.nonce)
    }

    /// Tells whether it is still there.
    pub(super) fn waits(&self) -> Weak<()> {
        Arc::downgrade(&self.waits)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Strangers {
    known: HashMap<Capability, Stranger>,
    max: usize,
    max_per_source: usize,
}

impl Default for Strangers {
    fn default() -> Self {
        Self::within(usize::MAX)
    }
}

impl Strangers {
    /// As many as there are descriptors for, and never more than [`MAX_STRANGERS`].
    pub(super) fn within(descriptors: usize) -> Self {
        let max = descriptors.clamp(MIN_STRANGERS, MAX_STRANGERS);
        Self {
            known: HashMap::new(),
            max,
            max_per_source: MAX_PER_SOURCE.min(max / 4),
        }
    }

    pub(super) fn contains(&self, who: Capability) -> bool {
        self.known.contains_key(&who)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn find(&mut self, who: Capability) -> Option<&mut Stranger> {
        self.known.get_mut(&who)
    }

    pub(super) fn remove(&mut self, who: Capability) -> Option<Stranger> {
        self.known.remove(&who)
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// It has finished TLS and said hello.
    pub(super) fn secured(&mut self, who: Capability) {
        if let Some(stranger) = self.known.get_mut(&who) {
            stranger.secured = true;
        }
    }

    /// One more. Gives who has to go for it.
    pub(super) fn add(
        &mut self,
        who: Capability,
        stranger: Stranger,
    ) -> Option<(Capability, Stranger)> {
        let source = stranger.source;
        let there = self.known.values().filter(|it| it.source == source);
        let goes = if there.count() >= self.max_per_source {
            self.first_of(source)
        } else if self.known.len() >= self.max {
            self.largest().and_then(|source| self.first_of(source))
        } else {
            None
        };
        let gone = goes.and_then(|goes| Some((goes, self.known.remove(&goes)?)));
        self.known.insert(who, stranger);
        gone
    }

    fn largest(&self) -> Option<Source> {
        let mut counts: HashMap<Source, usize> = HashMap::new();
        for stranger in self.known.values() {
            *counts.entry(stranger.source).or_default() += 1;
        }
        let largest = counts.into_iter().max_by_key(|(_, count)| *count);
        largest.map(|(source, _)| source)
    }

    fn first_of(&self, source: Source) -> Option<Capability> {
        let there = || self.known.iter().filter(|(_, it)| it.source == source);
        let secured = there().filter(|(_, it)| it.secured).count();
        // Half of the places, at most, are theirs who have finished TLS and said hello.
        let from_secured = secured * 2 > there().count();
        let oldest = |secured: bool| {
            let among = there().filter(|(_, it)| it.secured == secured);
            among
                .min_by_key(|(who, it)| (it.since, **who))
                .map(|(who, _)| *who)
        };
        oldest(from_secured).or_else(|| oldest(!from_secured))
    }

    /// Takes out those whose time is over.
    pub(super) fn take_late(&mut self, now: Millis, after_ms: u64) -> Vec<(Capability, Stranger)> {
        let late = |stranger: &Stranger| stranger.since.saturating_add(after_ms) <= now;
        self.known
            .extract_if(|_, stranger| late(stranger))
            .collect()
    }

    /// When the first one's time is over.
    pub(super) fn due(&self, after_ms: u64) -> Option<Millis> {
        let oldest = self.known.values().map(|stranger| stranger.since).min();
        oldest.map(|since| since.saturating_add(after_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(source: u32, since: Millis) -> Stranger {
        let address = SocketAddr::from((source.to_be_bytes(), 1));
        Stranger::new(address, [0; 32], since)
    }

    /// Who goes when one more comes.
    fn goes(strangers: &mut Strangers, who: Capability, one: Stranger) -> Option<Capability> {
        strangers.add(who, one).map(|(who, _)| who)
    }

    /// A source that is full, its first ones secured.
    fn full(secured: u32) -> Strangers {
        let mut strangers = Strangers::default();
        for number in 1..=MAX_PER_SOURCE as u32 {
            assert_eq!(
                goes(&mut strangers, number, stranger(1, number.into())),
                None
            );
        }
        (1..=secured).for_each(|number| strangers.secured(number));
        strangers
    }

    #[test]
    fn the_oldest_of_a_full_source_goes_and_others_stay() {
        let mut strangers = full(0);
        assert_eq!(goes(&mut strangers, 0, stranger(9, 0)), None);
        assert_eq!(goes(&mut strangers, 1_000, stranger(1, 1_000)), Some(1));
        assert!(strangers.contains(0) && !strangers.contains(1));
    }

    #[test]
    fn who_has_finished_tls_goes_last() {
        let mut strangers = full(2);
        assert_eq!(goes(&mut strangers, 1_000, stranger(1, 1_000)), Some(3));
    }

    #[test]
    fn those_who_have_finished_tls_do_not_shut_out_who_comes_after_them() {
        let mut strangers = full(MAX_PER_SOURCE as u32);
        for number in 1_000..1_050 {
            let gone = goes(&mut strangers, number, stranger(1, number.into()));
            assert_eq!(gone, Some(number - 999), "of the secured ones, the oldest");
        }
        // Half and half: those come first again who have not.
        let gone = goes(&mut strangers, 2_000, stranger(1, 2_000));
        assert_eq!(gone, Some(1_000));
    }

    #[test]
    fn when_all_are_too_many_the_largest_source_pays_and_a_small_one_stays() {
        let mut strangers = Strangers::default();
        let mut who = 0;
        let mut add = |strangers: &mut Strangers, source: u32| {
            who += 1;
            let gone = strangers.add(who, stranger(source, who.into()));
            strangers.secured(who);
            gone.map(|(_, gone)| gone.source())
        };
        for source in 1..=10 {
            for _ in 0..MAX_PER_SOURCE - 1 {
                assert_eq!(add(&mut strangers, source), None);
            }
        }
        // 990 by now. The visitor comes as the first of its source, and is not driven out.
        let (visitor, mut others) = (9_999, 0);
        for _ in 0..10 {
            assert_eq!(add(&mut strangers, visitor), None);
        }
        for source in 1..=10 {
            let gone = add(&mut strangers, source).expect("somebody goes");
            others += u32::from(gone != stranger(visitor, 0).source());
        }
        assert_eq!(others, 10);
    }

    #[test]
    fn where_descriptors_are_few_so_are_strangers() {
        let few = Strangers::within(200);
        assert_eq!((few.max, few.max_per_source), (200, 50));
        assert_eq!(Strangers::within(0).max, MIN_STRANGERS);
        assert_eq!(Strangers::within(1 << 20).max, MAX_STRANGERS);
    }

    #[test]
    fn a_nonce_is_not_good_for_long() {
        let stranger = stranger(1, 100);
        assert_eq!(stranger.nonce(110, 10), Some([0; 32]));
        assert_eq!(stranger.nonce(111, 10), None);
    }

    #[test]
    fn those_whose_time_is_over_go() {
        let mut strangers = Strangers::default();
        strangers.add(1, stranger(1, 100));
        strangers.add(2, stranger(1, 200));
        assert_eq!(strangers.due(50), Some(150));
        let late: Vec<_> = strangers
            .take_late(150, 50)
            .into_iter()
            .map(|it| it.0)
            .collect();
        assert_eq!(late, [1]);
        assert_eq!(strangers.due(50), Some(250));
    }
}
