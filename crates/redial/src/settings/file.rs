//! The settings file, TOML: `~/.config/redial/config.toml`, or what `--config` names.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::SettingsError;
use super::nats::NatsTable;
use super::network::HostTable;
use crate::args::{AuditForm, LogFormat};
use crate::{duration, size};

/// The whole file. A key that is not known is an error.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct File {
    pub(crate) run: RunTable,
    pub(crate) serve: ServeTable,
    pub(crate) host: BTreeMap<String, HostTable>,
    pub(crate) nats: NatsTable,
}

/// `[run]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RunTable {
    pub(crate) deadline: Option<Limit>,
    pub(crate) drain: Option<Time>,
    pub(crate) on_drop: Option<String>,
    pub(crate) connect_timeout: Option<Time>,
    pub(crate) redial: Option<Limit>,
}

/// `[serve]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct ServeTable {
    pub(crate) listen: Vec<String>,
    pub(crate) host_key: Option<PathBuf>,
    pub(crate) authorized_keys: Vec<PathBuf>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) log_format: Option<LogFormat>,
    pub(crate) max_connections: Option<u32>,
    pub(crate) max_channels: Option<u32>,
    pub(crate) max_jobs: Option<u32>,
    pub(crate) log_pool: Option<u32>,
    pub(crate) handshake_timeout: Option<Time>,
    pub(crate) keep_quota: Option<Size>,
    pub(crate) audit: Option<PathBuf>,
    pub(crate) audit_argv: Option<AuditForm>,
    pub(crate) audit_best_effort: bool,
    pub(crate) record: Option<PathBuf>,
    pub(crate) record_quota: Option<Size>,
    pub(crate) metrics: Option<String>,
    pub(crate) multi_user: bool,
    pub(crate) front_user: Option<String>,
    pub(crate) allow_root: bool,
}

/// A time as on the command line, or a number of seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Duration);

/// A time limit: a [`Time`], or `"none"`, which is 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit(pub(crate) Duration);

/// A size as on the command line, or a number of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = written(from)?;
        size::parse(&text).map(Size).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = written(from)?;
        duration::parse(&text).map(Time).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = written(from)?;
        duration::parse_limit(&text)
            .map(Limit)
            .map_err(de::Error::custom)
    }
}

fn written<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(u64),
        Text(String),
    }
    match Written::deserialize(from) {
        Ok(Written::Seconds(seconds)) => Ok(seconds.to_string()),
        Ok(Written::Text(text)) => Ok(text),
        Err(_) => Err(de::Error::custom(
            "a time is \"30s\" or a number of seconds, a size \"1GiB\" or a number of bytes",
        )),
    }
}

/// Reads the file that was named, which must be there, or the usual one if there is one.
///
/// # Errors
///
/// Names the file and the line.
pub(crate) fn load(named: Option<&Path>) -> Result<File, SettingsError> {
    let usual = || Some(config_dir()?.join("config.toml"));
    let path = match named {
        Some(path) => path.to_path_buf(),
        None => match usual() {
            Some(path) => path,
            None => return Ok(File::default()),
        },
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text, &path),
        Err(error) if named.is_none() && is_not_ours(&error) => Ok(File::default()),
        Err(error) => Err(format!("settings file {}: {error}", path.display()).into()),
    }
}

/// There is none, or HOME is somebody else's (as after su).
fn is_not_ours(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | NotADirectory | PermissionDenied)
}

/// Where the user's settings lie.
pub(crate) fn config_dir() -> Option<PathBuf> {
    let dir = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute())
    };
    let config = dir("XDG_CONFIG_HOME").or_else(|| Some(dir("HOME")?.join(".config")))?;
    Some(config.join("redial"))
}

fn parse(text: &str, path: &Path) -> Result<File, SettingsError> {
    toml::from_str(text).map_err(|error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let what = error.message().replace('\n', " ");
        format!("settings file {}, line {line}: {what}", path.display()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read() {
        let text =
            "[run]\ndrain = 3\ndeadline = \"1m\"\n[serve]\nmax-jobs = 7\nlog-format = \"json\"";
        let file = parse(text, Path::new("x")).unwrap();
        assert_eq!(file.run.drain.unwrap().0, Duration::from_secs(3));
        assert_eq!(file.run.deadline.unwrap().0, Duration::from_secs(60));
        assert_eq!(
            (file.serve.max_jobs, file.serve.log_format),
            (Some(7), Some(LogFormat::Json))
        );
    }

    #[test]
    fn an_unknown_key_or_a_wrong_value_names_file_and_line() {
        for (text, line, word) in [
            ("[run]\n\ndran = 3\n", 3, "dran"),
            ("[run]\ndrain = \"3x\"\n", 2, "3x"),
            ("[run]\ndrain = 2.5\n", 2, "a time is"),
            ("\n\n[ruin]\n", 3, "ruin"),
            ("[run]\non-drop = 3\n", 2, "string"),
            ("[run\n", 1, ""),
        ] {
            let error = parse(text, Path::new("/etc/x.toml"))
                .unwrap_err()
                .to_string();
            let start = format!("settings file /etc/x.toml, line {line}: ");
            assert!(
                error.starts_with(&start) && error.contains(word),
                "{text:?}: {error}"
            );
        }
    }
}
