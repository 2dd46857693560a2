//! Fronts that are killed, and servers that are replaced in place, under sixteen jobs at once.

use super::report;
use crate::alone;
use crate::jobs::Kind;
use crate::plagues::{Plague, can_upgrade};
use crate::settings::{publish, scaled, seed};
use crate::storm::Storm;
use crate::support::skip;
use crate::tally::Count;

const KILLS: u64 = 500;
const UPGRADES: u64 = 100;
const WORKERS: u64 = 16;

#[test]
fn five_hundred_killed_fronts_lose_nothing_of_sixteen_jobs() {
    let _alone = alone();
    under(
        "Fronts killed",
        Plague::KillFront,
        Count::FrontsKilled,
        KILLS,
    );
}

#[test]
fn a_hundred_upgrades_lose_nothing_of_sixteen_jobs() {
    let _alone = alone();
    if !can_upgrade() {
        return skip("a_hundred_upgrades_lose_nothing_of_sixteen_jobs: no `redial upgrade` yet");
    }
    under("Upgrades", Plague::Upgrade, Count::Upgrades, UPGRADES);
}

fn under(name: &str, plague: Plague, count: Count, asked: u64) {
    let size = scaled(asked);
    let storm = Storm {
        seed: seed(),
        workers: WORKERS,
        kinds: &Kind::WHOLE,
        lines: false,
        plagues: vec![plague],
        clients: false,
    };
    let tally = storm.rage(|tally| tally.of(count) >= size.run);
    let result = format!("Seed {}, {WORKERS} jobs at once:", seed());
    report(name, &[("times", size)], &result);
    publish(&tally.table(name, ""));
    tally.assert_good();
}
