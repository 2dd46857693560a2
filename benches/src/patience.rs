//! Waiting for something that comes by itself, up to a limit.

use std::thread;
use std::time::{Duration, Instant};

/// How often we look.
const STEP: Duration = Duration::from_millis(10);

/// Looks until `done`, and no longer than `limit`. Says whether it came.
pub(crate) fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(STEP);
    }
}

/// As [`until`], but not coming is an error that says `what`.
///
/// # Errors
/// When it did not come.
pub(crate) fn wait_for(
    what: &str,
    limit: Duration,
    done: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    anyhow::ensure!(until(limit, done), "not within {limit:?}: {what}");
    Ok(())
}
