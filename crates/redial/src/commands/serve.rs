//! `redial serve`: the keeper, the front, or the bridge to a server.

mod bridge;

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use redial_client::runtime_dir;
use redial_keeper::keeper::{FrontProgram, KeeperConfig, Limits};
use redial_keeper::signals;

use super::log;
use crate::args::LogFormat;
use crate::exit_code::FAILED;
use crate::report;
use crate::settings::{Mode, ServeSettings};

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
    log::start(settings.log_format, level);
    let served = match settings.mode {
        Mode::Front => front(),
        Mode::Bridge(socket) => bridge::bridge(&socket),
        Mode::Private => private(settings.limits, front_program(settings.log_format, level)),
        Mode::Listen(listen) => keeper(
            settings.limits,
            front_program(settings.log_format, level),
            listen,
            None,
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
    keeper(limits, front, Vec::new(), Some((input, output)))
}

fn keeper(
    limits: Limits,
    front: FrontProgram,
    listen: Vec<PathBuf>,
    stdio: Option<(OwnedFd, OwnedFd)>,
) -> anyhow::Result<()> {
    let shutdown = signals::termination().context("cannot hear signals")?;
    listen
        .iter()
        .try_for_each(|socket| make_runtime_dir(socket))?;
    let config = KeeperConfig {
        limits,
        listen,
        stdio,
        front,
        shutdown,
    };
    // Its text tells the cause already; as an error's source it would be told twice.
    redial_keeper::keeper::run(config).map_err(|error| anyhow::anyhow!("{error}"))
}

/// The default socket's directory is ours to make; any other is there already, or a slip.
fn make_runtime_dir(socket: &Path) -> anyhow::Result<()> {
    let Ok(dir) = runtime_dir() else {
        return Ok(());
    };
    if socket.parent() != Some(&dir) {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.with_context(|| format!("cannot make {}", dir.display()))
}

/// The front ends with its keeper, not with a signal that reaches the whole terminal:
/// the keeper decides what becomes of the jobs.
fn front() -> anyhow::Result<()> {
    let _held_back = signals::termination().context("cannot hold signals back")?;
    let link = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
    let link = link.context("the front is started by the keeper only, with a link as its stdin")?;
    redial_server::front(link)?;
    Ok(())
}
