//! Contestants who are timed doing one thing, from the call to its return.

use std::time::Instant;

use anyhow::Context;

use crate::order::Order;
use crate::plot::Kind;
use crate::stats::Samples;
use crate::table::Table;

/// One of them, and its times in milliseconds.
pub(super) struct Timed<'a> {
    pub(super) name: &'static str,
    times: Box<dyn FnMut(usize) -> anyhow::Result<Vec<f64>> + 'a>,
    pub(super) samples: Samples,
}

impl<'a> Timed<'a> {
    pub(super) fn new(
        name: &'static str,
        mut once: impl FnMut() -> anyhow::Result<()> + 'a,
    ) -> Self {
        Timed::reporting(name, move |times| {
            let timed = (0..times).map(|_| {
                let began = Instant::now();
                once()?;
                Ok(began.elapsed().as_secs_f64() * 1e3)
            });
            timed.collect()
        })
    }

    /// One that takes its own times, so many.
    pub(super) fn reporting(
        name: &'static str,
        times: impl FnMut(usize) -> anyhow::Result<Vec<f64>> + 'a,
    ) -> Self {
        Timed {
            name,
            times: Box::new(times),
            samples: Samples::default(),
        }
    }

    /// Does it so many times in a row; what warms up does not count.
    ///
    /// # Errors
    /// It failed.
    fn run(&mut self, times: usize, counts: bool) -> anyhow::Result<()> {
        let took = (self.times)(times).context(self.name)?;
        if counts {
            took.into_iter().for_each(|ms| self.samples.push(ms));
        }
        Ok(())
    }
}

/// How often, and in which order.
pub(super) struct Rounds {
    pub(super) warm_up: usize,
    pub(super) rounds: usize,
    /// In a row, of one in one round.
    pub(super) in_a_row: usize,
    pub(super) seed: u64,
}

impl Rounds {
    /// All of them in each round, in an order of chance.
    ///
    /// # Errors
    /// One failed.
    pub(super) fn run(&self, contestants: &mut [Timed<'_>]) -> anyhow::Result<()> {
        let mut order = Order::new(self.seed);
        for round in 0..self.warm_up + self.rounds {
            for index in order.round(contestants.len()) {
                contestants[index].run(self.in_a_row, round >= self.warm_up)?;
            }
        }
        Ok(())
    }
}

/// Their times, and how each stands to others: a column for each of these medians.
pub(super) fn table(
    what: &str,
    contestants: &[Timed<'_>],
    against: &[(&str, Option<f64>)],
) -> Table {
    let mut head = vec![what.to_owned()];
    head.extend(["min", "p50", "p99", "max"].map(str::to_owned));
    head.extend(against.iter().map(|(name, _)| format!("p50 ÷ {name}")));
    head.push("runs".to_owned());
    let mut table = Table::with_columns(head);
    for Timed { name, samples, .. } in contestants {
        let ms = |value: f64| format!("{value:.2}");
        let mut row = vec![(*name).to_owned()];
        row.extend([samples.min(), samples.median()].map(ms));
        row.extend([samples.quantile(0.99), samples.max()].map(ms));
        row.extend(against.iter().map(|(_, other)| match other {
            Some(other) => format!("{:.3}", samples.median() / other),
            None => String::new(),
        }));
        row.push(samples.len().to_string());
        table.add(row);
    }
    table
}

/// How their times are distributed.
pub(super) fn distribution(contestants: &[Timed<'_>]) -> Kind {
    let named = contestants
        .iter()
        .map(|it| (it.name.replace('`', ""), it.samples.clone()));
    Kind::Distribution(named.collect())
}

/// The median of the contestant of this name.
pub(super) fn median(contestants: &[Timed<'_>], name: &str) -> Option<f64> {
    let found = contestants.iter().find(|it| it.name == name);
    found.map(|it| it.samples.median())
}
