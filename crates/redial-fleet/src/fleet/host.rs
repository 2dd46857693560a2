//! One host's part in a run, in a task of its own.

use std::sync::Arc;
use std::time::Duration;

use redial_client::{
    AttachOptions, BeginError, Client, ConnectOptions, Job, JobEvent, JobHandle, JobId,
    PendingLogin, Place, StartError, Target,
};
use tokio::sync::watch;

use super::event::{End, Event, Receipt, What};
use super::{Common, Earlier, Halt};

/// SIGINT, as its number is everywhere.
const SIGINT: u8 = 2;
/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Visit {
    common: Arc<Common>,
    host: usize,
    halt: watch::Receiver<Halt>,
    /// What the job was told of that.
    told: Halt,
}

/// A host that is reached.
enum Line {
    /// It may be yet to let us in: the command goes with the login.
    New(PendingLogin),
    /// Which an earlier client of this run has reached as well.
    Again(Client, Earlier),
}

impl Line {
    fn client(&self) -> &Client {
        match self {
            Line::New(login) => login.client(),
            Line::Again(client, _) => client,
        }
    }
}

impl Visit {
    pub(super) fn new(common: Arc<Common>, host: usize) -> Self {
        let halt = common.halt.clone();
        Visit {
            common,
            host,
            halt,
            told: Halt::No,
        }
    }

    /// From dialling to goodbye.
    pub(super) async fn run(mut self) {
        let (end, client) = match self.connect().await {
            Ok(line) => {
                let client = line.client().clone();
                (self.run_on(line).await, Some(client))
            }
            Err(end) => (end, None),
        };
        let leaves = matches!(end, End::Left(_));
        self.say(What::Ended(end)).await;
        if let Some(client) = client.filter(|_| !leaves) {
            client.close().await;
        }
    }

    async fn say(&self, what: What) {
        // Nobody listens only when the run is dropped.
        let _ = self.common.events.send(Event::of(self.host, what)).await;
    }

    async fn connect(&mut self) -> Result<Line, End> {
        let reach = self.common.directory.reach(self.host);
        let (target, options): (Target, ConnectOptions) = reach.map_err(End::Nowhere)?;
        let earlier = self.common.order.earlier.get(&self.host).copied();
        let connected = async {
            match earlier {
                None => Client::reach(&target, options).await.map(Line::New),
                Some(earlier) => {
                    let client = Client::connect(&target, options).await?;
                    Ok(Line::Again(client, earlier))
                }
            }
        };
        tokio::select! {
            line = connected => line.map_err(|error| End::Unreached(Box::new(error))),
            // Nothing runs yet, so whoever interrupts wants us to end.
            _ = self.halt.wait_for(|halt| *halt > Halt::No) => Err(End::Halted),
        }
    }

    async fn run_on(&mut self, line: Line) -> End {
        let id = self.common.order.ids.of(self.host);
        let instance = line.client().instance();
        if let Err(error) = self.common.journal.sent(self.host, instance) {
            return End::Journal(error.to_string());
        }
        let common = Arc::clone(&self.common);
        let started = async {
            match line {
                Line::New(login) => login.start_as(id, common.order.command.clone()).await,
                Line::Again(client, earlier) => {
                    let taken = take_up(&client, &common, id, earlier).await;
                    taken.map_err(BeginError::Start)
                }
            }
        };
        tokio::pin!(started);
        // It may run from now on: what is to be done to it waits for the answer, but for leaving it.
        let job = tokio::select! {
            job = &mut started => job,
            _ = self.halt.wait_for(|halt| *halt == Halt::Leave) => return End::Left(id),
        };
        match job {
            Ok(job) => self.follow(job).await,
            Err(BeginError::Connect(error)) => End::Unreached(error),
            Err(BeginError::Start(error)) => End::Start(error),
        }
    }

    async fn follow(&mut self, mut job: Job) -> End {
        let handle = job.handle();
        loop {
            if self.obey(&handle) {
                return End::Left(handle.id());
            }
            let event = tokio::select! {
                event = job.next() => event,
                changed = self.halt.changed() => match changed {
                    Ok(()) => continue,
                    // The run was dropped: nobody wants to know.
                    Err(_) => return End::Left(handle.id()),
                },
            };
            let what = match event {
                Some(Ok(JobEvent::Ended(outcome))) => return End::Outcome(outcome),
                Some(Err(error)) => return End::Job(error),
                None => return End::Broken("a job ended without an outcome".to_owned()),
                Some(Ok(event @ JobEvent::Attached { .. })) if self.common.order.detach => {
                    if let Some(runs) = what(&handle, event) {
                        self.say(runs).await;
                    }
                    return End::Detached(handle.id());
                }
                Some(Ok(event)) => what(&handle, event),
            };
            if let Some(what) = what
                && self.tell(&handle, what).await
            {
                return End::Left(handle.id());
            }
        }
    }

    /// Says it, and obeys while nobody takes it; true if the job is left.
    async fn tell(&mut self, job: &JobHandle, what: What) -> bool {
        let events = self.common.events.clone();
        let told = events.send(Event::of(self.host, what));
        tokio::pin!(told);
        loop {
            tokio::select! {
                // Nobody listens only when the run is dropped.
                _ = &mut told => return false,
                changed = self.halt.changed() => {
                    if changed.is_err() || self.obey(job) {
                        return true;
                    }
                }
            }
        }
    }

    /// Does to the job what the run's end demands; true if it is left.
    fn obey(&mut self, job: &JobHandle) -> bool {
        let halt = *self.halt.borrow_and_update();
        if halt > self.told {
            self.told = halt;
            // A control that cannot be sent any more is one for a job that is over.
            let _ = match halt {
                Halt::Interrupt => job.signal(SIGINT),
                Halt::Cancel => job.cancel(GRACE),
                Halt::No | Halt::Leave => Ok(()),
            };
        }
        halt == Halt::Leave
    }
}

fn what(job: &JobHandle, event: JobEvent) -> Option<What> {
    Some(match event {
        JobEvent::Attached { pid, exact, .. } => What::Running {
            job: job.clone(),
            pid,
            exact,
        },
        JobEvent::Data {
            stream,
            offset,
            bytes,
        } => What::Data {
            receipt: Receipt {
                job: job.clone(),
                stream,
                up_to: offset + bytes.len() as u64,
            },
            stream,
            offset,
            bytes,
        },
        JobEvent::LineDropped { reason } => What::Dropped(reason),
        JobEvent::LineBack { after } => What::Back(after),
        JobEvent::Missed { stream, from, to } => What::Missed { stream, from, to },
        JobEvent::Exited(exit) => What::Exited(exit),
        JobEvent::Eof { .. } | JobEvent::StdinClosed | JobEvent::Ended(_) => return None,
    })
}

/// A job that an earlier client of this run has asked for, or may have: reads on if it is there, and
/// starts it if it certainly never was.
async fn take_up(
    client: &Client,
    common: &Common,
    id: JobId,
    earlier: Earlier,
) -> Result<Job, StartError> {
    let options = AttachOptions::default()
        .take(true)
        .from(earlier.from.map_or(Place::Start, Place::At))
        .manual_acknowledge(true);
    match client.attach(id, &options).await {
        Err(error) if error.is_unknown_job() => {}
        attached => return attached,
    }
    let command = common.order.command.clone();
    client.start_again(id, command, earlier.sent).await
}
