//! A bounded queue from the keeper to several threads, of which one wakes at a time.
//!
//! A pipe does the waking, one byte an item: unlike a futex it tells the scheduler that
//! the writer is about to sleep, so the reader mostly runs on the writer's core, where
//! it is woken in a tenth of the time.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::pipe::{PipeFlags, pipe_with};

/// See the module.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    max: usize,
    wake: Mutex<Option<OwnedFd>>,
    wait: OwnedFd,
}

impl<T> Queue<T> {
    /// An empty queue that holds `max` items at most.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new(max: usize) -> io::Result<Self> {
        let (wait, wake) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self {
            items: Mutex::new(VecDeque::new()),
            // A pipe holds 65,536 bytes (pipe(7)): the keeper never waits for room in it.
            max: max.min(60_000),
            wake: Mutex::new(Some(wake)),
            wait,
        })
    }

    /// Adds an item; false when the queue is full.
    pub(super) fn push(&self, item: T) -> bool {
        let mut items = lock(&self.items);
        if items.len() >= self.max {
            return false;
        }
        items.push_back(item);
        drop(items);
        if let Some(wake) = &*lock(&self.wake) {
            // It has room, and a reader as long as `self` lives: this cannot fail.
            let _ = rustix::io::retry_on_intr(|| rustix::io::write(wake, &[0]));
        }
        true
    }

    /// Waits for the next item; none when the queue was closed.
    pub(super) fn pop(&self) -> Option<T> {
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.wait, &mut [0]));
        if read != Ok(1) || lock(&self.wake).is_none() {
            return None;
        }
        lock(&self.items).pop_front()
    }

    /// Whether the next who comes would have to wait.
    #[cfg(feature = "simulation")]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.items).is_empty()
    }

    /// Ends the threads that wait. What is still queued is nobody's any more.
    pub(super) fn close(&self) {
        *lock(&self.wake) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What they guard is whole after every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_taken_once_and_closing_ends_all_who_wait() {
        let queue = Queue::new(1_000).unwrap();
        let taken = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>()))
                .collect();
            (0..1_000).for_each(|item| assert!(queue.push(item)));
            while !lock(&queue.items).is_empty() {
                std::thread::yield_now();
            }
            queue.close();
            let all = takers.into_iter().flat_map(|taker| taker.join().unwrap());
            let mut all: Vec<i32> = all.collect();
            all.sort_unstable();
            all
        });
        assert_eq!(taken, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let queue = Queue::new(1).unwrap();
        assert!(queue.push('a'));
        assert!(!queue.push('b'));
        assert_eq!(queue.pop(), Some('a'));
        assert!(queue.push('c'));
    }
}
