//! The time that machines have, without what people take.

use std::time::Duration;

use tokio::time::{Instant, timeout};

/// What is left of a time limit; it runs only in here.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Duration,
}

/// Nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfTime;

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Patience { left: limit }
    }

    /// What is left.
    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// When it is over, if all of it is spent on what begins now.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.left
    }

    /// Waits for `future`, and takes the time from what is left.
    ///
    /// # Errors
    ///
    /// When that is too little.
    pub(crate) async fn spend<T>(
        &mut self,
        future: impl Future<Output = T>,
    ) -> Result<T, OutOfTime> {
        let limited = timeout(self.left, future);
        self.measure(limited).await.map_err(|_| OutOfTime)
    }

    /// The same for what ends at [`Patience::deadline`] by itself, and says why.
    pub(crate) async fn measure<T>(&mut self, future: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = future.await;
        self.left = self.left.saturating_sub(began.elapsed());
        done
    }
}
