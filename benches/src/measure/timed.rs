//! Contestants who are timed doing one thing, from the call to its return.

use std::time::Instant;

use anyhow::Context;

use crate::stats::Samples;

/// One of them, and its times in milliseconds.
pub(super) struct Timed<'a> {
    pub(super) name: &'static str,
    once: Box<dyn FnMut() -> anyhow::Result<()> + 'a>,
    pub(super) samples: Samples,
}

impl<'a> Timed<'a> {
    pub(super) fn new(name: &'static str, once: impl FnMut() -> anyhow::Result<()> + 'a) -> Self {
        let (once, samples) = (Box::new(once), Samples::default());
        Timed {
            name,
            once,
            samples,
        }
    }

    /// Does it so many times in a row; what warms up does not count.
    ///
    /// # Errors
    /// It failed.
    pub(super) fn run(&mut self, times: usize, counts: bool) -> anyhow::Result<()> {
        for _ in 0..times {
            let began = Instant::now();
            (self.once)().context(self.name)?;
            let time = began.elapsed();
            if counts {
                self.samples.push_millis(time);
            }
        }
        Ok(())
    }
}
