//! `true` per second with 64 in flight.

use std::sync::Arc;

use crate::order::Order;
use crate::peer::asyncssh::Asyncssh;
use crate::peer::floor::{Floor, Over};
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::redial::Redial;
use crate::peer::server::Server;
use crate::peer::ssh::Ssh;
use crate::peer::{direct, rate_of_threads, run_true};
use crate::plot::{Kind, Plot};
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const IN_FLIGHT: usize = 64;
const FLOOR_UNIX: &str = "floor: two spawners behind Unix sockets";
const FLOOR_TCP: &str = "floor: two spawners behind TCP sockets";
const UNIX: &str = "redial, one connection, Unix socket";
const TLS: &str = "redial, one connection, TCP and TLS";
const SEED: u64 = 2;

struct Contestant<'a> {
    name: &'static str,
    /// Commands a round.
    count: usize,
    rate: Box<dyn FnMut(usize) -> anyhow::Result<f64> + 'a>,
    samples: Samples,
}

/// # Errors
/// A command failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let (rounds, count) = if quick { (3, 500) } else { (11, 2_000) };
    let (server, floor) = (Server::start(&[])?, Floor::start()?);
    let redial = Redial::connect(&server)?;
    let network = NetworkServer::start(&Arc::new(Home::new()?), &[])?;
    let over_tls = Redial::over_tls(&network)?;
    let (ssh, asyncssh) = (Ssh::start(), Asyncssh::start());
    let mut missing = Vec::new();
    let mut contestants = vec![
        contestant(FLOOR_UNIX, count, |count| {
            floor.rate(Over::Unix, count, IN_FLIGHT)
        }),
        contestant(UNIX, count, |count| redial.rate(count, IN_FLIGHT)),
        contestant(FLOOR_TCP, count, |count| {
            floor.rate(Over::Tcp, count, IN_FLIGHT)
        }),
        contestant(TLS, count, |count| over_tls.rate(count, IN_FLIGHT)),
        contestant("spawner, called directly, one thread", count, |count| {
            direct::rate(1, count, IN_FLIGHT)
        }),
        contestant("spawner, called directly, two threads", count, |count| {
            direct::rate(2, count, IN_FLIGHT)
        }),
    ];
    let first_peer = contestants.len();
    match &ssh {
        Ok(ssh) => {
            let once = || run_true(&mut ssh.run("true"));
            let rate = move |count| rate_of_threads(IN_FLIGHT, count, once);
            contestants.push(contestant("`ssh`, ControlMaster", count / 8, rate));
        }
        Err(error) => missing.push(format!("ssh: {error:#}")),
    }
    match asyncssh {
        Ok(mut it) => {
            let rate = move |count| it.rate(count, IN_FLIGHT);
            contestants.push(contestant("asyncssh, one process", count / 8, rate));
        }
        Err(error) => missing.push(format!("asyncssh: {error:#}")),
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
    Ok(section(
        rounds,
        &contestants,
        first_peer,
        &missing.join("; "),
    ))
}

fn bars(contestants: &[Contestant<'_>]) -> Kind {
    let named = contestants
        .iter()
        .map(|it| (it.name.replace('`', ""), it.samples.clone()));
    Kind::Bars(named.collect())
}

fn contestant<'a>(
    name: &'static str,
    count: usize,
    rate: impl FnMut(usize) -> anyhow::Result<f64> + 'a,
) -> Contestant<'a> {
    Contestant {
        name,
        count,
        rate: Box::new(rate),
        samples: Samples::default(),
    }
}

fn section(
    rounds: usize,
    contestants: &[Contestant<'_>],
    first_peer: usize,
    missing: &str,
) -> Section {
    let median = |name| {
        let found = contestants.iter().find(|it| it.name == name);
        found.map_or(f64::NAN, |it| it.samples.median())
    };
    let mut table = Table::new(["per second", "min / median / max", "÷ floor, Unix"]);
    for Contestant { name, samples, .. } in contestants {
        table.row([
            (*name).to_owned(),
            samples.spread(|rate| format!("{rate:.0}")),
            format!("{:.2}", samples.median() / median(FLOOR_UNIX)),
        ]);
    }
    if !missing.is_empty() {
        table.row([format!("skipped: {missing}")]);
    }
    let peers = contestants[first_peer..].iter();
    let best = peers.map(|it| it.samples.median()).reduce(f64::max);
    let mut goals = Vec::new();
    for (what, ours, floor) in [
        ("`true` per second, 64 in flight, Unix", UNIX, FLOOR_UNIX),
        ("`true` per second, 64 in flight, TLS", TLS, FLOOR_TCP),
    ] {
        let ratio = median(ours) / median(floor);
        goals.push(Goal::measured(
            what,
            "≥ 0.90 × floor",
            format!("{ratio:.2}"),
            ratio >= 0.9,
        ));
        goals.push(match best {
            Some(best) => {
                let ratio = median(ours) / best;
                Goal::measured(
                    what,
                    "≥ 4 × the best peer",
                    format!("{ratio:.1}"),
                    ratio >= 4.0,
                )
            }
            None => Goal::skipped(what, "≥ 4 × the best peer", missing),
        });
    }
    Section {
        title: "Many commands at once",
        how: format!(
            "`true` with {IN_FLIGHT} in flight, each checked as above. {rounds} runs each, \
             interleaved, {} commands a run ({} with ssh and asyncssh; ssh: a process of its own each, from \
             {IN_FLIGHT} threads). The floors have two connections, each with a thread and a spawner of its \
             own behind it, as the keeper has two.",
            contestants[0].count,
            contestants[0].count / 8,
        ),
        figures: table.to_string(),
        goals,
        plots: vec![Plot {
            name: "rate",
            title: "true per second, 64 in flight",
            unit: "per second",
            kind: bars(contestants),
        }],
    }
}
