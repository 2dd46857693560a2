//! A keeper in a process of its own.

use std::fs::{DirBuilder, Permissions};
use std::io::{self, PipeWriter, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redial_keeper::audit::{AuditArgv, AuditConfig, AuditTo};
use redial_keeper::keeper::{FrontHandle, FrontProgram, KeeperConfig, ManyUsers, run, run_with};
use redial_keeper::spawn::Identity;
use redial_keeper::wire::Link;
use tempfile::TempDir;

use crate::front::Front;
use crate::limits::limits;
use crate::login::{listening_address, network, reader, write_keys};
use crate::users::User;

/// Set in the environment of a keeper; its value, limits as `name=number …`.
pub(crate) const KEEPER: &str = "REDIAL_TEST_KEEPER";
/// Set when fronts are to be started as programs; and for these, see `program.rs`.
pub(crate) const PROGRAM: &str = "REDIAL_TEST_PROGRAM";
const PRIVATE: &str = "REDIAL_TEST_PRIVATE";
/// Set when the keeper is started with SIGCHLD ignored, as some launchers leave it.
const IGNORED_CHILDREN: &str = "REDIAL_TEST_IGNORED_CHILDREN";
const SOCKET: &str = "REDIAL_TEST_SOCKET";
/// Set when the network is listened on; its value, a directory with what a reader of keys says.
const NETWORK: &str = "REDIAL_TEST_NETWORK";
/// Where jobs are kept, in a process that is a keeper that can.
const STATE: &str = "REDIAL_TEST_STATE";
/// Set when there are many users, beside [`NETWORK`].
const USERS: &str = "REDIAL_TEST_USERS";
/// The user and group of fronts then.
pub(crate) const FRONT: u32 = 61_900;
/// Where what is done is written down; on the network it always is.
const AUDIT: &str = "REDIAL_TEST_AUDIT";

/// Nothing here takes that long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Behind this a keeper that was told to end is told again.
const HURRY: Duration = Duration::from_millis(800);
/// Its end, with hundreds of jobs without cgroups on a busy machine.
const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// Calls `check` until it says yes, for as long as there is patience.
pub(crate) fn wait_until(what: &str, mut check: impl FnMut() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::yield_now();
        let _ = rustix::event::poll(&mut [], Some(&millis(2)));
    }
}

pub(crate) fn millis(millis: i64) -> rustix::event::Timespec {
    rustix::event::Timespec {
        tv_sec: millis / 1_000,
        tv_nsec: millis % 1_000 * 1_000_000,
    }
}

pub(crate) struct Keeper {
    process: Child,
    supply: Link,
    shutdown: Option<PipeWriter>,
    pub(crate) directory: TempDir,
}

impl Keeper {
    /// With limits as `name=number …`, see [`limits`].
    pub(crate) fn start(limits: &str) -> (Self, Front) {
        Self::with_front(Self::start_as(limits, None))
    }

    /// One that serves its stdio only.
    pub(crate) fn start_private(limits: &str) -> (Self, Front) {
        Self::with_front(Self::start_as(limits, Some(PRIVATE)))
    }

    /// One that listens on the network too, and lets in the keys listed.
    pub(crate) fn start_on_network(limits: &str, authorized_keys: &str) -> (Self, Front) {
        let directory = directory();
        write_keys(directory.path(), authorized_keys);
        Self::with_front(Self::start_in(directory, limits, Some(NETWORK)))
    }

    /// One that listens on the network, as root for many users: see [`crate::users::User`].
    pub(crate) fn start_for_many(limits: &str, users: &[User]) -> (Self, Front) {
        let directory = directory();
        users.iter().for_each(|user| user.write(directory.path()));
        // Its socket is for everybody.
        for open in [directory.path().to_owned(), directory.path().join("run")] {
            std::fs::set_permissions(open, Permissions::from_mode(0o755)).unwrap();
        }
        Self::with_front(Self::start_in(directory, limits, Some(USERS)))
    }

    /// From now on these are the keys that are let in.
    pub(crate) fn authorize(&self, authorized_keys: &str) {
        write_keys(self.directory.path(), authorized_keys);
    }

    /// Where it listens on the network.
    /// What is in the audit.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.directory.path().join("audit")).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let mut address = None;
        wait_until("the keeper listens on the network", || {
            address = listening_address(self.pid());
            address.is_some()
        });
        address.unwrap()
    }

    /// One that was left with SIGCHLD ignored by who started it.
    pub(crate) fn start_with_children_ignored() -> (Self, Front) {
        Self::with_front(Self::start_as("", Some(IGNORED_CHILDREN)))
    }

    /// One that starts its fronts itself.
    pub(crate) fn start_with_program() -> Self {
        Self::start_as("", Some(PROGRAM)).0
    }

    fn with_front((keeper, mut front): (Self, Front)) -> (Self, Front) {
        front.begin();
        (keeper, front)
    }

    fn start_as(limits: &str, variable: Option<&str>) -> (Self, Front) {
        Self::start_in(directory(), limits, variable)
    }

    fn start_in(directory: TempDir, limits: &str, variable: Option<&str>) -> (Self, Front) {
        let (supply, theirs) = Link::pair().unwrap();
        let (reader, shutdown) = io::pipe().unwrap();
        supply.send(b"shutdown", &[reader.as_fd()]).unwrap();
        let (ours, fronts) = Link::pair().unwrap();
        supply.send(b"front", &[fronts.as_fd()]).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let value = directory.path();
        command.envs(variable.map(|name| (name, value.as_os_str())));
        command.envs((variable == Some(USERS)).then_some((NETWORK, value)));
        let audit = (variable == Some(NETWORK)).then(|| directory.path().join("audit"));
        command.envs(audit.map(|file| (AUDIT, file)));
        command
            .args([
                "keeper_process",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(KEEPER, limits)
            .env(SOCKET, directory.path().join("run/socket"))
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null());
        // As in the binary, where no other thread could take it either.
        // SAFETY: only makes calls that are allowed after a fork.
        unsafe { command.pre_exec(block_sigchld) };
        if variable == Some(IGNORED_CHILDREN) {
            // SAFETY: as above.
            unsafe { command.pre_exec(ignore_sigchld) };
        }
        let process = command.spawn().unwrap();
        let front = Front::new(ours);
        let keeper = Self {
            process,
            supply,
            shutdown: Some(shutdown),
            directory,
        };
        (keeper, front)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("run/socket")
    }

    /// A new connection, which the front will be told of.
    pub(crate) fn dial(&self) -> UnixStream {
        let mut stream = None;
        // The socket's file is there a moment before it is listened on.
        wait_until("the keeper listens", || {
            stream = UnixStream::connect(self.socket()).ok();
            stream.is_some()
        });
        stream.unwrap()
    }

    /// A front for when the present one has died.
    pub(crate) fn supply_front(&self) -> Front {
        let (ours, fronts) = Link::pair().unwrap();
        self.supply.send(b"front", &[fronts.as_fd()]).unwrap();
        Front::new(ours)
    }

    /// Asks for the end, as SIGTERM would.
    pub(crate) fn shut_down(&mut self) {
        self.shutdown.as_mut().unwrap().write_all(b"x").unwrap();
    }

    /// Waits for the end; whether it was a good one.
    pub(crate) fn ended(&mut self) -> bool {
        let mut status = None;
        wait_until("the keeper has ended", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().success()
    }

    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .unwrap()
            .count()
    }

    /// Private memory in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid()));
        let rollup = rollup.unwrap();
        let private = rollup.lines().filter(|line| line.starts_with("Private_"));
        private
            .map(|line| {
                line.split_whitespace()
                    .nth(1)
                    .unwrap()
                    .parse::<u64>()
                    .unwrap()
            })
            .sum()
    }

    /// CPU time the keeper's loop has used, in clock ticks of 10 ms; not its workers'.
    pub(crate) fn loop_ticks(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let stats = tasks.filter_map(|task| {
            let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            let (name, fields) = stat.rsplit_once(')')?;
            let times = fields.split_whitespace().skip(11).take(2);
            let ticks: u64 = times.filter_map(|it| it.parse::<u64>().ok()).sum();
            (!name.contains("(redial-")).then_some(ticks)
        });
        stats.sum()
    }

    /// The keeper's children, with their states.
    pub(crate) fn children(&self) -> Vec<(i32, char)> {
        processes()
            .into_iter()
            .filter(|it| it.1 == self.pid() as i32)
            .map(|it| (it.0, it.2))
            .collect()
    }
}

impl Drop for Keeper {
    /// Ends it as a user would who is in a hurry, so that none of its jobs is left. How long that
    /// takes is the machine's affair: who kills it before has left its jobs to nobody.
    fn drop(&mut self) {
        for patience in [HURRY, LONG_PATIENCE] {
            let tell = |shutdown: &mut PipeWriter| shutdown.write_all(b"x");
            let _ = self.shutdown.as_mut().map(tell);
            let start = Instant::now();
            while start.elapsed() < patience {
                if self.process.try_wait().is_ok_and(|status| status.is_some()) {
                    return;
                }
                let _ = rustix::event::poll(&mut [], Some(&millis(2)));
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        // A panic in a panic would end the other tests, too.
        assert!(std::thread::panicking(), "told to end, the keeper did not");
    }
}

/// Pid, parent and state of every process.
pub(crate) fn processes() -> Vec<(i32, i32, char)> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit(')').next()?.split_whitespace();
        let state = fields.next()?.chars().next()?;
        Some((pid, fields.next()?.parse().ok()?, state))
    })
    .collect()
}

/// Whether a process runs (a zombie does not).
pub(crate) fn is_alive(pid: i32) -> bool {
    processes().iter().any(|it| it.0 == pid && it.2 != 'Z')
}

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    DirBuilder::new()
        .mode(0o700)
        .create(directory.path().join("run"))
        .unwrap();
    directory
}

fn block_sigchld() -> io::Result<()> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initialised by the first call, valid for the others.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
    Ok(())
}

fn ignore_sigchld() -> io::Result<()> {
    // SAFETY: installs no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    Ok(())
}

/// The other side of [`Keeper::start`].
pub(crate) fn be_keeper() {
    let supply = Link::from_fd(io::stdin().as_fd().try_clone_to_owned().unwrap()).unwrap();
    let next = || {
        let received = supply.receive(&mut [0; 16])?;
        received
            .fds
            .into_iter()
            .next()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    };
    let shutdown: io::Result<OwnedFd> = next();
    let private = std::env::var_os(PRIVATE).is_some();
    let stdio = private.then(|| io::pipe().unwrap());
    let listen = (!private).then(|| std::env::var_os(SOCKET).unwrap().into());
    let config = KeeperConfig {
        limits: limits(&std::env::var(KEEPER).unwrap()),
        listen: listen.into_iter().collect(),
        network: std::env::var_os(NETWORK).map(|_| network()),
        users: std::env::var_os(USERS).map(|_| ManyUsers {
            front: Identity {
                uid: FRONT,
                gid: FRONT,
                groups: vec![FRONT],
            },
            allow_root: false,
        }),
        key_reader: std::env::var_os(NETWORK).map(reader),
        stdio: stdio.map(|(reader, writer)| (reader.into(), writer.into())),
        keep_in: std::env::var_os(STATE).map(Into::into),
        audit: std::env::var_os(AUDIT).map(|file| AuditConfig {
            to: AuditTo::File(file.into()),
            argv: AuditArgv::Full,
            best_effort: false,
        }),
        passed: Default::default(),
        metrics: None,
        record: None,
        service: None,
        upgrade: None,
        front: FrontProgram {
            args: ["front_process", "--exact", "--nocapture"]
                .map(Into::into)
                .to_vec(),
            env: Vec::new(),
        },
        shutdown: shutdown.unwrap(),
    };
    if std::env::var_os(PROGRAM).is_some() {
        return run(config).unwrap();
    }
    run_with(config, &mut || {
        Ok(FrontHandle::from_link(Link::from_fd(next()?)?))
    })
    .unwrap();
}
