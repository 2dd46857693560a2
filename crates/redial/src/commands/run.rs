//! `redial run`: one command on one host.

mod begin;
mod fate;
mod line;
mod screen;

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use redial_client::{
    Client, ConnectError, Job, JobError, JobEvent, JobHandle, JobId, Outcome, Output, PendingLogin,
    StartError, Target,
};
use tokio::task::JoinHandle;

use super::log;
use crate::args::LogFormat;
use crate::exit_code::{self, FAILED};
use crate::interrupt::{Interrupts, Step};
use crate::json::{ErrorKind, Event, OutcomeLine};
use crate::report;
use crate::settings::{Program, RunSettings, SettingsError, Verbosity};
use crate::sinks::{Replaced, Sinks};
use crate::stdin;
use begin::{detach, start};
use fate::Fate;
use screen::Screen;

/// From TERM to KILL at the second interrupt.
const CANCEL_GRACE: Duration = Duration::from_secs(5);
/// Who leaves waits so long for what is said to be read.
const LEAVING: Duration = Duration::from_secs(1);
/// SIGINT, as its number is everywhere.
const SIGINT: u8 = 2;
/// SIGHUP: who leaves a terminal hangs up.
const SIGHUP: u8 = 1;

/// Runs it; the result is our exit code.
pub(crate) fn run(settings: &RunSettings) -> u8 {
    if std::env::var_os(log::VARIABLE).is_some() {
        log::start(LogFormat::Human, "warn");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(execute(settings)),
        Err(error) => Err(Failure::Here("cannot start", error)),
    };
    ended.unwrap_or_else(|failure| {
        if settings.json {
            line::print(&line::failed(settings, &failure).event());
        }
        if let Failure::Interrupted(signal) | Failure::Left(_, signal) = failure {
            return exit_code::interrupted(signal);
        }
        report::error(format_args!("{failure}"));
        FAILED
    })
}

/// Settings that cannot be used, as `--json` says it.
pub(crate) fn refused(host: &OsStr, error: &SettingsError) {
    let host = host.to_string_lossy().into_owned();
    let line = OutcomeLine::failed(host, None, ErrorKind::Usage, error.to_string());
    line::print(&line.event());
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Connect(#[from] Box<ConnectError>),
    #[error("{0:#} {1}")]
    Start(Target, StartError),
    #[error("{0}")]
    Name(String),
    #[error("{0}: {1}")]
    Here(&'static str, io::Error),
    #[error("interrupted by signal {0}")]
    Interrupted(u8),
    #[error("left before the server had answered; it may run, its drop policy decides")]
    Left(JobId, u8),
}

/// A command goes with the login; what there is already is asked about first.
async fn reach(settings: &RunSettings) -> Result<PendingLogin, ConnectError> {
    let (target, options) = (&settings.way.target, settings.way.options());
    match settings.work.program {
        Program::Job { .. } => Client::connect(target, options)
            .await
            .map(PendingLogin::from),
        _ => Client::reach(target, options).await,
    }
}

async fn execute(settings: &RunSettings) -> Result<u8, Failure> {
    let mut interrupts =
        Interrupts::listen().map_err(|error| Failure::Here("cannot hear signals", error))?;
    // Nothing runs yet, so whoever interrupts wants us to end.
    let login = tokio::select! {
        login = reach(settings) => login.map_err(Box::new)?,
        (_, signal) = interrupts.next() => return Err(Failure::Interrupted(signal)),
    };
    let client = login.client().clone();
    let (job, step) = start(login, settings, &mut interrupts).await?;
    if settings.work.detach.is_some() {
        let code = detach(settings, job).await;
        client.close().await;
        return Ok(code);
    }
    let handle = job.handle();
    let replaced = Replaced::default();
    let sinks = Sinks::new(&handle, settings.form(), &replaced);
    let mut screen = Screen::new(settings.escape);
    let feed = || {
        let typist = screen.typist();
        stdin::feed(handle.clone(), settings.charset, replaced.clone(), typist)
    };
    let feeder = settings.work.stdin.then(feed).transpose();
    let feeder = feeder.map_err(|error| Failure::Here("cannot read stdin", error))?;
    let mut run = Run {
        settings,
        handle,
        interrupts,
        sinks,
        replaced,
        feeder,
        screen,
        fate: Fate::of(&client, settings),
        ended: None,
        failed: None,
    };
    if let Some(step) = step {
        run.interrupted(step);
    }
    let (code, left) = run.follow(job).await;
    if !left {
        client.close().await;
    }
    Ok(code)
}

fn say_left(job: JobId, target: &Target, fate: Fate) {
    report::error(format_args!(
        "left job {job} on {target}; {}",
        fate.of_the_job()
    ));
}

/// A job that is followed to its end.
struct Run<'s> {
    settings: &'s RunSettings,
    handle: JobHandle,
    interrupts: Interrupts,
    sinks: Sinks,
    replaced: Replaced,
    /// What became of reading stdin.
    feeder: Option<JoinHandle<io::Result<()>>>,
    /// Where the job has a terminal.
    screen: Screen,
    fate: Fate,
    ended: Option<Result<Box<Outcome>, JobError>>,
    /// An output could not be written, or stdin not read: the command's code would lie.
    failed: Option<(ErrorKind, String)>,
}

impl Run<'_> {
    /// The exit code, and whether we leave a job that may still run.
    async fn follow(mut self, mut job: Job) -> (u8, bool) {
        loop {
            let done = self.ended.is_some();
            tokio::select! {
                event = job.next(), if !done => self.event(event),
                failure = self.sinks.next_failure() => match failure {
                    Some((stream, error)) => {
                        self.sink_failed(stream, &error);
                        // Whoever reads us has seen enough, and the job is another's.
                        if !self.settings.work.holds() && self.ended.is_none() {
                            return (if self.failed.is_some() { FAILED } else { 0 }, true);
                        }
                    }
                    None => break,
                },
                (step, signal) = self.interrupts.next() => {
                    if self.interrupted(step) {
                        self.said().await;
                        return (exit_code::interrupted(signal), true);
                    }
                }
                read = fed(&mut self.feeder) => self.stdin_ended(read),
                done = self.screen.next() => {
                    if self.on_screen(done) {
                        self.said().await;
                        return (exit_code::interrupted(SIGHUP), true);
                    }
                }
            }
        }
        // Not before all of the job's is shown: it is meant for a raw one.
        self.screen.close();
        let code = match self.ended.take() {
            Some(Ok(outcome)) => self.conclude(&outcome),
            Some(Err(error)) => {
                report::error(format_args!("{:#} {error}", self.settings.way.target));
                FAILED
            }
            None => FAILED,
        };
        self.say_replaced();
        let code = if self.failed.is_some() { FAILED } else { code };
        (code, false)
    }

    fn event(&mut self, event: Option<Result<JobEvent, JobError>>) {
        match event {
            Some(Ok(JobEvent::Data {
                stream,
                offset,
                bytes,
            })) => {
                self.sinks.write(stream, offset, bytes);
            }
            Some(Ok(JobEvent::Attached {
                pid,
                exact,
                terminal,
            })) => {
                self.attached(pid, exact);
                if terminal && self.settings.work.holds() && self.ended.is_none() {
                    self.open_screen();
                }
            }
            Some(Ok(JobEvent::StdinClosed)) => {
                self.feeder = None;
                // Nothing is typed any more, so Ctrl-C is ours again.
                self.screen.close();
            }
            Some(Ok(JobEvent::LineDropped { reason })) => self.line_dropped(&reason),
            Some(Ok(JobEvent::LineBack { after })) => self.line_back(after),
            Some(Ok(JobEvent::Ended(outcome))) => self.end(Ok(outcome)),
            Some(Err(error)) => self.end(Err(error)),
            Some(Ok(JobEvent::Exited(exit))) if self.settings.json => {
                self.sinks.say(Event::exited(exit));
            }
            Some(Ok(JobEvent::Missed { stream, from, to })) => self.missed(stream, from, to),
            Some(Ok(JobEvent::Eof { .. } | JobEvent::Exited(_))) => {}
            None => self.sinks.finish(),
        }
    }

    fn attached(&mut self, pid: u32, exact: bool) {
        self.fate = self.fate.reaching(exact);
        if self.settings.json {
            let (job, host) = (self.handle.id(), self.settings.way.target.to_string());
            self.sinks.say(Event::started(job, host, pid, exact));
        }
        let reach = if exact {
            "exactly"
        } else {
            "as far as it can be found"
        };
        self.say(format_args!(
            "job {} runs as pid {pid}; a cancel reaches its tree {reach}",
            self.handle.id()
        ));
    }

    /// What has arrived is still written before we end.
    fn end(&mut self, how: Result<Box<Outcome>, JobError>) {
        if self.settings.json {
            self.sinks.say(self.outcome_line(&how).event());
            // What our stdin does from now on changes nothing: the last line is said.
            self.feeder.take_if(|feeder| !feeder.is_finished());
        }
        self.ended = Some(how);
        self.sinks.finish();
    }

    /// Nobody reads this output any more: the command learns it as it would here.
    fn sink_failed(&mut self, stream: Output, error: &io::Error) {
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.fail(format!("cannot write {stream}: {error}"));
        }
        let both = self.settings.json;
        for stream in Output::BOTH.into_iter().filter(|&it| both || it == stream) {
            // If the job is over, there is nobody to tell.
            let _ = self.handle.stop(stream);
        }
    }

    fn stdin_ended(&mut self, read: io::Result<()>) {
        self.feeder = None;
        if let Err(error) = read {
            self.fail(format!("cannot read stdin: {error}"));
        }
    }

    fn fail(&mut self, message: String) {
        report::error(&message);
        self.failed.get_or_insert((ErrorKind::Here, message));
    }

    /// True if we leave.
    fn interrupted(&mut self, step: Step) -> bool {
        if self.ended.is_some() {
            // Only our own writing is left, and nobody reads that.
            return true;
        }
        if !self.settings.work.holds() {
            // It is another's: we only leave.
            self.say_leaving();
            return true;
        }
        // A control that cannot be sent any more is one for a job that is over.
        match step {
            Step::Interrupt => {
                let _ = self.handle.signal(SIGINT);
            }
            Step::Cancel => {
                let asked = self.handle.cancel(CANCEL_GRACE);
                if asked.is_ok() && self.settings.verbosity > Verbosity::Quiet {
                    report::note(format_args!(
                        "ending its processes: TERM, KILL in {} s",
                        CANCEL_GRACE.as_secs()
                    ));
                }
            }
            Step::Leave => {
                say_left(self.handle.id(), &self.settings.way.target, self.fate);
                self.say_leaving();
            }
        }
        step == Step::Leave
    }

    fn conclude(&self, outcome: &Outcome) -> u8 {
        let verdict =
            exit_code::verdict(outcome, self.interrupts.last(), self.settings.work.deadline);
        if self.settings.verbosity > Verbosity::Quiet {
            for holder in &outcome.holders {
                report::note(format_args!(
                    "pid {} ({}) still holds the output open; {}",
                    holder.pid,
                    holder.name,
                    self.fate.of_a_holder()
                ));
            }
        }
        self.say(format_args!(
            "{} after {} ms, {} ms of CPU; {}",
            outcome.status,
            outcome.duration.as_millis(),
            outcome.cpu.as_millis(),
            self.fate.of_the_rest(outcome.lingering)
        ));
        if let Some(reason) = verdict.reason {
            report::error(reason);
        }
        verdict.code
    }

    fn say(&self, text: std::fmt::Arguments<'_>) {
        if self.settings.verbosity == Verbosity::Verbose {
            report::note(text);
        }
    }
}

/// The end of reading stdin; never, if there is no reading. Cancel-safe.
async fn fed(feeder: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    match feeder {
        Some(task) => task
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error))),
        None => std::future::pending().await,
    }
}
