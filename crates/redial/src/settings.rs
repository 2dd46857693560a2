//! Settings: flags beat environment variables, these beat the file, that beats defaults.

mod file;
mod fleet;
mod inventory;
mod jobs;
mod keys;
mod nats;
mod network;
mod repl;
mod run;
mod serve;
mod work;

pub(crate) use file::{File, load};
pub(crate) use fleet::{FleetSettings, OutputMode, history, select};
pub(crate) use inventory::inventory;
pub(crate) use jobs::{JobName, Way, blow, wanted};
pub(crate) use keys::{host_settings, target_settings};
pub(crate) use nats::{check_excluded, cluster, discover, source as cluster_source, with_cluster};
pub(crate) use repl::ReplSettings;
pub(crate) use run::{RunSettings, Verbosity};
pub(crate) use serve::{
    AgentSettings, HostKeyFile, Listen, Mode, NatsListen, ServeSettings, host_key_file,
};
pub(crate) use work::{Program, Work};

use std::env::VarError;

use redial_fleet::history::HistoryError;

/// A setting that cannot be used; says which and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SettingsError(pub(crate) String);

impl From<String> for SettingsError {
    fn from(text: String) -> Self {
        SettingsError(text)
    }
}

impl From<HistoryError> for SettingsError {
    fn from(error: HistoryError) -> Self {
        SettingsError(error.to_string())
    }
}

/// The variable `name`, read by `parse`; an empty one counts as unset.
fn from_env<T>(
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, SettingsError> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => match parse(&text) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(format!("environment variable {name}: {error}").into()),
        },
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(format!("environment variable {name}: is not UTF-8").into())
        }
    }
}
