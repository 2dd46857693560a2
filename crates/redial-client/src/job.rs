//! A running job: its reader, and the handle that writes to it and controls it.

mod cell;
mod event;
mod queue;
mod state;
mod stdin;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use redial_net::proto::JobId;
use redial_net::proto::message::ControlKind;
use tokio::sync::OwnedSemaphorePermit;

use crate::client::Lease;
use crate::command::TerminalSize;
use crate::error::{ControlError, JobError, StdinError};

pub(crate) use cell::JobCell;
pub use event::{JobEvent, Output};
pub(crate) use state::{CONTROLS_MAX, JobState};
pub(crate) use stdin::StdinQueue;

/// A job and the events it brings. Dropped before its end, it leaves the job to its drop
/// policy ([`crate::Command::on_drop`]).
///
/// ```no_run
/// # async fn example(client: redial_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use redial_client::{Command, JobEvent};
///
/// let mut job = client.start(Command::shell("tail -F /var/log/syslog")).await?;
/// let handle = job.handle();
/// while let Some(event) = job.next().await {
///     match event? {
///         JobEvent::Data { bytes, .. } if bytes.starts_with(b"panic") => {
///             handle.cancel(Duration::from_secs(5))?; // TERM to its tree, 5 s later KILL
///         }
///         JobEvent::Ended(outcome) => println!("{}", outcome.status),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Job {
    handle: JobHandle,
    /// This client's slot, free when the job is over.
    permit: Option<OwnedSemaphorePermit>,
}

/// Writes stdin of a job and controls it, from any task; cheap to clone.
///
/// ```no_run
/// # async fn example(client: redial_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use redial_client::{Bytes, Command};
///
/// let job = client.start(Command::new(["cat"]).stdin(true)).await?;
/// let writer = job.handle();
/// tokio::spawn(async move {
///     writer.write_stdin(Bytes::from_static(b"hello\n")).await?;
///     writer.close_stdin();
///     Ok::<_, redial_client::StdinError>(())
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct JobHandle {
    cell: Arc<JobCell>,
    lease: Arc<Lease>,
}

impl Job {
    pub(crate) fn new(
        cell: Arc<JobCell>,
        lease: Arc<Lease>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Job {
            handle: JobHandle { cell, lease },
            permit,
        }
    }

    pub(crate) fn with_slot(mut self, slot: Option<OwnedSemaphorePermit>) -> Self {
        self.permit = slot;
        self
    }

    /// Its id.
    pub fn id(&self) -> JobId {
        self.handle.id()
    }

    /// The side that writes and controls.
    pub fn handle(&self) -> JobHandle {
        self.handle.clone()
    }

    /// The next event; `None` behind the last one. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`JobError`] is the last item: the outcome is not known or not to be trusted.
    pub async fn next(&mut self) -> Option<Result<JobEvent, JobError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<JobEvent, JobError>>> {
        let (item, left) = {
            let mut state = self.handle.cell.lock();
            let Some((item, report)) = state.take() else {
                if state.over {
                    return Poll::Ready(None);
                }
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            };
            let over = matches!(item, Ok(JobEvent::Ended(_)) | Err(_));
            state.left |= over && !state.manual;
            let left = state.left;
            if report {
                self.handle.note(state);
            }
            (item, left)
        };
        if left {
            self.permit = None;
        }
        Poll::Ready(Some(item))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut state = self.handle.cell.lock();
        if !state.left {
            state.left = true;
            self.handle.note(state);
        }
    }
}

impl JobHandle {
    /// The job's id.
    pub fn id(&self) -> JobId {
        self.cell.id
    }

    /// Writes to stdin; waits while 1 MiB is on its way. Writers that write at once are
    /// served in no set order. Not cancel-safe: a part may have been written.
    ///
    /// # Errors
    ///
    /// [`StdinError`] when nothing can be written any more.
    pub async fn write_stdin(&self, mut bytes: Bytes) -> Result<(), StdinError> {
        while !bytes.is_empty() {
            let moved = self.cell.stdin_moved.notified();
            tokio::pin!(moved);
            // Registered before looking, so that no change is missed.
            moved.as_mut().enable();
            if !self.write_some(&mut bytes)? {
                moved.await;
            }
        }
        Ok(())
    }

    /// Hands over what there is room for; false if there is none.
    fn write_some(&self, bytes: &mut Bytes) -> Result<bool, StdinError> {
        let mut state = self.cell.lock();
        let room = state.stdin_room()?;
        let len = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        if len == 0 {
            return Ok(false);
        }
        state.stdin.written += len as u64;
        state.stdin.incoming.push(bytes.split_to(len));
        self.note(state);
        Ok(true)
    }

    /// Says that stdin ends behind what was written.
    pub fn close_stdin(&self) {
        let mut state = self.cell.lock();
        state.stdin.finished = true;
        self.note(state);
    }

    /// Output up to `up_to` is where it belongs; the server may forget it and send more.
    /// Only for [`crate::Command::manual_acknowledge`].
    pub fn acknowledge(&self, stream: Output, up_to: u64) {
        let mut state = self.cell.lock();
        if state.taken(stream, up_to) {
            self.note(state);
        }
    }

    /// Its terminal has another size: the programs on it get SIGWINCH. Nothing, for a job without
    /// one. Of several that are still to be sent, one after the other, only the last one is.
    ///
    /// # Errors
    ///
    /// [`ControlError`]: it was not sent.
    pub fn resize(&self, size: TerminalSize) -> Result<(), ControlError> {
        self.control(size.to_control(), |_| ())
    }

    /// Sends a signal, by number, to the job's process group.
    ///
    /// # Errors
    ///
    /// [`ControlError`]: it was not sent.
    pub fn signal(&self, signal: u8) -> Result<(), ControlError> {
        self.control(ControlKind::Signal(signal), |_| ())
    }

    /// Ends the whole tree: TERM, and KILL after `grace`; at once if that is zero.
    ///
    /// # Errors
    ///
    /// [`ControlError`]: it was not sent.
    pub fn cancel(&self, grace: Duration) -> Result<(), ControlError> {
        let grace = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        self.control(ControlKind::Cancel(grace), |_| ())
    }

    /// Says that nobody reads this output any more: the command gets SIGPIPE when it
    /// writes more. Its bytes are no longer checked.
    ///
    /// # Errors
    ///
    /// [`ControlError`]: it was not sent.
    pub fn stop(&self, stream: Output) -> Result<(), ControlError> {
        self.control(ControlKind::Stop(stream.stream() as u8), |state| {
            state.stop(stream)
        })
    }

    fn control(
        &self,
        kind: ControlKind,
        also: impl FnOnce(&mut JobState),
    ) -> Result<(), ControlError> {
        let mut state = self.cell.lock();
        if state.over {
            return Err(ControlError::Over);
        }
        let is_size = |kind: &ControlKind| matches!(kind, ControlKind::Resize(..));
        if is_size(&kind) && state.controls.back().is_some_and(is_size) {
            state.controls.pop_back();
        }
        if state.controls_waiting() >= CONTROLS_MAX {
            return Err(ControlError::TooMany);
        }
        state.controls.push_back(kind);
        also(&mut state);
        self.note(state);
        Ok(())
    }

    /// Tells the driver that this job has something to say.
    fn note(&self, mut state: std::sync::MutexGuard<'_, JobState>) {
        let first = !std::mem::replace(&mut state.noted, true);
        drop(state);
        if first {
            self.lease.shared().note(&self.cell);
        }
    }
}
