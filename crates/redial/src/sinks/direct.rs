//! Writing without a thread where that needs no waiting.
//!
//! To hand a piece to a writer's thread wakes another core, which for small pieces costs
//! more than to write them. A pipe or a device with room takes them at once; what
//! would have to be waited for goes to the thread, and so does all that follows it until
//! the thread has caught up.

use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use redial_client::{Bytes, JobHandle, Output};
use rustix::io::{Errno, ReadWriteFlags};
use tokio::time::{Instant, Sleep, sleep_until};

use super::written::{ACKNOWLEDGE_AFTER, Written};
use super::{descriptor, same_file};

/// pwritev2(2): at the file's own position, as write(2) does.
const AT_ITS_POSITION: u64 = u64::MAX;

/// Pieces of each stream that the threads have not written yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Behind(Arc<[AtomicUsize; 2]>);

impl Behind {
    /// So many pieces of a stream are written, or have failed.
    pub(super) fn done(&self, stream: Output, pieces: usize) {
        self.0[stream.index()].fetch_sub(pieces, Ordering::Release);
    }

    fn add(&self, stream: Output) {
        self.0[stream.index()].fetch_add(1, Ordering::Relaxed);
    }

    fn is_nothing(&self, stream: Output) -> bool {
        self.0[stream.index()].load(Ordering::Acquire) == 0
    }
}

/// The way past the threads.
#[derive(Debug)]
pub(super) struct Direct {
    written: Written,
    behind: Behind,
    /// Terminals, for one, are never asked twice: they cannot tell.
    can_tell: [bool; 2],
    /// Both streams are one file: neither goes past the other.
    together: bool,
    /// When what is written without having been acknowledged is.
    acknowledge_at: Option<Instant>,
    /// Runs on when what it was set for is acknowledged: to set one anew wakes the runtime, for
    /// every piece.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Direct {
    pub(super) fn new(job: JobHandle, behind: Behind) -> Self {
        Direct {
            written: Written::new(job),
            behind,
            can_tell: [true; 2],
            together: same_file(),
            acknowledge_at: None,
            timer: None,
        }
    }

    /// Writes what can be written without waiting; what is left is for the thread.
    pub(super) fn write(&mut self, stream: Output, end: u64, bytes: Bytes) -> Option<Bytes> {
        let written = if self.may_write(stream) {
            self.try_write(stream, &bytes)
        } else {
            0
        };
        if written < bytes.len() || bytes.is_empty() {
            self.behind.add(stream);
            return Some(bytes.slice(written..));
        }
        self.written.add(stream, end);
        self.acknowledge_at = (self.written.waiting() > 0).then(|| {
            self.acknowledge_at
                .unwrap_or_else(|| Instant::now() + ACKNOWLEDGE_AFTER)
        });
        None
    }

    fn may_write(&self, stream: Output) -> bool {
        let caught_up = if self.together {
            Output::BOTH
                .iter()
                .all(|&stream| self.behind.is_nothing(stream))
        } else {
            self.behind.is_nothing(stream)
        };
        self.can_tell[stream.index()] && caught_up
    }

    /// Says how much was written. An error is found again, and told, by the thread.
    fn try_write(&mut self, stream: Output, bytes: &[u8]) -> usize {
        let (slices, flags) = ([IoSlice::new(bytes)], ReadWriteFlags::NOWAIT);
        match rustix::io::pwritev2(descriptor(stream), &slices, AT_ITS_POSITION, flags) {
            Ok(written) => written,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => {
                self.can_tell[stream.index()] = false;
                0
            }
        }
    }

    /// Acknowledges what has waited long enough; ready when it did.
    pub(super) fn poll_acknowledge(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let timer = match (&mut self.timer, self.acknowledge_at) {
                (Some(timer), _) => timer,
                (None, Some(due)) => self.timer.insert(Box::pin(sleep_until(due))),
                (None, None) => return Poll::Pending,
            };
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            if self.acknowledge_at.is_some_and(|due| due <= Instant::now()) {
                self.acknowledge();
                return Poll::Ready(());
            }
        }
    }

    pub(super) fn acknowledge(&mut self) {
        self.acknowledge_at = None;
        self.written.acknowledge();
    }
}
