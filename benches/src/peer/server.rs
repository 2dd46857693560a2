//! A real `redial serve`: keeper and front, on a socket of their own.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::Daemon;
use crate::memory::Memory;
use crate::patience::{until, wait_for};
use crate::process;

const START_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const LOG: &str = "log";
/// Where `cargo xtask bench` says which program is measured.
const PROGRAM_VARIABLE: &str = "REDIAL_BENCH_PROGRAM";
const AGENT: &str = "--nats-agent";

/// The server; ended when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    daemon: Daemon,
    front: u32,
    program: PathBuf,
    dir: TempDir,
}

impl Server {
    /// Starts the program beside our own, and waits until it accepts.
    ///
    /// # Errors
    /// It is not there, or does not accept.
    pub(crate) fn start(options: &[&str]) -> anyhow::Result<Self> {
        let program = program()?;
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let socket = socket_in(dir.path());
        let run = dir.path().join("run");
        DirBuilder::new()
            .mode(0o700)
            .create(run)
            .context("cannot make a directory")?;
        // As usual: what it costs to log is part of the figures.
        let log = File::create(dir.path().join(LOG)).context("cannot write")?;
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", &format!("unix:{}", socket.display())])
            .args(options)
            .env_remove("REDIAL_LOG")
            .env("REDIAL_STATE_DIR", dir.path())
            .stdin(Stdio::null())
            .stderr(log);
        let mut daemon = Daemon::spawn(&mut command)?;
        let keeper = daemon.pid();
        let accepts = || UnixStream::connect(&socket).is_ok();
        let came = until(START_LIMIT, || daemon.check().is_err() || accepts());
        let log = || fs::read_to_string(dir.path().join(LOG)).unwrap_or_default();
        daemon
            .check()
            .with_context(|| format!("redial serve: {}", log()))?;
        anyhow::ensure!(came, "redial serve does not accept: {}", log());
        let front = front_of(keeper)?;
        Ok(Server {
            daemon,
            front,
            program,
            dir,
        })
    }

    /// Ends it and starts another with the same jobs; how long that takes until it accepts.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn again(&mut self) -> anyhow::Result<Duration> {
        self.end();
        let began = std::time::Instant::now();
        let mut command = Command::new(&self.program);
        command
            .args([
                "serve",
                "--listen",
                &format!("unix:{}", self.socket().display()),
            ])
            .env_remove("REDIAL_LOG")
            .env("REDIAL_STATE_DIR", self.dir.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        self.daemon = Daemon::spawn(&mut command)?;
        let came = until(START_LIMIT, || UnixStream::connect(self.socket()).is_ok());
        anyhow::ensure!(came, "redial serve does not accept");
        let took = began.elapsed();
        self.front = front_of(self.keeper())?;
        Ok(took)
    }

    /// Kills the front, and waits until the keeper has another.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn kill_front(&mut self) -> anyhow::Result<()> {
        let before = self.front;
        let front = Pid::from_raw(before.cast_signed()).context("a process id")?;
        kill_process(front, Signal::KILL).context("cannot kill the front")?;
        let other = || front_of(self.daemon.pid()).is_ok_and(|front| front != before);
        anyhow::ensure!(until(START_LIMIT, other), "there is no other front");
        self.front = front_of(self.keeper())?;
        Ok(())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(self.dir.path())
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join(LOG)).unwrap_or_default()
    }

    pub(crate) fn keeper(&self) -> u32 {
        self.daemon.pid()
    }

    /// Keeper and front.
    pub(crate) fn pids(&self) -> [u32; 2] {
        [self.keeper(), self.front]
    }

    /// The program, without arguments.
    pub(crate) fn program(&self) -> Command {
        Command::new(&self.program)
    }

    /// `redial run` against this server, without its command.
    pub(crate) fn run(&self) -> Command {
        let mut command = self.program();
        let target = format!("unix:{}", self.socket().display());
        command.args(["run", &target, "--"]);
        command
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        Memory::of(&self.pids())
    }

    /// Memory once what is not needed has gone back.
    pub(crate) fn settled_memory(&self) -> anyhow::Result<Memory> {
        Memory::settled(&self.pids(), Duration::from_secs(10))
    }

    /// CPU time of keeper, front, agent and all commands that have ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let keeper = process::stat(self.keeper())?;
        let mut cpu = keeper.cpu + keeper.cpu_of_children;
        for pid in [Some(self.front), self.agent()?].into_iter().flatten() {
            let stat = process::stat(pid)?;
            cpu += stat.cpu + stat.cpu_of_children;
        }
        Ok(cpu)
    }

    /// Waits until no command is left, not even a zombie.
    pub(crate) fn wait_for_no_job(&self) -> anyhow::Result<()> {
        let alone = || self.jobs().is_ok_and(|jobs| jobs.is_empty());
        wait_for("the server has no child but its front", STOP_LIMIT, alone)
    }

    /// Children of keeper and front, but for front and agent.
    pub(crate) fn jobs(&self) -> anyhow::Result<Vec<(u32, process::Stat)>> {
        let mut found = process::children(self.keeper())?;
        found.extend(process::children(self.front)?);
        let agent = self.agent()?;
        found.retain(|(pid, _)| *pid != self.front && Some(*pid) != agent);
        Ok(found)
    }

    /// Who speaks with a NATS broker, if somebody does.
    fn agent(&self) -> anyhow::Result<Option<u32>> {
        let children = process::children(self.keeper())?;
        let mut pids = children.into_iter().map(|(pid, _)| pid);
        Ok(pids.find(|&pid| process::has_argument(pid, AGENT)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl Server {
    fn end(&mut self) {
        let keeper = i32::try_from(self.keeper()).ok().and_then(Pid::from_raw);
        // It may have ended; what does not end by TERM is killed by the daemon's drop.
        let _ = keeper.map(|keeper| kill_process(keeper, Signal::TERM));
        let child = self.daemon.child();
        until(STOP_LIMIT, || !matches!(child.try_wait(), Ok(None)));
    }
}

/// What `redial --version` says, and how it was built.
pub(crate) fn version() -> anyhow::Result<String> {
    let program = program()?;
    let output = Command::new(&program).arg("--version").output()?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut folders = program.iter().rev().filter_map(|name| name.to_str());
    let profile = folders.nth(1).unwrap_or("?");
    Ok(format!("{version}, profile {profile}"))
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("run").join("redial.sock")
}

/// The program that is measured: the one that was named, else the one beside our own.
///
/// # Errors
/// There is none.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os(PROGRAM_VARIABLE) {
        return Ok(named.into());
    }
    let ours = std::env::current_exe().context("our own program")?;
    let program = ours.with_file_name("redial");
    let advice = "build it first: cargo xtask bench does";
    anyhow::ensure!(program.exists(), "{}: {advice}", program.display());
    Ok(program)
}

fn front_of(keeper: u32) -> anyhow::Result<u32> {
    let mut found = None;
    until(START_LIMIT, || {
        let children = process::children(keeper).unwrap_or_default();
        let fronts = children.into_iter().map(|(pid, _)| pid);
        found = fronts
            .into_iter()
            .find(|&pid| process::has_argument(pid, "--front"));
        found.is_some()
    });
    found.context("the keeper has no front")
}
