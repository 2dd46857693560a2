//! `true` per second with 64 in flight.

use crate::order::Order;
use crate::peer::redial::Redial;
use crate::peer::server::Server;
use crate::peer::ssh::Ssh;
use crate::peer::{direct, rate_of_threads, run_true};
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const IN_FLIGHT: usize = 64;
const WHAT: &str = "`true` per second, 64 in flight";
const WANTED: &str = "≥ 0.75 × direct";
const SEED: u64 = 2;

struct Contestant<'a> {
    name: &'static str,
    /// Commands a round.
    count: usize,
    rate: Box<dyn Fn(usize) -> anyhow::Result<f64> + 'a>,
    samples: Samples,
}

/// # Errors
/// A command failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let (rounds, count) = if quick { (3, 500) } else { (11, 2_000) };
    let server = Server::start(&[])?;
    let redial = Redial::connect(&server)?;
    let ssh = Ssh::start();
    let mut contestants = vec![
        contestant("spawner, called directly, one thread", count, |count| {
            direct::rate(1, count, IN_FLIGHT)
        }),
        contestant("redial, one connection", count, |count| {
            redial.rate(count, IN_FLIGHT)
        }),
        contestant("spawner, called directly, two threads", count, |count| {
            direct::rate(2, count, IN_FLIGHT)
        }),
    ];
    if let Ok(ssh) = &ssh {
        let once = || run_true(&mut ssh.run("true"));
        let rate = move |count| rate_of_threads(IN_FLIGHT, count, once);
        contestants.push(contestant("`ssh`, ControlMaster", count / 8, rate));
    }
    let mut order = Order::new(SEED);
    // The first round warms up.
    for round in 0..=rounds {
        for index in order.round(contestants.len()) {
            let contestant = &mut contestants[index];
            let rate = (contestant.rate)(contestant.count)?;
            if round > 0 {
                contestant.samples.push(rate);
            }
        }
    }
    let missing = ssh.as_ref().err().map(|error| format!("{error:#}"));
    Ok(section(rounds, &contestants, missing))
}

fn contestant<'a>(
    name: &'static str,
    count: usize,
    rate: impl Fn(usize) -> anyhow::Result<f64> + 'a,
) -> Contestant<'a> {
    Contestant {
        name,
        count,
        rate: Box::new(rate),
        samples: Samples::default(),
    }
}

fn section(rounds: usize, contestants: &[Contestant<'_>], missing: Option<String>) -> Section {
    let median = |index: usize| contestants[index].samples.median();
    let mut table = Table::new(["per second", "min / median / max", "÷ direct, one thread"]);
    for Contestant { name, samples, .. } in contestants {
        table.row([
            (*name).to_owned(),
            samples.spread(|rate| format!("{rate:.0}")),
            format!("{:.2}", samples.median() / median(0)),
        ]);
    }
    if let Some(reason) = missing {
        table.row(["`ssh`".to_owned(), format!("skipped: {reason}")]);
    }
    let (to_one, to_two) = (median(1) / median(0), median(1) / median(2));
    let measured = format!("{to_one:.2}; {to_two:.2} × two threads");
    Section {
        title: "Many commands at once",
        how: format!(
            "`true` with {IN_FLIGHT} in flight, each checked as above. {rounds} runs each, \
             interleaved, {} commands a run ({} with ssh, a process of its own each, from \
             {IN_FLIGHT} threads). The goal is judged against the spawner called from one thread; \
             two threads are shown because the keeper has two.",
            contestants[0].count,
            contestants[0].count / 8,
        ),
        figures: table.to_string(),
        goals: vec![Goal::measured(WHAT, WANTED, measured, to_one >= 0.75)],
    }
}
