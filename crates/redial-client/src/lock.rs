//! Locks whose data stays whole even if a holder panicked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`. Every critical section here leaves its data consistent at each
/// statement, so poisoning says nothing worth a second panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
