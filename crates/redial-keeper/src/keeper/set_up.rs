//! What there has to be before the loop turns.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::command::hex;
use super::config::{KeeperError, Limits, ManyUsers, NetworkConfig};
use super::ground::Ground;
use super::kept::{self, Keeping};
use super::listener::{Admits, Listener, Tolerant};
use super::logins::Logins;
use super::network::{Network, TcpListener, check_keys};
use super::upgrade::Resumed;
use super::users::{KnownUsers, People, Users};
use super::workers::Workers;
use crate::login::KeyReader;
use crate::service::PassedSockets;
use crate::signals;
use crate::spawn::Identity;
use crate::tree::{CgroupRoot, SpawnTickets, become_subreaper};

/// Before any thread: they inherit the mask. Gives what tells of children's ends.
pub(super) fn set_up_process(resumed: Option<&Resumed>) -> Result<OwnedFd, KeeperError> {
    let children = signals::child_exits().map_err(KeeperError::setup("take SIGCHLD"))?;
    signals::ignore_sigpipe().map_err(KeeperError::setup("ignore SIGPIPE"))?;
    // A limit on the size of files is an error of the write that meets it.
    signals::ignore_sigxfsz().map_err(KeeperError::setup("ignore SIGXFSZ"))?;
    become_subreaper().map_err(KeeperError::setup("become a subreaper"))?;
    if let Err(error) = crate::spawn::oom::protect(resumed.and_then(Resumed::oom_score)) {
        tracing::debug!(%error, "no protection from the end by lack of memory");
    }
    if let Err(error) = crate::spawn::raise_descriptor_limit() {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
    Ok(children)
}

/// What is kept, or why nothing can be: that is no reason not to serve.
pub(super) fn keep(dir: Option<&Path>, ground: &mut Ground, resumed: Option<&Resumed>) -> Keeping {
    let Some(dir) = dir else {
        let reason = "this server has no state directory to keep jobs in".to_owned();
        return Keeping::nowhere(reason);
    };
    let running = resumed.map(Resumed::running).unwrap_or_default();
    kept::open(dir, ground, &running).unwrap_or_else(|error| {
        let reason = format!("jobs cannot be kept in {}: {error}", dir.display());
        tracing::warn!(reason, "--detach is refused");
        Keeping::nowhere(reason)
    })
}

/// The name of this keeper: that of the program before it, or a new one.
pub(super) fn instance(resumed: Option<&Resumed>) -> Result<[u8; 16], KeeperError> {
    match resumed {
        Some(resumed) => Ok(resumed.instance()),
        None => random().map_err(KeeperError::setup("get random bytes")),
    }
}

/// The Unix sockets: those that are there, and new ones.
fn bind(
    paths: &[PathBuf],
    passed: &mut PassedSockets,
    many: Option<&ManyUsers>,
    resumed: &mut Option<Resumed>,
) -> Result<Vec<Listener>, KeeperError> {
    let tolerant = Tolerant(resumed.is_some());
    let mut bind = |path: &PathBuf| match resumed.as_mut().and_then(|it| it.listener(path)) {
        Some(mut listener) => {
            listener.admits = Admits::of(many);
            Ok(listener)
        }
        None => match passed.take_unix(path) {
            Some(socket) => Listener::adopt(path, socket, Admits::of(many)),
            None => Listener::bind(path, Admits::of(many)),
        },
    };
    let bind = |path| tolerant.or_log(bind(path)).transpose();
    paths.iter().filter_map(bind).collect()
}

/// Sockets, the network, and who finds out who comes.
pub(super) fn open_doors(
    listen: &[PathBuf],
    config: Option<NetworkConfig>,
    (users, reader, mut passed): (Option<ManyUsers>, Option<KeyReader>, PassedSockets),
    ground: &Ground,
    resumed: &mut Option<Resumed>,
) -> Result<(Vec<Listener>, Option<Network>, People), KeeperError> {
    let listeners = bind(listen, &mut passed, users.as_ref(), resumed)?;
    let front = users.as_ref().map(|many| many.front.clone());
    let network = open_network((config, front), ground, &mut passed, resumed)?;
    if let Some(left) = passed.left() {
        return Err(KeeperError::Passed(left));
    }
    let about = (ground, resumed.is_some());
    let people = open_people(users, reader, network.as_ref(), about)?;
    Ok((listeners, network, people))
}

/// The sockets of the network.
fn open_network(
    (config, front): (Option<NetworkConfig>, Option<Identity>),
    ground: &Ground,
    passed: &mut PassedSockets,
    resumed: &mut Option<Resumed>,
) -> Result<Option<Network>, KeeperError> {
    let tolerant = Tolerant(resumed.is_some());
    let inherited = |address| {
        if let Some(socket) = passed.take_tcp(address) {
            return TcpListener::adopt(socket, address).ok();
        }
        let resumed = resumed.as_mut()?;
        let callers = resumed.callers();
        TcpListener::restore(address, &callers, &mut resumed.fds)
    };
    let connections = ground.limits.connections;
    // Who brings lines is who the front is.
    let admits = front
        .as_ref()
        .map_or(Admits::Own, |front| Admits::Only(front.uid));
    let agent = config.as_ref().and_then(|config| config.door.clone());
    let network =
        config.map(|config| Network::new(config, connections, inherited, (tolerant, admits)));
    let network = network.transpose()?;
    if let Some(door) = agent {
        let started = super::agent::keep_running(door.agent, front, &ground.workers);
        started.map_err(KeeperError::setup("start threads"))?;
    }
    Ok(network)
}

/// Who may have jobs, and who finds out who somebody is.
fn open_people(
    users: Option<ManyUsers>,
    reader: Option<KeyReader>,
    network: Option<&Network>,
    (ground, resumed): (&Ground, bool),
) -> Result<People, KeeperError> {
    let users = Arc::new(users.map_or(Users::Own, Users::Many));
    if users.are_many() && !rustix::process::geteuid().is_root() {
        return Err(KeeperError::NotRoot);
    }
    let mut logins = None;
    if network.is_some() || users.are_many() {
        let reader = reader.ok_or(KeeperError::NoReader)?;
        // Whose keys those of many users are is not known before they come.
        if network.is_some() && !users.are_many() {
            Tolerant(resumed).or_log(check_keys(&reader))?;
        }
        let host_key = network.map(|network| &network.host_key);
        let others = (&ground.workers, ground.audit.as_ref());
        let new = Logins::new(&users, host_key, reader, others);
        logins = Some(new.map_err(KeeperError::setup("start threads"))?);
    }
    Ok(People {
        users,
        logins,
        known: KnownUsers::default(),
        told_confinement: false,
    })
}

pub(super) fn set_up(
    (limits, for_many): (Limits, bool),
    instance: &[u8; 16],
    tickets: &Arc<SpawnTickets>,
    resumed: &mut Option<Resumed>,
) -> Result<Ground, KeeperError> {
    let discover = || {
        CgroupRoot::discover(&hex(instance))
            .inspect_err(
                |reason| tracing::info!(%reason, "no cgroups: ending a job is best effort"),
            )
            .ok()
    };
    let cgroups = match resumed {
        Some(resumed) => resumed.cgroups(),
        None => discover(),
    };
    let new = || {
        let workers = Workers::new(limits.jobs as usize, tickets, cgroups, for_many)?;
        let pools = resumed.as_mut().map(Resumed::pools).transpose()?;
        Ground::new(limits, workers, (pools, for_many))
    };
    new().map_err(KeeperError::setup("set up"))
}

/// Random bytes of the kernel's.
pub(super) fn random<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let flags = rustix::rand::GetRandomFlags::empty();
    let len = rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut bytes, flags))?;
    if len == bytes.len() {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
