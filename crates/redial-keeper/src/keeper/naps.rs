//! Outputs that are left alone for a moment.
//!
//! A writer that is nearly as fast as we are has a little more in its pipe every time we
//! look, and every look is told to the front, which wakes and tells the client: three
//! processes run for a few kilobytes. Left alone for a moment, the pipe holds enough to be
//! worth it.

use std::time::{Duration, Instant};

use super::poll::Token;

/// In which a writer at full speed about fills its pipe.
const NAP: Duration = Duration::from_micros(200);

/// All end together: who comes later sleeps less.
#[derive(Debug, Default)]
pub(super) struct Naps {
    outputs: Vec<Token>,
    until: Option<Instant>,
}

impl Naps {
    /// From now on the output is left alone.
    pub(super) fn begin(&mut self, output: Token) {
        self.until.get_or_insert_with(|| Instant::now() + NAP);
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

    #[test]
    fn nobody_waits_longer_than_the_first_nap_and_all_are_woken_at_once() {
        let mut naps = Naps::default();
        assert_eq!(naps.limit(None), None);
        assert!(naps.take_over().is_empty());
        naps.begin(Token::Stdout(1));
        naps.begin(Token::Stderr(2));
        assert!(naps.limit(None).is_some_and(|left| left <= NAP));
        assert_eq!(naps.limit(Some(Duration::ZERO)), Some(Duration::ZERO));
        while naps.limit(None).is_some_and(|left| !left.is_zero()) {
            std::thread::yield_now();
        }
        assert_eq!(naps.take_over(), [Token::Stdout(1), Token::Stderr(2)]);
        assert_eq!(naps.limit(None), None);
    }
}
