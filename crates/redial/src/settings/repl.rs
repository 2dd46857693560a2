//! What `redial repl` is to do.

use std::ffi::OsString;
use std::time::Duration;

use redial_client::{NetworkOptions, Target};

use super::file::File;
use super::network::network;
use super::run::{connect_timeout, redial, variables};
use super::{SettingsError, Verbosity};
use crate::args::ReplArgs;
use crate::charset::Charset;
use crate::sinks::Form;

/// Settings of one session.
#[derive(Debug, Clone)]
pub(crate) struct ReplSettings {
    pub(crate) target: Target,
    pub(crate) cwd: Option<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) shell: Option<OsString>,
    pub(crate) charset: Option<Charset>,
    pub(crate) connect_timeout: Duration,
    pub(crate) redial: Option<Duration>,
    pub(crate) network: NetworkOptions,
    pub(crate) verbosity: Verbosity,
}

impl ReplSettings {
    /// Settings from all sources.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and where it was made.
    pub(crate) fn resolve(args: ReplArgs, file: &File) -> Result<Self, SettingsError> {
        let target = Target::parse(&args.host).map_err(|error| error.to_string())?;
        Ok(ReplSettings {
            network: network(&args.network, &target, file)?,
            target,
            cwd: args.cwd,
            env: variables(args.env)?,
            shell: args.shell,
            charset: args.charset,
            connect_timeout: connect_timeout(args.connect_timeout, file)?,
            redial: redial(&args.redial, file)?,
            verbosity: match args.quiet {
                true => Verbosity::Quiet,
                false => Verbosity::Normal,
            },
        })
    }

    /// What becomes of the outputs.
    pub(crate) fn form(&self) -> Form {
        self.charset.map_or(Form::Raw, Form::Decoded)
    }
}
