//! 1 GiB of output to /dev/null over a Unix socket.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::order::Order;
use crate::peer::server::Server;
use crate::peer::socat::{Between, Socat};
use crate::process;
use crate::report::{Goal, Section};
use crate::stats::Samples;
use crate::table::Table;

const BYTES: u64 = 1 << 30;
const PRODUCER: [&str; 4] = ["head", "-c", "1073741824", "/dev/zero"];
const WHAT: &str = "1 GiB of output over a Unix socket";
const WANTED: &str = "≥ 1.00 × socat";
const SEED: u64 = 3;

/// Somebody who carries the output.
enum Carrier {
    Redial(Server),
    Socat(Socat),
}

struct Contestant {
    name: &'static str,
    carrier: Carrier,
    speed: Samples,
    client_cpu: Samples,
    server_cpu: Samples,
}

/// # Errors
/// Bytes are missing, a process failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let rounds = if quick { 3 } else { 11 };
    let redial = Carrier::Redial(Server::start(&[])?);
    let mut contestants = vec![contestant("`redial run`", redial)];
    let command = PRODUCER.join(" ");
    let mut missing = None;
    for (name, between) in [
        ("`socat -b 262144`, socket pair", Between::SocketPair),
        ("`socat -b 262144`, pipes", Between::Pipes),
    ] {
        match Socat::start(&command, between) {
            Ok(socat) => contestants.push(contestant(name, Carrier::Socat(socat))),
            Err(error) => missing = Some(format!("{error:#}")),
        }
    }
    for contestant in &contestants {
        let check = count_all(contestant.carrier.client());
        check.with_context(|| contestant.name)?;
        contestant.carrier.settle()?;
    }
    let mut order = Order::new(SEED);
    for _ in 0..rounds {
        for index in order.round(contestants.len()) {
            let contestant = &mut contestants[index];
            contestant.run().with_context(|| contestant.name)?;
        }
    }
    Ok(section(rounds, &contestants, missing))
}

fn contestant(name: &'static str, carrier: Carrier) -> Contestant {
    Contestant {
        name,
        carrier,
        speed: Samples::default(),
        client_cpu: Samples::default(),
        server_cpu: Samples::default(),
    }
}

impl Contestant {
    fn run(&mut self) -> anyhow::Result<()> {
        let before = self.carrier.cpu()?;
        let null = File::options().write(true).open("/dev/null");
        let mut client = self.carrier.client();
        client
            .stdin(Stdio::null())
            .stdout(null.context("/dev/null")?);
        let began = Instant::now();
        let mut child = client.spawn().context("cannot start")?;
        wait_but_leave(&child)?;
        let time = began.elapsed();
        let cpu = process::stat(child.id())?.cpu;
        let written = process::bytes_written(child.id());
        succeeded(&mut child)?;
        // Where the kernel counts, it must have been all of it.
        let all = written.is_none_or(|written| written >= BYTES);
        anyhow::ensure!(all, "{written:?} bytes of {BYTES} written");
        self.carrier.settle()?;
        self.speed.push(BYTES as f64 / 1e9 / time.as_secs_f64());
        self.client_cpu.push(cpu.as_secs_f64());
        let server = self.carrier.cpu()?.saturating_sub(before);
        self.server_cpu.push(server.as_secs_f64());
        Ok(())
    }
}

impl Carrier {
    fn client(&self) -> Command {
        match self {
            Carrier::Redial(server) => {
                let mut command = server.run();
                command.args(PRODUCER);
                command
            }
            Carrier::Socat(socat) => socat.run(),
        }
    }

    /// Server and producer together.
    fn cpu(&self) -> anyhow::Result<Duration> {
        match self {
            Carrier::Redial(server) => server.cpu(),
            Carrier::Socat(socat) => socat.cpu(),
        }
    }

    /// Waits until nothing of the last run is left.
    fn settle(&self) -> anyhow::Result<()> {
        match self {
            Carrier::Redial(server) => server.wait_for_no_job(),
            Carrier::Socat(socat) => socat.wait_for_no_connection(),
        }
    }
}

/// A run that is not timed, but whose output is: all of it, to the byte.
fn count_all(mut client: Command) -> anyhow::Result<()> {
    client.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = client.spawn().context("cannot start")?;
    let mut buffer = vec![0; 1 << 18];
    let mut count = 0;
    if let Some(mut output) = child.stdout.take() {
        loop {
            match output.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => count += read as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("read"),
            }
        }
    }
    succeeded(&mut child)?;
    anyhow::ensure!(count == BYTES, "{count} bytes of {BYTES} arrived");
    Ok(())
}

/// Waits until it has ended; it stays a zombie, so that /proc still tells of it.
fn wait_but_leave(child: &Child) -> anyhow::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.context("a process id")?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid), options).context("waitid")?;
    Ok(())
}

fn succeeded(child: &mut Child) -> anyhow::Result<()> {
    let status = child.wait().context("wait")?;
    anyhow::ensure!(status.success(), "{status}");
    Ok(())
}

fn section(rounds: usize, contestants: &[Contestant], missing: Option<String>) -> Section {
    let mut table = Table::new([
        "min / median / max",
        "GB/s",
        "client, CPU s",
        "server and `head`, CPU s",
    ]);
    for contestant in contestants {
        let (gb, seconds) = (|v| format!("{v:.2}"), |v| format!("{v:.2}"));
        table.row([
            contestant.name.to_owned(),
            contestant.speed.spread(gb),
            contestant.client_cpu.spread(seconds),
            contestant.server_cpu.spread(seconds),
        ]);
    }
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
