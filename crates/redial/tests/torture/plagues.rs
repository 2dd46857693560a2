//! What happens to fronts, keepers and brokers, at random, until it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::site::Site;
use crate::support::server::{front, kill_front};
use crate::support::{PATIENCE, Random, Redial, idle};
use crate::tally::{Count, Tally};

/// Between two of a kind, in milliseconds.
const KILL_MS: std::ops::Range<u64> = 150..450;
const STOP_MS: std::ops::Range<u64> = 200..1_200;
const UPGRADE_MS: std::ops::Range<u64> = 500..2_000;
const BROKER_MS: std::ops::Range<u64> = 500..2_000;
/// How long a front is stopped at most.
const STOPPED_MS: u64 = 700;

/// What happens again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plague {
    KillFront,
    StopFront,
    Upgrade,
    /// Of those sites that have one.
    KillBroker,
}

impl Plague {
    /// All that this program can.
    pub(crate) fn all() -> Vec<Plague> {
        let mut all = vec![Plague::KillFront, Plague::StopFront, Plague::KillBroker];
        if can_upgrade() {
            all.push(Plague::Upgrade);
        }
        all
    }

    /// To these sites in turn. It may be due sooner, where there are to be many.
    pub(crate) fn rage(self, sites: &[Site], over: &AtomicBool, seed: u64, tally: &Tally) {
        let mut random = Random::new(seed);
        let is_over = || over.load(Ordering::Relaxed);
        let pause = match self {
            Plague::KillFront => KILL_MS,
            Plague::StopFront => STOP_MS,
            Plague::Upgrade => UPGRADE_MS,
            Plague::KillBroker => BROKER_MS,
        };
        let is_struck = |site: &&Site| self != Plague::KillBroker || site.has_broker();
        for site in sites.iter().filter(is_struck).cycle() {
            let pause = pause.start + random.below(pause.end - pause.start);
            idle(Duration::from_millis(pause), is_over);
            if is_over() {
                return;
            }
            self.strike(site, &mut random, tally);
        }
    }

    fn strike(self, site: &Site, random: &mut Random, tally: &Tally) {
        let keeper = site.keeper();
        let pid = |pid: u32| Pid::from_raw(pid.cast_signed()).unwrap();
        match self {
            Plague::KillFront => {
                kill_front(keeper);
                tally.add(Count::FrontsKilled, 1);
            }
            Plague::StopFront => {
                let front = pid(front(keeper));
                // It may be killed in the meantime.
                let _ = kill_process(front, Signal::STOP);
                idle(Duration::from_millis(random.below(STOPPED_MS)), || false);
                let _ = kill_process(front, Signal::CONT);
                tally.add(Count::FrontsStopped, 1);
            }
            Plague::KillBroker => {
                site.kill_broker();
                tally.add(Count::BrokersKilled, 1);
            }
            Plague::Upgrade => {
                let before = front(keeper);
                kill_process(pid(keeper), Signal::HUP).unwrap();
                // The new program starts a front of its own; where fronts are killed too, it may
                // be that of the old one.
                let mut is_another = false;
                idle(PATIENCE, || {
                    is_another = front(keeper) != before;
                    is_another
                });
                tally.add(Count::Upgrades, is_another.into());
            }
        }
    }
}

/// Whether a server can be replaced in place.
pub(crate) fn can_upgrade() -> bool {
    Redial::bare(["upgrade", "--help"]).ran().code == 0
}

/// What there was not, for the table.
pub(crate) fn note() -> &'static str {
    match can_upgrade() {
        true => "",
        false => "No upgrades: there is no `redial upgrade` yet.\n",
    }
}
