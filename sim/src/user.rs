//! Who runs a job: starts it, writes to it, signals, reads, and looks at every byte.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use redial_client::{
    Client, Command, Job, JobError, JobEvent, JobHandle, JobId, Outcome, Output, StartError,
};
use tokio::task::spawn_local;

use crate::chance::Chance;
use crate::content::Content;
use crate::plan::JobPlan;
use crate::scene::Scene;

/// Signals from here on are counted up, and mean nothing to a child.
pub(crate) const FIRST_SIGNAL: u8 = 34;

/// How it ended, as its user sees it.
#[derive(Debug)]
pub(crate) enum Fate {
    Ended(Box<Outcome>),
    Failed(JobError),
    NotStarted(StartError),
    Left,
}

/// What its user knows in the end.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) fate: Fate,
    /// Bytes of each output, all of them looked at.
    pub(crate) received: [u64; 2],
    /// What was said of each output's length.
    pub(crate) ends: [Option<u64>; 2],
    pub(crate) stopped: [bool; 2],
    /// Signals that were sent, as far as the client knows.
    pub(crate) signals: u8,
}

/// The id under which a job is asked for.
pub(crate) fn id(job: usize) -> [u8; 16] {
    let mut id = [0x5a; 16];
    id[8..].copy_from_slice(&(job as u64).to_be_bytes());
    id
}

/// A user of one job.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) scene: Rc<Scene>,
    pub(crate) plan: JobPlan,
    pub(crate) job: usize,
    signals: Rc<Cell<u8>>,
    received: Rc<RefCell<[u64; 2]>>,
    ends: Rc<RefCell<[Option<u64>; 2]>>,
    over: Rc<Cell<bool>>,
}

impl User {
    pub(crate) fn new(scene: Rc<Scene>, plan: JobPlan, job: usize) -> Self {
        User {
            scene,
            plan,
            job,
            signals: Rc::default(),
            received: Rc::default(),
            ends: Rc::default(),
            over: Rc::default(),
        }
    }

    fn chance(&self, part: u64) -> Chance {
        Chance::new(self.scene.seed, (1 + part) << 16 | self.job as u64)
    }

    fn note(&self, what: &'static str, first: u64, second: u64) {
        self.scene.note(what, self.job, first, second);
    }

    /// Runs the job to its end.
    pub(crate) async fn run(self, client: Client) -> Verdict {
        pause(self.plan.begins_ms).await;
        let command = Command::new(["child".to_owned(), self.job.to_string()])
            .on_drop(self.plan.on_drop)
            .stdin(self.plan.stdin.is_some())
            .manual_acknowledge(self.plan.manual);
        self.note("start", 0, 0);
        let started = client
            .start_as(JobId::from_bytes(id(self.job)), command)
            .await;
        let mut stopped = [false; 2];
        let fate = match started {
            Ok(job) => {
                self.note("started", 0, 0);
                spawn_local(self.clone().write(job.handle()));
                spawn_local(self.clone().control(job.handle()));
                if self.plan.manual {
                    spawn_local(self.clone().acknowledge(job.handle()));
                }
                self.read(job, &mut stopped).await
            }
            Err(error) => Fate::NotStarted(error),
        };
        self.over.set(true);
        self.note("over", 0, 0);
        let (received, signals) = (*self.received.borrow(), self.signals.get());
        Verdict {
            fate,
            received,
            ends: *self.ends.borrow(),
            stopped,
            signals,
        }
    }

    async fn read(&self, mut job: Job, stopped: &mut [bool; 2]) -> Fate {
        let (mut chance, handle) = (self.chance(0), job.handle());
        loop {
            self.stop_if_due(&handle, stopped);
            if self
                .plan
                .leaves
                .is_some_and(|after| self.received.borrow()[0] >= after)
            {
                return Fate::Left;
            }
            if chance.one_in(self.plan.pause_one_in) {
                pause(chance.size(100)).await;
            }
            match job.next().await {
                Some(Ok(JobEvent::Ended(outcome))) => return Fate::Ended(outcome),
                Some(Ok(event)) => self.on_event(event),
                Some(Err(error)) => return Fate::Failed(error),
                None => {
                    self.scene
                        .wrong(format!("job {}: its events just ended", self.job));
                    return Fate::Left;
                }
            }
        }
    }

    fn stop_if_due(&self, handle: &JobHandle, stopped: &mut [bool; 2]) {
        if let Some((which, after)) = self.plan.stop
            && !stopped[which]
            && self.received.borrow()[which] >= after
        {
            stopped[which] = handle.stop(Output::BOTH[which]).is_ok();
            self.note("stop", which as u64, after);
        }
    }

    fn on_event(&self, event: JobEvent) {
        match event {
            JobEvent::Data {
                stream,
                offset,
                bytes,
            } => self.on_data(stream, offset, &bytes),
            JobEvent::Attached { .. } => self.note("attached", 0, 0),
            JobEvent::Eof { stream, length } => {
                self.note("eof", stream.index() as u64, length);
                self.ends.borrow_mut()[stream.index()] = Some(length);
            }
            JobEvent::LineDropped { .. } => {
                self.note("line dropped", 0, 0);
                self.scene.count(|tally| tally.drops += 1);
            }
            JobEvent::LineBack { .. } => {
                self.note("line back", 0, 0);
                self.scene.count(|tally| tally.backs += 1);
            }
            JobEvent::Exited(_) => self.note("exited", 0, 0),
            JobEvent::StdinClosed => self.note("stdin closed", 0, 0),
            _ => {}
        }
    }

    fn on_data(&self, stream: Output, offset: u64, bytes: &[u8]) {
        let which = stream.index();
        self.note(["stdout", "stderr"][which], offset, bytes.len() as u64);
        let mut received = self.received.borrow_mut();
        let content = Content::of(self.scene.seed, self.job, 1 + which);
        if offset != received[which] || !content.is(offset, bytes) {
            let (job, due, len) = (self.job, received[which], bytes.len());
            let wrong = format!("job {job}: {stream}: {len} bytes at {offset}, due at {due}");
            self.scene.wrong(wrong);
        }
        received[which] = offset + bytes.len() as u64;
    }

    async fn write(self, handle: JobHandle) {
        let Some(all) = self.plan.stdin else { return };
        let mut chance = self.chance(1);
        let content = Content::of(self.scene.seed, self.job, 0);
        let mut at = 0;
        while at < all {
            if chance.one_in(4) {
                pause(chance.size(60)).await;
            }
            let len = (1 + chance.size(30_000)).min(all - at) as usize;
            let bytes = Bytes::from(content.bytes(at, len));
            if handle.write_stdin(bytes).await.is_err() {
                return self.note("stdin refused", at, 0);
            }
            at += len as u64;
        }
        pause(chance.size(60)).await;
        handle.close_stdin();
        self.note("stdin all", at, 0);
    }

    async fn control(self, handle: JobHandle) {
        let mut chance = self.chance(2);
        for number in 0..self.plan.signals {
            pause(chance.size(120)).await;
            if handle.signal(FIRST_SIGNAL + number).is_err() {
                return;
            }
            self.signals.set(number + 1);
            self.note("signal", number.into(), 0);
        }
        if self.plan.cancel {
            pause(chance.size(1500)).await;
            let cancelled = handle.cancel(Duration::from_millis(chance.size(1000)));
            self.note("cancel", cancelled.is_ok().into(), 0);
        }
    }

    /// Some time after it was read.
    async fn acknowledge(self, handle: JobHandle) {
        let mut chance = self.chance(3);
        while !self.over.get() {
            let received = *self.received.borrow();
            pause(1 + chance.size(30)).await;
            for output in Output::BOTH {
                handle.acknowledge(output, received[output.index()]);
            }
        }
    }
}

/// On the clock that jumps.
pub(crate) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
