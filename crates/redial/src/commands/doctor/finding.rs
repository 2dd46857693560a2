//! What was found at one step, and the sheet on which it is said.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::time::Duration;

use serde::Serialize;

use crate::exit_code::FAILED;
use crate::report::{self, Harmless};

/// Columns of the longest step's name.
const STEP: usize = 10;

/// One step.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    step: &'static str,
    /// Nothing if it could not be tried.
    ok: Option<bool>,
    detail: String,
    advice: Option<String>,
    ms: Option<f64>,
}

impl Finding {
    pub(super) fn ok(step: &'static str, detail: impl Display) -> Self {
        Finding::new(step, Some(true), detail)
    }

    pub(super) fn wrong(step: &'static str, detail: impl Display) -> Self {
        Finding::new(step, Some(false), detail)
    }

    /// It could not be tried, or need not be; nothing says that it would fail.
    pub(super) fn untried(step: &'static str, detail: impl Display) -> Self {
        Finding::new(step, None, detail)
    }

    /// What is said comes from servers and files.
    fn new(step: &'static str, ok: Option<bool>, detail: impl Display) -> Self {
        Finding {
            step,
            ok,
            detail: Harmless(detail).to_string(),
            advice: None,
            ms: None,
        }
    }

    /// What to do about it.
    pub(super) fn advice(mut self, advice: impl Display) -> Self {
        self.advice = Some(Harmless(advice).to_string());
        self
    }

    pub(super) fn took(mut self, time: Duration) -> Self {
        // Whole microseconds are more than any of this is worth.
        self.ms = Some((time.as_secs_f64() * 1e6).round() / 1e3);
        self
    }

    pub(super) fn is_wrong(&self) -> bool {
        self.ok == Some(false)
    }

    /// For people: one line.
    pub(super) fn line(&self) -> String {
        let mark = match self.ok {
            Some(true) => "ok",
            Some(false) => "wrong",
            None => "-",
        };
        let time = self.ms.map(|ms| format!(" ({ms:.1} ms)"));
        let advice = self.advice.as_ref().map(|advice| format!("; {advice}"));
        format!(
            "{mark:<5}  {:<STEP$}  {}{}{}\n",
            self.step,
            self.detail,
            time.unwrap_or_default(),
            advice.unwrap_or_default(),
        )
    }
}

/// Says each finding on stdout, and remembers whether one was wrong.
#[derive(Debug)]
pub(super) struct Sheet {
    json: bool,
    wrong: bool,
}

impl Sheet {
    pub(super) fn new(json: bool) -> Self {
        Sheet { json, wrong: false }
    }

    pub(super) fn say(&mut self, finding: &Finding) {
        self.wrong |= finding.is_wrong();
        let line = match self.json {
            false => finding.line(),
            // Of a type whose keys are strings: there is nothing that can fail.
            true => serde_json::to_string(finding).unwrap_or_default() + "\n",
        };
        match std::io::stdout().lock().write_all(line.as_bytes()) {
            // A reader that has gone is no failure.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.wrong = true;
                report::error(format_args!("stdout: {error}"));
            }
            _ => {}
        }
    }

    pub(super) fn code(&self) -> u8 {
        if self.wrong { FAILED } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_aligned_and_what_is_foreign_in_it_is_harmless() {
        let found = Finding::wrong("tls", "it says \x1b[31m\r\n").advice("ask \u{202e}it");
        assert_eq!(
            found.line(),
            "wrong  tls         it says \\u{1b}[31m\\r\\n; ask \\u{202e}it\n"
        );
        let found = Finding::ok("throughput", "fast").took(Duration::from_micros(1_234));
        assert_eq!(found.line(), "ok     throughput  fast (1.2 ms)\n");
        let json = serde_json::to_string(&found).unwrap();
        assert_eq!(
            json,
            r#"{"step":"throughput","ok":true,"detail":"fast","advice":null,"ms":1.234}"#
        );
        let untried = Finding::untried("key", "x\u{9b}");
        assert_eq!(untried.line(), "-      key         x\\u{9b}\n");
        assert!(!untried.is_wrong());
    }
}
