//! `true` on a machine that is far away: what answers are waited for.

use std::sync::Arc;
use std::time::Duration;

use super::timed::{self, Rounds, Timed};
use crate::peer::dropbear::Dropbear;
use crate::peer::far::Far;
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::run_true;
use crate::peer::sshd::Sshd;
use crate::plot::Plot;
use crate::report::{Goal, Section};

const ROUND_TRIP: Duration = Duration::from_millis(100);
const REDIAL: &str = "`redial run`";
const SSH: &str = "`ssh`";
const DROPBEAR: &str = "`dbclient` to dropbear";
const WHAT: &str = "`true`, cold, 100 ms away";
/// A part of its median.
const WANTED: f64 = 0.5;
const SEED: u64 = 13;

/// # Errors
/// A command failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let turns = Rounds {
        warm_up: usize::from(!quick),
        rounds: if quick { 1 } else { 15 },
        in_a_row: 1,
        seed: SEED,
    };
    let home = Arc::new(Home::new()?);
    let redial = NetworkServer::start(&home, &[])?;
    let far = |port| Far::start(port, ROUND_TRIP).map(|far| far.port());
    let to_redial = far(redial.port())?;
    let sshd = Sshd::start(&home).and_then(|sshd| Ok((far(sshd.port())?, sshd)));
    let dropbear = Dropbear::start(&home).and_then(|it| Ok((far(it.port())?, it)));
    let mut missing = Vec::new();
    let mut contestants = vec![Timed::new(REDIAL, || {
        run_true(redial.run_at(to_redial).arg("true"))
    })];
    match &sshd {
        Ok((port, sshd)) => contestants.push(Timed::new(SSH, || {
            run_true(&mut sshd.dial_at(*port, &[], "true"))
        })),
        Err(error) => missing.push(format!("ssh: {error:#}")),
    }
    match &dropbear {
        Ok((port, dropbear)) => contestants.push(Timed::new(DROPBEAR, || {
            super::cold::run_dropbear(&mut dropbear.dial_at(*port, "true"))
        })),
        Err(error) => missing.push(format!("dropbear: {error:#}")),
    }
    turns.run(&mut contestants)?;
    Ok(section(turns.rounds, &contestants, &missing.join("; ")))
}

fn section(rounds: usize, contestants: &[Timed<'_>], missing: &str) -> Section {
    let median = |name| timed::median(contestants, name);
    let mut table = timed::table("ms", contestants, &[("ssh", median(SSH))]);
    if !missing.is_empty() {
        table.row([format!("skipped: {missing}")]);
    }
    let wanted = "p50 ≤ 1/2 of ssh";
    let goal = match (median(REDIAL), median(SSH)) {
        (Some(ours), Some(theirs)) => {
            let ratio = ours / theirs;
            Goal::measured(
                WHAT,
                wanted,
                format!("1/{:.1}", 1.0 / ratio),
                ratio <= WANTED,
            )
        }
        _ => Goal::skipped(WHAT, wanted, missing),
    };
    Section {
        title: "One command from nothing, far away",
        how: format!(
            "As above, through a program before each server that keeps each byte for half of {} ms, and \
             the first as long as TCP takes to begin. {rounds} rounds; in each, everybody once, in an order \
             shuffled from seed {SEED}.",
            ROUND_TRIP.as_millis()
        ),
        figures: table.to_string(),
        goals: vec![goal],
        plots: vec![Plot {
            name: "far",
            title: "true from nothing, 100 ms away",
            unit: "ms",
            kind: timed::distribution(contestants),
        }],
    }
}
