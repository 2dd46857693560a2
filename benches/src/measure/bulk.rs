//! 1 GiB of output to /dev/null over a Unix socket.

use std::sync::Arc;

use super::carried::{self, Carrier, Contestant, PRODUCER};
use crate::peer::floor::{Floor, Over};
use crate::peer::server::Server;
use crate::peer::socat::{Between, Socat};
use crate::plot::Plot;
use crate::report::{Goal, Section};

const WHAT: &str = "1 GiB of output over a Unix socket";
const WANTED: &str = "≥ 1.50 × socat -b 262144";
const SEED: u64 = 3;

/// # Errors
/// Bytes are missing, a process failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 2 } else { 11 };
    let redial = Carrier::Redial(Server::start(&[])?);
    let floor = Carrier::Floor(Arc::new(Floor::start()?), Over::Unix, "plain");
    let mut contestants = vec![
        Contestant::new("`redial run`", redial),
        Contestant::new("floor: pipe, socket, /dev/null", floor),
    ];
    let command = PRODUCER.join(" ");
    let mut missing = None;
    for (name, between) in [
        ("`socat -b 262144`, socket pair", Between::SocketPair),
        ("`socat -b 262144`, pipes", Between::Pipes),
    ] {
        match Socat::start(&command, between) {
            Ok(socat) => contestants.push(Contestant::new(name, Carrier::Socat(socat))),
            Err(error) => missing = Some(format!("{error:#}")),
        }
    }
    carried::rounds(&mut contestants, rounds, SEED)?;
    Ok(section(rounds, &contestants, missing))
}

fn section(rounds: usize, contestants: &[Contestant], missing: Option<String>) -> Section {
    let mut table = carried::table(contestants);
    let ours = contestants[0].speed.median();
    let best = contestants[2..].iter().map(|socat| socat.speed.median());
    let peer = match (best.reduce(f64::max), missing) {
        (Some(best), _) => {
            let ratio = ours / best;
            Goal::measured(WHAT, WANTED, format!("{ratio:.2}"), ratio >= 1.5)
        }
        (None, reason) => {
            let reason = reason.unwrap_or_default();
            table.row(["socat".to_owned(), format!("skipped: {reason}")]);
            Goal::skipped(WHAT, WANTED, &reason)
        }
    };
    let ratio = ours / contestants[1].speed.median();
    let floor = Goal::measured(WHAT, "≥ 0.90 × floor", format!("{ratio:.2}"), ratio >= 0.9);
    Section {
        title: "Much output",
        how: format!(
            "`{}`, sent over a Unix socket by a server that runs it, to a client whose stdout is \
             /dev/null. Whole processes: from the client's start to its end. {rounds} runs each, \
             interleaved, order from seed {SEED}; every client succeeded and wrote all bytes, and \
             one run before, not timed, was counted to the byte. Judged against socat's better \
             half. The floor: a thread that reads a pipe of 1 MiB by 256 KiB and writes to the socket, and a process \
             that reads that and writes to /dev/null.",
            PRODUCER.join(" ")
        ),
        figures: table.to_string(),
        goals: vec![peer, floor],
        plots: vec![Plot {
            name: "bulk-unix",
            title: "1 GiB of output over a Unix socket",
            unit: "GB/s",
            kind: carried::bars(contestants),
        }],
    }
}
