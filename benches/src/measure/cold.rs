//! `true` on another machine, from nothing: a client process, a connection, a login.

use std::process::Command;
use std::sync::Arc;

use super::timed::{self, Rounds, Timed};
use crate::peer::dropbear::Dropbear;
use crate::peer::floor::Floor;
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::run_true;
use crate::peer::sshd::{CURVE25519, Sshd};
use crate::plot::Plot;
use crate::report::{Goal, Section};

const WHAT: &str = "`true` by a cold `redial run`";
const REDIAL: &str = "`redial run`, TCP and TLS";
const FLOOR: &str = "floor: TCP, spawner";
const SSH: &str = "`ssh`";
const SSH_CURVE25519: &str = "`ssh`, curve25519";
const SSH_NODELAY: &str = "`ssh`, curve25519, both with TCP_NODELAY";
const DROPBEAR: &str = "`dbclient` to dropbear";
/// Of each contestant: what is wanted, in words and as a part of its median.
const GOALS: [(&str, &str, f64); 5] = [
    (SSH, "p50 ≤ 1/25 of ssh", 1.0 / 25.0),
    (SSH_CURVE25519, "p50 ≤ 1/15 of ssh, curve25519", 1.0 / 15.0),
    (
        SSH_NODELAY,
        "p50 ≤ 1/6 of ssh, curve25519, TCP_NODELAY",
        1.0 / 6.0,
    ),
    (DROPBEAR, "p50 ≤ 1/4 of dbclient to dropbear", 1.0 / 4.0),
    (FLOOR, "p50 ≤ 2.50 × floor", 2.5),
];
const WARM_UP: usize = 2;
const SEED: u64 = 4;

/// # Errors
/// A command failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let turns = Rounds {
        warm_up: WARM_UP,
        rounds: if quick { 5 } else { 150 },
        in_a_row: 1,
        seed: SEED,
    };
    let home = Arc::new(Home::new()?);
    let redial = NetworkServer::start(&home, &[])?;
    let floor = Floor::start()?;
    let (sshd, prompt) = (Sshd::start(&home), Sshd::without_delay(&home));
    let dropbear = Dropbear::start(&home);
    let mut missing = Vec::new();
    let mut contestants = vec![
        Timed::new(REDIAL, || run_true(redial.run().arg("true"))),
        Timed::new("`redial run`, Unix socket", || {
            run_true(redial.server().run().arg("true"))
        }),
        Timed::new(FLOOR, || run_true(&mut floor.dial()?)),
    ];
    match &sshd {
        Ok(sshd) => contestants.extend([
            Timed::new(SSH, || run_true(&mut sshd.dial(&[], "true"))),
            Timed::new(SSH_CURVE25519, || {
                run_true(&mut sshd.dial(&CURVE25519, "true"))
            }),
        ]),
        Err(error) => missing.push(format!("ssh: {error:#}")),
    }
    match &prompt {
        Ok(sshd) => contestants.push(Timed::new(SSH_NODELAY, || {
            run_true(&mut sshd.dial(&CURVE25519, "true"))
        })),
        Err(error) => missing.push(format!("ssh with TCP_NODELAY: {error:#}")),
    }
    match &dropbear {
        Ok(dropbear) => contestants.push(Timed::new(DROPBEAR, || {
            run_dropbear(&mut dropbear.dial("true"))
        })),
        Err(error) => missing.push(format!("dropbear: {error:#}")),
    }
    turns.run(&mut contestants)?;
    Ok(section(turns.rounds, &contestants, &missing.join("; ")))
}

pub(super) fn run_dropbear(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    // What it says of a host it knows by `-y` is no output of the command.
    anyhow::ensure!(output.status.success(), "{output:?}");
    anyhow::ensure!(output.stdout.is_empty(), "{output:?}");
    Ok(())
}

fn section(rounds: usize, contestants: &[Timed<'_>], missing: &str) -> Section {
    let median = |name| timed::median(contestants, name);
    let against = [
        ("floor", median(FLOOR)),
        ("ssh", median(SSH)),
        ("curve25519", median(SSH_CURVE25519)),
    ];
    let mut table = timed::table("ms", contestants, &against);
    if !missing.is_empty() {
        table.row([format!("skipped: {missing}")]);
    }
    let goals = GOALS.map(
        |(name, wanted, most)| match (median(REDIAL), median(name)) {
            (Some(ours), Some(theirs)) => {
                let ratio = ours / theirs;
                let measured = match ratio < 1.0 {
                    true => format!("1/{:.1}", 1.0 / ratio),
                    false => format!("{ratio:.2}"),
                };
                Goal::measured(WHAT, wanted, measured, ratio <= most)
            }
            _ => Goal::skipped(WHAT, wanted, missing),
        },
    );
    Section {
        title: "One command from nothing",
        how: format!(
            "`true`, whole client processes, from their start to their end: dialled, key of the \
             server known, logged in with the same Ed25519 key, exit code 0 and no output checked. \
             {rounds} rounds; in each, everybody once, in an order shuffled from seed {SEED}. ssh \
             by its defaults, with `-o KexAlgorithms=curve25519-sha256`, and so with TCP_NODELAY \
             on both sides, by a library preloaded into them; its server, as dropbear, starts a \
             shell whose `true` is a builtin. The floor: a process that only dials TCP, to one with the \
             keeper's own spawner; no keys and no protocol."
        ),
        figures: table.to_string(),
        goals: goals.to_vec(),
        plots: vec![Plot {
            name: "cold",
            title: "true from nothing: a whole process, a connection, a login",
            unit: "ms",
            kind: timed::distribution(contestants),
        }],
    }
}
