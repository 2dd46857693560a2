//! One reader that stops, and what its neighbours and the server's memory notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use redial_client::{Client, Command, Job, JobEvent};
use tokio::task::JoinSet;

use crate::memory::{Memory, mib};
use crate::order::Order;
use crate::peer::redial::Redial;
use crate::peer::server::Server;
use crate::process;
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const NEIGHBOURS: usize = 63;
const SEED: u64 = 14;
const STALLED_BYTES: u64 = 1 << 30;
const MEMORY_GOAL_BYTES: u64 = 96 << 20;
/// How often the server's memory is read meanwhile.
const WATCH_STEP: Duration = Duration::from_millis(100);

/// The neighbours' runs of one kind.
#[derive(Default)]
struct Runs {
    /// GB/s, all 63 together.
    speed: Samples,
    peak: Memory,
}

/// # Errors
/// Bytes are missing, a command failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let (rounds, bytes) = if quick { (3, 8 << 20) } else { (9, 64 << 20) };
    let server = Server::start(&[])?;
    let redial = Redial::connect(&server)?;
    let (runtime, client) = (redial.runtime(), redial.client());
    let idle = server.settled_memory()?;
    runtime.block_on(neighbours(client, 1 << 20))?;
    let mut runs = [Runs::default(), Runs::default(), Runs::default()];
    let all = NEIGHBOURS as u64 * bytes;
    let mut order = Order::new(SEED);
    for _ in 0..rounds {
        for kind in order.round(runs.len()) {
            let watch = Watch::start(&server);
            let time = match kind {
                0 => runtime.block_on(neighbours(client, bytes))?,
                1 => runtime.block_on(beside_stalled(client, bytes))?,
                _ => runtime.block_on(alone(client, all))?,
            };
            let runs = &mut runs[kind];
            let all = all as f64;
            runs.speed.push(all / 1e9 / time.as_secs_f64());
            runs.peak = runs.peak.max(watch.stop()?);
        }
    }
    Ok(section(rounds, bytes, idle, &runs))
}

/// The neighbours, while a job that could write 1 GiB has a reader that took the
/// first bytes and no more. It reads on afterwards, and misses nothing.
async fn beside_stalled(client: &Client, bytes: u64) -> anyhow::Result<Duration> {
    let mut stalled = client.start(zeros(STALLED_BYTES)).await?;
    let mut writer = None;
    let taken = loop {
        match next(&mut stalled).await? {
            JobEvent::Attached { pid, .. } => writer = Some(pid),
            JobEvent::Data { bytes, .. } => break bytes.len() as u64,
            JobEvent::Ended(outcome) => anyhow::bail!("head {}", outcome.status),
            _ => {}
        }
    };
    let time = neighbours(client, bytes).await?;
    // Where the kernel counts: it was blocked, not slow.
    let written = writer.and_then(process::bytes_written).unwrap_or(0);
    let blocked = written < STALLED_BYTES / 2;
    anyhow::ensure!(blocked, "the stalled job went on: {written} bytes");
    read_all(stalled, STALLED_BYTES - taken).await?;
    Ok(time)
}

/// 63 jobs at once, each read to its end; from the first start to the last outcome.
async fn neighbours(client: &Client, bytes: u64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut readers = JoinSet::new();
    for _ in 0..NEIGHBOURS {
        let client = client.clone();
        readers.spawn(async move { read_all(client.start(zeros(bytes)).await?, bytes).await });
    }
    while let Some(read) = readers.join_next().await {
        read.context("a reader")??;
    }
    Ok(began.elapsed())
}

/// As much from one job.
async fn alone(client: &Client, bytes: u64) -> anyhow::Result<Duration> {
    let began = Instant::now();
    read_all(client.start(zeros(bytes)).await?, bytes).await?;
    Ok(began.elapsed())
}

async fn read_all(mut job: Job, expected: u64) -> anyhow::Result<()> {
    let mut count = 0;
    loop {
        match next(&mut job).await? {
            JobEvent::Data { bytes, .. } => count += bytes.len() as u64,
            JobEvent::Ended(outcome) => {
                anyhow::ensure!(outcome.is_success(), "head {}", outcome.status);
                anyhow::ensure!(count == expected, "{count} bytes of {expected} arrived");
                return Ok(());
            }
            _ => {}
        }
    }
}

async fn next(job: &mut Job) -> anyhow::Result<JobEvent> {
    let event = job
        .next()
        .await
        .context("events ended without an outcome")?;
    Ok(event?)
}

fn zeros(bytes: u64) -> Command {
    let bytes = bytes.to_string();
    Command::new(["head", "-c", bytes.as_str(), "/dev/zero"])
}

/// A thread that looks at the server's memory until it is told to stop.
struct Watch {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Memory>>,
}

impl Watch {
    fn start(server: &Server) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (pids, stop) = (server.pids(), Arc::clone(&stopped));
        let thread = thread::spawn(move || {
            let mut peak = Memory::of(&pids)?;
            while !stop.load(Ordering::Relaxed) {
                thread::park_timeout(WATCH_STEP);
                peak = peak.max(Memory::of(&pids)?);
            }
            Ok(peak)
        });
        Watch { stopped, thread }
    }

    /// The most that was seen.
    fn stop(self) -> anyhow::Result<Memory> {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        match self.thread.join() {
            Ok(peak) => peak,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn section(rounds: usize, bytes: u64, idle: Memory, runs: &[Runs; 3]) -> Section {
    let mut table = Table::new(["", "GB/s, min / median / max", "server's memory, peak"]);
    for (name, runs) in [
        "63 readers",
        "63 readers beside one that stopped",
        "one reader of as much",
    ]
    .into_iter()
    .zip(runs)
    {
        table.row([
            name.to_owned(),
            runs.speed.spread(|gb| format!("{gb:.2}")),
            show(runs.peak),
        ]);
    }
    table.row(["idle, before".to_owned(), String::new(), show(idle)]);
    let [without, with, alone] = runs;
    let to_one = with.speed.median() / alone.speed.median();
    let ratio = with.speed.median() / without.speed.median();
    let goals = vec![
        Goal::measured(
            "63 readers beside one that stopped",
            "≥ 0.90 × without it",
            format!("{ratio:.2}"),
            ratio >= 0.9,
        ),
        Goal::measured(
            "63 readers beside one that stopped",
            "≥ 0.90 × one reader's",
            format!("{to_one:.2}"),
            to_one >= 0.9,
        ),
        Goal::measured(
            "server's memory meanwhile",
            "< 96 MiB",
            mib(with.peak.total()),
            with.peak.total() < MEMORY_GOAL_BYTES,
        ),
    ];
    Section {
        plots: Vec::new(),
        title: "One reader that stops",
        how: format!(
            "One connection. 63 jobs write {} MiB each and are read to the end, counted to the \
             byte; with and without a 64th whose reader took the first bytes of 1 GiB and stopped, \
             until the others were done; then it read the rest, to the byte; and one job that writes as much as the 63. {rounds} runs each, interleaved. Memory as above for idle connections, read every \
             {WATCH_STEP:?}.",
            bytes >> 20
        ),
        figures: table.to_string(),
        goals,
    }
}

fn show(memory: Memory) -> String {
    format!("{} + {}", mib(memory.private), mib(memory.shared))
}
