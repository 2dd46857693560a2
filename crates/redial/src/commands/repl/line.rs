//! One line: a job like any other, and the state its shell says at its end.

use std::io;
use std::time::Duration;

use redial_client::{
    Bytes, Cause, Client, Command, Job, JobError, JobEvent, JobHandle, Outcome, Output, StartError,
    Status, new_job_id,
};

use super::{Column, Failure, Next, SIGINT, Session};
use crate::charset;
use crate::commands::line_status;
use crate::exit_code;
use crate::interrupt::Step;
use crate::repl::{Filter, Found, Marker, State};
use crate::report;
use crate::settings::Verbosity;
use crate::sinks::{Replaced, Sinks};

/// From TERM to KILL at the first interrupt.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// A line that runs.
struct Running {
    handle: JobHandle,
    sinks: Sinks,
    filter: Filter,
    ended: Option<Result<Box<Outcome>, JobError>>,
    /// There is no next line: TERM or HUP was heard, or our stdout is gone.
    next: Next,
}

impl Session<'_> {
    /// Runs a line; what it means for us is in the session then.
    pub(super) async fn line(&mut self, client: &Client, line: &[u8]) -> Result<Next, Failure> {
        let marker = Marker::new()?;
        let Some(line) = self.sendable(line) else {
            return Ok(Next::Line);
        };
        let command = self.shell.line(&line, &self.state, &self.base, &marker);
        let Some((mut job, steps)) = self.start(client, command).await? else {
            return Ok(Next::Line);
        };
        let replaced = Replaced::default();
        let sinks = Sinks::new(&job.handle(), self.settings.form(), &replaced);
        let mut running = Running {
            handle: job.handle(),
            sinks,
            filter: Filter::new(&marker),
            ended: None,
            next: Next::Line,
        };
        for (step, signal) in steps {
            self.interrupted(&mut running, step, signal);
        }
        let left = self.follow(&mut job, &mut running).await;
        if let Some(charset) = self.settings.charset
            && let Some(losses) = charset::losses(charset, replaced.counts())
        {
            self.note(losses);
        }
        match running.ended.take() {
            Some(Ok(outcome)) => self.conclude(&outcome, running.filter),
            Some(Err(error @ (JobError::Incomplete { .. } | JobError::OtherStdin { .. }))) => {
                self.fresh_line();
                self.refuse(&error.to_string());
            }
            Some(Err(error)) => return Err(Failure::Job(self.settings.way.target.clone(), error)),
            None => {}
        }
        match left {
            Some(signal) => Err(Failure::Interrupted(signal)),
            None => Ok(running.next),
        }
    }

    /// The line as the host reads it. It says why, if it cannot be sent.
    fn sendable(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if line.contains(&0) {
            self.refuse("the line holds a NUL byte, which no argument can");
            return None;
        }
        let Some(charset) = self.settings.charset else {
            return Some(line.to_vec());
        };
        let name = charset.name();
        let encoded = match std::str::from_utf8(line) {
            Ok(text) => charset
                .encode(text)
                .map_err(|lost| format!("{lost:?} cannot be written in {name}; nothing ran")),
            Err(_) => Err(format!(
                "the line is no UTF-8, so it cannot be sent in {name}"
            )),
        };
        encoded.map_err(|reason| self.refuse(&reason)).ok()
    }

    /// Starts it. Once that is asked for, it may run: whoever interrupts is heard, and
    /// that is for the job when there is one. `None`: the server said no, and why is said.
    async fn start(
        &mut self,
        client: &Client,
        command: Command,
    ) -> Result<Option<(Job, Vec<(Step, u8)>)>, Failure> {
        let target = &self.settings.way.target;
        let failed = |error| Failure::Start(target.clone(), error);
        let id = new_job_id().map_err(failed)?;
        let started = client.start_as(id, command.manual_acknowledge(true));
        tokio::pin!(started);
        let mut steps = Vec::new();
        let started = loop {
            tokio::select! {
                started = &mut started => break started,
                (step, signal) = self.interrupts.next() => {
                    if step == Step::Leave {
                        report::error(format_args!("left job {id} on {target}; it may run"));
                        return Err(Failure::Interrupted(signal));
                    }
                    steps.push((step, signal));
                }
            }
        };
        match started {
            Ok(job) => {
                self.accepted = self.state.clone();
                Ok(Some((job, steps)))
            }
            Err(error @ (StartError::Refused { .. } | StartError::Unsendable(_))) => {
                self.refuse(&error.to_string());
                self.go_back();
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What the last line has left behind may be what no line can have: a variable that may not be set,
    /// one that is too long. Then no other would run either.
    fn go_back(&mut self) {
        if self.state != self.accepted {
            self.state = self.accepted.clone();
            self.note(
                "directory and variables are again as they were before the line that ran last",
            );
        }
    }

    /// To its end. A signal's number if we leave it.
    async fn follow(&mut self, job: &mut Job, running: &mut Running) -> Option<u8> {
        loop {
            let done = running.ended.is_some();
            tokio::select! {
                event = job.next(), if !done => self.event(event, running),
                failure = running.sinks.next_failure() => match failure {
                    Some((stream, error)) => self.sink_failed(running, stream, &error),
                    None => return None,
                },
                (step, signal) = self.interrupts.next() => {
                    if done || self.interrupted(running, step, signal) == Next::Leave {
                        return Some(signal);
                    }
                }
            }
        }
    }

    fn event(&mut self, event: Option<Result<JobEvent, JobError>>, running: &mut Running) {
        match event {
            Some(Ok(JobEvent::Data {
                stream,
                offset,
                bytes,
            })) => {
                let (bytes, end) = match stream {
                    Output::Stdout => running.filter.push(bytes),
                    Output::Stderr => {
                        let end = offset + bytes.len() as u64;
                        (bytes, end)
                    }
                };
                self.moved(&bytes);
                running.sinks.write_up_to(stream, end, bytes);
            }
            Some(Ok(JobEvent::Eof {
                stream: Output::Stdout,
                ..
            })) => {
                let (bytes, end) = running.filter.rest();
                self.moved(&bytes);
                running.sinks.write_up_to(Output::Stdout, end, bytes);
            }
            Some(Ok(JobEvent::LineDropped { reason })) => {
                line_status::dropped(&self.settings.way.target, &reason, None, Verbosity::Normal);
            }
            Some(Ok(JobEvent::LineBack { after })) => {
                line_status::back(&self.settings.way.target, after, Verbosity::Normal);
            }
            Some(Ok(JobEvent::Ended(outcome))) => running.end(Ok(outcome)),
            Some(Err(error)) => running.end(Err(error)),
            Some(Ok(_)) => {}
            None => running.sinks.finish(),
        }
    }

    /// The cursor is behind this.
    fn moved(&mut self, bytes: &Bytes) {
        self.column = match bytes.last() {
            None => self.column,
            Some(b'\n') => Column::First,
            Some(_) => Column::Other,
        };
    }

    /// Nobody reads this output any more: the command learns it, and later lines would
    /// be typed blindly.
    fn sink_failed(&mut self, running: &mut Running, stream: Output, error: &io::Error) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            report::error(format_args!("cannot write {stream}: {error}"));
        }
        if stream == Output::Stdout {
            running.next = Next::Leave;
        }
        // If the job is over, there is nobody to tell.
        let _ = running.handle.stop(stream);
    }

    fn interrupted(&mut self, running: &mut Running, step: Step, signal: u8) -> Next {
        // The terminal has shown it: ^C.
        self.column = Column::Other;
        if signal != SIGINT {
            running.next = Next::Leave;
        }
        let grace = match step {
            Step::Interrupt => CANCEL_GRACE,
            Step::Cancel if signal != SIGINT => CANCEL_GRACE,
            Step::Cancel => Duration::ZERO,
            Step::Leave => {
                let (job, target) = (running.handle.id(), &self.settings.way.target);
                self.fresh_line();
                report::error(format_args!("left job {job} on {target}; it may still run"));
                return Next::Leave;
            }
        };
        // One that cannot be sent any more is for a job that is over.
        let _ = running.handle.cancel(grace);
        Next::Line
    }

    fn conclude(&mut self, outcome: &Outcome, filter: Filter) {
        // Those of a cancelled line are being ended.
        let stay = !matches!(outcome.cause, Cause::Cancelled(_));
        for holder in outcome.holders.iter().filter(|_| stay) {
            self.note(format_args!(
                "pid {} ({}) still holds the output open; what it writes later is lost",
                holder.pid, holder.name
            ));
        }
        let verdict = exit_code::verdict(outcome, self.interrupts.last(), None);
        self.code = verdict.code;
        let how = match (&verdict.reason, &outcome.status, &outcome.cause) {
            (Some(reason), ..) => reason.clone(),
            (None, _, Cause::Cancelled(_)) => format!("cancelled, exit code {}", self.code),
            (None, Status::Signaled { signal, .. }, _) => {
                format!("ended by signal {signal}, exit code {}", self.code)
            }
            _ => format!("exit code {}", self.code),
        };
        if self.code != 0 {
            self.fresh_line();
            report::error(how);
        }
        self.take_over(outcome, filter);
    }

    /// What the shell has said of its end is where the next line begins. One that was
    /// killed has left things half done, and says nothing that counts.
    fn take_over(&mut self, outcome: &Outcome, filter: Filter) {
        match (&outcome.status, &outcome.cause) {
            (Status::Exited(_), Cause::Itself) => {}
            (Status::NotStarted { stage, .. }, _) if stage.ends_with("directory") => {
                self.state = self.state.clone().in_dir(None);
                report::error("nothing ran; the next line begins in the home directory");
                return;
            }
            _ => return,
        }
        let unchanged = match filter.finish() {
            Found::Nothing => return,
            Found::TooLong => "they are longer than 1 MiB".to_owned(),
            Found::State(said) => match State::parse(&said) {
                Ok(state) => {
                    self.state = state;
                    return;
                }
                Err(error) => error.to_string(),
            },
        };
        self.note(format_args!(
            "directory and variables stay as they were before the line: {unchanged}"
        ));
    }

    fn note(&mut self, text: impl std::fmt::Display) {
        if self.settings.verbosity > Verbosity::Quiet {
            self.fresh_line();
            report::note(text);
        }
    }
}

impl Running {
    /// What has arrived is still written before the next line.
    fn end(&mut self, how: Result<Box<Outcome>, JobError>) {
        self.ended = Some(how);
        self.sinks.finish();
    }
}
