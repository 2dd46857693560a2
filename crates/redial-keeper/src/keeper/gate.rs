//! Keeps walks through /proc and starts apart.
//!
//! Until it has a descriptor table of its own, a child that is being started shares
//! ours, and so seems to hold the pipes of every job: a walk would take it for a
//! member of the wrong one, and kill it. So starts wait while a walk is under way,
//! and a walk waits for the starts before it, but not long: the shared table is a
//! matter of microseconds, and what takes longer (a directory or program on a dead
//! file system) comes after it. They take turns: who has waited for one walk starts
//! before the next, or a tree that is being ended would stop all starts.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A walk waits this long for starts under way; then they share nothing any more.
const PATIENCE: Duration = Duration::from_millis(50);

/// One for all threads that start or walk.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    starts: u32,
    walks: u32,
    /// Starts that wait for the walk under way to end.
    waiting: u32,
    /// Of these, the ones that go before the next walk.
    owed: u32,
}

impl Gate {
    /// Starts something, when no walk is under way.
    pub(super) fn start<T>(&self, start: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        if state.walks > 0 {
            state.waiting += 1;
            state = self.wait_while(state, |state| state.walks > 0);
            state.waiting -= 1;
            state.owed = state.owed.saturating_sub(1);
            self.changed.notify_all();
        }
        state.starts += 1;
        drop(state);
        let result = start();
        self.lock().starts -= 1;
        self.changed.notify_all();
        result
    }

    /// Walks, when what was being started before shares nothing with us any more.
    pub(super) fn walk<T>(&self, walk: impl FnOnce() -> T) -> T {
        let mut state = self.wait_while(self.lock(), |state| state.owed > 0);
        state.walks += 1;
        drop(
            self.changed
                .wait_timeout_while(state, PATIENCE, |state| state.starts > 0),
        );
        let result = walk();
        let mut state = self.lock();
        state.walks -= 1;
        if state.walks == 0 {
            state.owed = state.waiting;
        }
        drop(state);
        self.changed.notify_all();
        result
    }

    fn wait_while<'a>(
        &self,
        state: MutexGuard<'a, State>,
        condition: impl Fn(&mut State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_while(state, condition);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters are whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn nothing_is_started_while_a_walk_is_under_way() {
        let (gate, walking) = (Gate::default(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        gate.start(|| assert_eq!(walking.load(Ordering::SeqCst), 0));
                    }
                });
            }
            for _ in 0..200 {
                gate.walk(|| {
                    walking.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    walking.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }

    #[test]
    fn who_has_waited_for_one_walk_starts_before_the_next() {
        let (gate, walks) = (Gate::default(), AtomicU32::new(0));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    gate.walk(|| {
                        walks.fetch_add(1, Ordering::SeqCst);
                        while gate.lock().waiting == 0 && !is_over.load(Ordering::SeqCst) {
                            std::thread::yield_now();
                        }
                    });
                }
            });
            for number in 1..=50 {
                while walks.load(Ordering::SeqCst) < number {
                    std::thread::yield_now();
                }
                let begun = gate.start(|| walks.load(Ordering::SeqCst));
                assert_eq!(begun, number, "only the walk that was under way");
            }
            is_over.store(true, Ordering::SeqCst);
        });
    }

    #[test]
    fn a_start_that_hangs_does_not_stop_walks() {
        let gate = Gate::default();
        let (release, released) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        std::thread::scope(|scope| {
            let gate = &gate;
            scope.spawn(move || {
                gate.start(|| {
                    begun.send(()).unwrap();
                    let _ = released.recv();
                });
            });
            has_begun.recv().unwrap();
            assert_eq!(gate.walk(|| 7), 7);
            drop(release);
        });
    }
}
