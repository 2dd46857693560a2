//! One command on many hosts.

mod growth;

use std::sync::Arc;
use std::time::Duration;

use crate::memory::mib;
use crate::order::Order;
use crate::peer::home::Home;
use crate::peer::many::{Cost, FAN_OUT, Names, Through, cost, is_there, peak};
use crate::plot::{Kind, Plot};
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const SEED: u64 = 11;
const QUIET: [&str; 3] = ["-q", "--output", "quiet"];

/// A contestant, and what its runs cost, in milliseconds.
struct Runner {
    name: &'static str,
    wall: Samples,
    cpu: Samples,
}

/// # Errors
/// A command failed, or a server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let (hosts, rounds, most) = if quick {
        (16, 1, 1_000)
    } else {
        (256, 3, 10_000)
    };
    let home = Arc::new(Home::new()?);
    let inventories = [&[hosts][..], &growth::HOSTS].concat();
    let within = |it: &usize| *it <= most;
    let inventories: Vec<usize> = inventories.into_iter().filter(within).collect();
    let names = Names::start(&home, &inventories)?;
    let through = Through::start(&home);
    let (runners, missing) = against(&names, through.as_ref().ok(), hosts, rounds)?;
    let mut goals = against_others(&runners, hosts);
    let scale = growth::measure(&names, most, rounds)?;
    goals.extend(scale.goals);
    let (outputs, more) = outputs(&names, most)?;
    goals.extend(more);
    Ok(Section {
        plots: plots(&runners, scale.points),
        title: "Many hosts",
        how: how(hosts, rounds, most, &missing),
        figures: format!("{}\n{}\n{outputs}", table(&runners, hosts), scale.table),
        goals,
    })
}

/// What is wanted of our runs beside those of others.
fn against_others(runners: &[Runner], hosts: usize) -> Vec<Goal> {
    let figure = |name: &str, of: fn(&Runner) -> &Samples| {
        runners
            .iter()
            .find(|it| it.name == name)
            .map(|it| of(it).median())
    };
    let mut goals = Vec::new();
    for (peer, of, wanted, least) in [
        (
            "pdsh",
            (|it| &it.wall) as fn(&Runner) -> &Samples,
            "wall ≤ 1/30 of pdsh",
            30.0,
        ),
        ("pdsh", |it| &it.cpu, "client's CPU ≤ 1/30 of pdsh", 30.0),
        ("asyncssh", |it| &it.wall, "wall ≤ 1/10 of asyncssh", 10.0),
        (
            "asyncssh",
            |it| &it.cpu,
            "client's CPU ≤ 1/10 of asyncssh",
            10.0,
        ),
    ] {
        let what = "`true` on many hosts, cold";
        goals.push(match (figure("redial", of), figure(peer, of)) {
            (Some(ours), Some(theirs)) => {
                let ratio = ours / theirs;
                Goal::measured(
                    what,
                    wanted,
                    format!("1/{:.1}", 1.0 / ratio),
                    ratio <= 1.0 / least,
                )
            }
            _ => Goal::skipped(what, wanted, &format!("no {peer}")),
        });
    }
    let warm = ["pdsh, warm", "clush, warm", "parallel-ssh, warm"];
    let best = warm
        .iter()
        .filter_map(|name| figure(name, |it| &it.wall))
        .fold(f64::MAX, f64::min);
    let what = "`true` on many hosts, cold, against warm";
    let wanted = "wall ≤ 0.25 × the best with ControlMaster";
    goals.push(match figure("redial", |it| &it.wall) {
        Some(ours) if best < f64::MAX => Goal::measured(
            what,
            wanted,
            format!("{:.3}", ours / best),
            ours / best <= 0.25,
        ),
        _ => Goal::skipped(what, wanted, "none of them"),
    });
    goals.extend(figure("redial", |it| &it.cpu).map(|cpu| {
        let each = cpu / hosts as f64;
        let what = "client's CPU for one of many hosts, cold";
        Goal::measured(what, "≤ 1 ms", format!("{each:.2} ms"), each <= 1.0)
    }));
    goals
}

fn plots(runners: &[Runner], each: Vec<(f64, f64)>) -> Vec<Plot> {
    let seconds = |it: &Runner| {
        let wall = it.wall.map(|ms| ms / 1e3);
        (it.name.to_owned(), wall)
    };
    vec![
        Plot {
            name: "fleet",
            title: "true on many hosts, 64 at once",
            unit: "s",
            kind: Kind::Bars(runners.iter().map(seconds).collect()),
        },
        Plot {
            name: "fleet-growth",
            title: "true on many hosts: time for each",
            unit: "ms",
            kind: Kind::Growth {
                of: "hosts",
                lines: vec![("redial".to_owned(), each)],
            },
        },
    ]
}

fn how(hosts: usize, rounds: usize, most: usize, missing: &[&str]) -> String {
    let missing = match missing {
        [] => String::new(),
        missing => format!(" Not here: {}.", missing.join(", ")),
    };
    format!(
        "`true` on {hosts} names of the loopback, {FAN_OUT} at once for everybody, whole client processes, \
         full authentication with the same Ed25519 key, all hosts' keys known, exit code 0; {rounds} rounds \
         in an order shuffled from seed {SEED}. The hosts are one machine, this one, so client and servers \
         share its cores. ssh by its defaults, through one sshd; ansible's raw module; asyncssh in one process; \
         warm: through a master connection for each name that is there already, which redial does not \
         have: its cold run is compared. CPU: of the client and all that it starts. Then redial alone: \
         `true` on 100 to {most} names, which (but for the last row) are all that its inventory and its known_hosts have, and 64 KiB \
         from each, folded, all the same and all different.{missing}"
    )
}

type Once<'a> = Box<dyn Fn() -> anyhow::Result<Cost> + 'a>;

/// Of each: its name, the program it needs, and a run of it.
type Contestant<'a> = (&'static str, &'static str, Once<'a>);

fn contestants<'a>(
    names: &'a Names,
    through: Option<&'a Through>,
    hosts: usize,
) -> Vec<Contestant<'a>> {
    let mut all: Vec<Contestant<'a>> = vec![(
        "redial",
        "sh",
        Box::new(move || cost(names.run(hosts, &QUIET, &["true"]))),
    )];
    if let Some(ssh) = through {
        all.push((
            "asyncssh",
            "asyncssh",
            Box::new(move || cost(ssh.asyncssh(hosts))),
        ));
        all.push((
            "pdsh",
            "pdsh",
            Box::new(move || cost(ssh.pdsh(hosts, "config"))),
        ));
        all.push((
            "clush",
            "clush",
            Box::new(move || cost(ssh.clush(hosts, "config"))),
        ));
        all.push((
            "parallel-ssh",
            "parallel-ssh",
            Box::new(move || cost(ssh.parallel_ssh(hosts, "config")?)),
        ));
        all.push((
            "ansible",
            "ansible",
            Box::new(move || cost(ssh.ansible(hosts)?)),
        ));
        all.push((
            "pdsh, warm",
            "pdsh",
            Box::new(move || cost(ssh.pdsh(hosts, "warm"))),
        ));
        all.push((
            "clush, warm",
            "clush",
            Box::new(move || cost(ssh.clush(hosts, "warm"))),
        ));
        all.push((
            "parallel-ssh, warm",
            "parallel-ssh",
            Box::new(move || cost(ssh.parallel_ssh(hosts, "warm")?)),
        ));
    }
    all
}

fn against(
    names: &Names,
    through: Option<&Through>,
    hosts: usize,
    rounds: usize,
) -> anyhow::Result<(Vec<Runner>, Vec<&'static str>)> {
    let all = contestants(names, through, hosts);
    let (here, gone): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(_, program, _)| is_there(program));
    let mut missing: Vec<&'static str> = gone.iter().map(|(_, program, _)| *program).collect();
    missing.dedup();
    let mut runners: Vec<Runner> = here
        .iter()
        .map(|(name, ..)| Runner {
            name,
            wall: Samples::default(),
            cpu: Samples::default(),
        })
        .collect();
    // The masters.
    for (_, _, once) in here
        .iter()
        .filter(|(name, ..)| name.ends_with("warm"))
        .take(1)
    {
        once()?;
    }
    let mut order = Order::new(SEED);
    for _ in 0..rounds {
        for index in order.round(here.len()) {
            let cost = here[index].2()?;
            runners[index].wall.push_millis(cost.wall);
            runners[index].cpu.push_millis(cost.cpu);
        }
    }
    Ok((runners, missing))
}

fn table(runners: &[Runner], hosts: usize) -> Table {
    let mut table = Table::new([
        "min / median / max",
        "s",
        "client's CPU, ms a host",
        "wall ÷ redial",
    ]);
    let ours = runners.first().map_or(1.0, |it| it.wall.median());
    for runner in runners {
        table.row([
            runner.name.to_owned(),
            runner.wall.spread(|ms| format!("{:.2}", ms / 1e3)),
            runner.cpu.spread(|ms| format!("{:.2}", ms / hosts as f64)),
            format!("{:.1}", runner.wall.median() / ours),
        ]);
    }
    table
}

/// Memory with 64 KiB from each host.
fn outputs(names: &Names, most: usize) -> anyhow::Result<(Table, Vec<Goal>)> {
    let mut table = Table::new([
        "64 KiB from each, folded",
        "s",
        "client's memory",
        "server's memory",
    ]);
    let mut worst: u64 = 0;
    for (what, device) in [
        ("all the same", "/dev/zero"),
        ("all different", "/dev/urandom"),
    ] {
        let command = ["head", "-c", "65536", device];
        let (wall, memory) = peak(names.run(most, &["-q", "-b"], &command))?;
        let server = names.server().server().settled_memory()?;
        worst = worst.max(memory);
        table.row([
            format!("{most} hosts, {what}"),
            format!("{:.1}", wall.as_secs_f64()),
            mib(memory),
            mib(server.total()),
        ]);
    }
    let limit: u64 = 200 << 20;
    let goal = Goal::measured(
        "client's memory, 64 KiB from each",
        "< 200 MiB",
        mib(worst),
        worst < limit,
    );
    let big = ["head", "-c", "10485760", "/dev/zero"];
    // Twenty seconds of a run with a thousand.
    let hosts = most / 10;
    let (wall, memory) = peak(names.run(hosts, &["-q", "-b"], &big))?;
    let server = names.server().server().settled_memory()?;
    table.row([
        format!("{hosts} hosts, 10 MiB each"),
        format!("{:.1}", Duration::as_secs_f64(&wall)),
        mib(memory),
        mib(server.total()),
    ]);
    let second = Goal::measured(
        "client's memory, 10 MiB from each",
        "< 200 MiB",
        mib(memory),
        memory < limit,
    );
    Ok((table, vec![goal, second]))
}
