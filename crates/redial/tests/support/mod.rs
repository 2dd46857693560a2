//! What the tests of the real program share: running it, a server of the test's own, and
//! a look at what it leaves behind.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

pub(crate) mod cable;
pub(crate) mod cutting;
pub(crate) mod memory;
pub(crate) mod nats;
pub(crate) mod network;
pub(crate) mod processes;
pub(crate) mod schema;
pub(crate) mod server;
pub(crate) mod terminal;

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};

/// `exec:` with a private server.
pub(crate) fn private() -> String {
    format!("exec:{} serve --stdio --private", binary().display())
}

/// Nothing that is waited for takes longer, even on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) fn binary() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_redial").into();
    std::env::var_os("REDIAL_BIN").map_or_else(built, PathBuf::from)
}

/// How a program ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code; 128 + signal if it was killed.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// A call of the program.
pub(crate) struct Redial {
    command: Command,
    input: Vec<u8>,
}

impl Redial {
    /// `redial run TARGET`, in an environment without settings of the caller's.
    pub(crate) fn run(target: impl AsRef<OsStr>) -> Self {
        let mut redial = Redial::bare(["run"]);
        redial.command.arg(target);
        redial
    }

    /// `redial ARGS`.
    pub(crate) fn bare<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(binary());
        command.args(args);
        let nowhere = std::env::temp_dir().join("redial-tests-have-no-settings");
        command.env("XDG_CONFIG_HOME", nowhere);
        for (name, _) in std::env::vars_os() {
            let ours = name.to_string_lossy().starts_with("REDIAL_");
            if ours && name != "REDIAL_BIN" {
                command.env_remove(name);
            }
        }
        Redial {
            command,
            input: Vec::new(),
        }
    }

    /// Started by these words, which are followed by a command: `ip netns exec NAME`.
    pub(crate) fn by(mut self, words: &[&str]) -> Self {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(self.command.get_program());
        command.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.command = command;
        self
    }

    /// More arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// A variable of ours.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Without a variable of the caller's.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// In a process group of its own, as a shell starts it on a terminal.
    pub(crate) fn in_own_group(mut self) -> Self {
        std::os::unix::process::CommandExt::process_group(&mut self.command, 0);
        self
    }

    /// What is written to its stdin.
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Starts it with pipes, and leaves them to the caller.
    pub(crate) fn spawn(mut self) -> Child {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command.spawn().expect("the program under test starts")
    }

    /// Starts it, with all of its stdin written and closed, and leaves the rest to the caller.
    pub(crate) fn begun(mut self) -> Child {
        let input = std::mem::take(&mut self.input);
        let mut child = self.spawn();
        child.stdin.take().unwrap().write_all(&input).unwrap();
        child
    }

    /// Runs it to its end.
    pub(crate) fn ran(mut self) -> Ran {
        let input = std::mem::take(&mut self.input);
        let began = Instant::now();
        let mut child = self.spawn();
        let mut stdin = child.stdin.take().unwrap();
        // A program that does not read all of its input is no failure here.
        let writer = thread::spawn(move || stdin.write_all(&input).is_ok());
        let ran = finish(child, began);
        writer.join().unwrap();
        ran
    }
}

/// What a program wrote.
pub(crate) fn stdout(ran: &Ran) -> String {
    String::from_utf8(ran.stdout.clone()).unwrap()
}

/// Its lines, sorted.
pub(crate) fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// The rows of the table of ends.
pub(crate) fn rows(ran: &Ran) -> Vec<String> {
    let rows = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("  ") && !line.trim_start().starts_with("go on with"));
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// What a program says on stderr, to its end.
pub(crate) fn said(child: &mut Child) -> String {
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    said
}

/// Waits for the end of a program with its outputs, at most [`PATIENCE`].
pub(crate) fn finish(mut child: Child, began: Instant) -> Ran {
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let code = wait(&mut child);
    let took = began.elapsed();
    let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
    Ran {
        code,
        stdout: stdout.join().unwrap(),
        stderr,
        took,
    }
}

fn collect(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Its exit code, or 128 + signal. Ends it and fails when it takes too long.
pub(crate) fn wait(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let ended = eventually(|| child.try_wait().unwrap());
    let Some(status) = ended else {
        child.kill().unwrap();
        panic!("it does not end: {child:?}");
    };
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap())
}

/// Looks again and again until there is something, or [`PATIENCE`] is over.
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if seen.is_some() || Instant::now() > deadline {
            return seen;
        }
        thread::sleep(Duration::from_millis(2)); // bounded poll
    }
}

/// Writes a program, by another process: what we had open for writing while another test starts something
/// would be busy for a moment (execve(2), ETXTBSY).
pub(crate) fn write_program(path: &std::path::Path, text: &str) {
    let write = r#"printf %s "$1" >"$0" && chmod 700 "$0""#;
    let mut shell = Command::new("sh");
    shell.args(["-c", write]).arg(path).arg(text);
    assert!(shell.status().unwrap().success());
}

/// Does nothing until it is over, or for so long.
pub(crate) fn idle(most: Duration, mut over: impl FnMut() -> bool) {
    let until = Instant::now() + most;
    while !over() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(Duration::from_millis(5))); // bounded poll
    }
}

/// Numbers that are a function of the seed: xorshift64*, Vigna 2016.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // 0 would stay 0.
        Random(seed.wrapping_mul(2).wrapping_add(1))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Bytes that are a function of the seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let (mut random, mut bytes) = (Random::new(seed), Vec::with_capacity(len + 8));
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Says that something was not tested, for the table of `cargo xtask test`.
pub(crate) fn skip(what: &str) {
    println!("skipped: {what}");
    if let Some(path) = std::env::var_os("REDIAL_SKIPS") {
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        // In one piece: other tests say so at the same time.
        file.write_all(format!("{what}\n").as_bytes()).unwrap();
    }
}

/// An address where nobody answers, for as long as the socket is held: it is bound and not
/// listened on, so that no other test is given its port.
pub(crate) fn silent_address() -> (OwnedFd, String) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    rustix::net::bind(&socket, &any).unwrap();
    let address = rustix::net::getsockname(&socket).unwrap();
    let address = SocketAddr::try_from(address).unwrap();
    (socket, address.to_string())
}
