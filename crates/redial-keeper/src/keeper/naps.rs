//! Outputs that are left alone for a moment.
//!
//! A writer that is nearly as fast as we are has a little more in its pipe every time we
//! look, and every look is told to the front, which wakes and tells the client: three
//! processes run for a few kilobytes. Left alone for a moment, the pipe holds enough to be
//! worth it.

use std::time::{Duration, Instant};

use super::poll::Token;

/// The longest; a slow writer does not fill its pipe in it.
const LONGEST: Duration = Duration::from_micros(200);
/// What is shorter is not worth going to sleep for.
const SHORTEST: Duration = Duration::from_micros(8);
const FIRST: Duration = Duration::from_micros(50);

/// How long one output is left alone: as long as its writer needs to about fill the pipe,
/// found by trying. A full pipe means that the writer waits for us, a nearly empty one that we
/// came too early.
#[derive(Debug)]
pub(super) struct Nap(Duration);

impl Default for Nap {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Nap {
    /// A read of a pipe of this size has brought so much.
    pub(super) fn adapt(&mut self, read: usize, pipe: usize) {
        if read >= pipe {
            self.0 = (self.0 * 3 / 4).max(SHORTEST / 2);
        } else if read < pipe / 4 {
            self.0 = (self.0 * 5 / 4).min(LONGEST);
        }
    }

    /// None if it is not worth it.
    pub(super) fn time(&self) -> Option<Duration> {
        (self.0 >= SHORTEST).then_some(self.0)
    }
}

/// All end together: who comes later sleeps less.
#[derive(Debug, Default)]
pub(super) struct Naps {
    outputs: Vec<Token>,
    until: Option<Instant>,
}

impl Naps {
    /// From now on the output is left alone for so long at most.
    pub(super) fn begin(&mut self, output: Token, time: Duration) {
        let until = Instant::now() + time;
        self.until = Some(self.until.map_or(until, |earlier| earlier.min(until)));
        self.outputs.push(output);
    }

    /// How long events may be waited for: `limit`, unless a nap ends before.
    pub(super) fn limit(&self, limit: Option<Duration>) -> Option<Duration> {
        let left = self
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        left.into_iter().chain(limit).min()
    }

    /// The outputs whose nap is over.
    pub(super) fn take_over(&mut self) -> Vec<Token> {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.until = None;
            return std::mem::take(&mut self.outputs);
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: usize = 256 * 1024;

    #[test]
    fn nobody_waits_longer_than_the_first_nap_and_all_are_woken_at_once() {
        let mut naps = Naps::default();
        assert_eq!(naps.limit(None), None);
        assert!(naps.take_over().is_empty());
        naps.begin(Token::Stdout(1), LONGEST);
        naps.begin(Token::Stderr(2), FIRST);
        assert!(naps.limit(None).is_some_and(|left| left <= FIRST));
        assert_eq!(naps.limit(Some(Duration::ZERO)), Some(Duration::ZERO));
        while naps.limit(None).is_some_and(|left| !left.is_zero()) {
            std::thread::yield_now();
        }
        assert_eq!(naps.take_over(), [Token::Stdout(1), Token::Stderr(2)]);
        assert_eq!(naps.limit(None), None);
    }

    #[test]
    fn a_writer_that_fills_its_pipe_is_not_kept_waiting() {
        let mut nap = Nap::default();
        for _ in 0..20 {
            nap.adapt(PIPE, PIPE);
        }
        assert_eq!(nap.time(), None);
        for _ in 0..20 {
            nap.adapt(PIPE / 8, PIPE);
        }
        assert_eq!(nap.time(), Some(LONGEST));
        nap.adapt(PIPE / 2, PIPE);
        assert_eq!(nap.time(), Some(LONGEST), "half full is as wished");
    }
}
