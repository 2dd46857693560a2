//! A bounded queue from the keeper to several threads, of which one wakes at a time.
//!
//! std's channel has one receiver; shared behind a lock, each item wakes a second
//! thread, only to wait in the first one's place. That thread would run on the core
//! that the child is about to need.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    max: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    /// An empty queue that holds `max` items at most.
    pub(super) fn new(max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                closed: false,
            }),
            filled: Condvar::new(),
            max,
        }
    }

    /// Adds an item; false when the queue is full.
    pub(super) fn push(&self, item: T) -> bool {
        let mut state = self.lock();
        if state.items.len() >= self.max {
            return false;
        }
        state.items.push_back(item);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Waits for the next item; none when the queue was closed.
    pub(super) fn pop(&self) -> Option<T> {
        let waited = self
            .filled
            .wait_while(self.lock(), |state| state.items.is_empty() && !state.closed);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        // What is still queued is nobody's any more.
        if state.closed {
            return None;
        }
        state.items.pop_front()
    }

    /// Ends the threads that wait.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // A list and a flag are whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_taken_once_and_closing_ends_all_who_wait() {
        let queue = Queue::new(1_000);
        let taken = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>()))
                .collect();
            (0..1_000).for_each(|item| assert!(queue.push(item)));
            while !queue.lock().items.is_empty() {
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
        let queue = Queue::new(1);
        assert!(queue.push('a'));
        assert!(!queue.push('b'));
        assert_eq!(queue.pop(), Some('a'));
        assert!(queue.push('c'));
    }
}
