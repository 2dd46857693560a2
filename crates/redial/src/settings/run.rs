//! What `redial run` is to do.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use redial_client::{Command, Keep, NetworkOptions, OnDrop, Place, Resources, Target, Terminal};

use super::file::{File, Limit, RunTable, Time};
use super::jobs::{JobName, Way, place};
use super::network::network;
use super::{SettingsError, from_env};
use crate::args::{AttachArgs, LimitArgs, RedialArgs, RunArgs, ShellArgs};
use crate::charset::Charset;
use crate::duration;
use crate::sinks::Form;
use crate::terminal::{self, EscapeChar};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REDIAL: Duration = Duration::from_secs(600);

/// Settings of one run.
#[derive(Debug, Clone)]
pub(crate) struct RunSettings {
    pub(crate) target: Target,
    pub(crate) program: Program,
    pub(crate) cwd: Option<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) drain: Option<Duration>,
    pub(crate) reap: bool,
    pub(crate) resources: Resources,
    pub(crate) on_drop: Option<OnDrop>,
    pub(crate) connect_timeout: Duration,
    pub(crate) redial: Option<Duration>,
    pub(crate) network: NetworkOptions,
    pub(crate) stdin: bool,
    pub(crate) json: bool,
    pub(crate) charset: Option<Charset>,
    pub(crate) verbosity: Verbosity,
    /// It is left running, and kept like this.
    pub(crate) detach: Option<Keep>,
    /// It gets a terminal.
    pub(crate) on_terminal: bool,
    /// Where it has one: the character that begins keys for us.
    pub(crate) escape: EscapeChar,
}

/// What to run.
#[derive(Debug, Clone)]
pub(crate) enum Program {
    /// Without a shell.
    Argv(Vec<OsString>),
    /// By the remote login shell.
    Shell(OsString),
    /// The remote login shell itself.
    LoginShell,
    /// It runs already.
    Job {
        name: Box<JobName>,
        take: bool,
        from: Place,
    },
}

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

impl RunSettings {
    /// Settings from all sources.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and where it was made.
    pub(crate) fn resolve(args: RunArgs, file: &File) -> Result<Self, SettingsError> {
        let target = Target::parse(&args.host).map_err(|error| error.to_string())?;
        let connect_timeout = connect_timeout(args.connect_timeout, file)?;
        let redial = redial(&args.redial, file)?;
        let network = network(&args.network, &target, file)?;
        let file = &file.run;
        let drain = time(args.drain, "REDIAL_DRAIN", file.drain)?;
        Ok(RunSettings {
            target,
            program: match args.text {
                Some(text) => Program::Shell(text),
                None => Program::Argv(args.argv),
            },
            cwd: args.cwd,
            env: variables(args.env)?,
            deadline: deadline(args.deadline, file.deadline)?,
            // A terminal is hung up when its command ends, as sshd does it.
            drain: drain.or(args.tty.then_some(Duration::ZERO)),
            reap: args.reap,
            resources: resources(&args.limits),
            on_drop: policy(args.on_drop, file)?,
            connect_timeout,
            redial,
            network,
            // A terminal can be typed on by who takes the job.
            stdin: !args.no_stdin && (!args.detach || args.tty),
            detach: args.detach.then(|| Keep {
                bytes: args.keep_output,
                tail: args.keep_output_policy.as_deref() == Some("tail"),
                time: args.keep,
            }),
            json: args.json,
            charset: args.charset,
            on_terminal: args.tty,
            escape: args.escape.unwrap_or_default(),
            verbosity: verbosity(args.quiet, args.verbose),
        })
    }

    /// Settings of `redial attach`, from all sources.
    ///
    /// # Errors
    ///
    /// As [`RunSettings::resolve`].
    pub(crate) fn resolve_attach(args: &AttachArgs, file: &File) -> Result<Self, SettingsError> {
        let name = JobName::resolve(&args.job, &args.way, file)?;
        let Way {
            target,
            connect_timeout,
            redial,
            network,
        } = name.way.clone();
        Ok(RunSettings {
            target,
            program: Program::Job {
                name: Box::new(name),
                take: args.take,
                from: place(&args.from)?,
            },
            cwd: None,
            env: Vec::new(),
            deadline: None,
            drain: None,
            reap: false,
            resources: Resources::default(),
            on_drop: None,
            connect_timeout,
            redial,
            network,
            stdin: args.take && !args.no_stdin,
            json: args.json,
            charset: None,
            verbosity: verbosity(args.quiet, args.verbose),
            detach: None,
            on_terminal: false,
            escape: args.escape.unwrap_or_default(),
        })
    }

    /// Settings of `redial shell`, from all sources. As with ssh, there is a terminal if somebody types.
    ///
    /// # Errors
    ///
    /// As [`RunSettings::resolve`].
    pub(crate) fn resolve_shell(args: ShellArgs, file: &File) -> Result<Self, SettingsError> {
        let Way {
            target,
            connect_timeout,
            redial,
            network,
        } = Way::resolve(&args.host, &args.way, file)?;
        Ok(RunSettings {
            program: Program::LoginShell,
            cwd: args.cwd,
            env: variables(args.env)?,
            deadline: None,
            drain: Some(Duration::ZERO),
            reap: false,
            resources: resources(&args.limits),
            on_drop: policy(args.on_drop, &file.run)?,
            connect_timeout,
            redial,
            network,
            target,
            stdin: true,
            json: false,
            charset: None,
            verbosity: verbosity(args.quiet, args.verbose),
            detach: None,
            on_terminal: terminal::is_typed(),
            escape: args.escape.unwrap_or_default(),
        })
    }

    /// Whether the job is ours to write to and control.
    pub(crate) fn holds(&self) -> bool {
        !matches!(self.program, Program::Job { take: false, .. })
    }

    /// What becomes of the outputs.
    pub(crate) fn form(&self) -> Form {
        match (self.json, self.charset) {
            (true, charset) => Form::Json(charset),
            (false, Some(charset)) => Form::Decoded(charset),
            (false, None) => Form::Raw,
        }
    }

    /// The request for the client; none for what runs already.
    pub(crate) fn command(&self) -> Option<Command> {
        let mut command = match &self.program {
            Program::Argv(argv) => Command::new(argv),
            Program::Shell(text) => Command::shell(text),
            Program::LoginShell => Command::login_shell(),
            Program::Job { .. } => return None,
        };
        if let Some(dir) = &self.cwd {
            command = command.cwd(dir);
        }
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        if let Some(deadline) = self.deadline {
            command = command.deadline(deadline);
        }
        if let Some(drain) = self.drain {
            command = command.drain(drain);
        }
        command = command.reap(self.reap).resources(self.resources);
        if let Some(policy) = self.on_drop {
            command = command.on_drop(policy);
        }
        if self.on_terminal {
            command = command.terminal(Terminal {
                kind: terminal::kind(),
                size: terminal::size(),
            });
        }
        if let Some(keep) = self.detach {
            command = command.detach(keep);
        }
        Some(command.stdin(self.stdin).manual_acknowledge(true))
    }
}

fn verbosity(quiet: bool, verbose: bool) -> Verbosity {
    match (quiet, verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    }
}

fn resources(args: &LimitArgs) -> Resources {
    Resources {
        memory: args.memory,
        cpu_milli: args.cpu,
        pids: args.pids,
        nice: args.nice,
    }
}

/// `--on-drop`, and what may stand in its place.
fn policy(flag: Option<String>, file: &RunTable) -> Result<Option<OnDrop>, SettingsError> {
    Ok(match flag {
        Some(text) => Some(on_drop(&text).map_err(|error| format!("--on-drop: {error}"))?),
        None => match from_env("REDIAL_ON_DROP", on_drop)? {
            Some(policy) => Some(policy),
            None => file.on_drop.as_deref().map(on_drop).transpose()?,
        },
    })
}

/// The first that is said, 0 for none: so a flag can switch off what a variable or the file
/// has set.
fn deadline(
    flag: Option<Duration>,
    file: Option<Limit>,
) -> Result<Option<Duration>, SettingsError> {
    let limit = match flag {
        Some(limit) => Some(limit),
        None => from_env("REDIAL_DEADLINE", duration::parse_limit)?.or(file.map(|limit| limit.0)),
    };
    Ok(limit.filter(|limit| !limit.is_zero()))
}

fn time(
    flag: Option<Duration>,
    variable: &str,
    file: Option<Time>,
) -> Result<Option<Duration>, SettingsError> {
    Ok(match flag {
        Some(time) => Some(time),
        None => from_env(variable, duration::parse)?.or(file.map(|time| time.0)),
    })
}

/// `kill`, `keep` or `keep:TIME`.
fn on_drop(text: &str) -> Result<OnDrop, String> {
    match text.split_once(':') {
        None if text == "kill" => Ok(OnDrop::Kill),
        None if text == "keep" => Ok(OnDrop::Keep),
        Some(("keep", time)) => duration::parse(time).map(OnDrop::KeepFor),
        _ => Err(format!(
            "{text:?} is no policy for a dropped line; it is kill, keep or keep:TIME"
        )),
    }
}

/// `--connect-timeout`, and what may stand in its place.
pub(super) fn connect_timeout(
    flag: Option<Duration>,
    file: &File,
) -> Result<Duration, SettingsError> {
    let file = file.run.connect_timeout;
    let asked = time(flag, "REDIAL_CONNECT_TIMEOUT", file)?;
    Ok(asked.unwrap_or(CONNECT_TIMEOUT))
}

/// `--redial` and `--no-redial`, and what may stand in their place; 0 is not at all.
pub(super) fn redial(args: &RedialArgs, file: &File) -> Result<Option<Duration>, SettingsError> {
    let within = match (args.no_redial, args.redial) {
        (true, _) => Duration::ZERO,
        (false, Some(within)) => within,
        (false, None) => {
            let variable = from_env("REDIAL_REDIAL", duration::parse_limit)?;
            let file = file.run.redial.map(|limit| limit.0);
            variable.or(file).unwrap_or(REDIAL)
        }
    };
    Ok(Some(within).filter(|within| !within.is_zero()))
}

/// All of `--env`.
pub(super) fn variables(asked: Vec<OsString>) -> Result<Vec<(OsString, OsString)>, SettingsError> {
    let variables = asked.into_iter().map(|asked| variable(asked).transpose());
    variables.flatten().collect()
}

/// `NAME=VALUE`; `NAME` alone is ours, or nothing if we have none.
fn variable(asked: OsString) -> Result<Option<(OsString, OsString)>, SettingsError> {
    let bytes = asked.as_bytes();
    let equals = bytes.iter().position(|&byte| byte == b'=');
    let name = &bytes[..equals.unwrap_or(bytes.len())];
    if name.is_empty() {
        return Err(format!("--env {}: the name is empty", asked.display()).into());
    }
    let name = OsStr::from_bytes(name).to_os_string();
    let value = match equals {
        Some(at) => Some(OsString::from_vec(bytes[at + 1..].to_vec())),
        None => std::env::var_os(&name),
    };
    Ok(value.map(|value| (name, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_for_a_dropped_line_are_read() {
        assert_eq!(on_drop("kill"), Ok(OnDrop::Kill));
        assert_eq!(on_drop("keep"), Ok(OnDrop::Keep));
        assert_eq!(
            on_drop("keep:90s"),
            Ok(OnDrop::KeepFor(Duration::from_secs(90)))
        );
        for wrong in ["", "kil", "keep:", "keep:x", "kill:1s"] {
            assert!(on_drop(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn variables_are_given_or_copied() {
        let given = |text: &str| variable(text.into()).unwrap();
        assert_eq!(given("A=b=c"), Some(("A".into(), "b=c".into())));
        assert_eq!(given("A="), Some(("A".into(), "".into())));
        assert_eq!(
            given("PATH").map(|(_, value)| value),
            std::env::var_os("PATH")
        );
        assert_eq!(given("REDIAL_TEST_UNSET_VARIABLE"), None);
        assert!(variable("=x".into()).is_err());
    }
}
