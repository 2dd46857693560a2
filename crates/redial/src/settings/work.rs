//! What a command is to be, wherever it runs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use redial_client::{Command, Keep, OnDrop, Place, Resources, Terminal};

use redial_fleet::record::{Settled, Word};

use super::file::{Limit, RunTable, Time};
use super::jobs::JobName;
use super::{SettingsError, from_env};
use crate::args::LimitArgs;
use crate::duration;
use crate::terminal;

/// A command, as it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) program: Program,
    pub(crate) cwd: Option<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) drain: Option<Duration>,
    pub(crate) reap: bool,
    pub(crate) resources: Resources,
    pub(crate) on_drop: Option<OnDrop>,
    pub(crate) stdin: bool,
    /// It is left running, and kept like this.
    pub(crate) detach: Option<Keep>,
    /// It gets a terminal.
    pub(crate) on_terminal: bool,
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

impl Work {
    /// This program, and nothing said of how.
    pub(super) fn of(program: Program) -> Self {
        Work {
            program,
            cwd: None,
            env: Vec::new(),
            deadline: None,
            drain: None,
            reap: false,
            resources: Resources::default(),
            on_drop: None,
            stdin: false,
            detach: None,
            on_terminal: false,
        }
    }

    /// What a run's record says of it beyond its command line.
    pub(crate) fn settled(&self) -> Settled {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Settled {
            deadline: self.deadline.map(millis),
            drain: self.drain.map(millis),
            on_drop: self.on_drop.map(|policy| match policy {
                OnDrop::Kill => "kill".to_owned(),
                OnDrop::Keep => "keep".to_owned(),
                OnDrop::KeepFor(time) => format!("keep:{}ms", millis(time)),
            }),
            env: self
                .env
                .iter()
                .map(|(name, value)| (written(name), written(value)))
                .collect(),
        }
    }

    /// As it was settled when the run began, whatever the settings are now.
    pub(crate) fn settle(&mut self, settled: &Settled) -> Result<(), SettingsError> {
        self.deadline = settled.deadline.map(Duration::from_millis);
        self.drain = settled.drain.map(Duration::from_millis);
        self.on_drop = settled.on_drop.as_deref().map(on_drop).transpose()?;
        let read = |word: &Word| OsString::from_vec(Vec::<u8>::from(word.clone()));
        let env = settled.env.iter();
        self.env = env.map(|(name, value)| (read(name), read(value))).collect();
        Ok(())
    }

    /// Whether the job is ours to write to and control.
    pub(crate) fn holds(&self) -> bool {
        !matches!(self.program, Program::Job { take: false, .. })
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

pub(super) fn resources(args: &LimitArgs) -> Resources {
    Resources {
        memory: args.memory,
        cpu_milli: args.cpu,
        pids: args.pids,
        nice: args.nice,
    }
}

/// `--on-drop`, and what may stand in its place.
pub(super) fn policy(
    flag: Option<String>,
    file: &RunTable,
) -> Result<Option<OnDrop>, SettingsError> {
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
pub(super) fn deadline(
    flag: Option<Duration>,
    file: Option<Limit>,
) -> Result<Option<Duration>, SettingsError> {
    let limit = match flag {
        Some(limit) => Some(limit),
        None => from_env("REDIAL_DEADLINE", duration::parse_limit)?.or(file.map(|limit| limit.0)),
    };
    Ok(limit.filter(|limit| !limit.is_zero()))
}

pub(super) fn time(
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

fn written(word: &OsStr) -> Word {
    word.as_bytes().to_vec().into()
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
