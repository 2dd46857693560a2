//! Threads for what can take long: starting processes, and walking /proc.

mod starter;
mod walker;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread;
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};

use starter::Starter;

use super::gate::Gate;
use super::grant::Grant;
use super::kept::DiskDone;
use super::logins::{Answer, Known, PeerTask};
use super::metrics::Wanted;
use super::poll::Serial;
use super::queue::Queue;
use super::standing::Standing;
use super::time::Millis;
use crate::account::{Account, User};
use crate::recording::Told;
use crate::spawn::{InFlight, SpawnError, Spawned, Spawner};
use crate::state::CgroupState;
use crate::tree::{CgroupRoot, Holder, Reached, SpawnTicket, SpawnTickets, Tree};
use crate::wire::{Capability, Command};

#[cfg(feature = "simulation")]
pub(super) mod simulation;

/// Two, so that one program on a dead file system does not stop all starts.
const SPAWNERS: usize = 2;

/// Where each user has directories that may hang, and each holds up no more than these of them.
const SPAWNERS_FOR_MANY: usize = 16;
const SPAWNERS_OF_ONE: usize = 2;

/// A start that takes longer hangs, and is ended; where another program waits for it, sooner.
const HUNG_MS: u64 = 30_000;
const HUNG_AT_UPGRADE_MS: u64 = 4_000;
/// Between two looks at that.
const WATCH: Duration = Duration::from_secs(1);

/// A command to be started.
pub(super) struct Start {
    pub(super) serial: Serial,
    pub(super) mark: Vec<u8>,
    pub(super) command: Command,
    /// As whom; else as who we are.
    pub(super) user: Option<Arc<User>>,
}

/// A started process and what belongs to it.
pub(super) struct Started {
    pub(super) process: Spawned,
    pub(super) tree: Tree,
    /// The inodes of stdout and stderr.
    pub(super) outputs: Vec<u64>,
    pub(super) at: Millis,
    /// It took so long to be made, in microseconds.
    pub(super) took_us: u64,
    /// As whom it runs.
    pub(super) account: Arc<Account>,
}

/// What is to be found out about, or done to, a job's processes.
pub(super) enum Walk {
    Signal(i32),
    /// As the job's user: to whom that user may signal.
    Ask(i32),
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
    /// Who is on a Unix socket.
    Met(PeerTask, Known),
    Rechecked(Vec<(Arc<Grant>, Standing)>),
    /// A start is in the audit, or why not.
    Audited(Serial, Result<(), String>),
    /// Of the recording of a terminal.
    Recorded(Told),
    /// A monitor asks.
    Scraped(Wanted),
    Disk(DiskDone),
    /// The program of an upgrade can read our state, or why not.
    Checked(Result<File, String>),
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
    /// See [`HUNG_MS`].
    hung_ms: Arc<AtomicU64>,
}

impl Workers {
    /// Starts the threads. At most `queue` commands wait for them.
    pub(super) fn new(
        queue: usize,
        tickets: &Arc<SpawnTickets>,
        cgroups: Option<CgroupRoot>,
        for_many: bool,
    ) -> io::Result<Self> {
        let (spawners, most) = match for_many {
            true => (SPAWNERS_FOR_MANY, SPAWNERS_OF_ONE),
            false => (SPAWNERS, SPAWNERS),
        };
        // Not an eventfd, for the reason that the queue is none: see there.
        let (event, wake) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let cgroups = cgroups.map(|root| Arc::new(Mutex::new(root)));
        let starts = Arc::new(Queue::new(queue, most)?);
        let (done_queue, done) = mpsc::channel();
        let gate = Arc::new(Gate::default());
        let teller = Teller {
            done: done_queue,
            wake: Arc::new(wake),
        };
        let hung_ms = Arc::new(AtomicU64::new(HUNG_MS));
        let mut in_flight = Vec::new();
        for _ in 0..spawners {
            let spawner = Spawner::new()?;
            in_flight.push(spawner.in_flight());
            let starter = Starter {
                spawner,
                account: None,
                tickets: Arc::clone(tickets),
                cgroups: cgroups.clone(),
                gate: Arc::clone(&gate),
            };
            let (queue, teller) = (Arc::clone(&starts), teller.clone());
            spawn_thread("spawner", move || starter.run(&queue, &teller))?;
        }
        if for_many {
            let limit = Arc::downgrade(&hung_ms);
            spawn_thread("watch", move || watch(&in_flight, &limit))?;
        }
        let (errands, errand_queue) = mpsc::channel();
        let (walk_cgroups, walk_gate) = (cgroups.clone(), Arc::clone(&gate));
        let walk_teller = teller.clone();
        spawn_thread("walker", move || {
            walker::run(&errand_queue, &walk_teller, &walk_gate, &walk_cgroups)
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
            hung_ms,
        })
    }

    /// Whether starts that hang are to be ended soon.
    pub(super) fn hurry(&self, hurry: bool) {
        let ms = if hurry { HUNG_AT_UPGRADE_MS } else { HUNG_MS };
        self.hung_ms.store(ms, Ordering::Relaxed);
    }

    /// For a thread that starts a process of its own: it reports here, does so while nobody walks,
    /// and says so to who reaps.
    pub(super) fn for_others(&self) -> (Teller, Arc<Gate>, Arc<SpawnTickets>) {
        (
            self.teller.clone(),
            Arc::clone(&self.gate),
            Arc::clone(&self.tickets),
        )
    }

    /// The jobs' cgroups, for another program.
    pub(super) fn save_cgroups(&self) -> Option<CgroupState> {
        Some(lock(self.cgroups.as_ref()?).save())
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

    /// Does something while nothing is being started.
    pub(super) fn execute<T>(&self, work: impl FnOnce() -> T) -> T {
        self.gate.walk(work)
    }

    /// Hands a command over; false when the queue is full.
    pub(super) fn start(&self, start: Start) -> bool {
        let lane = start.user.as_ref().map_or(0, |user| user.account.uid);
        self.starts.push(lane, start)
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

/// Ends starts that hang, as long as there are workers: where one user could hold up others.
fn watch(in_flight: &[Arc<InFlight>], limit: &Weak<AtomicU64>) {
    while let Some(limit) = limit.upgrade().map(|it| it.load(Ordering::Relaxed)) {
        for start in in_flight {
            start.end_if_longer(Duration::from_millis(limit));
        }
        thread::sleep(WATCH);
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
