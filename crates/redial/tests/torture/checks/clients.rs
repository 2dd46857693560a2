//! Clients that are killed: each job follows its policy, and what was kept can be had.

use super::report;
use crate::alone;
use crate::jobs::Kind;
use crate::settings::{publish, scaled, seed};
use crate::storm::Storm;
use crate::tally::Count;

const KILLS: u64 = 1_000;
const WORKERS: u64 = 8;
const NAME: &str = "Clients killed";

#[test]
fn a_thousand_jobs_follow_their_policy_when_their_client_is_killed() {
    let _alone = alone();
    let size = scaled(KILLS);
    let storm = Storm {
        seed: seed(),
        workers: WORKERS,
        kinds: &Kind::ORPHANS,
        lines: false,
        plagues: Vec::new(),
        clients: false,
    };
    let tally = storm.rage(|tally| tally.of(Count::ClientsKilled) >= size.run);
    report(NAME, &[("times", size)], &format!("Seed {}:", seed()));
    publish(&tally.table(NAME, ""));
    tally.assert_good();
}
