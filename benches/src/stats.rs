//! Samples and their spread.

use std::time::Duration;

/// Figures of one contestant, one for each run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    values: Vec<f64>,
}

impl Samples {
    /// How this stands to another at a share of the runs.
    pub(crate) fn ratio_at(&self, share: f64, other: &Samples) -> f64 {
        self.quantile(share) / other.quantile(share)
    }

    /// Adds a run's figure; NaN never comes out of a division here.
    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Adds a run's time, in milliseconds.
    pub(crate) fn push_millis(&mut self, time: Duration) {
        self.push(time.as_secs_f64() * 1e3);
    }

    /// The same in another unit.
    pub(crate) fn map(&self, change: impl Fn(f64) -> f64) -> Samples {
        self.values.iter().copied().map(change).collect()
    }

    /// How many runs.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The smallest value that at least this share of all does not exceed (nearest
    /// rank); NaN without any run.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        let index = rank.clamp(1, sorted.len().max(1)) - 1;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    /// The middle one; of an even number, the lower of both.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    pub(crate) fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// `min / median / max`, each written by `show`.
    pub(crate) fn spread(&self, show: impl Fn(f64) -> String) -> String {
        let all = [self.min(), self.median(), self.max()].map(show);
        all.join(" / ")
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let values = values.into_iter().collect();
        Samples { values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let samples: Samples = (1..=100).rev().map(f64::from).collect();
        assert_eq!(samples.min(), 1.0);
        assert_eq!(samples.median(), 50.0);
        assert_eq!(samples.quantile(0.99), 99.0);
        assert_eq!(samples.max(), 100.0);
        assert_eq!(samples.spread(|v| format!("{v:.0}")), "1 / 50 / 100");
    }

    #[test]
    fn one_run_is_its_own_median_and_none_has_none() {
        let one: Samples = [7.0].into_iter().collect();
        assert_eq!((one.min(), one.median(), one.max()), (7.0, 7.0, 7.0));
        assert!(Samples::default().median().is_nan());
    }
}
