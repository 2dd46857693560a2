//! What `redial repl` is to do.

use std::ffi::OsString;

use super::file::File;
use super::jobs::Way;
use super::work::variables;
use super::{SettingsError, Verbosity};
use crate::args::ReplArgs;
use crate::charset::Charset;
use crate::sinks::Form;

/// Settings of one session.
#[derive(Debug, Clone)]
pub(crate) struct ReplSettings {
    pub(crate) way: Way,
    pub(crate) cwd: Option<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) shell: Option<OsString>,
    pub(crate) charset: Option<Charset>,
    pub(crate) verbosity: Verbosity,
}

impl ReplSettings {
    /// Settings from all sources.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and where it was made.
    pub(crate) fn resolve(args: ReplArgs, file: &File) -> Result<Self, SettingsError> {
        Ok(ReplSettings {
            way: Way::resolve(&args.host, &args.way, file)?,
            cwd: args.cwd,
            env: variables(args.env)?,
            shell: args.shell,
            charset: args.charset,
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
