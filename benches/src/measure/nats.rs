//! By way of a NATS broker: what that costs, and many hosts that have dialled out.

use std::io::BufRead;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::carried::{self, Carrier, Contestant};
use super::timed::{self, Rounds, Timed};
use crate::memory::mib;
use crate::patience::wait_for;
use crate::peer::home::Home;
use crate::peer::many::cost;
use crate::peer::nats::{Called, Crowd, Nats, Use, used};
use crate::peer::run_true;
use crate::report::Section;
use crate::stats::Samples;
use crate::table::Table;

const SEED: u64 = 12;
const WARM_UP: usize = 2;
const CROWD_LIMIT: Duration = Duration::from_secs(120);
const AT_ONCE: &str = "64";
/// How long the crowd is watched that does nothing: for each of its hosts so long.
const IDLE_EACH: Duration = Duration::from_millis(10);
/// And so long at least: agents speak every few seconds.
const IDLE_LEAST: Duration = Duration::from_secs(4);

/// # Errors
/// A command failed, or a server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let (rounds, bulk, hosts) = if quick {
        (20, 1, 200)
    } else {
        (200, 11, 2_000)
    };
    let (home, nats) = (Arc::new(Home::new()?), Nats::start()?);
    let called = Called::start(&home, &nats, &["--max-connections", "1024"])?;
    let one = one_at_a_time(&called, rounds)?;
    let crowd = crowd(&home, &nats, &called, hosts, if quick { 1 } else { 3 })?;
    // The server goes into it.
    let much = much(&home, bulk)?;
    Ok(Section {
        plots: Vec::new(),
        title: "By way of a NATS broker",
        how: format!(
            "One nats-server on this machine, which client, broker, agent and server share. `true`: whole client \
             processes as above ({rounds} rounds, order from seed {SEED}), dialled over TCP or called through the \
             broker; the same login, TLS and protocol in both. Much output: as above, {bulk} runs each; the server's \
             CPU includes the agent's, the broker's is not in it. Then {hosts} names of one server, each with its own \
             connection to the broker, on one thread of this process; `true` on all, {AT_ONCE} at once, cold. \
             Memory is resident."
        ),
        figures: format!("{one}\n{much}\n{crowd}"),
        goals: Vec::new(),
    })
}

fn one_at_a_time(called: &Called, rounds: usize) -> anyhow::Result<Table> {
    let mut contestants = [
        Timed::new("dialled: TCP", || run_true(called.server.run().arg("true"))),
        Timed::new("called: NATS", || run_true(called.run().arg("true"))),
    ];
    let turns = Rounds {
        warm_up: WARM_UP,
        rounds,
        in_a_row: 1,
        seed: SEED,
    };
    turns.run(&mut contestants)?;
    let first = Some(contestants[0].samples.median());
    Ok(timed::table(
        "`true`, cold, ms",
        &contestants,
        &[("TCP", first)],
    ))
}

fn much(home: &Arc<Home>, rounds: usize) -> anyhow::Result<Table> {
    let nats = Nats::start()?;
    let called = Arc::new(Called::start(home, &nats, &[])?);
    let mut contestants = [
        Contestant::new("dialled: TCP", Carrier::Dialled(Arc::clone(&called))),
        Contestant::new("called: NATS", Carrier::Called(called)),
    ];
    let before = nats.used()?;
    carried::rounds(&mut contestants, rounds, SEED)?;
    let after = nats.used()?;
    let mut table = carried::table(&contestants);
    let ratio = contestants[1].speed.median() / contestants[0].speed.median();
    table.row(["NATS ÷ TCP".to_owned(), format!("{ratio:.2}")]);
    // Once more each, to be counted.
    let gib = (rounds + 1) as f64;
    let cpu = (after.cpu - before.cpu).as_secs_f64() / gib;
    table.row([format!(
        "broker: {cpu:.2} CPU s a GiB, {} in the end",
        mib(after.memory)
    )]);
    Ok(table)
}

/// The crowd comes, does nothing, is looked for, and is run on.
fn crowd(
    home: &Home,
    nats: &Nats,
    called: &Called,
    hosts: usize,
    rounds: usize,
) -> anyhow::Result<Table> {
    let mut rows = Rows(Table::new(["Many hosts that have dialled out", ""]));
    let crowd = gather(&mut rows, home, nats, called, hosts)?;
    let watched = IDLE_LEAST.max(IDLE_EACH * u32::try_from(hosts)?);
    idle(&mut rows, nats, &crowd, watched)?;
    let mut discover = Samples::default();
    for _ in 0..rounds {
        let began = Instant::now();
        anyhow::ensure!(found(called)? == hosts + 1, "not all were found");
        discover.push_millis(began.elapsed());
    }
    rows.add(
        "`hosts list`, all found",
        discover.spread(|ms| format!("{:.2} s", ms / 1e3)),
    );
    runs(&mut rows, nats, called, &crowd, (hosts, rounds))?;
    Ok(rows.0)
}

struct Rows(Table);

impl Rows {
    fn add(&mut self, what: &str, figure: String) {
        self.0.row([what.to_owned(), figure]);
    }
}

fn gather(
    rows: &mut Rows,
    home: &Home,
    nats: &Nats,
    called: &Called,
    hosts: usize,
) -> anyhow::Result<Crowd> {
    let (empty, own) = (nats.used()?, used(std::process::id())?);
    let began = Instant::now();
    let crowd = Crowd::start(home, nats, called, hosts)?;
    wait_for("all hosts answer", CROWD_LIMIT, || {
        found(called).is_ok_and(|found| found > hosts)
    })?;
    rows.add("hosts, and the server's own name", (hosts + 1).to_string());
    let took = format!("{:.2} s", began.elapsed().as_secs_f64());
    rows.add("connected and found, the last of them", took);
    rows.add("broker's memory, before", mib(empty.memory));
    let each = |now: Use, then: Use| {
        let more = now.memory.saturating_sub(then.memory);
        format!("{:.1} KiB", more as f64 / 1024.0 / hosts as f64)
    };
    rows.add("broker's memory, a host", each(nats.used()?, empty));
    let ours = used(std::process::id())?;
    rows.add("an agent's memory, many in one process", each(ours, own));
    Ok(crowd)
}

fn idle(rows: &mut Rows, nats: &Nats, crowd: &Crowd, watched: Duration) -> anyhow::Result<()> {
    // What came with the connections is over.
    std::thread::sleep(watched);
    let (broker, agents) = (nats.used()?.cpu, crowd.cpu()?);
    std::thread::sleep(watched);
    let share = |cpu: Duration| {
        let share = cpu.as_secs_f64() / watched.as_secs_f64();
        format!("{:.2} %", share * 100.0)
    };
    rows.add(
        "broker's CPU, nothing to do, of one core",
        share(nats.used()?.cpu - broker),
    );
    rows.add(
        "all agents' CPU, nothing to do, of one core",
        share(crowd.cpu()? - agents),
    );
    Ok(())
}

fn runs(
    rows: &mut Rows,
    nats: &Nats,
    called: &Called,
    crowd: &Crowd,
    (hosts, rounds): (usize, usize),
) -> anyhow::Result<()> {
    let set = format!("nats:n[00001-{hosts:05}]");
    let words = [
        "run", "-q", "-f", AT_ONCE, "--output", "quiet", "-w", &set, "--", "true",
    ];
    let first = [&["run", "--accept-new"], &words[1..]].concat();
    cost(called.client(&first))?;
    let (mut wall, mut cpu) = (Samples::default(), Samples::default());
    let (broker, agents) = (nats.used()?, crowd.cpu()?);
    for _ in 0..rounds {
        let cost = cost(called.client(&words))?;
        wall.push_millis(cost.wall);
        cpu.push_millis(cost.cpu);
    }
    let (after, agents) = (nats.used()?, crowd.cpu()? - agents);
    let all = (hosts * rounds) as f64;
    let ms = |value: f64| format!("{value:.3} ms");
    rows.add(
        "`true` on all",
        wall.spread(|ms| format!("{:.2} s", ms / 1e3)),
    );
    rows.add("a host", ms(wall.median() / hosts as f64));
    rows.add("client's CPU, a host", ms(cpu.median() / hosts as f64));
    let broker = (after.cpu - broker.cpu).as_secs_f64() * 1e3;
    rows.add("broker's CPU, a host", ms(broker / all));
    rows.add("agent's CPU, a host", ms(agents.as_secs_f64() * 1e3 / all));
    rows.add("broker's memory in the end", mib(after.memory));
    Ok(())
}

/// How many hosts `hosts list` has.
fn found(called: &Called) -> anyhow::Result<usize> {
    let mut list = called.client(&["hosts", "list"]);
    let output = list.stdout(Stdio::piped()).output().context("hosts list")?;
    anyhow::ensure!(output.status.success(), "hosts list: {}", output.status);
    Ok(output.stdout.lines().count())
}
