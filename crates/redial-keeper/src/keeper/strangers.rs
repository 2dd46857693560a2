//! Connections from the network that have not said who they are: how many there may be, and who
//! goes first.
//!
//! Nothing here is a slot that a stranger could keep from others: the newest always gets in, the
//! oldest goes, and who has come as far as TLS goes last.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::penalties::Source;
use super::time::Millis;
use crate::wire::Capability;

/// All together. Stops half-open connections from taking memory and descriptors; what a login
/// takes, a few milliseconds, is over long before a thousand others have come.
pub(super) const MAX_STRANGERS: usize = 1_000;
/// From one source. Stops one source from driving out the others.
pub(super) const MAX_PER_SOURCE: usize = 100;

/// For which a nonce is good. Stops a proof from being kept for later.
const NONCE_MS: u64 = 10_000;

/// One of them.
#[derive(Debug)]
pub(super) struct Stranger {
    pub(super) address: SocketAddr,
    source: Source,
    since: Millis,
    /// It has finished TLS.
    secured: bool,
    /// What its proof must cover; goes with the stranger when one was taken.
    nonce: [u8; 32],
    /// A login of it is being looked at.
    pub(super) busy: bool,
    /// Its source has been made to pay for it.
    pub(super) has_failed: bool,
    pub(super) tries: u8,
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
        }
    }

    pub(super) fn source(&self) -> Source {
        self.source
    }

    /// The nonce, while it is good.
    pub(super) fn nonce(&self, now: Millis) -> Option<[u8; 32]> {
        (now.saturating_sub(self.since) <= NONCE_MS).then_some(self.nonce)
    }

    /// Who goes first.
    fn rank(&self) -> (bool, Millis) {
        (self.secured, self.since)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    known: HashMap<Capability, Stranger>,
}

impl Strangers {
    pub(super) fn contains(&self, who: Capability) -> bool {
        self.known.contains_key(&who)
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

    /// It has finished TLS.
    pub(super) fn secured(&mut self, who: Capability) {
        if let Some(stranger) = self.known.get_mut(&who) {
            stranger.secured = true;
        }
    }

    /// One more. Gives who has to go for it.
    pub(super) fn add(&mut self, who: Capability, stranger: Stranger) -> Option<Capability> {
        let from_there = |other: &Stranger| other.source == stranger.source;
        let there = self.known.values().filter(|it| from_there(it)).count();
        let goes = if there >= MAX_PER_SOURCE {
            self.first(from_there)
        } else if self.known.len() >= MAX_STRANGERS {
            self.first(|_| true)
        } else {
            None
        };
        if let Some(goes) = goes {
            self.known.remove(&goes);
        }
        self.known.insert(who, stranger);
        goes
    }

    fn first(&self, among: impl Fn(&Stranger) -> bool) -> Option<Capability> {
        let ranked = self.known.iter().filter(|(_, it)| among(it));
        let first = ranked.min_by_key(|(who, it)| (it.rank(), **who));
        first.map(|(who, _)| *who)
    }

    /// Takes out those whose time is over.
    pub(super) fn take_late(&mut self, now: Millis, after_ms: u64) -> Vec<Capability> {
        let late = |stranger: &Stranger| stranger.since + after_ms <= now;
        let late: Vec<_> = self
            .known
            .iter()
            .filter(|(_, stranger)| late(stranger))
            .map(|(who, _)| *who)
            .collect();
        for who in &late {
            self.known.remove(who);
        }
        late
    }

    /// When the first one's time is over.
    pub(super) fn due(&self, after_ms: u64) -> Option<Millis> {
        let oldest = self.known.values().map(|stranger| stranger.since).min();
        oldest.map(|since| since + after_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(source: u32, since: Millis) -> Stranger {
        let address = SocketAddr::from((source.to_be_bytes(), 1));
        Stranger::new(address, [0; 32], since)
    }

    #[test]
    fn the_oldest_of_a_full_source_goes_and_others_stay() {
        let mut strangers = Strangers::default();
        assert_eq!(strangers.add(0, stranger(9, 0)), None);
        for number in 1..=MAX_PER_SOURCE as u32 {
            assert_eq!(strangers.add(number, stranger(1, number.into())), None);
        }
        assert_eq!(strangers.add(1_000, stranger(1, 1_000)), Some(1));
        assert!(strangers.contains(0) && !strangers.contains(1));
    }

    #[test]
    fn who_has_finished_tls_goes_last() {
        let mut strangers = Strangers::default();
        for number in 0..MAX_STRANGERS as u32 {
            assert_eq!(strangers.add(number, stranger(number, number.into())), None);
        }
        strangers.secured(0);
        strangers.secured(1);
        assert_eq!(strangers.add(5_000, stranger(5_000, 5_000)), Some(2));
        for number in 2..MAX_STRANGERS as u32 {
            strangers.secured(number);
        }
        strangers.secured(5_000);
        assert_eq!(strangers.add(5_001, stranger(5_001, 5_001)), Some(0));
        assert_eq!(strangers.known.len(), MAX_STRANGERS);
    }

    #[test]
    fn a_nonce_is_not_good_for_long() {
        let stranger = stranger(1, 100);
        assert_eq!(stranger.nonce(100 + NONCE_MS), Some([0; 32]));
        assert_eq!(stranger.nonce(101 + NONCE_MS), None);
    }

    #[test]
    fn those_whose_time_is_over_go() {
        let mut strangers = Strangers::default();
        strangers.add(1, stranger(1, 100));
        strangers.add(2, stranger(1, 200));
        assert_eq!(strangers.due(50), Some(150));
        assert_eq!(strangers.take_late(150, 50), [1]);
        assert_eq!(strangers.due(50), Some(250));
    }
}
