//! Nothing is lost, doubled, or run twice, whatever happens to lines and fronts.
//!
//! `REDIAL_SIM_SEEDS=100000` runs more seeds than usual, `REDIAL_SIM_SEED=17` that one alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use redial_sim::{Report, Tally, run, story};

const SEEDS: u64 = 2_000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Runs a seed. One that fails is named.
fn good(seed: u64) -> Report {
    let failed = |wrong| {
        panic!("{wrong}\nseed {seed} failed; REDIAL_SIM_SEED={seed} shows it again");
    };
    match catch_unwind(AssertUnwindSafe(|| run(seed))) {
        Ok(Ok(report)) => report,
        Ok(Err(wrong)) => failed(wrong),
        Err(_) => failed("it panicked, as is said above".to_owned()),
    }
}

/// No thread takes up another seed when one has failed.
struct EndIfWrong<'a>(&'a AtomicU64, u64);

impl Drop for EndIfWrong<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(self.1, Ordering::Relaxed);
        }
    }
}

#[test]
fn every_byte_signal_and_outcome_is_there_once_whatever_drops() {
    if let Some(seed) = number("REDIAL_SIM_SEED") {
        println!("{}", story(seed));
        good(seed);
        return;
    }
    let seeds = number("REDIAL_SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let some = || {
        let _others_end_too = EndIfWrong(&next, seeds);
        let mut sum = Tally::default();
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds);
        while let Some(seed) = take() {
            sum += good(seed).tally;
        }
        sum
    };
    let mut sum = Tally::default();
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(some)).collect();
        for thread in threads {
            sum += thread.join().expect("every seed is good");
        }
    });
    println!("{sum}");
}

#[test]
fn a_seed_is_always_the_same_run() {
    for seed in 0..40 {
        assert_eq!(good(seed), good(seed), "seed {seed}");
    }
}
