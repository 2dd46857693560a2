//! What `--json` says at the end, of every kind of end.

use std::time::Duration;

use redial_client::{JobError, Lost, Outcome, Output};
use tokio::time::timeout;

use super::{Failure, LEAVING, Run};
use crate::charset;
use crate::commands::line_status;
use crate::exit_code;
use crate::json::{self, ErrorKind, Event, OutcomeLine};
use crate::report;
use crate::settings::{RunSettings, Verbosity};
use crate::sinks::write_all;

/// There was no job, or nobody knows.
pub(super) fn failed(settings: &RunSettings, failure: &Failure) -> OutcomeLine {
    let (kind, job) = match failure {
        Failure::Connect(_) => (ErrorKind::Connect, None),
        Failure::Start(_, error) => (json::start_kind(error), None),
        Failure::Here(..) => (ErrorKind::Here, None),
        Failure::Name(_) => (ErrorKind::Refused, None),
        Failure::Interrupted(_) => (ErrorKind::Interrupted, None),
        Failure::Left(job, _) => (ErrorKind::Left, Some(*job)),
    };
    let line = OutcomeLine::failed(
        settings.way.target.to_string(),
        job,
        kind,
        failure.to_string(),
    );
    match failure {
        Failure::Interrupted(signal) | Failure::Left(_, signal) => line.interrupted(Some(*signal)),
        _ => line,
    }
}

/// Writes a line that no writer is there for.
pub(crate) fn print(event: &Event) {
    let mut line = Vec::new();
    event.write(&mut line);
    // Whoever closed our stdout does not want it; the reason is on stderr too.
    let _ = write_all(Output::Stdout, &[line]);
}

impl Run<'_> {
    pub(super) fn outcome_line(&self, how: &Result<Box<Outcome>, JobError>) -> OutcomeLine {
        let (host, job) = (self.settings.way.target.to_string(), self.handle.id());
        let of = |outcome: &Outcome| {
            let (asked, deadline) = (self.interrupts.last(), self.settings.work.deadline);
            let verdict = exit_code::verdict(outcome, asked, deadline);
            OutcomeLine::of(host.clone(), job, outcome, &verdict)
        };
        let line = match how {
            Ok(outcome) => of(outcome),
            Err(error) => match json::kind(error) {
                (kind, Some(outcome)) => of(outcome).but_failed(kind, error.to_string()),
                (kind, None) => OutcomeLine::failed(host, Some(job), kind, error.to_string()),
            },
        };
        let line = match self.interrupts.last() {
            Some(_) => line.during_interrupts(),
            None => line,
        };
        match &self.failed {
            Some((kind, message)) => line.but_failed(*kind, message.clone()),
            None => line,
        }
    }

    /// The user leaves the job.
    pub(super) fn say_leaving(&mut self) {
        if self.settings.json {
            let (host, job) = (self.settings.way.target.to_string(), self.handle.id());
            let message = self.fate.of_the_job().to_owned();
            let line = OutcomeLine::failed(host, Some(job), ErrorKind::Left, message);
            self.sinks
                .say(line.interrupted(self.interrupts.last()).event());
        }
        self.sinks.finish();
    }

    /// Bytes are gone on the server.
    pub(super) fn missed(&mut self, stream: Output, from: u64, to: u64) {
        if self.settings.json {
            self.sinks.say(Event::missed(stream, from, to));
        }
        if self.settings.verbosity > Verbosity::Quiet {
            report::note(format_args!("bytes {from} to {to} of {stream} are gone"));
        }
    }

    /// Another line is dialled.
    pub(super) fn line_dropped(&mut self, reason: &Lost) {
        if self.settings.json {
            let reason = reason.to_string();
            self.sinks.say(Event::Dropped { reason });
        }
        let way_out = self.screen.way_out();
        let (target, verbosity) = (&self.settings.way.target, self.settings.verbosity);
        line_status::dropped(target, reason, way_out, verbosity);
    }

    /// It is there.
    pub(super) fn line_back(&mut self, after: Duration) {
        if self.settings.json {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            self.sinks.say(Event::Back { after_ms });
        }
        line_status::back(&self.settings.way.target, after, self.settings.verbosity);
    }

    /// Waits until what is said is written, or nobody seems to read it.
    pub(super) async fn said(&mut self) {
        let written = async { while self.sinks.next_failure().await.is_some() {} };
        // In vain, if we are leaving because nobody reads.
        if self.settings.json && self.ended.is_none() {
            let _ = timeout(LEAVING, written).await;
        }
    }

    /// What `--charset` could not carry over.
    pub(super) fn say_replaced(&self) {
        let charset = self.settings.charset;
        let losses = charset.and_then(|it| charset::losses(it, self.replaced.counts()));
        if let Some(losses) = losses
            && self.settings.verbosity > Verbosity::Quiet
        {
            report::note(losses);
        }
    }
}
