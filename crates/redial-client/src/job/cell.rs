//! A job's state behind its lock: what the session says of it, and who is woken.

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use redial_net::proto::JobId;
use redial_net::proto::message::Attached;
use tokio::sync::Notify;

use super::event::{JobEvent, Output};
use super::state::JobState;
use crate::error::{JobError, Lost};
use crate::lock::lock;
use crate::outcome::{Exit, Outcome};

/// A job's state and who waits for it.
#[derive(Debug)]
pub(crate) struct JobCell {
    pub(crate) id: JobId,
    /// Told when stdin has room again, or is closed.
    pub(crate) stdin_moved: Notify,
    state: Mutex<JobState>,
}

impl JobCell {
    pub(crate) fn new(id: JobId, stdin: bool, manual: bool) -> Self {
        let mut state = JobState {
            manual,
            ..JobState::default()
        };
        state.stdin.open = stdin;
        JobCell {
            id,
            stdin_moved: Notify::new(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, JobState> {
        lock(&self.state)
    }

    /// Tells the reader, and ends every wait for stdin if nothing can be written now.
    fn wake(&self, mut state: MutexGuard<'_, JobState>) {
        let reader = state.reader.take();
        let over = state.over || state.stdin.closed;
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        if over {
            self.stdin_moved.notify_waiters();
        }
    }

    /// The server has it: where it stands. After a break, what the server has not applied of the
    /// controls is to be sent again.
    pub(crate) fn attached(&self, attached: &Attached, resumed: bool) {
        let mut state = self.lock();
        let applied = attached.applied;
        state.applied_up_to(applied);
        state.applied = applied;
        if resumed {
            while let Some(kind) = state.under_way.pop_back() {
                state.controls.push_front(kind);
            }
        }
        state.line_is_back();
        if !std::mem::replace(&mut state.attached, true) {
            state.queue.push(Ok(JobEvent::Attached {
                pid: attached.pid,
                exact: attached.exact,
                terminal: attached.terminal == Some(true),
            }));
        }
        self.wake(state);
    }

    /// It was attached to: its outputs follow from here, and stdin too, if it is ours to write.
    pub(crate) fn begin(&self, outputs: [u64; 2], stdin: Option<u64>) {
        let mut state = self.lock();
        for (received, from) in state.outputs.iter_mut().zip(outputs) {
            received.begin(from);
        }
        state.stdin.begin(stdin);
    }

    /// How far it has come: bytes that have reached the other side.
    pub(crate) fn progress(&self) -> u64 {
        let state = self.lock();
        let outputs = state.outputs.iter().map(|output| output.arrived);
        u64::from(state.attached) + state.stdin.acknowledged + outputs.sum::<u64>()
    }

    /// Its line has dropped, and another is dialled.
    pub(crate) fn dropped(&self, reason: Lost) {
        let mut state = self.lock();
        state.channel = None;
        if state.over || state.left {
            return;
        }
        if state.dropped_at.is_none() {
            state.dropped_at = Some(Instant::now());
            state.queue.push(Ok(JobEvent::LineDropped { reason }));
        }
        self.wake(state);
    }

    /// Bytes of an output are gone.
    pub(crate) fn miss(&self, stream: Output, from: u64, to: u64) {
        let mut state = self.lock();
        state.miss(stream, from, to);
        self.wake(state);
    }

    /// An output has ended, which a new line says again.
    pub(crate) fn eof(&self, stream: Output, length: u64) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.outputs[stream.index()].ended, true) {
            state.queue.push(Ok(JobEvent::Eof { stream, length }));
        }
        self.wake(state);
    }

    /// The process has exited, which a new line says again.
    pub(crate) fn exited(&self, exit: Exit) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.exited, true) {
            state.queue.push(Ok(JobEvent::Exited(exit)));
        }
        self.wake(state);
    }

    /// It reads no more stdin, which a new line says again.
    pub(crate) fn stdin_closed(&self) {
        let mut state = self.lock();
        if !std::mem::replace(&mut state.stdin.closed, true) {
            state.queue.push(Ok(JobEvent::StdinClosed));
        }
        self.wake(state);
    }

    /// The connection is gone, or this job's part of it.
    pub(crate) fn lose(&self, reason: &Lost) {
        let mut state = self.lock();
        if !state.over {
            state.over = true;
            let (job, reason) = (self.id, reason.clone());
            state.queue.push(Err(JobError::Lost { job, reason }));
        }
        self.wake(state);
    }

    /// Another client is its holder now: nothing more comes, and nothing can be done.
    pub(crate) fn taken_over(&self) {
        let mut state = self.lock();
        if !state.over {
            state.over = true;
            state.queue.push(Err(JobError::Taken { job: self.id }));
        }
        self.wake(state);
    }

    /// The outcome, which is compared with what has arrived.
    pub(crate) fn end(&self, outcome: Outcome) {
        let mut state = self.lock();
        if state.over {
            return;
        }
        state.ended = true;
        state.over = true;
        state.line_is_back();
        state.miss_the_rest(&outcome);
        let (job, outcome) = (self.id, Box::new(outcome));
        let item = if let Some((stream, reason)) = state.difference(&outcome) {
            Err(JobError::Incomplete {
                job,
                stream,
                reason,
                outcome,
            })
        } else if let Some(reason) = state.stdin.difference(&outcome.stdin) {
            Err(JobError::OtherStdin {
                job,
                reason,
                outcome,
            })
        } else {
            Ok(JobEvent::Ended(outcome))
        };
        state.queue.push(item);
        self.wake(state);
    }

    /// Output has arrived: `bytes` in the buffer `source`. False when it is to be
    /// forgotten because nobody reads it any more.
    pub(crate) fn arrive(&self, stream: Output, offset: u64, bytes: &[u8], source: &Bytes) -> bool {
        let mut state = self.lock();
        let wanted = !state.left && !state.over;
        let received = &mut state.outputs[stream.index()];
        received.arrived = offset + bytes.len() as u64;
        if received.stopped || !wanted {
            received.taken = received.arrived;
            return false;
        }
        received.digest.get_or_insert_default().update(bytes);
        state.queue.push_data(stream, offset, bytes, source);
        self.wake(state);
        true
    }
}
