//! 1 GiB of a command's output, carried to /dev/null by whole processes: how fast, and
//! at what cost.

use std::fs::File;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::order::Order;
use crate::peer::floor::{Floor, Over};
use crate::peer::nats::Called;
use crate::peer::network::NetworkServer;
use crate::peer::server::Server;
use crate::peer::socat::Socat;
use crate::peer::sshd::{AES128_GCM, CURVE25519, Sshd};
use crate::plot::Kind;
use crate::process;
use crate::stats::Samples;
use crate::table::Table;

const BYTES: u64 = 1 << 30;
pub(super) const PRODUCER: [&str; 4] = ["head", "-c", "1073741824", "/dev/zero"];

/// Somebody who carries the output.
pub(super) enum Carrier {
    Redial(Server),
    RedialOverTls(NetworkServer),
    /// The same server as the next.
    Dialled(Arc<Called>),
    Called(Arc<Called>),
    Socat(Socat),
    Ssh(Sshd),
    /// Over this socket, in this form.
    Floor(Arc<Floor>, Over, &'static str),
}

/// One of them, with what was measured.
pub(super) struct Contestant {
    name: &'static str,
    carrier: Carrier,
    /// GB/s.
    pub(super) speed: Samples,
    /// CPU s of a run.
    client_cpu: Samples,
    server_cpu: Samples,
}

/// Lets all of them carry it, once counted to the byte, then `rounds` times measured.
///
/// # Errors
/// Bytes are missing, or a process failed.
pub(super) fn rounds(
    contestants: &mut [Contestant],
    rounds: usize,
    seed: u64,
) -> anyhow::Result<()> {
    for contestant in &*contestants {
        let check = contestant.carrier.client().and_then(count_all);
        check.with_context(|| contestant.name)?;
        contestant.carrier.settle()?;
    }
    let mut order = Order::new(seed);
    for _ in 0..rounds {
        for index in order.round(contestants.len()) {
            let contestant = &mut contestants[index];
            contestant.run().with_context(|| contestant.name)?;
        }
    }
    Ok(())
}

/// The speeds, as a picture has them.
pub(super) fn bars(contestants: &[Contestant]) -> Kind {
    let named = contestants
        .iter()
        .map(|it| (it.name.replace('`', ""), it.speed.clone()));
    Kind::Bars(named.collect())
}

/// What was measured, a row for each.
pub(super) fn table(contestants: &[Contestant]) -> Table {
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
    table
}

impl Contestant {
    pub(super) fn new(name: &'static str, carrier: Carrier) -> Self {
        Contestant {
            name,
            carrier,
            speed: Samples::default(),
            client_cpu: Samples::default(),
            server_cpu: Samples::default(),
        }
    }

    /// CPU s of both sides, the medians together.
    pub(super) fn cpu(&self) -> f64 {
        self.client_cpu.median() + self.server_cpu.median()
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let before = self.carrier.cpu()?;
        let null = File::options().write(true).open("/dev/null");
        let mut client = self.carrier.client()?;
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
    fn client(&self) -> anyhow::Result<Command> {
        let with_producer = |mut command: Command| {
            command.args(PRODUCER);
            command
        };
        Ok(match self {
            Carrier::Redial(server) => with_producer(server.run()),
            Carrier::RedialOverTls(server) => with_producer(server.run()),
            Carrier::Dialled(called) => with_producer(called.server.run()),
            Carrier::Called(called) => with_producer(called.run()),
            Carrier::Socat(socat) => socat.run(),
            Carrier::Ssh(sshd) => {
                let options = [CURVE25519, AES128_GCM].concat();
                sshd.dial(&options, &PRODUCER.join(" "))
            }
            Carrier::Floor(floor, over, form) => floor.receive(*over, form, BYTES)?,
        })
    }

    /// Server and producer together.
    fn cpu(&self) -> anyhow::Result<Duration> {
        match self {
            Carrier::Redial(server) => server.cpu(),
            Carrier::RedialOverTls(server) => server.server().cpu(),
            Carrier::Dialled(called) | Carrier::Called(called) => called.server.server().cpu(),
            Carrier::Socat(socat) => socat.cpu(),
            Carrier::Ssh(sshd) => sshd.cpu(),
            Carrier::Floor(floor, ..) => floor.cpu(),
        }
    }

    /// Waits until nothing of the last run is left.
    fn settle(&self) -> anyhow::Result<()> {
        match self {
            Carrier::Redial(server) => server.wait_for_no_job(),
            Carrier::RedialOverTls(server) => server.server().wait_for_no_job(),
            Carrier::Dialled(called) | Carrier::Called(called) => {
                called.server.server().wait_for_no_job()
            }
            Carrier::Socat(socat) => socat.wait_for_no_connection(),
            Carrier::Ssh(sshd) => sshd.wait_for_no_connection(),
            Carrier::Floor(floor, ..) => floor.wait_for_no_child(),
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
