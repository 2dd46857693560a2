//! The text itself.

use std::fmt::Write;

/// Upper bounds of the buckets, in microseconds.
const BOUNDS_US: [u64; 10] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 10_000_000,
];

/// Times, by how long they were.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// Not summed up; the last has no bound.
    buckets: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Histogram {
    pub(super) fn observe(&mut self, us: u64) {
        let at = BOUNDS_US.iter().position(|bound| us <= *bound);
        self.buckets[at.unwrap_or(BOUNDS_US.len())] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }
}

/// Made metric by metric.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    name: &'static str,
}

impl Text {
    /// A count that only grows.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.begin(name, help, "counter")
    }

    /// What there is now.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> &mut Self {
        self.begin(name, help, "gauge")
    }

    fn begin(&mut self, name: &'static str, help: &str, kind: &str) -> &mut Self {
        self.name = name;
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        self
    }

    /// One value of it. Names and values of labels are ours, without anything to be escaped.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let _ = match labels[..] {
            [] => writeln!(self.text, "{} {value}", self.name),
            _ => writeln!(self.text, "{}{{{}}} {value}", self.name, labels.join(",")),
        };
    }

    /// All of a histogram.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str, of: &Histogram) {
        self.begin(name, help, "histogram");
        let mut count = 0;
        let bounds = BOUNDS_US.iter().map(|us| seconds(*us));
        for (bound, bucket) in bounds.chain(["+Inf".to_owned()]).zip(of.buckets) {
            count += bucket;
            let _ = writeln!(self.text, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(self.text, "{name}_sum {}", seconds(of.sum_us));
        let _ = writeln!(self.text, "{name}_count {count}");
    }

    pub(super) fn into_string(self) -> String {
        self.text
    }
}

/// Exactly, in decimals.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_sums_its_buckets_up() {
        let mut histogram = Histogram::default();
        for us in [250, 251, 900, 20_000_000] {
            histogram.observe(us);
        }
        let mut text = Text::default();
        text.histogram("x_seconds", "Help.", &histogram);
        let text = text.into_string();
        for line in [
            "# TYPE x_seconds histogram",
            "x_seconds_bucket{le=\"0.00025\"} 1",
            "x_seconds_bucket{le=\"0.0005\"} 2",
            "x_seconds_bucket{le=\"0.001\"} 3",
            "x_seconds_bucket{le=\"10\"} 3",
            "x_seconds_bucket{le=\"+Inf\"} 4",
            "x_seconds_sum 20.001401",
            "x_seconds_count 4",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
    }
}
