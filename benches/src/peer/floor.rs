//! The least that the work can cost behind a socket: a process that does it without keys, protocol and
//! all the rest (benches/floor).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

use super::{Daemon, Turns, join, per_second};

/// `redial-floor serve`; ended when dropped.
#[derive(Debug)]
pub(crate) struct Floor {
    daemon: Daemon,
    dir: TempDir,
    port: u16,
}

/// A socket behind which `true` is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Unix,
    Tcp,
}

/// A connection that is open.
pub(crate) struct Lane(Stream);

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Floor {
    /// # Errors
    /// It was not built, or does not listen.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let mut serve = program()?;
        serve.arg("serve").arg(dir.path()).stdout(Stdio::piped());
        let mut daemon = Daemon::spawn(serve.stdin(Stdio::null()))?;
        let output = daemon.child().stdout.take().context("its output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse().context("redial-floor says no port")?;
        Ok(Floor { daemon, dir, port })
    }

    /// A whole process that dials and asks for one `true`.
    ///
    /// # Errors
    /// Where our program lies is not known.
    pub(crate) fn dial(&self) -> anyhow::Result<Command> {
        let mut command = program()?;
        command.args(["dial", &self.port.to_string()]);
        Ok(command)
    }

    /// A whole process that has so many bytes sent, and writes them to stdout.
    ///
    /// # Errors
    /// As [`Floor::dial`].
    pub(crate) fn receive(&self, over: Over, form: &str, bytes: u64) -> anyhow::Result<Command> {
        let mut command = program()?;
        command.arg("receive");
        match over {
            Over::Unix => command.arg(self.dir.path().join("socket")),
            Over::Tcp => command.arg(self.port.to_string()),
        };
        command.args([form, &bytes.to_string()]);
        Ok(command)
    }

    /// # Errors
    /// It does not accept.
    pub(crate) fn lane(&self, over: Over) -> anyhow::Result<Lane> {
        let stream = match over {
            Over::Unix => Stream::Unix(UnixStream::connect(self.dir.path().join("socket"))?),
            Over::Tcp => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        Ok(Lane(stream))
    }

    /// `true` per second with `in_flight` at once, over two connections, so that it is shared by two
    /// spawners.
    ///
    /// # Errors
    /// One failed.
    pub(crate) fn rate(&self, over: Over, count: usize, in_flight: usize) -> anyhow::Result<f64> {
        let turns = Turns::new(count);
        let lanes = [self.lane(over)?, self.lane(over)?];
        let began = Instant::now();
        thread::scope(|scope| {
            let turns = &turns;
            let workers =
                lanes.map(|mut lane| scope.spawn(move || lane.work(turns, in_flight / 2)));
            join(workers.into_iter().collect())
        })?;
        Ok(per_second(count, began.elapsed()))
    }

    /// CPU time of the process and of all that it has waited for.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.daemon.cpu()
    }

    /// Waits until none of its children is left.
    pub(crate) fn wait_for_no_child(&self) -> anyhow::Result<()> {
        self.daemon.wait_for_no_child()
    }
}

impl Lane {
    /// One `true`.
    ///
    /// # Errors
    /// It failed: the floor says nothing then.
    pub(crate) fn once(&mut self) -> anyhow::Result<()> {
        self.ask(1)?;
        anyhow::ensure!(self.hear(&mut [0])? == 1, "true failed there");
        Ok(())
    }

    fn work(&mut self, turns: &Turns, in_flight: usize) -> anyhow::Result<()> {
        let (mut running, mut answers) = (0, vec![0; in_flight]);
        loop {
            let mut more = 0;
            while running + more < in_flight && turns.take() {
                more += 1;
            }
            self.ask(more)?;
            running += more;
            if running == 0 {
                return Ok(());
            }
            match self.hear(&mut answers)? {
                0 => anyhow::bail!("true failed there"),
                ended => running -= ended,
            }
        }
    }

    fn ask(&mut self, times: usize) -> anyhow::Result<()> {
        let words = vec![b'.'; times];
        match &mut self.0 {
            Stream::Unix(stream) => stream.write_all(&words),
            Stream::Tcp(stream) => stream.write_all(&words),
        }
        .context("cannot ask")
    }

    fn hear(&mut self, answers: &mut [u8]) -> anyhow::Result<usize> {
        match &mut self.0 {
            Stream::Unix(stream) => stream.read(answers),
            Stream::Tcp(stream) => stream.read(answers),
        }
        .context("cannot hear")
    }
}

fn program() -> anyhow::Result<Command> {
    let ours = std::env::current_exe().context("our own program")?;
    let program = ours.with_file_name("redial-floor");
    let advice = "build it first: cargo xtask bench does";
    anyhow::ensure!(program.exists(), "{}: {advice}", program.display());
    Ok(Command::new(program))
}
