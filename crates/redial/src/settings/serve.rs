//! What `redial serve` is to do.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use redial_client::default_socket;
use redial_keeper::keeper::Limits;

use super::file::File;
use super::{SettingsError, from_env};
use crate::args::{LogFormat, ServeArgs};

/// Settings of a server.
#[derive(Debug, Clone)]
pub(crate) struct ServeSettings {
    pub(crate) mode: Mode,
    pub(crate) limits: Limits,
    pub(crate) log_format: LogFormat,
    /// How often `--verbose` was given.
    pub(crate) verbose: u8,
}

/// Whom to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everybody on these sockets who may.
    Listen(Vec<PathBuf>),
    /// The one client on stdio.
    Private,
    /// Bytes between stdio and the server on this socket.
    Bridge(PathBuf),
    /// The keeper that has started us.
    Front,
}

impl ServeSettings {
    /// Settings from all sources.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and where it was made.
    pub(crate) fn resolve(args: &ServeArgs, file: &File) -> Result<Self, SettingsError> {
        let log_format = match args.log_format {
            Some(format) => Some(format),
            None => from_env("REDIAL_LOG_FORMAT", LogFormat::parse)?.or(file.serve.log_format),
        };
        check_state_dir(args, file)?;
        Ok(ServeSettings {
            mode: mode(args, file)?,
            limits: limits(args, file)?,
            log_format: log_format.unwrap_or(LogFormat::Human),
            verbose: args.verbose,
        })
    }
}

fn mode(args: &ServeArgs, file: &File) -> Result<Mode, SettingsError> {
    if args.front {
        return Ok(Mode::Front);
    }
    if args.private {
        return Ok(Mode::Private);
    }
    let default = || default_socket().map_err(|error| error.to_string());
    if args.stdio {
        return Ok(Mode::Bridge(match &args.listen[..] {
            [] => default()?,
            [address] => socket(address)?,
            _ => return Err("--stdio: one --listen at most".to_owned().into()),
        }));
    }
    let from_file = || file.serve.listen.iter().map(OsString::from).collect();
    let listen = if args.listen.is_empty() {
        from_file()
    } else {
        args.listen.clone()
    };
    if listen.is_empty() {
        return Ok(Mode::Listen(vec![default()?]));
    }
    let paths = listen.iter().map(|address| socket(address));
    Ok(Mode::Listen(paths.collect::<Result<_, _>>()?))
}

/// `unix:PATH`, made absolute, since the server does not stay where it was started.
fn socket(address: &OsStr) -> Result<PathBuf, SettingsError> {
    let shown = address.display();
    match address.as_bytes().strip_prefix(b"unix:") {
        None => Err(format!(
            "--listen {shown}: listening on the network is not supported yet; use unix:PATH"
        )
        .into()),
        Some(b"") => Ok(default_socket().map_err(|error| error.to_string())?),
        Some(path) => std::path::absolute(OsString::from_vec(path.to_vec()))
            .map_err(|error| format!("--listen {shown}: {error}").into()),
    }
}

fn limits(args: &ServeArgs, file: &File) -> Result<Limits, SettingsError> {
    let default = Limits::default();
    let file = &file.serve;
    let at_least_one = |what: &str, flag: Option<u32>, file: Option<u32>, default: u32| match flag
        .or(file)
        .unwrap_or(default)
    {
        0 => Err(SettingsError(format!("{what}: must be at least 1"))),
        value => Ok(value),
    };
    let handshake = args
        .handshake_timeout
        .or(file.handshake_timeout.map(|time| time.0));
    let handshake_ms = match handshake {
        None => default.handshake_ms,
        Some(time) if time.is_zero() => {
            return Err("handshake-timeout: must be longer than 0".to_owned().into());
        }
        Some(time) => u32::try_from(time.as_millis()).unwrap_or(u32::MAX),
    };
    let pool_mib = at_least_one("log-pool", args.log_pool, file.log_pool, 64)?;
    let jobs = at_least_one("max-jobs", args.max_jobs, file.max_jobs, default.jobs)?;
    let channels = at_least_one(
        "max-channels",
        args.max_channels,
        file.max_channels,
        default.channels,
    )?;
    Ok(Limits {
        connections: at_least_one(
            "max-connections",
            args.max_connections,
            file.max_connections,
            default.connections,
        )?,
        channels,
        jobs,
        output_pool_bytes: u64::from(pool_mib) << 20,
        handshake_ms,
        ..default
    })
}

/// Nothing is kept yet, but a place that cannot be used is said now, not later.
fn check_state_dir(args: &ServeArgs, file: &File) -> Result<(), SettingsError> {
    let variable = from_env("REDIAL_STATE_DIR", |text| Ok(PathBuf::from(text)))?;
    let dir = args
        .state_dir
        .clone()
        .or(variable)
        .or(file.serve.state_dir.clone());
    match dir.as_deref().map(Path::is_dir) {
        Some(false) => {
            let dir = dir.unwrap_or_default();
            Err(format!("state directory {}: is no directory", dir.display()).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unix_sockets_are_listened_on() {
        assert_eq!(
            socket(OsStr::new("unix:/run/x")),
            Ok(PathBuf::from("/run/x"))
        );
        assert!(socket(OsStr::new("unix:x")).unwrap().is_absolute());
        for address in ["0.0.0.0:7334", "tcp:x", "web1", "/run/x"] {
            let error = socket(OsStr::new(address)).unwrap_err().to_string();
            assert!(error.contains("not supported yet"), "{error}");
        }
    }
}
