//! Lines that are cut and stall, fronts and clients that are killed and stopped, slow readers,
//! under jobs of all kinds: nothing may be lost, doubled or run twice. Twenty seconds of it, and
//! what was asked for by number at a few hundredths of its size; `settings` says how to have more.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod case;
mod checks;
mod client;
mod flow;
mod jobs;
mod plagues;
mod settings;
mod site;
mod storm;
#[path = "../support/mod.rs"]
mod support;
mod tally;

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jobs::Kind;
use plagues::Plague;
use storm::Storm;

/// Jobs at once in the storm.
const WORKERS: u64 = 10;

/// No single job takes longer, however large it is.
const TIME_LIMIT: Duration = Duration::from_secs(1_800);

/// One of these tests at a time: each takes all of the machine, and measures it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // Another that failed is no reason not to run.
    ALONE.lock().unwrap_or_else(|failed| failed.into_inner())
}

#[test]
fn nothing_is_lost_doubled_or_run_twice() {
    let _alone = alone();
    let (time, seed) = (settings::storm_time(), settings::seed());
    let storm = Storm {
        seed,
        workers: WORKERS,
        kinds: &Kind::ALL,
        lines: true,
        plagues: Plague::all(),
        clients: true,
    };
    let until = Instant::now() + time;
    let tally = storm.rage(|_| Instant::now() >= until);
    let title = format!("Seed {seed}, {} s", time.as_secs());
    settings::publish(&tally.table(&title, plagues::note()));
    tally.assert_good();
}
