//! The client: one connection, any number of jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redial_net::proto::JobId;
use redial_net::proto::message::{AnswerKind, Query, QueryKind, Resent, Start};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

use crate::command::{Command, OnDrop};
use crate::connect::{self, Line};
use crate::error::{ConnectError, Lost, QueryError, StartError};
use crate::job::{Job, JobCell};
use crate::jobs::AttachOptions;
use crate::network::Haste;
use crate::options::ConnectOptions;
use crate::pending::PendingLogin;
use crate::redial::Redialler;
use crate::shared::{Leave, NewJob, NewQuery, Request, Shared};
use crate::target::Target;

/// How long [`Client::close`] waits for the server's goodbye.
pub(crate) const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a job is kept by default where the line may come back.
const KEEP: OnDrop = OnDrop::KeepFor(Duration::from_secs(300));

/// A connection to a server. Its driver runs in a task of the present tokio runtime. It
/// ends with [`Client::close`], or when the last clone and the last job are dropped.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lease: Arc<Lease>,
    slots: Arc<Semaphore>,
    window: u64,
    /// The drop policy of commands that say none.
    on_drop: OnDrop,
    /// The server has refused to keep jobs: do not ask again.
    cannot_keep: AtomicBool,
    local: bool,
    instance: [u8; 16],
    /// See [`Line::over`].
    driver: watch::Receiver<bool>,
}

/// What is known of a start that an earlier client has sent, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentBefore {
    /// How long ago, at least; too long is on the safe side.
    pub ago: Duration,
    /// To which keeper: [`Client::instance`] as it was then.
    pub instance: [u8; 16],
}

/// Keeps the connection: the last one to go says goodbye.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Shared>);

impl Lease {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Lease(shared)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.leave(Leave::WhenIdle);
    }
}

impl Client {
    /// Connects, and waits for the server's hello; over the network, also for its word that
    /// we are in. Must be called in a tokio runtime
    /// with time and I/O.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says where, what, and what to do.
    pub async fn connect(target: &Target, options: ConnectOptions) -> Result<Self, ConnectError> {
        let options = on_their_own(options);
        let line = connect::open(target, &options).await?;
        Ok(Client::on(line, target, &options))
    }

    /// As [`Client::connect`], for one who has a command at hand: where nobody has to be asked, the login
    /// goes out with the first command, one turn of the line earlier. That command is to follow at once,
    /// by [`PendingLogin::start_as`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn reach(
        target: &Target,
        options: ConnectOptions,
    ) -> Result<PendingLogin, ConnectError> {
        let options = on_their_own(options);
        let (line, entering) = connect::reach(target, &options, Haste::Yes).await?;
        let client = Client::on(line, target, &options);
        Ok(PendingLogin::new(client, entering))
    }

    pub(crate) fn on(line: Line, target: &Target, options: &ConnectOptions) -> Self {
        let over = match Redialler::new(target, options) {
            Some(redialler) => redialler.follow(line.left, line.over),
            None => line.over,
        };
        let channels = usize::try_from(line.hello.limits.channels).unwrap_or(usize::MAX);
        let slots = options
            .jobs_at_once
            .min(channels)
            .clamp(1, Semaphore::MAX_PERMITS);
        Client(Arc::new(Inner {
            lease: line.lease,
            slots: Arc::new(Semaphore::new(slots)),
            window: options.window_bytes,
            on_drop: match target {
                Target::Exec(_) | Target::Network(_) => KEEP,
                Target::Local | Target::Unix(_) => OnDrop::Kill,
            },
            cannot_keep: AtomicBool::new(false),
            local: matches!(target, Target::Local),
            instance: line.hello.instance.into(),
            driver: over,
        }))
    }

    /// The keeper behind this connection: the same as long as it remembers its jobs.
    pub fn instance(&self) -> [u8; 16] {
        self.0.instance
    }

    /// Starts a command; waits for a free slot first, then for the server's answer. A
    /// command whose program cannot be executed is a job too: it ends at once.
    ///
    /// # Errors
    ///
    /// [`StartError`]: refused, not sendable, or the connection is lost.
    pub async fn start(&self, command: Command) -> Result<Job, StartError> {
        self.start_as(new_job_id()?, command).await
    }

    /// As [`Client::start`], under an id that the caller has made with [`new_job_id`]
    /// for this job alone: so it can be named before the server has answered.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn start_as(&self, id: JobId, command: Command) -> Result<Job, StartError> {
        let slots = Arc::clone(&self.0.slots);
        // The semaphore is never closed; were it, there would only be no limit.
        let slot = slots.acquire_owned().await.ok();
        let may_keep = !self.0.cannot_keep.load(Ordering::Relaxed);
        if command.has_policy() || self.0.on_drop == OnDrop::Kill || !may_keep {
            return self.start_once(id, &command, OnDrop::Kill, slot).await;
        }
        match self.start_once(id, &command, self.0.on_drop, None).await {
            // Nobody asked to keep it, so a server that cannot is no failure.
            Err(error) if error.is_unsupported() => {
                self.0.cannot_keep.store(true, Ordering::Relaxed);
                self.start_once(id, &command, OnDrop::Kill, slot).await
            }
            Ok(job) => Ok(job.with_slot(slot)),
            Err(error) => Err(error),
        }
    }

    /// Asks for a command that an earlier client may have asked for already, under the same id: if
    /// the server has it, it is this client's from now on, with its outputs from the beginning;
    /// else it starts only if it is certain that it has not run.
    ///
    /// # Errors
    ///
    /// [`StartError::Lost`]: it may have run, and nobody knows how it ended.
    pub async fn start_again(
        &self,
        id: JobId,
        command: Command,
        before: SentBefore,
    ) -> Result<Job, StartError> {
        let slot = Arc::clone(&self.0.slots).acquire_owned().await.ok();
        let mut start = command.to_start(id, self.0.on_drop, self.0.window);
        start.resent = Some(Resent {
            ago_ms: u64::try_from(before.ago.as_millis()).unwrap_or(u64::MAX),
            instance: before.instance.into(),
            stdout_from: 0,
            stderr_from: 0,
        });
        self.send(start, &command, slot).await
    }

    /// Whether the server is known to end with this connection, and what is left of its
    /// jobs with it: it is `local:`, or has refused to keep a job.
    pub fn is_private(&self) -> bool {
        self.0.local || self.0.cannot_keep.load(Ordering::Relaxed)
    }

    pub(crate) fn driver(&self) -> watch::Receiver<bool> {
        self.0.driver.clone()
    }

    async fn start_once(
        &self,
        id: JobId,
        command: &Command,
        on_drop: OnDrop,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<Job, StartError> {
        let start = command.to_start(id, on_drop, self.0.window);
        self.send(start, command, slot).await
    }

    async fn send(
        &self,
        start: Start,
        command: &Command,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<Job, StartError> {
        let id = JobId::from(start.job);
        let cell = Arc::new(JobCell::new(id, start.stdin, command.is_manual()));
        if let Some(input) = command.input_bytes() {
            cell.lock().stdin.give_all(input);
        }
        // Made first: if the caller gives up while we wait, its drop closes the channel.
        let job = Job::new(Arc::clone(&cell), Arc::clone(&self.0.lease), slot);
        self.ask_for(job, cell, Request::Start(Box::new(start)))
            .await
    }

    async fn ask_for(
        &self,
        job: Job,
        cell: Arc<JobCell>,
        request: Request,
    ) -> Result<Job, StartError> {
        let (answer, answered) = oneshot::channel();
        self.0.lease.0.ask(NewJob {
            cell,
            request,
            answer,
        });
        match answered.await {
            Ok(Ok(())) => Ok(job),
            Ok(Err(error)) => Err(error),
            // Who has sent a start answers it, whatever happens.
            Err(_) => {
                let reason = self.0.lease.0.lost().unwrap_or_else(Lost::closed_here);
                let job = job.id();
                Err(StartError::NotSent { job, reason })
            }
        }
    }

    /// Reads a job that is there already, whoever started it; with [`AttachOptions::take`] it is
    /// this client's to write to and control from now on.
    ///
    /// # Errors
    ///
    /// [`StartError`]: there is no such job, or the connection is lost.
    pub async fn attach(&self, id: JobId, options: &AttachOptions) -> Result<Job, StartError> {
        let slot = Arc::clone(&self.0.slots).acquire_owned().await.ok();
        let cell = Arc::new(JobCell::new(id, options.take, options.manual_acknowledge));
        cell.lock()
            .attaches(options.is_lenient(), options.outcome_only);
        let job = Job::new(Arc::clone(&cell), Arc::clone(&self.0.lease), slot);
        let attach = options.to_message(id, self.0.window);
        self.ask_for(job, cell, Request::Attach(Box::new(attach)))
            .await
    }

    pub(crate) async fn query(&self, kind: QueryKind) -> Result<AnswerKind, QueryError> {
        let (answer, answered) = oneshot::channel();
        self.0.lease.0.query(NewQuery {
            query: Query { kind },
            resent: false,
            answer,
        });
        match answered.await {
            Ok(answer) => answer.map(|answer| answer.kind),
            Err(_) => {
                let reason = self.0.lease.0.lost().unwrap_or_else(Lost::closed_here);
                Err(QueryError::Lost(reason))
            }
        }
    }

    /// Says goodbye and waits (at most 2 s) until the server has too, and the program of an
    /// `exec:` target has ended; after 1 s that gets SIGTERM. Jobs that still run
    /// are left to their drop policies. Over TCP, where all outcomes are known, it waits
    /// only until that is written.
    pub async fn close(&self) {
        self.0.lease.0.leave(Leave::Now);
        let mut over = self.driver();
        // If the server does not answer, there is nothing more to be done about it; if
        // the driver is gone, the connection is.
        let _ = timeout(GOODBYE_TIMEOUT, over.wait_for(|over| *over)).await;
    }
}

/// With nothing that was unlocked for another client.
fn on_their_own(options: ConnectOptions) -> ConnectOptions {
    ConnectOptions {
        network: options.network.on_their_own(),
        ..options
    }
}

/// A new id: 128 random bits.
///
/// # Errors
///
/// [`StartError::Random`].
pub fn new_job_id() -> Result<JobId, StartError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| StartError::Random(error.to_string()))?;
    Ok(JobId::from_bytes(bytes))
}
