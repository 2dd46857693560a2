//! Keeps walks through /proc and starts apart.
//!
//! Until it has a descriptor table of its own, a child that is being started shares
//! ours, and so seems to hold the pipes of every job: a walk would take it for a
//! member of the wrong one, and kill it. So starts wait while a walk is under way,
//! and a walk waits for the starts before it, but not long: the shared table is a
//! matter of microseconds, and what takes longer (a directory or program on a dead
//! file system) comes after it.

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
}

impl Gate {
    /// Starts something, when no walk is under way.
    pub(super) fn start<T>(&self, start: impl FnOnce() -> T) -> T {
        let waited = self
            .changed
            .wait_while(self.lock(), |state| state.walks > 0);
        waited.unwrap_or_else(PoisonError::into_inner).starts += 1;
        let result = start();
        self.lock().starts -= 1;
        self.changed.notify_all();
        result
    }

    /// Walks, when what was being started before shares nothing with us any more.
    pub(super) fn walk<T>(&self, walk: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        state.walks += 1;
        drop(
            self.changed
                .wait_timeout_while(state, PATIENCE, |state| state.starts > 0),
        );
        let result = walk();
        self.lock().walks -= 1;
        self.changed.notify_all();
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Two counters are whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
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
