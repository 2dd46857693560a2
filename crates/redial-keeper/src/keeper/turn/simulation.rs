//! The keeper in a simulation: the same state and the same turns, but time is an argument,
//! processes are pipes and a number, and nothing is waited for.

mod rest;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::pipe::{PipeFlags, pipe_with};

use super::Keeper as Real;
use crate::account::Account;
use crate::keeper::config::Limits;
use crate::keeper::front::{Front, FrontHandle};
use crate::keeper::grant::Client;
use crate::keeper::ground::Ground;
use crate::keeper::job::Job;
use crate::keeper::kept::Keeping;
use crate::keeper::life::Life;
use crate::keeper::listener::Reserve;
use crate::keeper::orphans::Orphans;
use crate::keeper::poll::{Serial, Token};
use crate::keeper::records::Records;
use crate::keeper::requests::PendingCommand;
use crate::keeper::shutdown::Phase;
use crate::keeper::time::Millis;
use crate::keeper::upgrade::Upgrades;
use crate::keeper::users::People;
use crate::keeper::workers::simulation::Bench;
use crate::keeper::workers::{Done, Start, Started, Walk as Errand, Walked, Workers};
use crate::outcome::Exit;
use crate::spawn::Spawned;
use crate::tree::{Reached, SpawnTickets, Tree};
use crate::wire::{Capability, Command, ConnectionKind, DropPolicy};
pub use rest::Rest;
use rest::place;

/// Above every number that a process of Linux has (4,194,304, PID_MAX_LIMIT).
const FIRST_PID: i32 = 1 << 30;

/// What is known of a process that is none.
#[derive(Debug, Clone, Default)]
pub(in crate::keeper) struct Process {
    pub(in crate::keeper) exit: Option<Exit>,
    signals: Vec<i32>,
}

thread_local! {
    static PROCESSES: RefCell<BTreeMap<i32, Process>> = const { RefCell::new(BTreeMap::new()) };
}

/// A simulated process; none of the others is in here.
pub(in crate::keeper) fn process(pid: i32) -> Option<Process> {
    PROCESSES.with_borrow(|processes| processes.get(&pid).cloned())
}

/// Sends a signal; false if that is no simulated process.
pub(in crate::keeper) fn signal(pid: i32, signal: i32) -> bool {
    PROCESSES.with_borrow_mut(|processes| {
        let process = processes.get_mut(&pid);
        process
            .map(|process| process.signals.push(signal))
            .is_some()
    })
}

/// A process that has begun: its ends of the pipes, and its say.
#[derive(Debug)]
pub struct Begun {
    /// Its number.
    pub pid: i32,
    /// What it is.
    pub command: Command,
    /// To read from, if it was asked for.
    pub stdin: Option<OwnedFd>,
    /// To write to.
    pub stdout: Option<OwnedFd>,
    /// To write to.
    pub stderr: Option<OwnedFd>,
    /// Closed at its end.
    life: OwnedFd,
}

impl Begun {
    /// The signals it has got since it was last asked.
    pub fn take_signals(&self) -> Vec<i32> {
        PROCESSES.with_borrow_mut(|processes| {
            let process = processes.get_mut(&self.pid);
            process
                .map(|it| std::mem::take(&mut it.signals))
                .unwrap_or_default()
        })
    }

    /// Its end.
    pub fn exit(self, exit: Exit) {
        PROCESSES.with_borrow_mut(|processes| {
            if let Some(process) = processes.get_mut(&self.pid) {
                process.exit = Some(exit);
            }
        });
        drop(self.life);
    }
}

/// What somebody has to find out, or to do, about a job's processes.
pub struct Walk {
    serial: Serial,
    /// The job's process.
    pub pid: i32,
    what: Errand,
}

impl Walk {
    /// The signal that is to be sent to all of the tree, if it is that.
    pub fn signal(&self) -> Option<i32> {
        match self.what {
            Errand::Signal(signal) | Errand::Ask(signal) => Some(signal),
            Errand::Members | Errand::Holders(_) => None,
        }
    }
}

/// See the module.
pub struct Keeper<'a> {
    real: Real<'a>,
    bench: Bench,
    tokens: Vec<Token>,
    next_pid: i32,
    account: Arc<Account>,
    shutdown: OwnedFd,
    /// Of a pipe that is never to end.
    _end: OwnedFd,
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        PROCESSES.take();
    }
}

impl<'a> Keeper<'a> {
    /// As [`super::run_with`] would make it.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new(
        limits: Limits,
        instance: [u8; 16],
        now: Millis,
        start_front: &'a mut dyn FnMut() -> io::Result<FrontHandle>,
    ) -> io::Result<Self> {
        let tickets = SpawnTickets::new();
        let (workers, bench) = Workers::simulated(limits.jobs as usize, &tickets)?;
        let mut ground = Ground::new(limits, workers, (None, false))?;
        ground.now = now;
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let ((shutdown, ours), (children, end)) = (pipe_with(flags)?, pipe_with(flags)?);
        let real = Real {
            keeping: Keeping::nowhere("a simulation has no disk".to_owned()),
            upgrades: Upgrades::new(None),
            life: Life::new(None),
            records: Records::new(ground.limits.ended_records, ground.limits.ended_ms),
            ground,
            instance,
            jobs: HashMap::new(),
            starting: HashMap::new(),
            ids: BTreeMap::new(),
            next_serial: 1,
            waiting_bytes: 0,
            clients: HashMap::new(),
            last_capability: 0,
            pending: PendingCommand::default(),
            front: Front::default(),
            start_front,
            listeners: Vec::new(),
            network: None,
            people: People::alone(),
            listening: false,
            announced: false,
            reserve: Reserve::new(),
            listen_at: None,
            stdio: None,
            private: false,
            phase: Phase::Serving,
            front_died: false,
            shutdown,
            orphans: Orphans::new(children, tickets),
            cool_at: None,
            house_due: None,
            buffer: vec![0; crate::wire::MAX_PACKET_BYTES],
        };
        real.try_watch()?;
        Ok(Self {
            real,
            bench,
            tokens: Vec::new(),
            next_pid: FIRST_PID,
            account: Arc::new(Account {
                name: b"ada".to_vec(),
                uid: 1,
                gid: 1,
                home: b"/".to_vec(),
                shell: b"/bin/sh".to_vec(),
            }),
            shutdown: ours,
            _end: end,
        })
    }

    /// One turn, as `serve` does it, but it does not wait. Which of so many events is handled
    /// next, `pick` says. True if there was anything to do.
    ///
    /// # Errors
    /// What would end the keeper.
    pub fn turn(&mut self, now: Millis, mut pick: impl FnMut(usize) -> usize) -> io::Result<bool> {
        let real = &mut self.real;
        real.ground.now = now;
        let mut any = !real.ground.dirty.is_empty() || !real.front.out.is_empty();
        real.report().map_err(io::Error::other)?;
        real.ground.to_close.clear();
        real.keep_house().map_err(io::Error::other)?;
        if !real.ground.dirty.is_empty() || !real.front.out.is_empty() {
            real.report().map_err(io::Error::other)?;
        }
        real.set_house_timer();
        let limit = Some(std::time::Duration::ZERO);
        real.ground.poll.wait(&mut self.tokens, limit)?;
        // The kernel's order is none to rely on.
        self.tokens.sort_unstable_by_key(|token| place(*token));
        any |= !self.tokens.is_empty();
        real.on_timer();
        while !self.tokens.is_empty() {
            let next = pick(self.tokens.len()) % self.tokens.len();
            let token = self.tokens.swap_remove(next);
            real.on_event(token).map_err(io::Error::other)?;
        }
        Ok(any)
    }

    /// Tells it to end, as SIGTERM would.
    ///
    /// # Errors
    /// It has ended.
    pub fn shut_down(&self) -> io::Result<()> {
        rustix::io::write(&self.shutdown, b"x")?;
        Ok(())
    }

    /// Whether there is nothing left that it waits for.
    pub fn has_ended(&self) -> bool {
        self.real.has_ended()
    }

    /// Somebody has connected. None while there is no front to take it.
    pub fn connect(&mut self) -> Option<Capability> {
        if !self.real.listening {
            return None;
        }
        let kind = ConnectionKind::Unix(1, 1, 1);
        self.real.connect(Client::local(1), kind, Vec::new());
        Some(self.real.last_capability)
    }

    /// Starts the next command that waits for it, with pipes of a size that `pipe_bytes` gives.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn start_next(
        &mut self,
        pipe_bytes: impl FnOnce(&Command) -> usize,
    ) -> io::Result<Option<Begun>> {
        let Some(Start {
            serial,
            mark,
            command,
            user: _,
        }) = self.bench.take_start()
        else {
            return Ok(None);
        };
        let pipe_bytes = pipe_bytes(&command);
        let pipe = || {
            let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            rustix::pipe::fcntl_setpipe_size(&ends.0, pipe_bytes)?;
            io::Result::Ok(ends)
        };
        let (stdin, our_stdin) = if command.stdin {
            let (theirs, ours) = pipe()?;
            (Some(theirs), Some(ours))
        } else {
            (None, None)
        };
        let (our_stdout, stdout) = pipe()?;
        let (our_stderr, stderr) = pipe()?;
        let (pidfd, life) = pipe()?;
        let pid = self.next_pid;
        self.next_pid += 1;
        PROCESSES.with_borrow_mut(|processes| processes.insert(pid, Process::default()));
        let process = Spawned {
            pid,
            pidfd,
            stdin: our_stdin,
            stdout: Some(our_stdout),
            stderr: Some(our_stderr),
            writers: [Some(stdout.try_clone()?), Some(stderr.try_clone()?)],
        };
        let started = Started {
            took_us: 0,
            process,
            tree: Tree::new(pid, 1, mark),
            outputs: Vec::new(),
            at: self.real.ground.now,
            account: Arc::clone(&self.account),
        };
        let done = Done::Started(serial, Ok(Box::new(started)), None);
        self.bench.tell(done);
        Ok(Some(Begun {
            pid,
            command,
            stdin,
            stdout: Some(stdout),
            stderr: Some(stderr),
            life,
        }))
    }

    /// The next walk that somebody waits for.
    pub fn next_walk(&mut self) -> Option<Walk> {
        let (serial, tree, what) = self.bench.take_walk()?;
        let pid = tree.root();
        Some(Walk { serial, pid, what })
    }

    /// A walk is done: its signal was sent, or so many of the tree live.
    pub fn walked(&mut self, walk: Walk, alive: usize) {
        let walked = match walk.what {
            Errand::Signal(number) | Errand::Ask(number) => {
                signal(walk.pid, number);
                Walked::Signalled(
                    number,
                    Reached {
                        exact: true,
                        signalled: alive,
                    },
                )
            }
            Errand::Members => Walked::Members(alive),
            Errand::Holders(_) => Walked::Holders(Vec::new()),
        };
        self.bench.tell(Done::Walked(walk.serial, walked));
    }

    /// Lets go of jobs that have ended and are kept until somebody asks for them, which nobody
    /// will. Says how many those were.
    pub fn forget_kept(&mut self) -> u64 {
        let is_kept = |job: &Job| {
            let forever = job.terms.on_drop == DropPolicy::Keep;
            forever && job.holder.is_none() && job.outcome.is_some()
        };
        let jobs = self.real.jobs.iter();
        let kept: Vec<Serial> = jobs
            .filter(|(_, job)| is_kept(job))
            .map(|(it, _)| *it)
            .collect();
        kept.iter()
            .for_each(|serial| self.real.let_go(*serial, false));
        kept.len() as u64
    }

    /// The jobs that there are, for people.
    pub fn jobs(&self) -> Vec<String> {
        let word = |job: &Job| {
            let (id, holder, ended) = (job.terms.id, job.holder, job.outcome.is_some());
            let (exit, drop_at) = (job.exit(), job.drop_at);
            format!("{id:x?}: held by {holder:?}, {exit:?}, ended: {ended}, struck at {drop_at:?}")
        };
        self.real.jobs.values().map(word).collect()
    }

    /// What is not in use.
    pub fn rest(&self) -> Rest {
        let Ground { output, stdin, .. } = &self.real.ground;
        Rest {
            output: output.chunks() as usize,
            output_free: output.free(),
            stdin: stdin.chunks() as usize,
            stdin_free: stdin.free(),
            jobs: self.real.jobs.len() + self.real.starting.len(),
        }
    }
}
