//! A bounded queue of work for several threads, where one subject's work hangs up one thread at
//! most: whoever comes takes all that waits for a subject of whom nobody else has something in hand.
//! So one look into a user's files answers all who wait for it, and a home directory that hangs
//! stops only those.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug)]
pub(super) struct Lanes<K, T> {
    state: Mutex<State<K, T>>,
    changed: Condvar,
    max: usize,
}

#[derive(Debug)]
struct State<K, T> {
    waiting: VecDeque<(K, T)>,
    busy: HashSet<K>,
    closed: bool,
}

/// What one thread has in hand; when it is dropped, the next of that subject's may be taken.
#[derive(Debug)]
pub(super) struct Lane<'a, K: Eq + Hash + Clone, T> {
    of: &'a Lanes<K, T>,
    pub(super) subject: K,
    pub(super) work: Vec<T>,
}

impl<K: Eq + Hash + Clone, T> Lanes<K, T> {
    /// Nobody waits; `max` may.
    pub(super) fn new(max: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            busy: HashSet::new(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            max,
        }
    }

    /// Gives it back when as many wait as may.
    pub(super) fn push(&self, subject: K, work: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.waiting.len() >= self.max {
            return Err(work);
        }
        state.waiting.push_back((subject, work));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits until there is something to do; none when it is closed.
    pub(super) fn take(&self) -> Option<Lane<'_, K, T>> {
        let idle = |state: &mut State<K, T>| !state.closed && state.free().is_none();
        let state = self.changed.wait_while(self.lock(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let subject = state.free().filter(|_| !state.closed)?;
        state.busy.insert(subject.clone());
        let mut work = Vec::new();
        for (other, item) in std::mem::take(&mut state.waiting) {
            match other == subject {
                true => work.push(item),
                false => state.waiting.push_back((other, item)),
            }
        }
        let of = self;
        Some(Lane { of, subject, work })
    }

    /// Ends the threads that wait. What is still queued is nobody's any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<K, T>> {
        // It is whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, T> State<K, T> {
    /// Of whom something waits and nothing is in hand.
    fn free(&self) -> Option<K> {
        let mut subjects = self.waiting.iter().map(|(subject, _)| subject);
        subjects.find(|it| !self.busy.contains(*it)).cloned()
    }
}

impl<K: Eq + Hash + Clone, T> Drop for Lane<'_, K, T> {
    fn drop(&mut self) {
        self.of.lock().busy.remove(&self.subject);
        self.of.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_wait_for_one_are_taken_at_once_and_no_more_wait_than_may() {
        let lanes = Lanes::new(3);
        for (subject, work) in [("a", 1), ("b", 2), ("a", 3)] {
            lanes.push(subject, work).unwrap();
        }
        assert_eq!(lanes.push("c", 4), Err(4));
        let first = lanes.take().unwrap();
        assert_eq!((first.subject, &first.work[..]), ("a", &[1, 3][..]));
        lanes.push("a", 5).unwrap();
        let second = lanes.take().unwrap();
        assert_eq!((second.subject, &second.work[..]), ("b", &[2][..]));
        drop(first);
        assert_eq!(lanes.take().unwrap().work, [5]);
        lanes.close();
        assert!(lanes.take().is_none());
    }

    #[test]
    fn who_waits_for_one_that_is_in_hand_gets_it_when_that_is_done() {
        let lanes = Lanes::new(9);
        lanes.push('a', 1).unwrap();
        let first = lanes.take().unwrap();
        lanes.push('a', 2).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| lanes.take().unwrap().work.clone());
            drop(first);
            assert_eq!(waits.join().unwrap(), [2]);
        });
    }
}
