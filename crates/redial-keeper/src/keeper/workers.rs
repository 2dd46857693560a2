//! Threads for what can take long: starting processes, and walking /proc.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use redial_auth::HostKey;
use rustix::pipe::{PipeFlags, pipe_with};

use super::gate::Gate;
use super::grant::Grant;
use super::kept::DiskDone;
use super::logins::{Answer, Logins};
use super::poll::Serial;
use super::queue::Queue;
use super::standing::Standing;
use super::time::{Millis, now};
use crate::account::{Account, environment};
use crate::login::KeyReader;
use crate::spawn::{self, SpawnError, SpawnRequest, SpawnStage, Spawned, Spawner, Stdio3};
use crate::tree::{self, CgroupRoot, Holder, JobCgroup, Reached, SpawnTicket, SpawnTickets, Tree};
use crate::wire::{Capability, Command, Program};

/// Two, so that one program on a dead file system does not stop all starts.
const SPAWNERS: usize = 2;

/// A command to be started.
pub(super) struct Start {
    pub(super) serial: Serial,
    pub(super) mark: Vec<u8>,
    pub(super) command: Command,
}

/// A started process and what belongs to it.
pub(super) struct Started {
    pub(super) process: Spawned,
    pub(super) tree: Tree,
    /// The inodes of stdout and stderr.
    pub(super) outputs: Vec<u64>,
    pub(super) at: Millis,
    /// As whom it runs.
    pub(super) account: Arc<Account>,
}

/// What is to be found out about, or done to, a job's processes.
pub(super) enum Walk {
    Signal(i32),
    Members,
    Holders(Vec<u64>),
}

/// What that came to.
pub(super) enum Walked {
    Signalled(i32, Reached),
    Members(usize),
    Holders(Vec<Holder>),
}

/// News from a worker.
pub(super) enum Done {
    /// The ticket goes when the pid is known to who reaps.
    Started(
        Serial,
        Result<Box<Started>, SpawnError>,
        Option<SpawnTicket>,
    ),
    Walked(Serial, Walked),
    LoggedIn(Capability, Answer),
    Rechecked(Vec<(Arc<Grant>, Standing)>),
    Disk(DiskDone),
}

enum Errand {
    Walk(Serial, Arc<Tree>, Walk),
    Release(Arc<Tree>),
}

type Cgroups = Option<Arc<Mutex<CgroupRoot>>>;

/// The threads, and the queues to and from them.
pub(super) struct Workers {
    starts: Arc<Queue<Start>>,
    errands: Sender<Errand>,
    done: Receiver<Done>,
    event: OwnedFd,
    cgroups: Cgroups,
    gate: Arc<Gate>,
    tickets: Arc<SpawnTickets>,
    teller: Teller,
}

impl Workers {
    /// Starts the threads. At most `queue` commands wait for them.
    pub(super) fn new(
        queue: usize,
        tickets: &Arc<SpawnTickets>,
        cgroups: Option<CgroupRoot>,
    ) -> io::Result<Self> {
        // Not an eventfd, for the reason that the queue is none: see there.
        let (event, wake) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let cgroups = cgroups.map(|root| Arc::new(Mutex::new(root)));
        let starts = Arc::new(Queue::new(queue)?);
        let (done_queue, done) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let teller = Teller {
            done: done_queue,
            wake: Arc::new(wake),
        };
        for _ in 0..SPAWNERS {
            let starter = Starter {
                spawner: Spawner::new()?,
                account: None,
                tickets: Arc::clone(tickets),
                cgroups: cgroups.clone(),
                gate: Arc::clone(&gate),
            };
            let (queue, teller) = (Arc::clone(&starts), teller.clone());
            spawn_thread("spawner", move || starter.run(&queue, &teller))?;
        }
        let (errands, errand_queue) = mpsc::channel();
        let (walk_cgroups, walk_gate) = (cgroups.clone(), Arc::clone(&gate));
        let walk_teller = teller.clone();
        spawn_thread("walker", move || {
            run_errands(&errand_queue, &walk_teller, &walk_gate, &walk_cgroups)
        })?;
        Ok(Self {
            starts,
            errands,
            done,
            event,
            cgroups,
            gate,
            tickets: Arc::clone(tickets),
            teller,
        })
    }

    /// Threads that look keys up, and report here.
    pub(super) fn logins(
        &self,
        host_key: &Arc<HostKey>,
        reader: &Arc<KeyReader>,
    ) -> io::Result<Logins> {
        Logins::new(host_key, reader, (&self.teller, &self.gate, &self.tickets))
    }

    /// For other threads that report here.
    pub(super) fn teller(&self) -> &Teller {
        &self.teller
    }

    /// Starts a process that is no job's, here and now, but while nobody walks: until
    /// its exec it has a copy of every pipe of ours. Waits for one walk at most.
    pub(super) fn start_apart<T>(&self, start: impl FnOnce() -> T) -> T {
        self.gate.start(start)
    }

    /// Hands a command over; false when the queue is full.
    pub(super) fn start(&self, start: Start) -> bool {
        self.starts.push(start)
    }

    /// Hands a walk over. A job has one at a time.
    pub(super) fn walk(&self, serial: Serial, tree: &Arc<Tree>, walk: Walk) {
        // The thread ends only when this sender does.
        let _ = self
            .errands
            .send(Errand::Walk(serial, Arc::clone(tree), walk));
    }

    /// A job's processes are none of ours any more; its cgroup may serve another.
    pub(super) fn release(&self, tree: Arc<Tree>) {
        if !tree.is_exact() {
            return;
        }
        // Mostly nobody else has it, and one look is all there is to do: that is less
        // than to wake a thread.
        let tree = match Arc::try_unwrap(tree) {
            Ok(tree) => match self.cgroups.as_ref().and_then(|it| it.try_lock().ok()) {
                Some(mut cgroups) => {
                    return tree
                        .into_cgroup()
                        .into_iter()
                        .for_each(|it| cgroups.release(it));
                }
                None => Arc::new(tree),
            },
            Err(tree) => tree,
        };
        let _ = self.errands.send(Errand::Release(tree));
    }

    /// What has been done since this was last asked.
    pub(super) fn take_done(&self) -> Vec<Done> {
        // Read first: what comes in behind it makes the descriptor readable again.
        let _ = rustix::io::read(&self.event, &mut [0; 256]);
        self.done.try_iter().collect()
    }

    /// Kills what is left in the jobs' cgroups and removes them.
    pub(super) fn remove_cgroups(&self) {
        if let Some(cgroups) = &self.cgroups
            && let Err(error) = lock(cgroups).remove_all()
        {
            tracing::warn!(%error, "cannot remove the cgroups of jobs");
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.starts.close();
    }
}

impl AsFd for Workers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// Says what was done, and wakes the keeper.
#[derive(Clone)]
pub(super) struct Teller {
    done: Sender<Done>,
    wake: Arc<OwnedFd>,
}

impl Teller {
    pub(super) fn tell(&self, done: Done) {
        // The keeper has gone: then nobody is to be woken either.
        if self.done.send(done).is_ok() {
            // A full pipe is readable: the keeper comes anyway.
            let _ = rustix::io::write(&*self.wake, &[0]);
        }
    }
}

struct Starter {
    spawner: Spawner,
    account: Option<Arc<Account>>,
    tickets: Arc<SpawnTickets>,
    cgroups: Cgroups,
    gate: Arc<Gate>,
}

impl Starter {
    fn run(mut self, queue: &Queue<Start>, teller: &Teller) {
        while let Some(start) = queue.pop() {
            let serial = start.serial;
            let ticket = self.tickets.begin();
            let result = self.start(start).map(Box::new);
            // A child that failed was reaped by the spawner itself.
            let ticket = result.is_ok().then_some(ticket);
            teller.tell(Done::Started(serial, result, ticket));
        }
    }

    fn start(&mut self, start: Start) -> Result<Started, SpawnError> {
        let account = self.account()?;
        let (uid, mark) = (account.uid, start.mark);
        let mut request = request(start.command, Arc::clone(&account), &mark);
        let mut cgroup = self.acquire();
        request.cgroup = cgroup.as_ref().map(JobCgroup::fd);
        let gate = Arc::clone(&self.gate);
        let mut result = gate.start(|| self.spawner.spawn(&request));
        if result
            .as_ref()
            .is_err_and(|error| error.stage == SpawnStage::Cgroup)
        {
            self.release(cgroup.take());
            request.cgroup = None;
            result = gate.start(|| self.spawner.spawn(&request));
        }
        let process = match result {
            Ok(process) => process,
            Err(error) => {
                self.release(cgroup);
                return Err(error);
            }
        };
        let inode = |end: &Option<OwnedFd>| end.as_ref().and_then(|it| tree::pipe_inode(it).ok());
        let outputs: Vec<u64> = [&process.stdout, &process.stderr]
            .into_iter()
            .filter_map(inode)
            .collect();
        let pipes = outputs
            .iter()
            .copied()
            .chain(inode(&process.stdin))
            .collect();
        let tree = Tree::new(process.pid, uid, mark).with_pipes(pipes);
        let tree = match cgroup {
            Some(cgroup) => tree.with_cgroup(cgroup),
            None => tree,
        };
        Ok(Started {
            process,
            tree,
            outputs,
            at: now(),
            account,
        })
    }

    /// Our own account, looked up here because that may ask files or the network.
    fn account(&mut self) -> Result<Arc<Account>, SpawnError> {
        if let Some(account) = &self.account {
            return Ok(Arc::clone(account));
        }
        let account = Account::own().map_err(|error| SpawnError {
            stage: SpawnStage::Identity,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            path: Vec::new(),
        })?;
        Ok(Arc::clone(self.account.insert(Arc::new(account))))
    }

    /// A cgroup where one can be had. Without, ending a job is best effort.
    fn acquire(&self) -> Option<JobCgroup> {
        lock(self.cgroups.as_ref()?).acquire().ok()
    }

    fn release(&self, cgroup: Option<JobCgroup>) {
        if let (Some(cgroups), Some(cgroup)) = (&self.cgroups, cgroup) {
            lock(cgroups).release(cgroup);
        }
    }
}

fn request(command: Command, account: Arc<Account>, mark: &[u8]) -> SpawnRequest {
    let program = match command.program {
        Program::Argv(argv) => spawn::Program::Argv(argv.into_iter().map(Vec::from).collect()),
        Program::Shell(text) => spawn::Program::Shell(text.into()),
    };
    let asked: Vec<(Vec<u8>, Vec<u8>)> = command
        .env
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let env = environment(&account, mark, None, &asked);
    let mut request = SpawnRequest::new(program, account);
    request.env = env;
    request.cwd = command.cwd.map(Vec::from);
    request.keep_writers = true;
    request.stdin = if command.stdin {
        Stdio3::Pipe
    } else {
        Stdio3::Null
    };
    request
}

fn run_errands(queue: &Receiver<Errand>, teller: &Teller, gate: &Gate, cgroups: &Cgroups) {
    for errand in queue {
        match errand {
            Errand::Walk(serial, tree, walk) => {
                let walked = do_walk(&tree, walk, gate);
                // Before the keeper hears of it: it reaps when the tree is its alone.
                drop(tree);
                teller.tell(Done::Walked(serial, walked));
            }
            Errand::Release(tree) => {
                let cgroup = Arc::into_inner(tree).and_then(Tree::into_cgroup);
                if let (Some(cgroups), Some(cgroup)) = (cgroups, cgroup) {
                    lock(cgroups).release(cgroup);
                }
            }
        }
    }
}

fn do_walk(tree: &Tree, walk: Walk, gate: &Gate) -> Walked {
    let needs_proc = !tree.is_exact() || matches!(walk, Walk::Holders(_));
    let do_it = || match walk {
        Walk::Signal(signal) => Walked::Signalled(signal, tree.kill_all(signal)),
        Walk::Members => Walked::Members(tree.members().len()),
        Walk::Holders(pipes) => Walked::Holders(tree::holders(&pipes, &[])),
    };
    // A cgroup knows its members without /proc.
    if needs_proc {
        gate.walk(do_it)
    } else {
        do_it()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What it guards is whole after every step, also one that panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(format!("redial-{name}"))
        .spawn(work)
        .map(drop)
}
