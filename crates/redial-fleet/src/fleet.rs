//! One command on many hosts: connections, jobs, and what happens to them, as one stream of events.

mod event;
mod host;

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redial_client::{Command, ConnectOptions, JobId, Target};
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::schedule::{Plan, Schedule, Step};
pub use event::{End, Event, Receipt, What};
use host::Visit;

/// Events that wait to be taken. Their bytes count against the credit of their streams.
const EVENTS: usize = 1_024;

/// What is cancelled has so long to end, KILL and all; then it is left: a host that does not answer must
/// not hold up the end for ever.
const CANCELLED: Duration = Duration::from_secs(10);

/// Says where hosts are. Asked when a host's turn comes, so that a million of them need no room.
pub trait Directory: Send + Sync {
    /// How the host of this number is reached.
    ///
    /// # Errors
    ///
    /// For people: why it cannot be.
    fn reach(&self, host: usize) -> Result<(Target, ConnectOptions), String>;
}

/// Remembers what was asked for, for whom takes the run up after us.
pub trait Journal: Send + Sync {
    /// A start is about to be sent to this host, to the keeper of this instance.
    ///
    /// # Errors
    ///
    /// It cannot be remembered: then the start is not sent.
    fn sent(&self, host: usize, instance: [u8; 16]) -> io::Result<()>;
}

/// What an earlier client of this run has sent to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// To which keeper, and how long ago.
    pub sent: redial_client::SentBefore,
    /// From where its outputs are wanted; from the oldest byte there is, if that is not known.
    pub from: Option<[u64; 2]>,
}

/// What is to run.
#[derive(Debug)]
pub struct Order {
    /// The command, the same on each host.
    pub command: Command,
    /// The job's id on host 0; those of the others follow from it.
    pub ids: JobIds,
    /// It is left running as soon as it runs.
    pub detach: bool,
    /// What an earlier client has sent.
    pub earlier: HashMap<usize, Earlier>,
}

/// The ids of a run's jobs: known before anything is sent, so that they need not be remembered one by
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobIds(pub JobId);

impl JobIds {
    /// The job's id on this host.
    pub fn of(self, host: usize) -> JobId {
        let mut bytes = *self.0.as_bytes();
        // In front, where people look: the beginnings of their names differ.
        let number = u32::try_from(host).unwrap_or(u32::MAX).to_be_bytes();
        bytes
            .iter_mut()
            .zip(number)
            .for_each(|(byte, by)| *byte ^= by);
        JobId::from_bytes(bytes)
    }
}

/// How far the user has gone in ending the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Halt {
    /// Not at all.
    #[default]
    No,
    /// Nothing more begins, and what runs gets SIGINT.
    Interrupt,
    /// What runs is ended: TERM to its tree, later KILL.
    Cancel,
    /// What runs is left to its drop policy.
    Leave,
}

/// What each visit to a host needs.
struct Common {
    order: Order,
    directory: Arc<dyn Directory>,
    journal: Arc<dyn Journal>,
    events: mpsc::Sender<Event>,
    halt: watch::Receiver<Halt>,
}

/// A run that goes on. Must be made in a tokio runtime with time and I/O.
pub struct Fleet {
    schedule: Schedule,
    began: Instant,
    deadline: Option<Instant>,
    /// When what was cancelled is left.
    leave_at: Option<Instant>,
    /// Why hosts wait to be tried again.
    waiting: HashMap<usize, End>,
    common: Arc<Common>,
    events: mpsc::Receiver<Event>,
    /// Said here, not by a host.
    own: VecDeque<Event>,
    halt: watch::Sender<Halt>,
    visits: JoinSet<()>,
    /// Visits that have not said their last word.
    open: HashMap<Id, usize>,
    ids: HashMap<usize, Id>,
}

impl Fleet {
    /// Begins with these hosts.
    pub fn new(
        plan: Plan,
        hosts: impl IntoIterator<Item = usize>,
        order: Order,
        directory: Arc<dyn Directory>,
        journal: Arc<dyn Journal>,
    ) -> Self {
        let (sender, events) = mpsc::channel(EVENTS);
        let (halt, halted) = watch::channel(Halt::No);
        Fleet {
            schedule: Schedule::new(plan, hosts),
            began: Instant::now(),
            deadline: None,
            leave_at: None,
            waiting: HashMap::new(),
            common: Arc::new(Common {
                order,
                directory,
                journal,
                events: sender,
                halt: halted,
            }),
            events,
            own: VecDeque::new(),
            halt,
            visits: JoinSet::new(),
            open: HashMap::new(),
            ids: HashMap::new(),
        }
    }

    /// When this time has passed, nothing more begins and what runs is cancelled.
    pub fn deadline(mut self, after: Option<Duration>) -> Self {
        self.deadline = after.map(|after| self.began + after);
        self
    }

    /// The next event; none when all has ended that was begun, and nothing more will be.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.own.pop_front() {
                return Some(event);
            }
            let wait = match self.schedule.step(self.began.elapsed()) {
                Step::Begin(host) => {
                    self.begin(host);
                    continue;
                }
                Step::Done => return None,
                Step::Wait(until) => until.map(|until| self.began + until),
            };
            let timer = self.timer();
            tokio::select! {
                event = self.events.recv() => {
                    if let Some(event) = event.and_then(|event| self.take(event)) {
                        return Some(event);
                    }
                }
                () = until(wait) => {}
                () = until(timer) => {
                    if let Some(event) = self.time_has_come() {
                        return Some(event);
                    }
                }
                Some(joined) = self.visits.join_next_with_id() => self.joined(joined),
            }
        }
    }

    /// For who takes no events for now: the deadline and what follows it do not wait for that.
    /// Cancel-safe.
    pub async fn next_deadline(&mut self) -> Option<Event> {
        until(self.timer()).await;
        self.time_has_come()
    }

    /// When the next of the two comes.
    fn timer(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.leave_at).min()
    }

    fn time_has_come(&mut self) -> Option<Event> {
        let now = Instant::now();
        if self.leave_at.is_some_and(|at| at <= now) {
            self.leave_at = None;
            self.halt(Halt::Leave);
        }
        self.deadline.filter(|at| *at <= now)?;
        self.deadline = None;
        self.halt(Halt::Cancel);
        let what = What::TotalDeadline;
        Some(Event { host: None, what })
    }

    fn begin(&mut self, host: usize) {
        let visit = Visit::new(Arc::clone(&self.common), host);
        self.waiting.remove(&host);
        // In a box: on its way into a task a future is moved several times, and this one is large.
        let task = self.visits.spawn(Box::pin(visit.run()));
        self.open.insert(task.id(), host);
        self.ids.insert(host, task.id());
        self.own.push_back(Event::of(host, What::Connecting));
    }

    /// What a host says, as it is passed on.
    fn take(&mut self, event: Event) -> Option<Event> {
        let (Some(host), What::Ended(end)) = (event.host, &event.what) else {
            return Some(event);
        };
        let id = self.ids.remove(&host)?;
        self.open.remove(&id);
        if !end.did_not_start() {
            self.schedule.ended(!end.is_success());
            return Some(event);
        }
        let now = self.began.elapsed();
        if !self.schedule.did_not_start(host, end.may_pass(), now) {
            return Some(event);
        }
        let why = end.to_string();
        if let What::Ended(end) = event.what {
            self.waiting.insert(host, end);
        }
        Some(Event::of(host, What::Again { why }))
    }

    /// A visit is over. One that has not said so has failed in a way that nobody thought of.
    fn joined(&mut self, joined: Result<(Id, ()), JoinError>) {
        let Err(error) = joined else { return };
        let Some(host) = self.open.remove(&error.id()) else {
            return;
        };
        self.ids.remove(&host);
        self.schedule.ended(true);
        let end = End::Broken(error.to_string());
        self.own.push_back(Event::of(host, What::Ended(end)));
    }

    /// Goes further in ending the run; never back.
    pub fn halt(&mut self, how: Halt) {
        if how > Halt::No {
            self.schedule.stop();
        }
        if how == Halt::Cancel {
            self.leave_at
                .get_or_insert_with(|| Instant::now() + CANCELLED);
        }
        self.halt.send_if_modified(|now| {
            let is_more = how > *now;
            *now = how.max(*now);
            is_more
        });
    }

    /// Why hosts are left, if some are: too many have failed.
    pub fn has_failed_too_often(&self) -> bool {
        self.schedule.has_failed_too_often()
    }

    /// Hosts that have not begun, or waited to be tried again when the run was ended: with the reason.
    pub fn left(&mut self) -> Vec<(usize, Option<End>)> {
        let left = self.schedule.left().into_iter();
        left.map(|host| (host, self.waiting.remove(&host)))
            .collect()
    }

    /// Waits until all connections are closed, or for so long.
    pub async fn close(mut self, at_most: Duration) {
        let closed = async { while self.visits.join_next().await.is_some() {} };
        // Whoever does not answer a goodbye need not be waited for.
        let _ = tokio::time::timeout(at_most, closed).await;
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
