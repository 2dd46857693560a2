//! How many tests passed, failed and were skipped: from libtest's lines, and
//! from the file in which tests say why they could not run.

use std::fs;
use std::ops::AddAssign;
use std::path::Path;

/// The variable that names the file to which a test appends `NAME: reason`
/// when it cannot run here. Unset, tests say it on stderr alone.
pub(crate) const SKIPS_VARIABLE: &str = "REDIAL_SKIPS";

/// Counts of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Tally {
    /// Reads libtest's last line, `test result: ok. 3 passed; 0 failed; …`.
    pub(crate) fn from_line(line: &str) -> Option<Tally> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Tally::default();
        for part in counts.split(';') {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => tally.passed = number,
                "failed" => tally.failed = number,
                "ignored" => tally.skipped = number,
                _ => {}
            }
        }
        Some(tally)
    }

    /// Takes tests that said they could not run out of those libtest calls
    /// passed.
    pub(crate) fn skip(&mut self, skips: &[Skip]) {
        let said = u64::try_from(skips.len()).unwrap_or(u64::MAX);
        self.passed = self.passed.saturating_sub(said);
        self.skipped += said;
    }

    /// A run that failed has at least one failure, even when it died before
    /// it could count.
    pub(crate) fn fail_at_least_once(&mut self) {
        self.failed = self.failed.max(1);
    }
}

/// A test that could not run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// Reads a file of skips; a test is listed once. No file, no skips.
pub(crate) fn read_skips(path: &Path) -> Vec<Skip> {
    parse_skips(&fs::read_to_string(path).unwrap_or_default())
}

fn parse_skips(text: &str) -> Vec<Skip> {
    let mut skips: Vec<Skip> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        if !skips.iter().any(|skip| skip.name == name) {
            skips.push(Skip {
                name: name.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }
    skips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; \
                    0 filtered out; finished in 0.51s";
        let expected = Tally {
            passed: 12,
            failed: 3,
            skipped: 1,
        };
        assert_eq!(Tally::from_line(line), Some(expected));
    }

    #[test]
    fn another_line_is_no_result() {
        assert_eq!(Tally::from_line("test a_result ... ok"), None);
    }

    #[test]
    fn a_test_that_skipped_twice_counts_once_and_not_as_passed() {
        let skips = parse_skips("cancel_is_exact: no cgroup here\ncancel_is_exact: again\n\n");
        assert_eq!(skips.len(), 1);
        assert_eq!(skips[0].reason, "no cgroup here");
        let mut tally = Tally {
            passed: 5,
            ..Tally::default()
        };
        tally.skip(&skips);
        assert_eq!((tally.passed, tally.skipped), (4, 1));
    }

    #[test]
    fn a_run_that_died_without_counting_has_failed_once() {
        let mut tally = Tally::default();
        tally.fail_at_least_once();
        assert_eq!(tally.failed, 1);
    }
}
