//! `redial repl`: line after line on one host, as if in one shell.

mod line;

use std::io;

use redial_client::{Client, JobError, Output, StartError, Target};

use super::log;
use crate::args::LogFormat;
use crate::exit_code::{self, FAILED};
use crate::interrupt::Interrupts;
use crate::repl::{
    Filter, Found, Input, Lines, Marker, Shell, State, StateError, candidates, probe,
};
use crate::report;
use crate::settings::{ReplSettings, Verbosity};
use crate::sinks::write_all;

/// SIGINT, as its number is everywhere.
const SIGINT: u8 = 2;
/// What the probe may say: a state, and its sum.
const PROBE_MAX_BYTES: usize = 2 << 20;

/// Runs it; the result is our exit code.
pub(crate) fn repl(settings: &ReplSettings) -> u8 {
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
    ended.unwrap_or_else(|failure| match failure {
        Failure::Interrupted(signal) => exit_code::interrupted(signal),
        failure => {
            report::error(format_args!("{failure}"));
            FAILED
        }
    })
}

/// Why there can be no more lines.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Connect(#[from] redial_client::ConnectError),
    #[error("{0:#} {1}")]
    Start(Target, StartError),
    #[error("{0:#} {1}")]
    Job(Target, JobError),
    #[error("{0}: {1}")]
    Here(&'static str, io::Error),
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    #[error("{0}")]
    Host(String),
    #[error("interrupted by signal {0}")]
    Interrupted(u8),
}

/// Whether there is a next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Line,
    Leave,
}

async fn execute(settings: &ReplSettings) -> Result<u8, Failure> {
    let mut interrupts =
        Interrupts::listen().map_err(|error| Failure::Here("cannot hear signals", error))?;
    let options = settings.way.options();
    let begin = async {
        let client = Client::connect(&settings.way.target, options).await?;
        let base = begin(&client, settings).await?;
        Ok::<_, Failure>((client, base))
    };
    let (client, base) = tokio::select! {
        begun = begin => begun?,
        (_, signal) = interrupts.next() => return Err(Failure::Interrupted(signal)),
    };
    let shell = shell(settings, &base);
    let lines = Lines::start().map_err(|error| Failure::Here("cannot read lines", error))?;
    let mut session = Session {
        settings,
        accepted: base.clone().with(settings.env.clone()),
        state: base.clone().with(settings.env.clone()),
        base,
        shell,
        lines,
        interrupts,
        code: 0,
        column: Column::First,
    };
    let ended = session.run(&client).await;
    session.lines.restore();
    ended?;
    client.close().await;
    Ok(session.code)
}

/// The shell for the lines.
fn shell(settings: &ReplSettings, base: &State) -> Shell {
    if let Some(path) = &settings.shell {
        return Shell::at(path);
    }
    let (shell, known) = Shell::of(base);
    if !known && settings.verbosity > Verbosity::Quiet {
        let login = String::from_utf8_lossy(base.variable("SHELL").unwrap_or_default());
        report::note(format_args!(
            "lines run in /bin/sh, not in the login shell there ({login}); --shell PATH decides"
        ));
    }
    shell
}

/// Asks the host where lines begin.
async fn begin(client: &Client, settings: &ReplSettings) -> Result<State, Failure> {
    let marker = Marker::new()?;
    let asked = State::default().in_dir(settings.cwd.as_deref());
    let probe = asked.apply(probe(&marker), &State::default());
    let failed = |error| Failure::Job(settings.way.target.clone(), error);
    let finished = client.run_within(probe, PROBE_MAX_BYTES).await;
    let finished = finished.map_err(failed)?;
    let verdict = exit_code::verdict(&finished.outcome, None, None);
    if let Some(reason) = verdict.reason {
        return Err(Failure::Host(format!("{:#} {reason}", settings.way.target)));
    }
    let mut filter = Filter::new(&marker);
    filter.push(finished.stdout.into());
    let said = match filter.finish() {
        Found::State(said) => State::parse(&said),
        Found::Nothing | Found::TooLong => Err(StateError::Unsaid),
    };
    said.or_else(|error| {
        report::note(format_args!(
            "directory and variables will not stay from line to line: {error}"
        ));
        Ok(asked)
    })
}

/// Where the terminal's cursor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    First,
    Other,
}

/// What there is from line to line.
struct Session<'s> {
    settings: &'s ReplSettings,
    shell: Shell,
    /// With what the server starts commands.
    base: State,
    state: State,
    /// With which a line was started last.
    accepted: State,
    lines: Lines,
    interrupts: Interrupts,
    /// The last line's.
    code: u8,
    column: Column,
}

impl Session<'_> {
    async fn run(&mut self, client: &Client) -> Result<(), Failure> {
        loop {
            self.fresh_line();
            self.interrupts.forget();
            self.lines.ask();
            let next = match self.wanted(client).await? {
                Input::Line(line) if line.iter().all(u8::is_ascii_whitespace) => Next::Line,
                Input::Line(line) => self.line(client, &line).await?,
                Input::TooLong => {
                    self.refuse("the line is longer than 131071 bytes, which no kernel takes");
                    Next::Line
                }
                Input::Failed(error) => return Err(Failure::Here("cannot read lines", error)),
                // A question is answered where it is asked.
                Input::End | Input::Complete(_) => {
                    self.end_prompt();
                    Next::Leave
                }
            };
            if next == Next::Leave {
                return Ok(());
            }
        }
    }

    /// What the user wants; what the editor asks meanwhile is answered.
    async fn wanted(&mut self, client: &Client) -> Result<Input, Failure> {
        loop {
            tokio::select! {
                input = self.lines.next() => match input {
                    Input::Complete(asked) => {
                        candidates(client, &self.state, &self.base, asked).await;
                    }
                    input => return Ok(input),
                },
                (_, signal) = self.interrupts.next() => {
                    // At the prompt Ctrl-C is a key, and clears the line.
                    if signal != SIGINT || !self.lines.interactive() {
                        self.end_prompt();
                        return Err(Failure::Interrupted(signal));
                    }
                }
            }
        }
    }

    /// The line was not run.
    fn refuse(&mut self, reason: &str) {
        self.code = FAILED;
        report::error(reason);
    }

    /// What we say, and the prompt, begin at the left.
    fn fresh_line(&mut self) {
        if self.column == Column::Other && self.lines.interactive() {
            // If our stdout is gone, the next command's output will say so.
            let _ = write_all(Output::Stdout, &["\n"]);
        }
        self.column = Column::First;
    }

    /// Leaves the line of the prompt.
    fn end_prompt(&mut self) {
        self.column = Column::Other;
        self.fresh_line();
    }
}
