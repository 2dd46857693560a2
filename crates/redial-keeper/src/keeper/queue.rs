//! A bounded queue from the keeper to several threads, of which one wakes at a time.
//!
//! A pipe does the waking, one byte an item: unlike a futex it tells the scheduler that
//! the writer is about to sleep, so the reader mostly runs on the writer's core, where
//! it is woken in a tenth of the time.
//!
//! Each item is of a lane (a user), and of one lane only so many are in hand at once: whose directories
//! hang holds up so many threads, and no more.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use rustix::pipe::{PipeFlags, pipe_with};

/// See the module.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    max: usize,
    /// In hand at once, of one lane.
    most: usize,
    /// Read by who wakes and by who is woken, which is at the same time.
    wake: RwLock<Option<OwnedFd>>,
    wait: OwnedFd,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(u32, T)>,
    in_hand: HashMap<u32, usize>,
    /// Threads that were woken and found nothing they may take: so many are to be woken when
    /// something in hand is done.
    owed: usize,
}

impl<T> State<T> {
    fn take(&mut self, most: usize) -> Option<(u32, T)> {
        let in_hand = |lane: &u32| self.in_hand.get(lane).copied().unwrap_or(0);
        let mut lanes = self.waiting.iter().map(|(lane, _)| lane);
        let at = lanes.position(|lane| in_hand(lane) < most)?;
        let (lane, item) = self.waiting.remove(at)?;
        *self.in_hand.entry(lane).or_default() += 1;
        Some((lane, item))
    }
}

impl<T> Queue<T> {
    /// An empty queue that holds `max` items at most; of one lane, `most` are in hand at once.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn new(max: usize, most: usize) -> io::Result<Self> {
        let (wait, wake) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                in_hand: HashMap::new(),
                owed: 0,
            }),
            most,
            // A pipe holds 65,536 bytes (pipe(7)): the keeper never waits for room in it.
            max: max.min(60_000),
            wake: RwLock::new(Some(wake)),
            wait,
        })
    }

    /// Adds an item; false when the queue is full.
    pub(super) fn push(&self, lane: u32, item: T) -> bool {
        let mut state = lock(&self.state);
        if state.waiting.len() >= self.max {
            return false;
        }
        state.waiting.push_back((lane, item));
        drop(state);
        self.wake_one();
        true
    }

    fn wake_one(&self) {
        if let Some(wake) = &*self.wake.read().unwrap_or_else(PoisonError::into_inner) {
            // It has room, and a reader as long as `self` lives: this cannot fail.
            let _ = rustix::io::retry_on_intr(|| rustix::io::write(wake, &[0]));
        }
    }

    /// Waits for the next item that may be taken in hand; none when the queue was closed. To be
    /// followed by [`Queue::done`].
    pub(super) fn pop(&self) -> Option<(u32, T)> {
        loop {
            let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.wait, &mut [0]));
            if read != Ok(1) || self.is_closed() {
                return None;
            }
            let mut state = lock(&self.state);
            match state.take(self.most) {
                Some(item) => return Some(item),
                None => state.owed += 1,
            }
        }
    }

    /// An item of this lane is in hand no more.
    pub(super) fn done(&self, lane: u32) {
        let mut state = lock(&self.state);
        if let Entry::Occupied(mut in_hand) = state.in_hand.entry(lane) {
            *in_hand.get_mut() -= 1;
            if *in_hand.get() == 0 {
                in_hand.remove();
            }
        }
        let owes = state.owed > 0;
        state.owed -= usize::from(owes);
        drop(state);
        if owes {
            self.wake_one();
        }
    }

    /// Whether the next who comes would have to wait.
    #[cfg(feature = "simulation")]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.state).waiting.is_empty()
    }

    /// Ends the threads that wait. What is still queued is nobody's any more.
    pub(super) fn close(&self) {
        *self.wake.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_closed(&self) -> bool {
        let wake = self.wake.read();
        wake.unwrap_or_else(PoisonError::into_inner).is_none()
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
        let queue = Queue::new(1_000, usize::MAX).unwrap();
        let taken = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| {
                    let take = || {
                        let (lane, item) = queue.pop()?;
                        queue.done(lane);
                        Some(item)
                    };
                    scope.spawn(move || std::iter::from_fn(take).collect::<Vec<_>>())
                })
                .collect();
            (0..1_000).for_each(|item| assert!(queue.push(7, item)));
            while !lock(&queue.state).waiting.is_empty() {
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
        let queue = Queue::new(1, 1).unwrap();
        assert!(queue.push(1, 'a'));
        assert!(!queue.push(1, 'b'));
        assert_eq!(queue.pop(), Some((1, 'a')));
        assert!(queue.push(1, 'c'));
    }

    #[test]
    fn one_lane_holds_up_no_other() {
        let queue = Queue::new(9, 2).unwrap();
        for item in 0..4 {
            assert!(queue.push(1, item));
        }
        assert!(queue.push(2, 9));
        assert_eq!([queue.pop(), queue.pop()], [Some((1, 0)), Some((1, 1))]);
        // The rest of the first lane waits, whoever comes, and the other goes before it.
        assert_eq!(queue.pop(), Some((2, 9)));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| queue.pop());
            while lock(&queue.state).owed < 1 {
                std::thread::yield_now();
            }
            queue.done(1);
            assert_eq!(waits.join().unwrap(), Some((1, 2)));
        });
        queue.done(1);
        assert_eq!(queue.pop(), Some((1, 3)));
    }
}
