//! asyncssh in one Python process, over one open connection: it times itself.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;

use super::Daemon;
use super::home::Home;
use super::many::is_there;
use super::run_true;
use super::sshd::{CURVE25519, Sshd};

/// Takes `once N` and `rate N F` on stdin, and answers with milliseconds or with commands a second.
const SCRIPT: &str = r#"
import asyncio, sys, time, asyncssh
port, user, key, known = int(sys.argv[1]), *sys.argv[2:5]
async def one(line):
    end = await line.run('true')
    if end.exit_status != 0 or end.stdout or end.stderr:
        sys.exit('true failed')
async def main():
    async with asyncssh.connect('127.0.0.1', port, username=user, client_keys=[key], known_hosts=known,
                                agent_path=None, config=None) as line:
        print('ready', flush=True)
        while words := sys.stdin.readline().split():
            count = int(words[1])
            if words[0] == 'once':
                took = []
                for _ in range(count):
                    began = time.perf_counter()
                    await one(line)
                    took.append((time.perf_counter() - began) * 1e3)
                print(*took, flush=True)
            else:
                left = iter(range(count))
                async def worker():
                    for _ in left:
                        await one(line)
                began = time.perf_counter()
                await asyncio.gather(*(worker() for _ in range(int(words[2]))))
                print(count / (time.perf_counter() - began), flush=True)
asyncio.run(main())
"#;

/// The process; ended when dropped.
pub(crate) struct Asyncssh {
    _process: Daemon,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    _sshd: Sshd,
}

impl Asyncssh {
    /// # Errors
    /// It is not installed, or does not work here.
    pub(crate) fn start() -> anyhow::Result<Self> {
        anyhow::ensure!(is_there("asyncssh"), "no asyncssh");
        let home = Arc::new(Home::new()?);
        let sshd = Sshd::start(&home)?;
        // It learns the host's key.
        run_true(&mut sshd.dial(&CURVE25519, "true"))?;
        let mut python = Command::new("/usr/bin/python3");
        python
            .args([
                "-W",
                "ignore",
                "-c",
                SCRIPT,
                &sshd.port().to_string(),
                home.login(),
            ])
            .arg(home.key())
            .arg(sshd.path().join("known_hosts"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Daemon::spawn(&mut python)?;
        let asks = process.child().stdin.take().context("its stdin")?;
        let answers = process.child().stdout.take().context("its stdout")?;
        let mut asyncssh = Asyncssh {
            _process: process,
            asks,
            answers: BufReader::new(answers),
            _sshd: sshd,
        };
        let ready = asyncssh.line()?;
        anyhow::ensure!(ready == "ready", "asyncssh: {ready:?}");
        Ok(asyncssh)
    }

    /// `true`, so many times one after the other: milliseconds each.
    ///
    /// # Errors
    /// One failed.
    pub(crate) fn times(&mut self, count: usize) -> anyhow::Result<Vec<f64>> {
        let answer = self.ask(&format!("once {count}"))?;
        let times = answer
            .split(' ')
            .map(str::parse)
            .collect::<Result<Vec<f64>, _>>();
        let times = times.with_context(|| format!("asyncssh: {answer:?}"))?;
        anyhow::ensure!(times.len() == count, "asyncssh: {answer:?}");
        Ok(times)
    }

    /// `true` per second with `in_flight` at once.
    ///
    /// # Errors
    /// One failed.
    pub(crate) fn rate(&mut self, count: usize, in_flight: usize) -> anyhow::Result<f64> {
        let answer = self.ask(&format!("rate {count} {in_flight}"))?;
        answer
            .parse()
            .with_context(|| format!("asyncssh: {answer:?}"))
    }

    fn ask(&mut self, words: &str) -> anyhow::Result<String> {
        writeln!(self.asks, "{words}").context("asyncssh")?;
        self.line()
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line).context("asyncssh")?;
        Ok(line.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_times_as_many_as_it_is_asked_for() {
        match Asyncssh::start() {
            Ok(mut asyncssh) => {
                assert_eq!(asyncssh.times(3).unwrap().len(), 3);
                assert!(asyncssh.rate(8, 4).unwrap() > 0.0);
            }
            // It may not be installed, or sshd may not work here.
            Err(error) => {
                crate::peer::skipped("it_times_as_many_as_it_is_asked_for", &format!("{error:#}"));
            }
        }
    }
}
