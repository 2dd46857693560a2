//! What is left of a connection's jobs between two lines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::running::Running;
use crate::error::Lost;
use crate::error::QueryError;
use crate::shared::{Leave, NewJob, NewQuery, Notes, Shared};

/// Jobs whose line has dropped, with all that another line needs to go on with them. Dropped
/// itself, it is the end of them: nobody waits for ever.
#[derive(Debug)]
pub(crate) struct Held {
    /// Gone when another line has taken over.
    shared: Option<Arc<Shared>>,
    running: Vec<Running>,
    /// Never sent.
    waiting: VecDeque<NewJob>,
    /// Not answered.
    queries: Vec<NewQuery>,
    /// Why the line ended, or why there will be none.
    lost: Lost,
}

/// What another line takes over.
pub(super) struct Parts {
    pub(super) shared: Arc<Shared>,
    pub(super) running: Vec<Running>,
    pub(super) waiting: VecDeque<NewJob>,
    pub(super) queries: Vec<NewQuery>,
}

impl Held {
    pub(super) fn new(
        shared: Arc<Shared>,
        running: Vec<Running>,
        waiting: VecDeque<NewJob>,
        queries: Vec<NewQuery>,
        lost: Lost,
    ) -> Self {
        Held {
            shared: Some(shared),
            running,
            waiting,
            queries,
            lost,
        }
    }

    /// What this line was to take over and has not; else what it had itself.
    pub(crate) fn original(self) -> Held {
        let pending = self.shared.as_ref().and_then(|shared| shared.take_back());
        pending.map_or(self, |held| *held)
    }

    /// All of it, for another line.
    pub(super) fn into_parts(mut self) -> Option<Parts> {
        Some(Parts {
            shared: self.shared.take()?,
            running: std::mem::take(&mut self.running),
            waiting: std::mem::take(&mut self.waiting),
            queries: std::mem::take(&mut self.queries),
        })
    }

    /// Why the line ended.
    pub(crate) fn lost(&self) -> &Lost {
        &self.lost
    }

    /// There will be no other line, for this reason.
    pub(crate) fn give_up(&mut self, lost: Lost) {
        self.lost = lost;
    }

    /// How far the jobs have come, all together.
    pub(crate) fn progress(&self) -> u64 {
        let progress = self.running.iter().map(|running| running.cell.progress());
        progress.fold(0, u64::saturating_add)
    }

    /// Tells the readers that their line has dropped.
    pub(crate) fn say_dropped(&self) {
        for running in &self.running {
            running.cell.dropped(self.lost.clone());
        }
    }

    /// Ready when nobody needs another line: somebody asked for the end, or all handles are gone.
    /// Jobs whose readers leave meanwhile are left to their drop policies.
    pub(crate) fn poll_unwanted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(shared) = &self.shared else {
            return Poll::Ready(());
        };
        let notes = shared.take_notes(cx.waker());
        for cell in notes.jobs {
            cell.lock().noted = false;
        }
        self.waiting.extend(notes.starts);
        self.queries.extend(notes.queries);
        self.queries.retain(|query| !query.answer.is_closed());
        self.running.retain(|running| {
            let state = running.cell.lock();
            !state.left && !state.over
        });
        self.waiting.retain(|job| !job.cell.lock().left);
        let idle = self.running.is_empty() && self.waiting.is_empty() && self.queries.is_empty();
        match notes.leave {
            Leave::Now => Poll::Ready(()),
            Leave::WhenIdle if idle => Poll::Ready(()),
            Leave::WhenIdle | Leave::Never => Poll::Pending,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        let Notes {
            starts, queries, ..
        } = shared.end(self.lost.clone());
        for running in &mut self.running {
            running.lose(&self.lost);
        }
        for query in self.queries.drain(..).chain(queries) {
            // Whoever asked may have gone.
            let _ = query.answer.send(Err(QueryError::Lost(self.lost.clone())));
        }
        // Their answers are dropped: they were not sent.
        for job in self.waiting.drain(..).chain(starts) {
            job.cell.lose(&self.lost);
        }
    }
}
