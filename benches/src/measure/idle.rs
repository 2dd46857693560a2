//! What a connection that does nothing costs the server in memory.

use anyhow::Context;

use crate::memory::{Memory, kib, mib};
use crate::peer::redial;
use crate::peer::server::Server;
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const CONNECTIONS: usize = 1_000;
const GOAL_BYTES: f64 = 64.0 * 1024.0;

/// # Errors
/// The server did not start, or does not take so many connections.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 1 } else { 5 };
    let mut each = Samples::default();
    let mut table = Table::new(["server's memory", "alone", "1,000 connections", "each"]);
    for round in 1..=rounds {
        let (alone, full) = one_round()?;
        let per_connection = (full - alone) as f64 / CONNECTIONS as f64;
        each.push(per_connection);
        table.row([
            format!("run {round}"),
            show(alone),
            show(full),
            in_kib(per_connection),
        ]);
    }
    let median = each.median();
    let goal = Goal::measured(
        "server's memory for an idle connection",
        "≤ 64 KiB",
        in_kib(median),
        median <= GOAL_BYTES,
    );
    Ok(Section {
        title: "Idle connections",
        how: format!(
            "Memory of keeper and front together: proportional set size without shared memory, \
             plus (behind the +) the blocks of every memfd they hold. Before and with \
             {CONNECTIONS} connections that have said hello and nothing else; a server of its own \
             for each of {rounds} runs. What the kernel keeps for a socket is not counted."
        ),
        figures: table.to_string(),
        goals: vec![goal],
    })
}

fn one_round() -> anyhow::Result<(Memory, Memory)> {
    let server = Server::start(&["--max-connections", "1100"])?;
    let alone = server.settled_memory()?;
    let runtime = redial::runtime()?;
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let client = runtime.block_on(redial::connect(&server));
        clients.push(client.with_context(|| format!("connection {number}"))?);
    }
    let full = server.settled_memory()?;
    // All of them were still there when it was read.
    for client in &clients {
        runtime.block_on(redial::run_true(client))?;
    }
    Ok((alone, full))
}

fn show(memory: Memory) -> String {
    format!("{} + {}", mib(memory.private), kib(memory.shared))
}

fn in_kib(bytes: f64) -> String {
    format!("{:.1} KiB", bytes / 1024.0)
}
