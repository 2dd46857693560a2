//! What a connection that does nothing costs the server in memory.

use std::sync::Arc;

use anyhow::Context;
use redial_client::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;

use crate::memory::{Memory, kib, mib};
use crate::order::Order;
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::redial;
use crate::peer::server::Server;
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const CONNECTIONS: usize = 1_000;
/// Connections, and what a process has open besides.
const DESCRIPTORS: u64 = 2_000;
const OPTIONS: [&str; 2] = ["--max-connections", "1100"];
const GOAL_BYTES: f64 = 64.0 * 1024.0;
const SEED: u64 = 7;

/// What the connections are.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Unix,
    Network,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Unix, Kind::Network];

    fn name(self) -> &'static str {
        match self {
            Kind::Unix => "Unix socket",
            Kind::Network => "TCP, TLS, logged in",
        }
    }
}

/// # Errors
/// The server did not start, or does not take so many connections.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 1 } else { 5 };
    allow_descriptors()?;
    let mut each = Kind::ALL.map(|_| Samples::default());
    let mut rows = Kind::ALL.map(|_| Vec::new());
    let mut order = Order::new(SEED);
    for round in 1..=rounds {
        for index in order.round(Kind::ALL.len()) {
            let kind = Kind::ALL[index];
            let (alone, full) = one_round(kind).with_context(|| kind.name())?;
            let per_connection = (full - alone) as f64 / CONNECTIONS as f64;
            each[index].push(per_connection);
            rows[index].push([
                format!("{}, run {round}", kind.name()),
                show(alone),
                show(full),
                in_kib(per_connection),
            ]);
        }
    }
    let mut table = Table::new(["server's memory", "alone", "1,000 connections", "each"]);
    rows.into_iter().flatten().for_each(|row| table.row(row));
    let [unix, _] = &each;
    let median = unix.median();
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
             {CONNECTIONS} connections that have said hello, over TCP also who they are, and \
             nothing else; a server of its own for each of {rounds} runs of each kind. Over TCP, \
             before is after one login. What the kernel keeps for a socket is not counted. The \
             goal is that of the Unix socket."
        ),
        figures: table.to_string(),
        goals: vec![goal],
    })
}

/// The connections' other ends are ours. Servers that we start have as many.
fn allow_descriptors() -> anyhow::Result<()> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= DESCRIPTORS) {
        return Ok(());
    }
    let more = Rlimit {
        current: Some(DESCRIPTORS),
        ..now
    };
    setrlimit(Resource::Nofile, more).context("cannot have enough descriptors (ulimit -n)")
}

fn one_round(kind: Kind) -> anyhow::Result<(Memory, Memory)> {
    let runtime = redial::runtime()?;
    match kind {
        Kind::Unix => {
            let server = Server::start(&OPTIONS)?;
            filled(&runtime, &server, async || redial::connect(&server).await)
        }
        Kind::Network => {
            let home = Arc::new(Home::new()?);
            let network = NetworkServer::start(&home, &OPTIONS)?;
            filled(&runtime, network.server(), async || network.connect().await)
        }
    }
}

/// The server's memory before these connections and with them.
fn filled(
    runtime: &Runtime,
    server: &Server,
    connect: impl AsyncFn() -> anyhow::Result<Client>,
) -> anyhow::Result<(Memory, Memory)> {
    let alone = server.settled_memory()?;
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let client = runtime.block_on(connect());
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
