//! What `redial serve` is to do.

mod address;
mod nats;
mod users;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use redial_client::default_socket;
use redial_keeper::audit::{AuditArgv, AuditConfig, AuditTo};
use redial_keeper::keeper::{Limits, ManyUsers, MetricsTo};
use redial_keeper::recording::RecordConfig;

use address::{Address, address};
pub(crate) use nats::{AgentSettings, NatsListen};

use super::file::File;
use super::{SettingsError, from_env};
use crate::args::{AuditForm, LogFormat, ServeArgs};

/// Bytes of all recordings.
const RECORD_QUOTA: u64 = 8 << 30;
/// The audit's file that is none.
const JOURNAL: &str = "journald";

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
    Listen(Box<Listen>),
    /// The one client on stdio.
    Private,
    /// Bytes between stdio and the server on this socket.
    Bridge(PathBuf),
    /// The keeper that has started us.
    Front,
    /// Those who call by way of NATS, to the keeper that has started us.
    Agent(Box<AgentSettings>),
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listen {
    pub(crate) sockets: Vec<PathBuf>,
    pub(crate) network: Vec<SocketAddr>,
    pub(crate) nats: Option<NatsListen>,
    pub(crate) host_key: HostKeyFile,
    /// Empty: the usual ones.
    pub(crate) authorized_keys: Vec<PathBuf>,
    /// Where jobs are kept; none where no place is known.
    pub(crate) keep_in: Option<PathBuf>,
    pub(crate) audit: Option<AuditConfig>,
    pub(crate) record: Option<RecordConfig>,
    pub(crate) users: Option<ManyUsers>,
    pub(crate) metrics: Option<MetricsTo>,
}

/// Which key says who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostKeyFile {
    /// This one.
    Named(PathBuf),
    /// This one if it is there, else sshd's, else this one is made.
    Usual(PathBuf),
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
    if let Some(agent) = nats::agent(args, file)? {
        return Ok(Mode::Agent(Box::new(agent)));
    }
    let default = || default_socket().map_err(|error| error.to_string());
    if args.stdio {
        return Ok(Mode::Bridge(match &args.listen[..] {
            [] => default()?,
            [at] => match address(at)? {
                Address::Socket(path) => path,
                Address::Network(_) => {
                    let text = format!("--listen {}: --stdio is for a unix: socket", at.display());
                    return Err(text.into());
                }
            },
            _ => return Err("--stdio: one --listen at most".to_owned().into()),
        }));
    }
    let from_file = || file.serve.listen.iter().map(OsString::from).collect();
    let listen = if args.listen.is_empty() {
        from_file()
    } else {
        args.listen.clone()
    };
    let (mut sockets, mut network) = (Vec::new(), Vec::new());
    for at in &listen {
        match address(at)? {
            Address::Socket(path) => sockets.push(path),
            Address::Network(addresses) => network.extend(addresses),
        }
    }
    if listen.is_empty() {
        sockets.push(default()?);
    }
    let authorized_keys = if args.authorized_keys.is_empty() {
        &file.serve.authorized_keys
    } else {
        &args.authorized_keys
    };
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|error| error.to_string());
    let authorized_keys = authorized_keys.iter().map(absolute);
    Ok(Mode::Listen(Box::new(Listen {
        nats: nats::listen(args, file, &sockets)?,
        sockets,
        network,
        host_key: host_key(args.host_key.as_deref(), args.state_dir.as_deref(), file)?,
        authorized_keys: authorized_keys.collect::<Result<_, _>>()?,
        keep_in: state_dir(args.state_dir.as_deref(), file)
            .ok()
            .map(|dir| dir.join("jobs")),
        audit: audit(args, file)?,
        record: record(args, file)?,
        users: users::users(args, file)?,
        metrics: metrics(args, file)?,
    })))
}

fn metrics(args: &ServeArgs, file: &File) -> Result<Option<MetricsTo>, SettingsError> {
    let file = file.serve.metrics.as_ref().map(OsString::from);
    let Some(at) = args.metrics.clone().or(file) else {
        return Ok(None);
    };
    let wrong = |why: &str| Err(SettingsError(format!("--metrics {}: {why}", at.display())));
    if at.as_bytes() == b"unix:" {
        return wrong("a path is missing; the default socket is for commands");
    }
    match address(&at)? {
        Address::Socket(path) => Ok(Some(MetricsTo::Unix(path))),
        Address::Network(found) => match found[..] {
            // It asks nobody for a key.
            [one] if one.ip().is_loopback() => Ok(Some(MetricsTo::Loopback(one))),
            _ => wrong("only a loopback address (127.0.0.1:PORT, [::1]:PORT) or unix:PATH"),
        },
    }
}

fn record(args: &ServeArgs, file: &File) -> Result<Option<RecordConfig>, SettingsError> {
    let quota = args
        .record_quota
        .or(file.serve.record_quota.map(|size| size.0));
    let Some(dir) = args.record.as_ref().or(file.serve.record.as_ref()) else {
        return match quota {
            Some(_) => Err("--record-quota is about recordings; say --record DIR too"
                .to_owned()
                .into()),
            None => Ok(None),
        };
    };
    // Another program goes on with it from another directory.
    let dir = std::path::absolute(dir).map_err(|error| format!("--record: {error}"))?;
    let quota = quota.unwrap_or(RECORD_QUOTA);
    Ok(Some(RecordConfig { dir, quota }))
}

fn audit(args: &ServeArgs, file: &File) -> Result<Option<AuditConfig>, SettingsError> {
    let best_effort = args.audit_best_effort || file.serve.audit_best_effort;
    let form = args.audit_argv.or(file.serve.audit_argv);
    let to = match args.audit.as_ref().or(file.serve.audit.as_ref()) {
        Some(to) if to.as_os_str() == JOURNAL => AuditTo::Journal,
        Some(file) => {
            let file = std::path::absolute(file).map_err(|error| format!("--audit: {error}"))?;
            AuditTo::File(file)
        }
        None if best_effort || form.is_some() => {
            let text =
                "--audit-argv and --audit-best-effort are about an audit; say --audit FILE too";
            return Err(text.to_owned().into());
        }
        None => return Ok(None),
    };
    Ok(Some(AuditConfig {
        to,
        argv: match form {
            Some(AuditForm::Hash) => AuditArgv::Hash,
            Some(AuditForm::Full) | None => AuditArgv::Full,
        },
        best_effort,
    }))
}

/// The key of a server that is started without flags.
///
/// # Errors
///
/// A setting is wrong, or nothing says where it would be.
pub(crate) fn host_key_file(file: &File) -> Result<HostKeyFile, SettingsError> {
    host_key(None, None, file)
}

fn host_key(
    flag: Option<&Path>,
    state_dir_flag: Option<&Path>,
    file: &File,
) -> Result<HostKeyFile, SettingsError> {
    Ok(match flag.or(file.serve.host_key.as_deref()) {
        Some(path) => {
            let path = std::path::absolute(path).map_err(|error| error.to_string())?;
            HostKeyFile::Named(path)
        }
        None => HostKeyFile::Usual(state_dir(state_dir_flag, file)?.join("host_key")),
    })
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
        keep_quota_bytes: match args.keep_quota.or(file.keep_quota.map(|size| size.0)) {
            Some(bytes) => bytes,
            None => default.keep_quota_bytes,
        },
        ..default
    })
}

/// Where the host key and kept jobs are, by what was asked for or by custom.
fn state_dir(flag: Option<&Path>, file: &File) -> Result<PathBuf, SettingsError> {
    if let Some(dir) = asked_state_dir(flag, file)? {
        return std::path::absolute(dir).map_err(|error| error.to_string().into());
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/redial"));
    }
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = from("XDG_STATE_HOME").filter(absolute);
    let base = base.or_else(|| Some(from("HOME").filter(absolute)?.join(".local/state")));
    let text = "no state directory: neither XDG_STATE_HOME nor HOME is set; use --state-dir";
    Ok(base.ok_or_else(|| text.to_owned())?.join("redial"))
}

fn asked_state_dir(flag: Option<&Path>, file: &File) -> Result<Option<PathBuf>, SettingsError> {
    let variable = from_env("REDIAL_STATE_DIR", |text| Ok(PathBuf::from(text)))?;
    let named = flag.map(Path::to_owned).or(variable);
    Ok(named.or(file.serve.state_dir.clone()))
}

/// A place that cannot be used is said now, not later.
fn check_state_dir(args: &ServeArgs, file: &File) -> Result<(), SettingsError> {
    let asked = asked_state_dir(args.state_dir.as_deref(), file)?;
    // Processes that the keeper starts keep nothing, and it has looked already.
    if args.front || args.nats_agent.is_some() {
        return Ok(());
    }
    if asked.is_none() && (args.private || args.stdio) {
        return Ok(());
    }
    let dir = match state_dir(args.state_dir.as_deref(), file) {
        Ok(dir) => dir,
        // Then nothing is kept, and a host key has to be named.
        Err(_) if asked.is_none() => return Ok(()),
        Err(error) => return Err(error),
    };
    let wrong = |what: String| Err(format!("state directory {}: {what}", dir.display()).into());
    let about = match std::fs::metadata(&dir) {
        Ok(about) => about,
        // The usual one is made when it is needed.
        Err(error) if error.kind() == io::ErrorKind::NotFound && asked.is_none() => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return wrong(format!("is not there; mkdir -m 700 {}", dir.display()));
        }
        Err(error) => return wrong(error.to_string()),
    };
    if !about.is_dir() {
        return wrong("is no directory".to_owned());
    }
    // It has the host key, and what jobs have written.
    if about.uid() != rustix::process::geteuid().as_raw() || about.mode() & 0o022 != 0 {
        let text = "must belong to this user and be writable by nobody else (chmod go-w)";
        return wrong(text.to_owned());
    }
    Ok(())
}
