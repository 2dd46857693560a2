//! The table at the end: each step, its time, its counts, and what was skipped.

use std::fmt;
use std::time::Duration;

use crate::failures::Failure;
use crate::tally::{Skip, Tally};

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it should; the text may say what was done.
    Good(String),
    /// Not as it should, and how.
    Bad(String),
    /// It was not tried, and why.
    NotRun(String),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) step: &'static str,
    pub(crate) took: Duration,
    /// Nothing for steps that are no tests.
    pub(crate) tally: Option<Tally>,
    pub(crate) skips: Vec<Skip>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) verdict: Verdict,
}

impl Row {
    /// A step that was not tried.
    pub(crate) fn not_run(step: &'static str, why: &str) -> Row {
        Row::plain(step, Duration::ZERO, Verdict::NotRun(why.to_owned()))
    }

    /// A step without tests.
    pub(crate) fn plain(step: &'static str, took: Duration, verdict: Verdict) -> Row {
        Row {
            step,
            took,
            tally: None,
            skips: Vec::new(),
            failures: Vec::new(),
            verdict,
        }
    }

    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.verdict, Verdict::Bad(_))
    }
}

/// All steps, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn is_good(&self) -> bool {
        !self.rows.iter().any(Row::is_bad)
    }

    /// All tests together. A bad step in which no test failed is a failure too.
    fn total(&self) -> Tally {
        let mut total = Tally::default();
        for row in &self.rows {
            let mut tally = row.tally.unwrap_or_default();
            if row.is_bad() {
                tally.fail_at_least_once();
            }
            total += tally;
        }
        total
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34} {:>7} {:>7} {:>7} {:>7}  ",
            "step", "seconds", "passed", "failed", "skipped"
        )?;
        for row in &self.rows {
            let (mark, text) = match &row.verdict {
                Verdict::Good(text) => ("ok", text),
                Verdict::Bad(text) => ("FAILED", text),
                Verdict::NotRun(text) => ("not run", text),
            };
            let counts = match row.tally {
                Some(tally) => [tally.passed, tally.failed, tally.skipped].map(|n| n.to_string()),
                None => [const { String::new() }; 3],
            };
            let [passed, failed, skipped] = counts;
            let took = row.took.as_secs_f64();
            let step = row.step;
            write!(
                f,
                "{step:<34} {took:>7.1} {passed:>7} {failed:>7} {skipped:>7}  {mark}"
            )?;
            if !text.is_empty() {
                write!(f, ": {text}")?;
            }
            writeln!(f)?;
        }
        for row in &self.rows {
            for skip in &row.skips {
                let Skip { name, reason } = skip;
                writeln!(f, "skipped: {name}: {reason} ({})", row.step)?;
            }
        }
        for row in &self.rows {
            // Said again where a log that was cut still has it.
            if let Verdict::Bad(text) = &row.verdict {
                writeln!(f, "failed: {}: {text}", row.step)?;
            }
            for failure in &row.failures {
                writeln!(f, "failed: {} ({})", failure.test, row.step)?;
                for line in &failure.said {
                    writeln!(f, "    {line}")?;
                }
            }
        }
        let Tally {
            passed,
            failed,
            skipped,
        } = self.total();
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests(passed: u64, verdict: Verdict) -> Row {
        Row {
            tally: Some(Tally {
                passed,
                ..Tally::default()
            }),
            ..Row::plain("tests", Duration::from_secs(2), verdict)
        }
    }

    #[test]
    fn the_last_line_is_the_total() {
        let mut report = Report::default();
        report.push(tests(3, Verdict::Good(String::new())));
        report.push(tests(4, Verdict::Good(String::new())));
        assert!(report.is_good());
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("7 passed, 0 failed, 0 skipped"));
    }

    #[test]
    fn a_step_that_fails_without_a_failed_test_counts_as_one_failure() {
        let mut report = Report::default();
        report.push(Row::plain(
            "formatting",
            Duration::ZERO,
            Verdict::Bad("exit status: 1".to_owned()),
        ));
        report.push(Row::not_run("tests", "formatting failed"));
        assert!(!report.is_good());
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("0 passed, 1 failed, 0 skipped"));
        assert!(text.contains("not run: formatting failed"), "{text}");
        assert!(
            text.contains("\nfailed: formatting: exit status: 1\n"),
            "{text}"
        );
    }

    #[test]
    fn what_failed_is_named_with_what_it_said() {
        let mut row = tests(3, Verdict::Bad("exit status: 101".to_owned()));
        row.failures = vec![Failure {
            test: "cancel_is_exact".to_owned(),
            said: vec!["one was left".to_owned()],
        }];
        let mut report = Report::default();
        report.push(row);
        let text = report.to_string();
        let named = "failed: cancel_is_exact (tests)\n    one was left\n";
        assert!(text.contains(named), "{text}");
    }

    #[test]
    fn what_was_skipped_is_named_with_its_reason() {
        let mut row = tests(3, Verdict::Good(String::new()));
        row.skips = vec![Skip {
            name: "cancel_is_exact".to_owned(),
            reason: "no cgroup here".to_owned(),
        }];
        let mut report = Report::default();
        report.push(row);
        let text = report.to_string();
        assert!(
            text.contains("skipped: cancel_is_exact: no cgroup here"),
            "{text}"
        );
    }
}
