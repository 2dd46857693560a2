//! `redial serve`: the keeper, the front, or the bridge to a server.

mod agent;
mod bridge;

use std::ffi::{CStr, OsString};
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use redial_client::runtime_dir;
use redial_keeper::HostKey;
use redial_keeper::keeper::{
    FrontProgram, KeeperConfig, Limits, NetworkConfig, UpgradeConfig, own_program,
};
use redial_keeper::login::{
    Asked, HostKeyFileError, KeyReader, StrictError, asked_to_read, load_host_key,
    load_or_make_host_key, report_again, report_key_files,
};
use redial_keeper::service::{PassedSockets, ServiceManager};
use redial_keeper::signals;

use super::log;
use crate::args::LogFormat;
use crate::exit_code::FAILED;
use crate::report;
use crate::settings::{HostKeyFile, Listen, Mode, ServeSettings};

/// Where Debian, and most others, have the key of the machine.
const SSHD_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";

/// Serves until it is over; the result is our exit code.
pub(crate) fn serve(settings: ServeSettings) -> u8 {
    // A private server's client is a person waiting for a command, not for a log.
    let quiet = matches!(settings.mode, Mode::Private | Mode::Front);
    let level = match settings.verbose {
        0 if quiet => "warn",
        0 | 1 => "info",
        2 => "debug",
        _ => "trace",
    };
    call_us(match settings.mode {
        Mode::Front => c"redial-front",
        _ => c"redial",
    });
    log::start(settings.log_format, level);
    let served = match settings.mode {
        Mode::Front => front(),
        Mode::Agent(settings) => agent::agent(*settings),
        Mode::Bridge(socket) => bridge::bridge(&socket),
        Mode::Private => private(settings.limits, front_program(settings.log_format, level)),
        Mode::Listen(listen) => serve_all(
            settings.limits,
            front_program(settings.log_format, level),
            *listen,
        ),
    };
    match served {
        Ok(()) => 0,
        Err(error) => {
            report::error(format_args!("{error:#}"));
            FAILED
        }
    }
}

fn front_program(format: LogFormat, level: &str) -> FrontProgram {
    let mut env = Vec::new();
    if std::env::var_os(log::VARIABLE).is_none() {
        env.push((log::VARIABLE.into(), level.into()));
    }
    let args = ["serve", "--front", "--log-format", format.name()];
    FrontProgram {
        args: args.map(OsString::from).to_vec(),
        env,
    }
}

fn private(limits: Limits, front: FrontProgram) -> anyhow::Result<()> {
    // A client that is interrupted on our terminal tells us what to do about it; its group
    // is not ours. Who leads a session (behind sshd) has a group of its own already.
    let _ = rustix::process::setpgid(None, None);
    let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).context("stdin")?;
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3).context("stdout")?;
    keeper(KeeperConfig {
        limits,
        listen: Vec::new(),
        passed: PassedSockets::default(),
        network: None,
        users: None,
        key_reader: None,
        stdio: Some((input, output)),
        keep_in: None,
        audit: None,
        record: None,
        metrics: None,
        service: None,
        upgrade: None,
        front,
        shutdown: signals::termination().context("cannot hear signals")?,
    })
}

fn serve_all(limits: Limits, front: FrontProgram, listen: Listen) -> anyhow::Result<()> {
    let shutdown = signals::termination().context("cannot hear signals")?;
    let sockets = &listen.sockets;
    sockets
        .iter()
        .try_for_each(|socket| make_runtime_dir(socket, listen.users.is_some()))?;
    let is_network = !listen.network.is_empty() || listen.nats.is_some();
    let network = is_network.then(|| network(&listen, &front));
    let network = network.transpose()?;
    let reads = network.is_some() || listen.users.is_some();
    let key_reader = reads.then(|| KeyReader::new(listen.authorized_keys.clone()));
    let key_reader = key_reader
        .transpose()
        .context("cannot open our executable")?;
    if let Some(checked) = redial_keeper::keeper::check_state() {
        // All that a server needs was looked at, and nothing was taken.
        return checked
            .map_err(|reason| anyhow::anyhow!("the state of the running server: {reason}"));
    }
    keeper(KeeperConfig {
        limits,
        listen: listen.sockets.clone(),
        passed: PassedSockets::from_environment().context("sockets that were passed")?,
        network,
        users: listen.users.clone(),
        key_reader,
        stdio: None,
        keep_in: listen.keep_in.clone(),
        audit: listen.audit.clone(),
        record: listen.record.clone(),
        metrics: listen.metrics.clone(),
        service: ServiceManager::from_environment().context("the service manager")?,
        upgrade: Some(UpgradeConfig {
            hangup: signals::hangup().context("cannot hear SIGHUP")?,
            args: std::env::args_os().collect(),
            program: own_program().context("cannot find our program")?,
        }),
        front,
        shutdown,
    })
}

fn network(listen: &Listen, ours: &FrontProgram) -> anyhow::Result<NetworkConfig> {
    let host_key = host_key(&listen.host_key)?;
    let nats = listen.nats.as_ref();
    Ok(NetworkConfig {
        listen: listen.network.clone(),
        door: nats.map(|nats| agent::door(nats, &host_key, ours.clone())),
        host_key,
    })
}

fn host_key(file: &HostKeyFile) -> anyhow::Result<HostKey> {
    let told = |text: anyhow::Error| anyhow::anyhow!("{text:#}");
    let own = match file {
        HostKeyFile::Named(path) => path,
        HostKeyFile::Usual(own) => {
            let sshd = Path::new(SSHD_KEY);
            // Only where there is none: one that cannot be used is a mistake to be told of.
            if is_missing(&load_host_key(own))
                && let Ok(key) = load_host_key(sshd)
            {
                let fingerprint = key.public_key().fingerprint();
                tracing::info!(fingerprint, file = SSHD_KEY, "the host key is sshd's");
                return Ok(key);
            }
            own
        }
    };
    let (key, new) = load_or_make_host_key(own).map_err(|error| told(error.into()))?;
    let fingerprint = key.public_key().fingerprint();
    let file = own.display().to_string();
    let file = file.escape_debug();
    if new {
        tracing::info!(fingerprint, %file, "a new host key");
    } else {
        tracing::info!(fingerprint, %file, "the host key");
    }
    Ok(key)
}

fn is_missing<T>(loaded: &Result<T, HostKeyFileError>) -> bool {
    let missing = |error: &HostKeyFileError| match error {
        HostKeyFileError::File { source, .. } => matches!(source, StrictError::Missing),
        _ => false,
    };
    loaded.as_ref().err().is_some_and(missing)
}

/// What ps(1), top(1) and pgrep(1) call this process: one that was started by a descriptor of its
/// program, as all servers start their own, is called by the number of that.
fn call_us(name: &CStr) {
    // A name is for people; nothing depends on it.
    let _ = rustix::thread::set_name(name);
}

/// The child that reads as the user, and says what it found: if that is what our arguments ask for.
/// They are the keeper's, not a person's, and are not looked at further.
pub(crate) fn read_keys(args: impl Iterator<Item = OsString>) -> Option<u8> {
    let (asked, files) = asked_to_read(args.skip(1))?;
    call_us(c"redial-keys");
    let file = |fd| Ok(std::fs::File::from(rustix::io::dup(fd)?));
    let done = match asked {
        Asked::Once(whose) => file(rustix::stdio::stdout())
            .and_then(|mut out| report_key_files(&whose, &files, &mut out)),
        Asked::Again => file(rustix::stdio::stdin())
            .and_then(|input| report_again(&files, input, &mut file(rustix::stdio::stdout())?)),
    };
    Some(if done.is_ok() { 0 } else { FAILED })
}

fn keeper(config: KeeperConfig) -> anyhow::Result<()> {
    // Its text tells the cause already; as an error's source it would be told twice.
    redial_keeper::keeper::run(config).map_err(|error| anyhow::anyhow!("{error}"))
}

/// The default socket's directory is ours to make; any other is there already, or a slip.
fn make_runtime_dir(socket: &Path, for_all: bool) -> anyhow::Result<()> {
    let Ok(dir) = runtime_dir() else {
        return Ok(());
    };
    if socket.parent() != Some(&dir) {
        return Ok(());
    }
    let mode = if for_all { 0o755 } else { 0o700 };
    let made = DirBuilder::new().recursive(true).mode(mode).create(&dir);
    let made = made.and_then(|()| match for_all {
        // Others have to come through, also where it was there or a umask was in the way.
        true => std::fs::set_permissions(&dir, Permissions::from_mode(mode)),
        false => Ok(()),
    });
    made.with_context(|| format!("cannot make {}", dir.display()))
}

/// The front ends with its keeper, not with a signal that reaches the whole terminal:
/// the keeper decides what becomes of the jobs.
fn front() -> anyhow::Result<()> {
    let _held_back = signals::termination().context("cannot hold signals back")?;
    let link = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
    let link = link.context("the front is started by the keeper only, with a link as its stdin")?;
    redial_server::front(link, redial_server::confine())?;
    Ok(())
}
