//! A bounded queue of logins, of which whoever comes takes all that wait: one look into the files
//! answers them together, so that many logins cost little more than one.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct Desk<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    max: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Desk<T> {
    /// Nobody waits; `max` may.
    pub(super) fn new(max: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            max,
        }
    }

    /// False when as many wait as may.
    pub(super) fn push(&self, item: T) -> bool {
        let mut state = self.lock();
        if state.waiting.len() >= self.max {
            return false;
        }
        state.waiting.push_back(item);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Waits until somebody waits; none when the desk is closed.
    pub(super) fn take_all(&self) -> Option<Vec<T>> {
        let idle = |state: &mut State<T>| state.waiting.is_empty() && !state.closed;
        let state = self.changed.wait_while(self.lock(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        (!state.closed).then(|| state.waiting.drain(..).collect())
    }

    /// Ends the threads that wait. What is still queued is nobody's any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // It is whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_wait_are_taken_at_once_and_no_more_wait_than_may() {
        let desk = Desk::new(2);
        assert!(desk.push(1) && desk.push(2));
        assert!(!desk.push(3));
        assert_eq!(desk.take_all(), Some(vec![1, 2]));
        assert!(desk.push(4));
        desk.close();
        assert_eq!(desk.take_all(), None);
    }
}
