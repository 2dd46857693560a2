//! `redial run` on many hosts.

mod json;
mod prefix;
mod roll;
mod writer;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redial_client::{Bytes, Output, new_job_id};
use redial_fleet::{End, Event, Fleet, Halt, JobIds, Journal, Order, What};

use super::log;
use crate::args::LogFormat;
use crate::exit_code::FAILED;
use crate::interrupt::{Interrupts, Step};
use crate::report;
use crate::settings::{FleetSettings, OutputMode, SettingsError, Verbosity};
use json::Json;
use prefix::Prefix;
use roll::Roll;
use writer::{Chunk, Desk};

/// What `--stdin-all` reads at most.
const STDIN_MAX_BYTES: u64 = 64 << 20;
/// Connections that do not answer our goodbye are not waited for.
const CLOSING: Duration = Duration::from_secs(3);
/// Who leaves waits so long for what is said to be read.
const LEAVING: Duration = Duration::from_secs(1);

/// Runs it; the result is our exit code.
///
/// # Errors
///
/// A setting cannot be used.
pub(crate) fn fleet(settings: FleetSettings) -> Result<u8, SettingsError> {
    if std::env::var_os(log::VARIABLE).is_some() {
        log::start(LogFormat::Human, "warn");
    }
    let mut command = settings.command()?.manual_acknowledge(true);
    if settings.stdin_all {
        command = command.input(stdin()?);
    }
    let failed = |what: &str, error: String| SettingsError(format!("{what}: {error}"));
    let first = new_job_id().map_err(|error| failed("cannot start", error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("cannot start", error.to_string()))?;
    let order = Order {
        command,
        ids: JobIds(first),
        detach: settings.work.detach.is_some(),
        earlier: std::collections::HashMap::new(),
    };
    let ended = runtime.block_on(execute(Arc::new(settings), order));
    Ok(ended.unwrap_or_else(|error| {
        report::error(format_args!("cannot start: {error}"));
        FAILED
    }))
}

/// All of it: each host gets the same.
fn stdin() -> Result<Bytes, SettingsError> {
    let mut bytes = Vec::new();
    let read = io::stdin()
        .take(STDIN_MAX_BYTES + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read stdin: {error}"))?;
    if bytes.len() as u64 > STDIN_MAX_BYTES {
        return Err("--stdin-all: stdin has more than 64 MiB".to_owned().into());
    }
    Ok(bytes.into())
}

struct Forget;

impl Journal for Forget {
    fn sent(&self, _: usize, _: [u8; 16]) -> io::Result<()> {
        Ok(())
    }
}

async fn execute(settings: Arc<FleetSettings>, order: Order) -> io::Result<u8> {
    let mut interrupts = Interrupts::listen()?;
    let mut run = Run {
        roll: Roll::new(&settings),
        show: Show::new(&settings, order.ids),
        desk: Desk::start()?,
        settings: &settings,
        stopped: [false; 2],
        began: Instant::now(),
        unwritten: false,
    };
    let hosts = 0..settings.hosts.names().len();
    let directory = settings.hosts.clone();
    let mut fleet = Fleet::new(settings.plan, hosts, order, directory, Arc::new(Forget))
        .deadline(settings.total_deadline);
    loop {
        let is_behind = run.desk.is_behind();
        tokio::select! {
            event = fleet.next(), if !is_behind => match event {
                Some(event) => run.event(event),
                None => break,
            },
            failure = run.desk.next() => {
                if let Some(failure) = failure {
                    run.cannot_write(failure);
                }
            }
            (step, signal) = interrupts.next() => {
                run.interrupted(step, signal, &mut fleet);
                if step == Step::Leave {
                    break;
                }
            }
        }
    }
    let code = run.conclude(&fleet).await;
    fleet.close(CLOSING).await;
    Ok(code)
}

/// What becomes of outputs.
enum Show {
    Prefix(Prefix),
    Json(Json),
    Quiet,
}

impl Show {
    fn new(settings: &FleetSettings, ids: JobIds) -> Self {
        match settings.output {
            OutputMode::Prefix | OutputMode::Group | OutputMode::Fold { .. } => {
                Show::Prefix(Prefix::default())
            }
            OutputMode::Json => Show::Json(Json::new(ids)),
            OutputMode::Quiet => Show::Quiet,
        }
    }
}

/// A run that is followed to its end.
struct Run<'s> {
    settings: &'s FleetSettings,
    roll: Roll,
    show: Show,
    desk: Desk,
    /// Nobody reads our stdout, or stderr, any more.
    stopped: [bool; 2],
    began: Instant,
    /// Something could not be written: the commands' codes would lie.
    unwritten: bool,
}

impl Run<'_> {
    fn event(&mut self, Event { host, what }: Event) {
        let Some(host) = host else {
            return self.total_deadline();
        };
        let name = self.settings.hosts.name(host);
        if let Show::Json(json) = &mut self.show
            && let Some(chunk) = json.event(host, name, &what)
        {
            self.desk.push(chunk);
        }
        match what {
            What::Connecting => self.roll.connecting(host),
            What::Running { pid, .. } => {
                self.roll.running(host);
                self.say(format_args!("{name}: runs as pid {pid}"));
            }
            What::Data {
                stream,
                bytes,
                receipt,
                ..
            } => {
                if self.stopped[stream.index()] {
                    return receipt.refuse();
                }
                match &mut self.show {
                    Show::Prefix(prefix) => {
                        let lines = prefix.take(host, name, stream, &bytes);
                        self.desk.push(Chunk::new(stream, lines).receipt(receipt));
                    }
                    Show::Json(_) => {}
                    Show::Quiet => receipt.give(),
                }
            }
            What::Again { why } => {
                self.roll.waits_again(host);
                self.say(format_args!("{name}: tried again: {why}"));
            }
            What::Dropped(reason) => {
                self.say(format_args!(
                    "{name}: line dropped ({reason}), dialling again"
                ));
            }
            What::Back(after) => {
                let after = after.as_secs_f64();
                self.say(format_args!(
                    "{name}: line back after {after:.1} s, nothing lost"
                ));
            }
            What::Missed { stream, from, to } => {
                if self.settings.verbosity > Verbosity::Quiet {
                    let text = format_args!("{name}: bytes {from} to {to} of {stream} are gone");
                    report::note(text);
                }
            }
            What::Ended(end) => self.ended(host, &end),
            What::Exited(_) | What::TotalDeadline => {}
        }
    }

    fn ended(&mut self, host: usize, end: &End) {
        let name = self.settings.hosts.name(host);
        if let Show::Prefix(prefix) = &mut self.show {
            for (stream, lines) in prefix.finish(host, name) {
                if !self.stopped[stream.index()] {
                    self.desk.push(Chunk::new(stream, lines));
                }
            }
            if let End::Detached(job) = end {
                let line = format!("{name}/{job}\n").into_bytes();
                self.desk.push(Chunk::new(Output::Stdout, line));
            }
        }
        let verdict = self.roll.ended(host, end);
        if let Show::Json(json) = &mut self.show {
            let last = json.ended(host, name, end, &verdict);
            self.desk.push(last);
        }
        let how = self.roll.how(host);
        self.say(format_args!("{name}: {how}"));
    }

    fn total_deadline(&mut self) {
        self.roll.total_deadline();
        if self.settings.verbosity > Verbosity::Quiet {
            report::note("the time for all of it is over: ending what runs");
        }
    }

    fn interrupted(&mut self, step: Step, signal: u8, fleet: &mut Fleet) {
        self.roll.interrupted(signal);
        let (halt, text) = match step {
            Step::Interrupt => (
                Halt::Interrupt,
                "interrupted: no other host is begun, SIGINT to what runs",
            ),
            Step::Cancel => (Halt::Cancel, "ending what runs: TERM, KILL in 5 s"),
            Step::Leave => (
                Halt::Leave,
                "left; what runs may still run, --on-drop decides",
            ),
        };
        fleet.halt(halt);
        if self.settings.verbosity > Verbosity::Quiet {
            report::note(text);
        }
    }

    /// Nobody reads this any more: the commands learn it as they would here.
    fn cannot_write(&mut self, (stream, error): (Output, io::Error)) {
        self.stopped[stream.index()] = true;
        if error.kind() != io::ErrorKind::BrokenPipe {
            report::error(format_args!("cannot write {stream}: {error}"));
            self.unwritten = true;
        }
    }

    /// The end of what is written, the table, and our exit code.
    async fn conclude(mut self, fleet: &Fleet) -> u8 {
        for host in fleet.left() {
            self.roll.not_begun(host);
        }
        let code = match self.unwritten {
            true => FAILED,
            false => self.roll.code(),
        };
        if let Show::Json(_) = &self.show {
            for host in fleet.left() {
                self.desk
                    .push(json::not_begun(self.settings.hosts.name(host)));
            }
            self.desk.push(self.roll.summary(code));
        }
        let left = self.roll.is_left();
        let written = self.desk.finish();
        if left {
            // In vain, if we leave because nobody reads.
            let _ = tokio::time::timeout(LEAVING, written).await;
        } else {
            for failure in written.await {
                if failure.1.kind() != io::ErrorKind::BrokenPipe {
                    report::error(format_args!("cannot write {}: {}", failure.0, failure.1));
                    return FAILED;
                }
            }
        }
        if self.settings.verbosity > Verbosity::Quiet {
            let too_many = fleet.has_failed_too_often();
            let table =
                self.roll
                    .table(self.settings.hosts.names(), self.began.elapsed(), too_many);
            report::table(&table);
        }
        code
    }

    fn say(&self, text: std::fmt::Arguments<'_>) {
        if self.settings.verbosity == Verbosity::Verbose {
            report::note(text);
        }
    }
}
