//! What `redial run` is to do on one host.

use std::ffi::OsStr;
use std::time::Duration;

use redial_client::Keep;

use super::SettingsError;
use super::file::File;
use super::jobs::{JobName, Way, place};
use super::work::{Program, Work, deadline, policy, resources, time, variables};
use crate::args::{AttachArgs, RunArgs, ShellArgs};
use crate::charset::Charset;
use crate::sinks::Form;
use crate::terminal::{self, EscapeChar};

/// Settings of one run.
#[derive(Debug, Clone)]
pub(crate) struct RunSettings {
    pub(crate) way: Way,
    pub(crate) work: Work,
    pub(crate) json: bool,
    pub(crate) charset: Option<Charset>,
    pub(crate) verbosity: Verbosity,
    /// Where it has a terminal: the character that begins keys for us.
    pub(crate) escape: EscapeChar,
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
    pub(crate) fn resolve(host: &OsStr, args: RunArgs, file: &File) -> Result<Self, SettingsError> {
        Ok(RunSettings {
            way: Way::resolve(host, &args.way, file)?,
            json: args.json,
            charset: args.charset,
            escape: args.escape.unwrap_or_default(),
            verbosity: verbosity(args.quiet, args.verbose),
            work: work(args, file)?,
        })
    }

    /// Settings of `redial attach`, from all sources.
    ///
    /// # Errors
    ///
    /// As [`RunSettings::resolve`].
    pub(crate) fn resolve_attach(args: &AttachArgs, file: &File) -> Result<Self, SettingsError> {
        let name = JobName::resolve(&args.job, &args.way, file)?;
        Ok(RunSettings {
            way: name.way.clone(),
            work: Work {
                stdin: args.take && !args.no_stdin,
                ..Work::of(Program::Job {
                    name: Box::new(name),
                    take: args.take,
                    from: place(&args.from)?,
                })
            },
            json: args.json,
            charset: None,
            verbosity: verbosity(args.quiet, args.verbose),
            escape: args.escape.unwrap_or_default(),
        })
    }

    /// Settings of `redial shell`, from all sources. As with ssh, there is a terminal if somebody types.
    ///
    /// # Errors
    ///
    /// As [`RunSettings::resolve`].
    pub(crate) fn resolve_shell(args: ShellArgs, file: &File) -> Result<Self, SettingsError> {
        Ok(RunSettings {
            way: Way::resolve(&args.host, &args.way, file)?,
            work: Work {
                cwd: args.cwd,
                env: variables(args.env)?,
                drain: Some(Duration::ZERO),
                resources: resources(&args.limits),
                on_drop: policy(args.on_drop, &file.run)?,
                stdin: true,
                on_terminal: terminal::is_typed(),
                ..Work::of(Program::LoginShell)
            },
            json: false,
            charset: None,
            verbosity: verbosity(args.quiet, args.verbose),
            escape: args.escape.unwrap_or_default(),
        })
    }

    /// What becomes of the outputs.
    pub(crate) fn form(&self) -> Form {
        match (self.json, self.charset) {
            (true, charset) => Form::Json(charset),
            (false, Some(charset)) => Form::Decoded(charset),
            (false, None) => Form::Raw,
        }
    }
}

/// The command of `redial run`.
///
/// # Errors
///
/// As [`RunSettings::resolve`].
pub(super) fn work(args: RunArgs, file: &File) -> Result<Work, SettingsError> {
    let file = &file.run;
    let drain = time(args.drain, "REDIAL_DRAIN", file.drain)?;
    Ok(Work {
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
        // A terminal can be typed on by who takes the job.
        stdin: !args.no_stdin && (!args.detach || args.tty),
        detach: args.detach.then(|| Keep {
            bytes: args.keep_output,
            tail: args.keep_output_policy.as_deref() == Some("tail"),
            time: args.keep,
        }),
        on_terminal: args.tty,
    })
}

pub(super) fn verbosity(quiet: bool, verbose: bool) -> Verbosity {
    match (quiet, verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    }
}
