//! The desk between handles and the driver's session: who has something to say.
//!
//! Handles leave a note here and wake the driver; it takes all notes at once. Each job
//! stands in the list at most once, so the list is bounded by the number of jobs.

use std::sync::{Arc, Mutex};
use std::task::Waker;

use redial_net::proto::message::{Answer, Attach, Authenticate, Query, Start};
use tokio::sync::oneshot;

use crate::error::{Lost, QueryError, StartError};
use crate::job::JobCell;
use crate::lock::lock;
use crate::session::Held;

/// What all handles of a connection and its session share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    notes: Notes,
    waker: Option<Waker>,
    /// The connection is over; nobody will take notes any more.
    lost: Option<Lost>,
}

/// What the driver has to do.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Jobs whose handles have something to say.
    pub(crate) jobs: Vec<Arc<JobCell>>,
    /// Jobs of another line, which has dropped, and the desk of their handles.
    pub(crate) adopted: Option<Box<Held>>,
    /// Hello is to be said, though the login will take its time.
    pub(crate) greet: bool,
    /// The next word of the login.
    pub(crate) authenticate: Option<Box<Authenticate>>,
    /// Jobs to be started.
    pub(crate) starts: Vec<NewJob>,
    /// Questions about jobs.
    pub(crate) queries: Vec<NewQuery>,
    /// Whether to say goodbye.
    pub(crate) leave: Leave,
}

/// When to say goodbye.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    #[default]
    Never,
    /// All handles are gone: when the channels are closed.
    WhenIdle,
    /// Somebody asked for it.
    Now,
}

/// A question about jobs.
#[derive(Debug)]
pub(crate) struct NewQuery {
    pub(crate) query: Query,
    /// It may have been answered on a line that has dropped.
    pub(crate) resent: bool,
    pub(crate) answer: oneshot::Sender<Result<Answer, QueryError>>,
}

/// How a job is asked for.
#[derive(Debug)]
pub(crate) enum Request {
    /// It is to be started.
    Start(Box<Start>),
    /// It is there.
    Attach(Box<Attach>),
}

/// A job to be started, or attached to.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) cell: Arc<JobCell>,
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Result<(), StartError>>,
}

impl Shared {
    /// The driver will look at this job. The caller has just set its `noted` flag.
    pub(crate) fn note(&self, cell: &Arc<JobCell>) {
        self.change(|notes| notes.jobs.push(Arc::clone(cell)));
    }

    /// Asks for a job; dropped (and with it its answer) when the connection is over, which
    /// says that it was not sent.
    pub(crate) fn ask(&self, job: NewJob) {
        self.change(|notes| notes.starts.push(job));
    }

    /// Asks about jobs; dropped when the connection is over.
    pub(crate) fn query(&self, query: NewQuery) {
        self.change(|notes| notes.queries.push(query));
    }

    /// Hands over the jobs of a line that has dropped. If this one ends before it takes them, they
    /// are given back by [`Shared::take_back`].
    pub(crate) fn adopt(&self, held: Held) {
        self.change(|notes| notes.adopted = Some(Box::new(held)));
    }

    /// The jobs that were handed over and not taken.
    pub(crate) fn take_back(&self) -> Option<Box<Held>> {
        lock(&self.inbox).notes.adopted.take()
    }

    /// Says hello before the login has a word, so that the server knows that somebody is there.
    pub(crate) fn greet(&self) {
        self.change(|notes| notes.greet = true);
    }

    /// Says who we are. The answer comes through the session's channel.
    pub(crate) fn authenticate(&self, message: Authenticate) {
        self.change(|notes| notes.authenticate = Some(Box::new(message)));
    }

    /// The same, but it goes out with what is asked for next.
    pub(crate) fn authenticate_with_next(&self, message: Authenticate) {
        let mut inbox = lock(&self.inbox);
        if inbox.lost.is_none() {
            inbox.notes.authenticate = Some(Box::new(message));
        }
    }

    /// Asks for the goodbye.
    pub(crate) fn leave(&self, when: Leave) {
        self.change(|notes| {
            if notes.leave != Leave::Now {
                notes.leave = when;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Notes)) {
        let waker = {
            let mut inbox = lock(&self.inbox);
            if inbox.lost.is_some() {
                return;
            }
            change(&mut inbox.notes);
            inbox.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes all notes; `waker` is woken at the next one.
    pub(crate) fn take_notes(&self, waker: &Waker) -> Notes {
        let mut inbox = lock(&self.inbox);
        // The one that waits may be another than before: an earlier line's driver.
        if !inbox.waker.as_ref().is_some_and(|it| it.will_wake(waker)) {
            inbox.waker = Some(waker.clone());
        }
        let leave = inbox.notes.leave;
        let notes = std::mem::take(&mut inbox.notes);
        inbox.notes.leave = leave;
        notes
    }

    /// The connection is over. What nobody took is dropped.
    pub(crate) fn end(&self, lost: Lost) -> Notes {
        let mut inbox = lock(&self.inbox);
        inbox.lost.get_or_insert(lost);
        std::mem::take(&mut inbox.notes)
    }

    /// Why the connection is over, if it is.
    pub(crate) fn lost(&self) -> Option<Lost> {
        lock(&self.inbox).lost.clone()
    }
}
