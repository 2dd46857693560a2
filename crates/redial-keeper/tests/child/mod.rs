//! Starting a process for a test, and seeing it through to its end.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use redial_keeper::account::{Account, environment};
use redial_keeper::spawn::{Program, SpawnRequest, Spawned, Spawner};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid};

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn account() -> Arc<Account> {
    Arc::new(Account::own().expect("passwd can be read"))
}

pub(crate) fn argv(arguments: &[&str]) -> Program {
    Program::Argv(
        arguments
            .iter()
            .map(|argument| argument.as_bytes().to_vec())
            .collect(),
    )
}

/// `program` in the root directory, with the environment a job would have.
pub(crate) fn request(program: Program) -> SpawnRequest {
    let account = account();
    // Not the tester's own, which may hold directories that this user cannot read.
    let path = (b"PATH".to_vec(), b"/usr/bin:/bin".to_vec());
    SpawnRequest {
        cwd: Some(b"/".to_vec()),
        env: environment(&account, b"test", None, &[path]),
        ..SpawnRequest::new(program, account)
    }
}

/// A process that is killed if the test ends before it does.
pub(crate) struct Job {
    pub(crate) spawned: Spawned,
    reaped: bool,
}

/// How it ended, and all it wrote.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }
}

impl Job {
    pub(crate) fn start(spawner: &mut Spawner, request: &SpawnRequest) -> Self {
        let spawned = spawner
            .spawn(request)
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            spawned,
            reaped: false,
        }
    }

    /// Writes `input`, reads both outputs to their end, and reaps.
    pub(crate) fn finish(mut self, input: &[u8]) -> Ended {
        let stdin = self.spawned.stdin.take();
        let outputs = [self.spawned.stdout.take(), self.spawned.stderr.take()];
        let [stdout, stderr] = thread::scope(|scope| {
            scope.spawn(move || stdin.map(|stdin| write_all(stdin, input)));
            let readers = outputs.map(|output| scope.spawn(move || output.map(read_all)));
            readers.map(|reader| reader.join().expect("reader").unwrap_or_default())
        });
        let (code, signal) = self.wait();
        Ended {
            code,
            signal,
            stdout,
            stderr,
        }
    }

    pub(crate) fn wait(&mut self) -> (Option<i32>, Option<i32>) {
        ready(&self.spawned.pidfd, PollFlags::IN);
        let status = reap(&self.spawned.pidfd).expect("a child of ours");
        self.reaped = true;
        (status.exit_status(), status.terminating_signal())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = pidfd_send_signal(&self.spawned.pidfd, Signal::KILL);
            let _ = reap(&self.spawned.pidfd);
        }
    }
}

fn reap(pidfd: &OwnedFd) -> Option<WaitIdStatus> {
    waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
        .ok()
        .flatten()
}

fn ready(fd: &OwnedFd, what: PollFlags) {
    let mut fds = [PollFd::new(fd, what)];
    let timeout = Timespec {
        tv_sec: PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    };
    let count = poll(&mut fds, Some(&timeout)).expect("poll");
    assert_ne!(count, 0, "nothing happened in {PATIENCE:?}");
}

/// To the end of the stream; from a terminal, EIO is its end.
pub(crate) fn read_all(fd: OwnedFd) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 65_536];
    loop {
        ready(&fd, PollFlags::IN);
        match rustix::io::read(&fd, &mut chunk) {
            Ok(0) | Err(rustix::io::Errno::IO) => return bytes,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => panic!("read: {error}"),
        }
    }
}

fn write_all(fd: OwnedFd, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        ready(&fd, PollFlags::OUT);
        match rustix::io::write(&fd, rest) {
            Ok(count) => rest = &rest[count..],
            Err(rustix::io::Errno::AGAIN) => {}
            Err(_) => return,
        }
    }
}

/// Waits until `condition` holds, and fails saying `what` if it does not.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        thread::yield_now();
    }
}

pub(crate) fn slurp(path: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

pub(crate) fn spit(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).expect("write");
}
