//! The contestants: the spawner called in this process, redial, ssh, socat.

pub(crate) mod asyncssh;
pub(crate) mod bare;
pub(crate) mod cutter;
pub(crate) mod direct;
pub(crate) mod dropbear;
pub(crate) mod far;
pub(crate) mod floor;
pub(crate) mod home;
pub(crate) mod many;
pub(crate) mod nats;
pub(crate) mod network;
pub(crate) mod redial;
pub(crate) mod server;
pub(crate) mod socat;
pub(crate) mod ssh;
pub(crate) mod sshd;

use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::patience::wait_for;
use crate::process;

/// Hands out so many turns, to whoever asks.
#[derive(Debug)]
pub(crate) struct Turns {
    left: AtomicUsize,
}

impl Turns {
    pub(crate) fn new(count: usize) -> Self {
        let left = AtomicUsize::new(count);
        Turns { left }
    }

    /// Whether there was one left; the caller has it now.
    pub(crate) fn take(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        self.left.fetch_update(order, order, one_less).is_ok()
    }
}

/// The first line of what a program says of its version, and its name if it does not say that.
pub(crate) fn version(name: &str, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        return format!("no {name}");
    };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut lines = said.lines().map(str::trim);
    match lines.find(|line| line.contains(|c: char| c.is_ascii_digit())) {
        Some(line) if line.to_lowercase().contains(name) => line.to_owned(),
        Some(line) => format!("{name} {line}"),
        None => format!("no {name}"),
    }
}

/// Runs a program of a peer to its end. It must succeed in silence.
///
/// # Errors
/// It cannot be started, fails, or says anything.
pub(crate) fn run_true(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {:?}", command.get_program()))?;
    silent_success(&output).with_context(|| format!("{command:?}"))
}

fn silent_success(output: &Output) -> anyhow::Result<()> {
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let said = [stdout.as_slice(), stderr].concat();
    let said = String::from_utf8_lossy(&said);
    anyhow::ensure!(status.success(), "{status}: {said}");
    anyhow::ensure!(said.is_empty(), "said {said:?}");
    Ok(())
}

/// Lets `workers` threads do `count` pieces of work, and says how many a second.
///
/// # Errors
/// The first that a worker had.
pub(crate) fn rate_of_threads(
    workers: usize,
    count: usize,
    work: impl Fn() -> anyhow::Result<()> + Sync,
) -> anyhow::Result<f64> {
    let turns = Turns::new(count);
    let began = Instant::now();
    let worker = || {
        while turns.take() {
            work()?;
        }
        anyhow::Ok(())
    };
    thread::scope(|scope| join((0..workers).map(|_| scope.spawn(worker)).collect()))?;
    Ok(per_second(count, began.elapsed()))
}

/// Waits for all workers; the first error or panic of one is ours.
fn join(workers: Vec<ScopedJoinHandle<'_, anyhow::Result<()>>>) -> anyhow::Result<()> {
    workers.into_iter().try_for_each(|worker| {
        let done = worker.join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// So many in so long.
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// How long the last child of a server may take.
const LAST_CHILD_LIMIT: Duration = Duration::from_secs(10);

/// A program that runs beside us, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Daemon { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended already.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("cannot wait")? {
            None => Ok(()),
            Some(status) => anyhow::bail!("ended at once: {status}"),
        }
    }

    /// CPU time of the process and of all that it has waited for.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = process::stat(self.pid())?;
        Ok(stat.cpu + stat.cpu_of_children)
    }

    /// Waits until none of its children is left.
    pub(crate) fn wait_for_no_child(&self) -> anyhow::Result<()> {
        let pid = self.pid();
        let alone = || process::children(pid).is_ok_and(|children| children.is_empty());
        wait_for("a server has no child", LAST_CHILD_LIMIT, alone)
    }

    /// The child itself, for who ends it in a friendlier way.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // If it has ended already, so much the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says that a test cannot run here (CONTRIBUTING.md, Tests).
#[cfg(test)]
pub(crate) fn skipped(test: &str, reason: &str) {
    use std::io::Write;
    eprintln!("skipped: {test}: {reason}");
    if let Some(path) = std::env::var_os("REDIAL_SKIPS") {
        let file = std::fs::File::options().append(true).open(path);
        file.and_then(|mut file| writeln!(file, "{test}: {reason}"))
            .expect("the list of skips can be written");
    }
}
