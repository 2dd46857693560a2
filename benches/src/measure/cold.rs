//! `true` on another machine, from nothing: a client process, a connection, a login.

use std::sync::Arc;

use super::timed::Timed;
use crate::order::Order;
use crate::peer::floor::Floor;
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::run_true;
use crate::peer::sshd::{CURVE25519, Sshd};
use crate::report::{Goal, Section};
use crate::table::Table;

const WHAT: &str = "`true` by a cold `redial run`";
const DEFAULT_GOAL: &str = "p50 ≤ 0.067 × ssh";
const CURVE25519_GOAL: &str = "p50 ≤ 0.125 × ssh, curve25519";
const DEFAULT_MOST: f64 = 1.0 / 15.0;
const CURVE25519_MOST: f64 = 1.0 / 8.0;
const WARM_UP: usize = 2;
const SEED: u64 = 4;

/// Where the contestants stand.
const REDIAL: usize = 0;
const SSH: usize = 3;
const SSH_CURVE25519: usize = 4;

/// # Errors
/// A command failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 20 } else { 200 };
    let home = Arc::new(Home::new()?);
    let redial = NetworkServer::start(&home, &[])?;
    let floor = Floor::start()?;
    let sshd = Sshd::start(&home);
    let mut contestants = vec![
        Timed::new("`redial run`, TCP and TLS", || {
            run_true(redial.run().arg("true"))
        }),
        Timed::new("`redial run`, Unix socket", || {
            run_true(redial.server().run().arg("true"))
        }),
        Timed::new("floor: TCP, spawner", || run_true(&mut floor.run()?)),
    ];
    if let Ok(sshd) = &sshd {
        contestants.extend([
            Timed::new("`ssh`", || run_true(&mut sshd.dial(&[], "true"))),
            Timed::new("`ssh`, curve25519", || {
                run_true(&mut sshd.dial(&CURVE25519, "true"))
            }),
        ]);
    }
    let mut order = Order::new(SEED);
    for round in 0..WARM_UP + rounds {
        for index in order.round(contestants.len()) {
            contestants[index].run(1, round >= WARM_UP)?;
        }
    }
    let missing = sshd.as_ref().err().map(|error| format!("{error:#}"));
    Ok(section(rounds, &contestants, missing))
}

fn section(rounds: usize, contestants: &[Timed<'_>], missing: Option<String>) -> Section {
    let p50 = |index: usize| contestants.get(index).map(|it| it.samples.median());
    let mut table = Table::new([
        "ms",
        "min",
        "p50",
        "p99",
        "max",
        "p50 ÷ ssh",
        "÷ curve25519",
    ]);
    for Timed { name, samples, .. } in contestants {
        let ms = |value: f64| format!("{value:.2}");
        let to = |index| p50(index).map(|ssh| format!("{:.3}", samples.median() / ssh));
        table.row([
            (*name).to_owned(),
            ms(samples.min()),
            ms(samples.median()),
            ms(samples.quantile(0.99)),
            ms(samples.max()),
            to(SSH).unwrap_or_default(),
            to(SSH_CURVE25519).unwrap_or_default(),
        ]);
    }
    let reason = missing.unwrap_or_default();
    if p50(SSH).is_none() {
        table.row(["`ssh`".to_owned(), format!("skipped: {reason}")]);
    }
    let goal = |wanted, ssh, most| match (p50(REDIAL), p50(ssh)) {
        (Some(ours), Some(ssh)) => {
            let ratio = ours / ssh;
            Goal::measured(WHAT, wanted, format!("{ratio:.3}"), ratio <= most)
        }
        _ => Goal::skipped(WHAT, wanted, &reason),
    };
    Section {
        title: "One command from nothing",
        how: format!(
            "`true`, whole client processes, from their start to their end: dialled, key of the \
             server known, logged in with the same Ed25519 key, exit code 0 and no output checked. \
             {rounds} rounds; in each, everybody once, in an order shuffled from seed {SEED}. ssh \
             by its defaults, and with `-o KexAlgorithms=curve25519-sha256`; its server starts a \
             shell whose `true` is a builtin. The floor: a process that only dials TCP, to the \
             keeper's own spawner in the measuring process; no keys and no protocol."
        ),
        figures: table.to_string(),
        goals: vec![
            goal(DEFAULT_GOAL, SSH, DEFAULT_MOST),
            goal(CURVE25519_GOAL, SSH_CURVE25519, CURVE25519_MOST),
        ],
    }
}
