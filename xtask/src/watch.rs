//! Runs one program, shows its output as it comes, and never hangs in silence:
//! a quiet program is named every minute, one over its limit is killed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::processes;

/// How long the loop waits for a line before it looks at clocks and child.
const TICK: Duration = Duration::from_millis(50);
/// Silence after which we say that the program still runs.
const QUIET: Duration = Duration::from_secs(60);
/// How long output is read on after the program itself has ended.
const DRAIN: Duration = Duration::from_secs(5);
/// Longest piece of output handled as one line, in bytes.
const LINE_BYTES: u64 = 64 * 1024;
/// Lines that may wait between the readers and us.
const LINES_WAITING: usize = 1024;

/// How a watched program ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was killed, with its descendants, because it passed its limit.
    TimedOut,
}

impl Ended {
    /// What went wrong, for people; nothing when it went well.
    pub(crate) fn complaint(self) -> Option<String> {
        match self {
            Ended::Exited(status) if status.success() => None,
            Ended::Exited(status) => Some(status.to_string()),
            Ended::TimedOut => Some("killed: over its time limit".to_owned()),
        }
    }
}

/// What to do with a line that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Show it.
    Show,
    /// Show it; something new has begun, so the limit counts from here.
    Restart,
    /// It is not for people.
    Hide,
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

/// Runs `command` without stdin and asks `on_line` about every line of stdout
/// and stderr. After `limit` since the start, or since the last line that
/// restarted the clock, the program and its descendants are killed.
///
/// # Errors
/// When the program cannot be started or waited for.
pub(crate) fn run(
    name: &str,
    command: &mut Command,
    limit: Duration,
    mut on_line: impl FnMut(&str) -> Line,
) -> anyhow::Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let lines = read_lines(&mut child);
    let (mut began, mut heard) = (Instant::now(), Instant::now());
    let mut open = true;
    let mut exited: Option<Instant> = None;
    loop {
        let mut idle = true;
        match lines.recv_timeout(TICK) {
            Ok((from, line)) => {
                idle = false;
                heard = Instant::now();
                let wish = on_line(String::from_utf8_lossy(&line).trim_end());
                if wish == Line::Restart {
                    began = heard;
                }
                if wish != Line::Hide {
                    show(from, &line);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => open = false,
        }
        if idle && let Some(status) = child.try_wait().context("cannot wait")? {
            let since = exited.get_or_insert_with(Instant::now).elapsed();
            if open && since < DRAIN {
                continue;
            }
            if open {
                eprintln!("xtask: {name} ended, but something it started still holds its output");
            }
            return Ok(Ended::Exited(status));
        }
        if began.elapsed() > limit {
            eprintln!("xtask: {name} is over its {} s: killed", limit.as_secs());
            processes::kill_tree(child.id());
            child.wait().context("cannot wait")?;
            return Ok(Ended::TimedOut);
        }
        if heard.elapsed() > QUIET {
            heard = Instant::now();
            let (so_far, limit) = (began.elapsed().as_secs(), limit.as_secs());
            eprintln!("xtask: {name} still runs ({so_far} s of at most {limit} s)");
        }
        if !open {
            thread::sleep(TICK);
        }
    }
}

/// By the macros, so that a test of ours that runs a program can be captured.
fn show(from: Stream, line: &[u8]) {
    let line = String::from_utf8_lossy(line);
    match from {
        Stream::Stdout => print!("{line}"),
        Stream::Stderr => eprint!("{line}"),
    }
}

/// One thread per stream; the channel closes when both streams have ended.
fn read_lines(child: &mut Child) -> Receiver<(Stream, Vec<u8>)> {
    let (sender, receiver) = mpsc::sync_channel(LINES_WAITING);
    if let Some(stdout) = child.stdout.take() {
        let sender = sender.clone();
        thread::spawn(move || forward(stdout, Stream::Stdout, &sender));
    }
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || forward(stderr, Stream::Stderr, &sender));
    }
    receiver
}

fn forward(stream: impl Read, from: Stream, lines: &SyncSender<(Stream, Vec<u8>)>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        match stream
            .by_ref()
            .take(LINE_BYTES)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if lines.send((from, line)).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn both_streams_arrive_and_the_exit_code_is_the_programs() {
        let mut lines = Vec::new();
        let ended = run(
            "sample",
            &mut shell("echo out; echo err >&2; exit 3"),
            Duration::from_secs(30),
            |line| {
                lines.push(line.to_owned());
                Line::Hide
            },
        )
        .unwrap();
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
        assert!(matches!(ended, Ended::Exited(status) if status.code() == Some(3)));
    }

    #[test]
    fn a_program_over_its_limit_is_killed_with_its_children() {
        let mut grandchild = String::new();
        let ended = run(
            "sample",
            &mut shell("sleep 600 & echo $!; wait"),
            Duration::from_millis(300),
            |line| {
                grandchild = line.to_owned();
                Line::Hide
            },
        )
        .unwrap();
        assert!(matches!(ended, Ended::TimedOut));
        let gone = Instant::now();
        while processes::is_alive(grandchild.parse().unwrap()) {
            assert!(gone.elapsed() < Duration::from_secs(10), "{grandchild}");
            thread::sleep(TICK); // bounded poll
        }
    }

    #[test]
    fn a_line_that_restarts_the_clock_gives_new_time() {
        let ended = run(
            "sample",
            &mut shell("for i in 1 2 3 4 5; do sleep 0.3; echo $i; done"),
            Duration::from_secs(1),
            |_| Line::Restart,
        )
        .unwrap();
        assert_eq!(ended.complaint(), None);
    }
}
