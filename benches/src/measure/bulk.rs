//! 1 GiB of output to /dev/null over a Unix socket.

use super::carried::{self, Carrier, Contestant, PRODUCER};
use crate::peer::server::Server;
use crate::peer::socat::{Between, Socat};
use crate::report::{Goal, Section};

const WHAT: &str = "1 GiB of output over a Unix socket";
const WANTED: &str = "≥ 1.00 × socat";
const SEED: u64 = 3;

/// # Errors
/// Bytes are missing, a process failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 3 } else { 11 };
    let redial = Carrier::Redial(Server::start(&[])?);
    let mut contestants = vec![Contestant::new("`redial run`", redial)];
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
    let best = contestants[1..].iter().map(|socat| socat.speed.median());
    let goal = match (best.reduce(f64::max), missing) {
        (Some(best), _) => {
            let ratio = contestants[0].speed.median() / best;
            Goal::measured(WHAT, WANTED, format!("{ratio:.2}"), ratio >= 1.0)
        }
        (None, reason) => {
            let reason = reason.unwrap_or_default();
            table.row(["socat".to_owned(), format!("skipped: {reason}")]);
            Goal::skipped(WHAT, WANTED, &reason)
        }
    };
    Section {
        title: "Much output",
        how: format!(
            "`{}`, sent over a Unix socket by a server that runs it, to a client whose stdout is \
             /dev/null. Whole processes: from the client's start to its end. {rounds} runs each, \
             interleaved, order from seed {SEED}; every client succeeded and wrote all bytes, and \
             one run before, not timed, was counted to the byte. Judged against socat's better \
             half.",
            PRODUCER.join(" ")
        ),
        figures: table.to_string(),
        goals: vec![goal],
    }
}
