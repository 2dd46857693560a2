//! 1 GiB of output to /dev/null over TCP, encrypted.

use std::sync::Arc;

use super::carried::{self, Carrier, Contestant, PRODUCER};
use crate::peer::floor::{Floor, Over};
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::sshd::Sshd;
use crate::plot::Plot;
use crate::report::{Goal, Section};

const WHAT: &str = "1 GiB of output over TLS";
const WANTED: &str = "≥ 2.00 × ssh, aes128-gcm";
const WANTED_CPU: &str = "CPU of both sides ≤ 0.50 × ssh, aes128-gcm";
const SEED: u64 = 6;

/// # Errors
/// Bytes are missing, a process failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 2 } else { 11 };
    let home = Arc::new(Home::new()?);
    let redial = Carrier::RedialOverTls(NetworkServer::start(&home, &[])?);
    let floor = Arc::new(Floor::start()?);
    let of_floor = |form| Carrier::Floor(Arc::clone(&floor), Over::Tcp, form);
    let mut contestants = vec![
        Contestant::new("`redial run`", redial),
        Contestant::new("floor: pipe, AES-128-GCM, TCP", of_floor("aes")),
        Contestant::new("floor: pipe, TCP, not encrypted", of_floor("plain")),
    ];
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
    let redial = &contestants[0];
    let mut goals = match contestants.get(3) {
        Some(ssh) => {
            let speed = redial.speed.median() / ssh.speed.median();
            let cpu = redial.cpu() / ssh.cpu();
            vec![
                Goal::measured(WHAT, WANTED, format!("{speed:.2}"), speed >= 2.0),
                Goal::measured(WHAT, WANTED_CPU, format!("{cpu:.2}"), cpu <= 0.5),
            ]
        }
        None => {
            let reason = missing.unwrap_or_default();
            table.row(["`ssh`".to_owned(), format!("skipped: {reason}")]);
            [WANTED, WANTED_CPU]
                .map(|wanted| Goal::skipped(WHAT, wanted, &reason))
                .to_vec()
        }
    };
    let ratio = redial.speed.median() / contestants[1].speed.median();
    let wanted = "≥ 1.00 × floor, AES-128-GCM";
    goals.push(Goal::measured(
        WHAT,
        wanted,
        format!("{ratio:.2}"),
        ratio >= 1.0,
    ));
    Section {
        title: "Much output over the network",
        how: format!(
            "`{}`, over TCP on the loopback, encrypted, to a client whose stdout is /dev/null. \
             Whole processes, the login included: from the client's start to its end. {rounds} \
             runs each, interleaved, order from seed {SEED}; checked as above for a Unix socket. \
             ssh with `-o KexAlgorithms=curve25519-sha256`, without compression; its CPU on the \
             server includes the shell. The floor: as above, over TCP, sealed in records of 16 KiB.",
            PRODUCER.join(" ")
        ),
        figures: table.to_string(),
        goals,
        plots: vec![Plot {
            name: "bulk-tls",
            title: "1 GiB of output over TCP, encrypted",
            unit: "GB/s",
            kind: carried::bars(contestants),
        }],
    }
}
