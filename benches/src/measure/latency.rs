//! `true` over an open connection: how long one command takes, one at a time.

use super::timed::Timed;
use crate::order::Order;
use crate::peer::direct::Direct;
use crate::peer::redial::Redial;
use crate::peer::run_true;
use crate::peer::server::Server;
use crate::peer::ssh::Ssh;
use crate::report::{Goal, Section};
use crate::table::Table;

const DIRECT_GOAL: &str = "p50 ≤ 1.40 × direct";
const SSH_GOAL: &str = "p50 ≤ 0.20 × ssh";
const WHAT: &str = "`true` on an open connection";
const WARM_UP: usize = 2;
/// In a row, for what is asked is the next command on a connection in use, not the first
/// after something else has had the caches.
const IN_A_ROW: usize = 10;
const SEED: u64 = 1;

/// # Errors
/// A command failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 20 } else { 200 };
    let mut direct = Direct::new()?;
    let mut bare = Direct::without_cgroup()?;
    let server = Server::start(&[])?;
    let redial = Redial::connect(&server)?;
    let ssh = Ssh::start();
    let mut contestants = vec![
        Timed::new("spawner, called directly", || direct.once()),
        Timed::new("redial, the client library", || redial.once()),
        Timed::new("`redial run`, a whole process", || {
            run_true(server.run().arg("true"))
        }),
    ];
    if let Ok(ssh) = &ssh {
        let once = || run_true(&mut ssh.run("true"));
        contestants.push(Timed::new("`ssh`, a whole process, ControlMaster", once));
    }
    contestants.push(Timed::new("spawner, called directly, no cgroup", || {
        bare.once()
    }));
    let mut order = Order::new(SEED);
    for round in 0..WARM_UP + rounds {
        for index in order.round(contestants.len()) {
            contestants[index].run(IN_A_ROW, round >= WARM_UP)?;
        }
    }
    let missing = ssh.as_ref().err().map(|error| format!("{error:#}"));
    Ok(section(rounds, &contestants, missing))
}

fn section(rounds: usize, contestants: &[Timed<'_>], missing: Option<String>) -> Section {
    let p50 = |index: usize| contestants[index].samples.median();
    let mut table = Table::new(["ms", "min", "p50", "p99", "max", "p50 ÷ direct", "runs"]);
    for Timed { name, samples, .. } in contestants {
        let ms = |value: f64| format!("{value:.2}");
        table.row([
            (*name).to_owned(),
            ms(samples.min()),
            ms(samples.median()),
            ms(samples.quantile(0.99)),
            ms(samples.max()),
            ms(samples.median() / p50(0)),
            samples.len().to_string(),
        ]);
    }
    let to_direct = p50(1) / p50(0);
    let mut goals = vec![Goal::measured(
        WHAT,
        DIRECT_GOAL,
        format!("{to_direct:.2}"),
        to_direct <= 1.4,
    )];
    goals.push(match &missing {
        None => {
            let to_ssh = p50(1) / p50(3);
            Goal::measured(WHAT, SSH_GOAL, format!("{to_ssh:.3}"), to_ssh <= 0.2)
        }
        Some(reason) => {
            table.row(["`ssh`".to_owned(), format!("skipped: {reason}")]);
            Goal::skipped(WHAT, SSH_GOAL, reason)
        }
    });
    Section {
        title: "One command at a time",
        how: format!(
            "`true`, from the call to the outcome: process started, both outputs read to their \
             end, reaped, exit code 0 and no output checked. {rounds} rounds; in each, everybody \
             {IN_A_ROW} times in a row, in an order shuffled from seed {SEED}. Directly: the keeper's own spawner in \
             the measuring process, with a cgroup for each command where the keeper has one too. ssh gives the text to the login shell, whose `true` is a \
             builtin: it starts a shell, with an empty home and so without start-up files, where \
             the others start `true`."
        ),
        figures: table.to_string(),
        goals,
    }
}
