//! Streams arrive exact, whatever the network does.

use crate::pair::{Errand, Pair, Rng, Weather};

fn some_errands(rng: &mut Rng) -> Vec<Errand> {
    (0..1 + rng.below(5))
        .map(|_| Errand {
            stdin: rng.below(2) * rng.below(30_000),
            stdout: rng.below(40_000),
            stderr: rng.below(2) * rng.below(10_000),
            window: 500 + rng.below(30_000),
            padding: (rng.below(4) / 3 * 70_000) as usize,
            stalled: false,
        })
        .collect()
}

fn some_weather(rng: &mut Rng) -> Weather {
    Weather {
        pipe: 1 << (6 + rng.below(12)),
        piece: 1 << (5 + rng.below(14)),
        cut_every: 0,
    }
}

#[test]
fn one_small_command_runs_in_fair_weather() {
    let mut pair = Pair::new(1, Weather::FAIR, vec![Errand::SMALL]);
    pair.run(1);
    assert_eq!(pair.host.starts, 1);
    assert!(pair.host.jobs.values().all(|job| job.outcome_seen));
    assert_eq!(pair.server.channels_open(), 0);
}

#[test]
fn streams_arrive_exact_both_ways_however_the_bytes_are_cut() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let weather = some_weather(&mut rng);
        let mut pair = Pair::new(seed, weather, some_errands(&mut rng));
        pair.run(seed);
        for job in pair.host.jobs.values() {
            assert_eq!(job.runs, 1, "seed {seed}");
            assert!(job.outcome_seen, "seed {seed}");
        }
    }
}

#[test]
fn nothing_is_lost_doubled_or_run_twice_when_the_line_is_cut_again_and_again() {
    let mut cuts = 0;
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let weather = Weather {
            cut_every: 40_000 + rng.below(100_000),
            ..some_weather(&mut rng)
        };
        let mut pair = Pair::new(seed, weather, some_errands(&mut rng));
        pair.run(seed);
        cuts += pair.cuts;
        for job in pair.host.jobs.values() {
            assert_eq!(job.runs, 1, "seed {seed}");
            assert!(job.signals.len() <= 1, "seed {seed}");
        }
    }
    assert!(cuts > 50, "only {cuts} cuts: the test does not test");
}
