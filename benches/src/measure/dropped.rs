//! What lines that drop cost, and fronts that die.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use redial_client::{Client, Command as Remote, ConnectOptions, JobEvent, OnDrop, Target};

use crate::order::Order;
use crate::peer::bare::Sender;
use crate::peer::cutter::Cutter;
use crate::peer::redial::runtime;
use crate::peer::server::Server;
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const CUTS: u64 = 1_000;
const SEED: u64 = 11;
/// Of the five things that are timed, those that are cut.
const CUT: [usize; 2] = [2, 4];
/// The first of those that are no redial's.
const BARE: usize = 3;

/// Much output, timed in five ways.
struct Runs {
    bytes: u64,
    cuts: u64,
    times: [Samples; 5],
    /// Lines that were cut, in the run with most.
    counted: [u64; 5],
}

/// # Errors
/// A byte was wrong, or nothing came.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let (rounds, bytes, cuts) = match quick {
        true => (1, 1_u64 << 27, CUTS / 8),
        false => (5, 1 << 30, CUTS),
    };
    let mut server = Server::start(&[])?;
    let runs = runs(&server, rounds, bytes, cuts)?;
    let gaps = gaps(&mut server, if quick { 3 } else { 20 })?;
    let [again, floor] = reconnects(&server, if quick { 5 } else { 50 })?;
    let mut goals = goals(&runs, &gaps);
    let share = again.median() / floor.median();
    goals.push(Goal::measured(
        "line cut: first byte over the next one",
        "≤ a handshake and 2 round trips",
        format!("{share:.2} ×"),
        share <= 1.0,
    ));
    Ok(Section {
        plots: Vec::new(),
        title: "Lines that drop",
        how: format!(
            "`redial run` through a proxy between two Unix sockets, {rounds} runs of each in an order of \
             chance; the bytes are counted and summed by redial itself, which exits with 0 only if all are \
             there. Cut means both ways at once, each time that the server has sent {} bytes over a line. \
             The bare program only says how far it has come and is sent the rest, through the same proxy. The gap and \
             the first byte are those of a job that writes without a pause.",
            bytes / cuts
        ),
        figures: figures(&runs, &gaps, &again, &floor),
        goals,
    })
}

fn runs(server: &Server, rounds: usize, bytes: u64, cuts: u64) -> anyhow::Result<Runs> {
    let sender = Sender::start(bytes)?;
    let mut times = [(); 5].map(|()| Samples::default());
    let mut order = Order::new(SEED);
    let mut counted = [0; 5];
    for _ in 0..rounds {
        for which in order.round(5) {
            let every = if CUT.contains(&which) {
                bytes / cuts
            } else {
                0
            };
            let is_bare = which >= BARE;
            let behind = if is_bare {
                sender.socket()
            } else {
                server.socket()
            };
            let cutter = Cutter::start(&behind, every)?;
            let redial: &[&str] = if which == 0 { &["--no-redial"] } else { &[] };
            let took = match is_bare {
                true => sender.receive(&cutter.socket())?,
                false => once(server, &cutter.socket(), redial, bytes)?,
            };
            times[which].push(took.as_secs_f64());
            counted[which] = counted[which].max(cutter.cuts());
        }
    }
    Ok(Runs {
        bytes,
        cuts,
        times,
        counted,
    })
}

impl Runs {
    fn mib(&self) -> f64 {
        self.bytes as f64 / 1_048_576.0
    }

    /// What each cut added to the time, in ms.
    fn per_cut(&self, whole: usize, cut: usize) -> f64 {
        let seconds = self.times[cut].median() - self.times[whole].median();
        seconds * 1_000.0 / self.counted[cut].max(1) as f64
    }

    /// What a cut may add where the speed stays at so much of the uncut one.
    fn allowed(&self, share: f64) -> f64 {
        self.times[1].median() * (1.0 / share - 1.0) * 1_000.0 / self.cuts as f64
    }
}

fn figures(runs: &Runs, gaps: &Samples, again: &Samples, floor: &Samples) -> String {
    let mut table = Table::new(["", "median", "range"]);
    let speed = |seconds: f64| format!("{:.0} MiB/s", runs.mib() / seconds);
    let names = [
        "not to be dialled again",
        "to be dialled again, not cut",
        "cut",
        "a bare program, not cut",
        "a bare program, cut",
    ];
    for (name, samples) in names.into_iter().zip(&runs.times) {
        let range = format!("{} to {}", speed(samples.max()), speed(samples.min()));
        table.row([name.to_owned(), speed(samples.median()), range]);
    }
    for (name, value) in [
        ("what a cut adds", runs.per_cut(1, 2)),
        ("what a cut adds, a bare program", runs.per_cut(3, 4)),
        ("what a cut may add at 0.80 of the speed", runs.allowed(0.8)),
    ] {
        table.row([name.to_owned(), format!("{value:.2} ms"), String::new()]);
    }
    let ms = |value: f64| format!("{value:.1} ms");
    for (name, samples) in [
        ("front killed: from the kill to the next byte", gaps),
        ("line cut: first byte over the next one", again),
        ("a connection, and two answers over it", floor),
    ] {
        table.row([name.to_owned(), ms(samples.median()), samples.spread(ms)]);
    }
    table.to_string()
}

fn goals(runs: &Runs, gaps: &Samples) -> Vec<Goal> {
    let [plain, uncut, cut, ..] = &runs.times;
    let (mib, cuts) = (runs.mib(), runs.counted[2]);
    let ms = |value: f64| format!("{value:.1} ms");
    let share = uncut.median() / cut.median();
    let cost = uncut.median() / plain.median();
    vec![
        Goal::measured(
            &format!("{mib:.0} MiB through {cuts} cuts, of the uncut speed"),
            "≥ 0.80",
            format!("{share:.2}"),
            share >= 0.8,
        ),
        Goal::measured(
            "being able to be dialled again, time of much output",
            "≤ 1.10",
            format!("{cost:.2}"),
            cost <= 1.1,
        ),
        Goal::measured(
            "front killed: gap in the output",
            "≤ 300 ms",
            ms(gaps.max()),
            gaps.max() <= 300.0,
        ),
    ]
}

fn once(server: &Server, socket: &Path, flags: &[&str], bytes: u64) -> anyhow::Result<Duration> {
    let mut command: Command = server.program();
    command
        .arg("run")
        .args(flags)
        .args(["-n", "--on-drop", "keep:1m"])
        .arg(format!("unix:{}", socket.display()))
        .args(["--", "head", "-c", &bytes.to_string(), "/dev/zero"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status().context("cannot start redial")?;
    anyhow::ensure!(status.success(), "redial run: {status}");
    Ok(began.elapsed())
}

/// Over a Unix socket a job ends with its line, unless it is asked otherwise.
fn keep() -> OnDrop {
    OnDrop::KeepFor(Duration::from_secs(60))
}

fn options() -> ConnectOptions {
    ConnectOptions::default().redial(Some(Duration::from_secs(60)))
}

/// From the kill of a front to the next byte of a job that writes all the time.
fn gaps(server: &mut Server, count: usize) -> anyhow::Result<Samples> {
    let mut gaps = Samples::default();
    let runtime = runtime()?;
    let target = Target::Unix(Some(server.socket()));
    runtime.block_on(async {
        let client = Client::connect(&target, options()).await?;
        let mut job = client.start(Remote::new(["yes"]).on_drop(keep())).await?;
        for _ in 0..count {
            // A front is started at most every 200 ms: that is part of the gap only for one that
            // dies young, which none of these is.
            let steady = Instant::now();
            while steady.elapsed() < Duration::from_millis(300) {
                next_data(&mut job).await?;
            }
            server.kill_front()?;
            let killed = Instant::now();
            while !dropped(&mut job).await? {}
            next_data(&mut job).await?;
            gaps.push_millis(killed.elapsed());
        }
        anyhow::Ok(())
    })?;
    Ok(gaps)
}

/// From a cut to the next byte of a job that writes all the time; and what it cannot be faster
/// than: a connection, and two answers over it.
fn reconnects(server: &Server, count: usize) -> anyhow::Result<[Samples; 2]> {
    let [mut times, mut floor] = [Samples::default(), Samples::default()];
    let cutter = Cutter::start(&server.socket(), 4 << 20)?;
    let target = Target::Unix(Some(cutter.socket()));
    runtime()?.block_on(async {
        let client = Client::connect(&target, options()).await?;
        let mut job = client.start(Remote::new(["yes"]).on_drop(keep())).await?;
        for _ in 0..count {
            while !dropped(&mut job).await? {}
            let cut = Instant::now();
            next_data(&mut job).await?;
            times.push_millis(cut.elapsed());
            let began = Instant::now();
            let other = Client::connect(&target, options()).await?;
            other.jobs("none").await?;
            other.jobs("none").await?;
            floor.push_millis(began.elapsed());
            other.close().await;
        }
        anyhow::Ok(())
    })?;
    Ok([times, floor])
}

async fn next_data(job: &mut redial_client::Job) -> anyhow::Result<()> {
    loop {
        match job.next().await {
            Some(Ok(JobEvent::Data { .. })) => return Ok(()),
            Some(Ok(JobEvent::Ended(outcome))) => anyhow::bail!("it ended: {}", outcome.status),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(error.into()),
            None => anyhow::bail!("nothing more comes"),
        }
    }
}

/// The next event; whether it is that the line has dropped.
async fn dropped(job: &mut redial_client::Job) -> anyhow::Result<bool> {
    match job.next().await {
        Some(Ok(event)) => Ok(matches!(event, JobEvent::LineDropped { .. })),
        Some(Err(error)) => Err(error.into()),
        None => anyhow::bail!("nothing more comes"),
    }
}
