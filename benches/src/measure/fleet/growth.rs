//! How the time for one host grows with their number, and against what the machine can do.

use std::process::Command;

use super::QUIET;
use crate::peer::many::{Names, cost};
use crate::peer::{direct, rate_of_threads, run_true};
use crate::report::Goal;
use crate::stats::Samples;
use crate::table::Table;

/// So many hosts in a run, and in its inventory.
pub(super) const HOSTS: [usize; 3] = [100, 1_000, 10_000];
const AT_ONCE: usize = 64;

/// What was found.
pub(super) struct Growth {
    pub(super) table: Table,
    pub(super) goals: Vec<Goal>,
    /// Hosts, and ms for each.
    pub(super) points: Vec<(f64, f64)>,
}

/// # Errors
/// A run failed.
pub(super) fn measure(names: &Names, most: usize, rounds: usize) -> anyhow::Result<Growth> {
    let mut table = Table::new([
        "`true` on so many hosts",
        "s",
        "ms a host",
        "client's CPU, ms a host",
    ]);
    let mut each = Vec::new();
    for hosts in HOSTS.into_iter().filter(|hosts| *hosts <= most) {
        let time = runs(names, hosts, hosts, rounds, &mut table)?;
        each.push((hosts, time));
    }
    // A few of many that are known: what is fixed for all of these is paid by few.
    runs(names, most, HOSTS[0], rounds, &mut table)?;
    let times = || each.iter().map(|(_, time)| *time);
    let flat = times().fold(0.0, f64::max) / times().fold(f64::MAX, f64::min);
    let share = against_spawns(names, rounds, &mut table)?;
    let goals = vec![
        Goal::measured(
            "1,000 hosts",
            "≥ 0.80 × the spawn rate",
            format!("{share:.2}"),
            share >= 0.8,
        ),
        Goal::measured(
            "time a host, 100 to 10,000, which are all that are known",
            "flat within 1.20",
            format!("{flat:.2}"),
            flat <= 1.2,
        ),
    ];
    let points = each.iter().map(|(hosts, ms)| (*hosts as f64, *ms));
    Ok(Growth {
        table,
        goals,
        points: points.collect(),
    })
}

/// Hosts a second by processes a second, both and logins one after the other, again and again.
fn against_spawns(names: &Names, rounds: usize, table: &mut Table) -> anyhow::Result<f64> {
    let runtime = crate::peer::redial::runtime()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let [
        mut hosts,
        mut spawns,
        mut of_cores,
        mut std_spawns,
        mut logins,
    ] = std::array::from_fn(|_| Samples::default());
    for _ in 0..rounds {
        let run = cost(names.run_of(1_000, 1_000, &QUIET, &["true"]))?;
        hosts.push(1_000.0 / run.wall.as_secs_f64());
        spawns.push(direct::rate(1, 2_000, AT_ONCE)?);
        of_cores.push(direct::rate(cores, 2_000, AT_ONCE)?);
        let std_true = || run_true(&mut Command::new("true"));
        std_spawns.push(rate_of_threads(cores, 2_000, std_true)?);
        let server = names.server();
        logins.push(server.logins(&runtime, AT_ONCE, 1_000)?);
    }
    for (name, samples) in [
        ("hosts a second, at 1,000", &hosts),
        ("logins a second, nothing run", &logins),
        ("processes a second, no login, one thread", &spawns),
        ("the same, a thread for each core", &of_cores),
        (
            "the same by std::process::Command, a thread for each core",
            &std_spawns,
        ),
    ] {
        table.row([name.to_owned(), samples.spread(|each| format!("{each:.0}"))]);
    }
    Ok(hosts.median() / spawns.median())
}

/// Runs `true` on the first `hosts` of an inventory, again and again; ms for each.
fn runs(
    names: &Names,
    inventory: usize,
    hosts: usize,
    rounds: usize,
    table: &mut Table,
) -> anyhow::Result<f64> {
    let (mut wall, mut cpu) = (Samples::default(), Samples::default());
    // A short run is disturbed by little: it is made more often.
    for _ in 0..rounds * (1_000 / hosts).max(1) {
        let cost = cost(names.run_of(inventory, hosts, &QUIET, &["true"]))?;
        wall.push_millis(cost.wall);
        cpu.push_millis(cost.cpu);
    }
    let of = |samples: &Samples| samples.median() / hosts as f64;
    table.row([
        match hosts == inventory {
            true => hosts.to_string(),
            false => format!("{hosts}, of {inventory} in the inventory"),
        },
        wall.spread(|ms| format!("{:.2}", ms / 1e3)),
        format!("{:.2}", of(&wall)),
        format!("{:.2}", of(&cpu)),
    ]);
    Ok(of(&wall))
}
