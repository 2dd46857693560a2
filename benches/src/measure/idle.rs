//! What connections and jobs that do nothing cost the server in memory, as their number grows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use redial_client::{Client, Command, ConnectOptions, Job, JobEvent};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::memory::{Memory, mib};
use crate::patience::wait_for;
use crate::peer::Daemon;
use crate::peer::dropbear::Dropbear;
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::redial;
use crate::peer::server::Server;
use crate::peer::sshd::{CURVE25519, Sshd};
use crate::plot::{Kind, Plot};
use crate::report::{Goal, Section};
use crate::table::Table;

/// Connections of others, each with processes of its own.
const OF_OTHERS: usize = 10;
/// Both sides of all, and what a process has open besides.
const DESCRIPTORS: u64 = 60_000;
/// The most connections, or jobs with their pipes, and some.
const LEAST_DESCRIPTORS: u64 = 15_000;
const LIMIT: Duration = Duration::from_secs(60);
const KIB: f64 = 1_024.0;
/// Of a connection, and of a job.
const CONNECTION_KIB: f64 = 24.0;
const JOB_KIB: f64 = 32.0;

/// So many at once, and what each came to.
struct Grown {
    count: usize,
    before: Memory,
    with: Memory,
    /// Until all were there, by each.
    each: Duration,
}

impl Grown {
    fn kib(&self) -> f64 {
        (self.with - self.before) as f64 / KIB / self.count as f64
    }

    /// What one more costs. The first ones fit into what a server has free anyway, and so cost
    /// less than nothing, or nothing.
    fn kib_more(&self, fewer: &Grown) -> f64 {
        let more = (self.with - self.before) - (fewer.with - fewer.before);
        more as f64 / KIB / (self.count - fewer.count) as f64
    }

    fn ms(&self) -> f64 {
        self.each.as_secs_f64() * 1e3
    }
}

/// # Errors
/// A server did not start, or does not take so many.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let counts = if quick {
        &[100, 1_000][..]
    } else {
        &[100, 1_000, 10_000]
    };
    let jobs = if quick {
        &[100, 500][..]
    } else {
        &[100, 1_000, 2_000]
    };
    allow_descriptors()?;
    // The largest of a quick run alone.
    let of_unix_too = if quick { &counts[1..] } else { counts };
    let unix = of_unix_too.iter().map(|count| of_unix(*count));
    let unix = unix.collect::<anyhow::Result<Vec<_>>>()?;
    let tls = counts.iter().map(|count| of_tls(*count));
    let tls = tls.collect::<anyhow::Result<Vec<_>>>()?;
    let jobs = jobs.iter().map(|count| of_jobs(*count));
    let jobs = jobs.collect::<anyhow::Result<Vec<_>>>()?;
    let home = Arc::new(Home::new()?);
    let others = [("sshd", of_sshd(&home)), ("dropbear", of_dropbear(&home))];
    let all = [
        ("connections, Unix socket", &unix),
        ("connections, TCP and TLS, logged in", &tls),
        ("jobs, `sleep`, without the child", &jobs),
    ];
    let goals = goals(&tls, &jobs, &others);
    let line = |(name, grown): &(&str, &Vec<Grown>), of: fn(&Grown) -> f64| {
        let points = grown.iter().map(|it| (it.count as f64, of(it)));
        (name.replace('`', ""), points.collect())
    };
    let plot = |name, title, unit, of: fn(&Grown) -> f64| Plot {
        name,
        title,
        unit,
        kind: Kind::Growth {
            of: "at once",
            lines: all.iter().map(|it| line(it, of)).collect(),
        },
    };
    Ok(Section {
        plots: vec![
            plot(
                "memory",
                "Server's memory for each that is idle",
                "KiB",
                Grown::kib,
            ),
            plot(
                "growth",
                "Time for each until all are there",
                "ms",
                Grown::ms,
            ),
        ],
        title: "Idle connections and jobs",
        how: format!(
            "Memory of keeper and front together: proportional set size without shared memory, plus the blocks \
             of every memfd they hold; before, and with so many connections that have said hello, over TCP also who \
             they are, and nothing else; or jobs on one connection whose output is read and who write none, whose \
             children are not counted. A server of its own for each row. Over TCP, before is after one login. What the \
             kernel keeps for a socket is not counted. Flat: of time, each row's; of memory, what one more costs from row \
             to row, for the first hundred fit into what the server has free anyway. sshd and dropbear: all their processes for {OF_OTHERS} \
             connections that are logged in, each with its `sleep`, which is not counted."
        ),
        figures: table(&all, &others).to_string(),
        goals,
    })
}

fn table(all: &[(&str, &Vec<Grown>)], others: &[(&str, anyhow::Result<f64>)]) -> Table {
    let mut table = Table::new([
        "idle",
        "at once",
        "before",
        "with them",
        "KiB each",
        "ms each",
    ]);
    for (name, grown) in all {
        for it in *grown {
            table.row([
                (*name).to_owned(),
                it.count.to_string(),
                mib(it.before.total()),
                mib(it.with.total()),
                format!("{:.1}", it.kib()),
                format!("{:.2}", it.ms()),
            ]);
        }
    }
    for (name, kib) in others {
        let (count, kib) = match kib {
            Ok(kib) => (OF_OTHERS.to_string(), format!("{kib:.0}")),
            Err(error) => (format!("skipped: {error:#}"), String::new()),
        };
        let (before, with) = (String::new(), String::new());
        table.row([format!("connections, {name}"), count, before, with, kib]);
    }
    table
}

fn goals(tls: &[Grown], jobs: &[Grown], others: &[(&str, anyhow::Result<f64>)]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for it in tls.iter().filter(|it| it.count >= 1_000) {
        let what = format!(
            "server's memory for one of {} idle connections, TLS",
            it.count
        );
        let measured = format!("{:.1} KiB", it.kib());
        goals.push(Goal::measured(
            &what,
            "≤ 24 KiB",
            measured,
            it.kib() <= CONNECTION_KIB,
        ));
    }
    let ours = tls.iter().map(Grown::kib).fold(0.0, f64::max);
    for ((name, theirs), (part, wanted)) in others.iter().zip([(50.0, "≤ 1/50"), (10.0, "≤ 1/10")])
    {
        let what = format!("the same, against {name}");
        goals.push(match theirs {
            Ok(theirs) => {
                let times = theirs / ours;
                Goal::measured(&what, wanted, format!("1/{times:.0}"), times >= part)
            }
            Err(error) => Goal::skipped(&what, wanted, &format!("{error:#}")),
        });
    }
    let most = jobs.iter().map(Grown::kib).fold(0.0, f64::max);
    goals.push(Goal::measured(
        "server's memory for an idle job",
        "≤ 32 KiB",
        format!("{most:.1} KiB at worst"),
        most <= JOB_KIB,
    ));
    for (what, grown) in [("connections, TLS", tls), ("jobs", jobs)] {
        let time = spread(grown.iter().map(Grown::ms));
        let more = grown.windows(2).map(|pair| pair[1].kib_more(&pair[0]));
        let (what, wanted) = (
            format!("cost of one more of many {what}"),
            "flat within 1.20",
        );
        let is_some = more.clone().all(|kib| kib > 0.0);
        let memory = spread(more);
        goals.push(match grown.len() {
            0..=2 => Goal::skipped(&what, wanted, "a quick run has too few rows"),
            _ => Goal::measured(
                &what,
                wanted,
                format!("memory {memory:.2}, time {time:.2}"),
                is_some && memory <= 1.2 && time <= 1.2,
            ),
        });
    }
    goals
}

/// The largest by the smallest.
fn spread(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().fold(0.0, f64::max) / values.fold(f64::MAX, f64::min)
}

/// The connections' other ends are ours. Servers that we start have as many.
fn allow_descriptors() -> anyhow::Result<()> {
    let now = getrlimit(Resource::Nofile);
    let most = now
        .maximum
        .map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    let enough = "not enough descriptors (ulimit -Hn)";
    anyhow::ensure!(most >= LEAST_DESCRIPTORS, "{enough}: {most}");
    let more = Rlimit {
        current: Some(most),
        ..now
    };
    setrlimit(Resource::Nofile, more).context(enough)
}

fn of_unix(count: usize) -> anyhow::Result<Grown> {
    let server = Server::start(&["--max-connections", &(count + 100).to_string()])?;
    connections(&server, count, async || redial::connect(&server).await)
}

fn of_tls(count: usize) -> anyhow::Result<Grown> {
    let home = Arc::new(Home::new()?);
    let options = ["--max-connections", &(count + 100).to_string()];
    let network = NetworkServer::start(&home, &options)?;
    connections(network.server(), count, async || network.connect().await)
}

/// The server's memory before these connections and with them.
fn connections(
    server: &Server,
    count: usize,
    connect: impl AsyncFn() -> anyhow::Result<Client>,
) -> anyhow::Result<Grown> {
    let runtime = redial::runtime()?;
    let before = server.settled_memory()?;
    let mut clients = Vec::with_capacity(count);
    let began = Instant::now();
    for number in 0..count {
        let client = runtime.block_on(connect());
        clients.push(client.with_context(|| format!("connection {number}"))?);
    }
    let each = began.elapsed().div_f64(count as f64);
    let with = server.settled_memory()?;
    // They were still there when it was read.
    for client in clients.iter().step_by(count.div_ceil(1_000)) {
        runtime.block_on(redial::run_true(client))?;
    }
    Ok(Grown {
        count,
        before,
        with,
        each,
    })
}

fn of_jobs(count: usize) -> anyhow::Result<Grown> {
    let most = (count + 100).to_string();
    // Each may have so much of it as one does by default, of which only what is used is there.
    let pool = (count / 8 + 64).to_string();
    let limits = [
        "--max-jobs",
        &most,
        "--max-channels",
        &most,
        "--log-pool",
        &pool,
    ];
    let server = Server::start(&limits)?;
    let runtime = redial::runtime()?;
    let options = ConnectOptions::default().jobs_at_once(count + 100);
    let client = runtime.block_on(redial::connect_with(&server, options))?;
    runtime.block_on(redial::run_true(&client))?;
    let before = server.settled_memory()?;
    let began = Instant::now();
    let mut jobs = Vec::with_capacity(count);
    for number in 0..count {
        let job = runtime.block_on(started(&client));
        jobs.push(job.with_context(|| format!("job {number}"))?);
    }
    let each = began.elapsed().div_f64(count as f64);
    let with = server.settled_memory()?;
    anyhow::ensure!(server.jobs()?.len() == count, "not all of them run");
    // They end with the server.
    drop((jobs, client));
    Ok(Grown {
        count,
        before,
        with,
        each,
    })
}

/// A job that runs, and does nothing.
async fn started(client: &Client) -> anyhow::Result<Job> {
    let mut job = client.start(Command::new(["sleep", "3600"])).await?;
    loop {
        match job.next().await.context("no outcome")?? {
            JobEvent::Attached { .. } => return Ok(job),
            JobEvent::Ended(outcome) => anyhow::bail!("sleep {}", outcome.status),
            _ => {}
        }
    }
}

/// KiB of each connection.
fn of_sshd(home: &Arc<Home>) -> anyhow::Result<f64> {
    let sshd = Sshd::start(home)?;
    let dial = || sshd.dial(&CURVE25519, "exec sleep 3600");
    of_processes(dial, || sshd.pids())
}

fn of_dropbear(home: &Home) -> anyhow::Result<f64> {
    let dropbear = Dropbear::start(home)?;
    of_processes(|| dropbear.dial("exec sleep 3600"), || dropbear.pids())
}

fn of_processes(
    dial: impl Fn() -> std::process::Command,
    pids: impl Fn() -> anyhow::Result<Vec<u32>>,
) -> anyhow::Result<f64> {
    let is_sleep = |pid: &u32| crate::process::has_argument(*pid, "sleep");
    let servers = || {
        let mut all = pids()?;
        all.retain(|pid| !is_sleep(pid));
        anyhow::Ok(all)
    };
    // Who has just started a command, or ended one, may be between two processes.
    let standing = || {
        let mut all = None;
        wait_for("the servers stand still", LIMIT, || {
            all = servers().and_then(|all| Memory::of(&all)).ok();
            all.is_some()
        })?;
        anyhow::Ok(all.unwrap_or_default())
    };
    let before = standing()?;
    let mut clients = Vec::new();
    for _ in 0..OF_OTHERS {
        let mut client = dial();
        client.stdin(std::process::Stdio::null());
        client.stdout(std::process::Stdio::null());
        client.stderr(std::process::Stdio::null());
        clients.push(Daemon::spawn(&mut client)?);
        // One after the other: dropbear takes few strangers at once.
        wait_for("one more is logged in", LIMIT, || {
            let is_there = |all: Vec<u32>| all.iter().filter(|pid| is_sleep(pid)).count();
            pids().is_ok_and(|all| is_there(all) == clients.len())
        })?;
    }
    Ok((standing()? - before) as f64 / KIB / OF_OTHERS as f64)
}
