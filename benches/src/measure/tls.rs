//! 1 GiB of output to /dev/null over TCP, encrypted.

use std::sync::Arc;

use super::carried::{self, Carrier, Contestant, PRODUCER};
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::sshd::Sshd;
use crate::report::{Goal, Section};

const WHAT: &str = "1 GiB of output over TLS";
const WANTED: &str = "≥ 1.70 × ssh, aes128-gcm";
const LEAST: f64 = 1.7;
const SEED: u64 = 6;

/// # Errors
/// Bytes are missing, a process failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 3 } else { 11 };
    let home = Arc::new(Home::new()?);
    let redial = Carrier::RedialOverTls(NetworkServer::start(&home, &[])?);
    let mut contestants = vec![Contestant::new("`redial run`", redial)];
    let mut missing = None;
    match Sshd::start(&home) {
        Ok(sshd) => contestants.push(Contestant::new(
            "`ssh -c aes128-gcm@openssh.com`",
            Carrier::Ssh(sshd),
        )),
        Err(error) => missing = Some(format!("{error:#}")),
    }
    carried::rounds(&mut contestants, rounds, SEED)?;
    Ok(section(rounds, &contestants, missing))
}

fn section(rounds: usize, contestants: &[Contestant], missing: Option<String>) -> Section {
    let mut table = carried::table(contestants);
    let goal = match contestants {
        [redial, ssh] => {
            let ratio = redial.speed.median() / ssh.speed.median();
            Goal::measured(WHAT, WANTED, format!("{ratio:.2}"), ratio >= LEAST)
        }
        _ => {
            let reason = missing.unwrap_or_default();
            table.row(["`ssh`".to_owned(), format!("skipped: {reason}")]);
            Goal::skipped(WHAT, WANTED, &reason)
        }
    };
    Section {
        title: "Much output over the network",
        how: format!(
            "`{}`, over TCP on the loopback, encrypted, to a client whose stdout is /dev/null. \
             Whole processes, the login included: from the client's start to its end. {rounds} \
             runs each, interleaved, order from seed {SEED}; checked as above for a Unix socket. \
             ssh with `-o KexAlgorithms=curve25519-sha256`, without compression; its CPU on the \
             server includes the shell.",
            PRODUCER.join(" ")
        ),
        figures: table.to_string(),
        goals: vec![goal],
    }
}
