//! `true` over an open connection: how long one command takes, one at a time.

use std::sync::Arc;

use super::timed::{self, Rounds, Timed};
use crate::peer::asyncssh::Asyncssh;
use crate::peer::direct::Direct;
use crate::peer::floor::{Floor, Over};
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::redial::Redial;
use crate::peer::run_true;
use crate::peer::server::Server;
use crate::peer::ssh::Ssh;
use crate::plot::Plot;
use crate::report::{Goal, Section};

const DIRECT: &str = "spawner, called directly";
const FLOOR_UNIX: &str = "floor: spawner behind a Unix socket";
const FLOOR_TCP: &str = "floor: spawner behind a TCP socket";
const UNIX: &str = "redial, the client library, Unix socket";
const TLS: &str = "redial, the client library, TCP and TLS";
const SSH: &str = "`ssh`, a whole process, ControlMaster";
const ASYNCSSH: &str = "asyncssh, one process";
const WARM_UP: usize = 2;
/// In a row, for what is asked is the next command on a connection in use, not the first
/// after something else has had the caches.
const IN_A_ROW: usize = 10;
const SEED: u64 = 1;

/// # Errors
/// A command failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let turns = Rounds {
        warm_up: WARM_UP,
        rounds: if quick { 15 } else { 200 },
        in_a_row: IN_A_ROW,
        seed: SEED,
    };
    let mut direct = Direct::new()?;
    let floor = Floor::start()?;
    let (mut unix, mut tcp) = (floor.lane(Over::Unix)?, floor.lane(Over::Tcp)?);
    let server = Server::start(&[])?;
    let redial = Redial::connect(&server)?;
    let network = NetworkServer::start(&Arc::new(Home::new()?), &[])?;
    let over_tls = Redial::over_tls(&network)?;
    let (ssh, asyncssh) = (Ssh::start(), Asyncssh::start());
    let mut missing = Vec::new();
    let mut contestants = vec![
        Timed::new(DIRECT, || direct.once()),
        Timed::new(FLOOR_UNIX, || unix.once()),
        Timed::new(FLOOR_TCP, || tcp.once()),
        Timed::new(UNIX, || redial.once()),
        Timed::new(TLS, || over_tls.once()),
        Timed::new("`redial run`, a whole process, Unix socket", || {
            run_true(server.run().arg("true"))
        }),
    ];
    match &ssh {
        Ok(ssh) => contestants.push(Timed::new(SSH, || run_true(&mut ssh.run("true")))),
        Err(error) => missing.push(format!("ssh: {error:#}")),
    }
    match asyncssh {
        Ok(mut it) => contestants.push(Timed::reporting(ASYNCSSH, move |count| it.times(count))),
        Err(error) => missing.push(format!("asyncssh: {error:#}")),
    }
    turns.run(&mut contestants)?;
    Ok(section(turns.rounds, &contestants, &missing.join("; ")))
}

fn section(rounds: usize, contestants: &[Timed<'_>], missing: &str) -> Section {
    let median = |name| timed::median(contestants, name);
    let against = [
        ("floor, Unix", median(FLOOR_UNIX)),
        ("ssh", median(SSH)),
        ("asyncssh", median(ASYNCSSH)),
    ];
    let mut table = timed::table("ms", contestants, &against);
    if !missing.is_empty() {
        table.row([format!("skipped: {missing}")]);
    }
    let mut goals = Vec::new();
    for (what, ours, floor) in [
        ("`true` on an open connection, Unix", UNIX, FLOOR_UNIX),
        ("`true` on an open connection, TLS", TLS, FLOOR_TCP),
    ] {
        for (share, wanted, most) in [
            (0.5, "p50 ≤ 1.20 × floor", 1.2),
            (0.99, "p99 ≤ 1.50 × floor", 1.5),
        ] {
            goals.extend(
                ratio(contestants, (ours, floor), share).map(|ratio| {
                    Goal::measured(what, wanted, format!("{ratio:.2}"), ratio <= most)
                }),
            );
        }
        let wanted = "p50 ≤ 1/8 of ssh";
        goals.push(match ratio(contestants, (ours, SSH), 0.5) {
            Some(ratio) => {
                let measured = format!("1/{:.1}", 1.0 / ratio);
                Goal::measured(what, wanted, measured, ratio <= 0.125)
            }
            None => Goal::skipped(what, wanted, missing),
        });
    }
    Section {
        title: "One command at a time",
        how: format!(
            "`true`, from the call to the outcome: process started, both outputs read to their \
             end, reaped, exit code 0 and no output checked. {rounds} rounds; in each, everybody \
             {IN_A_ROW} times in a row, in an order shuffled from seed {SEED}. Directly: the keeper's own spawner in \
             the measuring process, with a cgroup for each command where the keeper has one too; the floors: the same \
             behind a socket, a byte there and a byte back (benches/floor). ssh gives the text to the login shell, whose `true` is a \
             builtin: it starts a shell, with an empty home and so without start-up files, where \
             the others start `true`. asyncssh: one Python process that times itself."
        ),
        figures: table.to_string(),
        goals,
        plots: vec![Plot {
            name: "latency",
            title: "true on an open connection",
            unit: "ms",
            kind: timed::distribution(contestants),
        }],
    }
}

fn ratio(contestants: &[Timed<'_>], (ours, other): (&str, &str), share: f64) -> Option<f64> {
    let samples = |name| contestants.iter().find(|it| it.name == name);
    Some(
        samples(ours)?
            .samples
            .ratio_at(share, &samples(other)?.samples),
    )
}
