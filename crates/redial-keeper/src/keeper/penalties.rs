//! Sources that have tried keys in vain, and how long they are not heard for it.
//!
//! Source: PerSourcePenalties in sshd_config(5): 5 s for each failed login, added up; from 15 s
//! on nothing is accepted from there until they are over; never more than 10 minutes.

use std::collections::HashMap;
use std::net::IpAddr;

use super::time::Millis;

/// For a connection on which a login failed.
const FAILED_MS: u64 = 5_000;
/// Less than this has no effect yet: people mistype, and agents hold several keys.
const MIN_MS: u64 = 15_000;
/// However often it failed.
const MAX_MS: u64 = 10 * 60 * 1_000;
/// Sources remembered, sshd's own number; beyond, those go whose time is up soonest. Stops an
/// attacker with many addresses from taking memory.
const MAX_SOURCES: usize = 65_536;

/// Where a connection comes from: an IPv4 address, or the network of /64 that an IPv6 address
/// lies in, which is one customer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

#[derive(Debug)]
struct Penalty {
    until: Millis,
    /// It was long enough to have an effect, and has one until it is over.
    active: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Penalties {
    sources: HashMap<Source, Penalty>,
}

impl Penalties {
    /// A login from there has failed. Says for how many milliseconds nothing is accepted from there, if
    /// that begins now.
    pub(super) fn add(&mut self, source: Source, now: Millis) -> Option<Millis> {
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&source) {
            self.make_room(now);
        }
        let penalty = self.sources.entry(source).or_insert(Penalty {
            until: now,
            active: false,
        });
        penalty.active &= penalty.until > now;
        let before = penalty.active;
        penalty.until = (penalty.until.max(now) + FAILED_MS).min(now + MAX_MS);
        penalty.active |= penalty.until - now >= MIN_MS;
        (penalty.active && !before).then(|| penalty.until - now)
    }

    /// Whether nothing is accepted from there now.
    pub(super) fn refuses(&self, source: Source, now: Millis) -> bool {
        let penalty = self.sources.get(&source);
        penalty.is_some_and(|penalty| penalty.active && penalty.until > now)
    }

    fn make_room(&mut self, now: Millis) {
        self.sources.retain(|_, penalty| penalty.until > now);
        // An eighth at a time, so that the next ones need no look at all of them.
        let mut ends: Vec<Millis> = self.sources.values().map(|it| it.until).collect();
        if ends.len() < MAX_SOURCES {
            return;
        }
        let (_, &mut last, _) = ends.select_nth_unstable(MAX_SOURCES / 8);
        self.sources.retain(|_, penalty| penalty.until > last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> Source {
        Source::V4(number.to_be_bytes())
    }

    #[test]
    fn one_mistake_costs_nothing_and_three_cost_a_while() {
        let mut penalties = Penalties::default();
        let (here, there) = (source(1), source(2));
        penalties.add(here, 0);
        penalties.add(here, 0);
        assert!(!penalties.refuses(here, 1));
        penalties.add(here, 0);
        assert!(penalties.refuses(here, 14_999));
        assert!(!penalties.refuses(there, 1));
        assert!(!penalties.refuses(here, 15_000));
        penalties.add(here, 15_000);
        assert!(!penalties.refuses(here, 15_001), "it begins anew");
    }

    #[test]
    fn a_penalty_that_has_an_effect_has_it_to_its_end_and_ends() {
        let mut penalties = Penalties::default();
        let said = (0..10_000).filter_map(|_| penalties.add(source(1), 0));
        assert_eq!(said.collect::<Vec<_>>(), [MIN_MS], "once");
        assert!(penalties.refuses(source(1), MAX_MS - 1));
        assert!(!penalties.refuses(source(1), MAX_MS));
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_a_mapped_address_is_ipv4() {
        let source = |text: &str| Source::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:0:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn many_sources_take_bounded_memory_and_the_longest_penalties_stay() {
        let mut penalties = Penalties::default();
        assert_eq!(
            (0..3)
                .filter_map(|_| penalties.add(source(u32::MAX), 0))
                .count(),
            1
        );
        for number in 0..3 * MAX_SOURCES as u32 {
            penalties.add(source(number), 0);
        }
        assert!(penalties.sources.len() <= MAX_SOURCES);
        assert!(penalties.refuses(source(u32::MAX), 1));
    }
}
