//! What there has to be before the loop turns.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::command::hex;
use super::config::{KeeperError, Limits, NetworkConfig};
use super::ground::Ground;
use super::kept::{self, Archive};
use super::network::Network;
use super::workers::Workers;
use crate::signals;
use crate::tree::{CgroupRoot, SpawnTickets, become_subreaper};

/// Before any thread: they inherit the mask. Gives what tells of children's ends.
pub(super) fn set_up_process() -> Result<OwnedFd, KeeperError> {
    let children = signals::child_exits().map_err(KeeperError::setup("take SIGCHLD"))?;
    signals::ignore_sigpipe().map_err(KeeperError::setup("ignore SIGPIPE"))?;
    // A limit on the size of files is an error of the write that meets it.
    signals::ignore_sigxfsz().map_err(KeeperError::setup("ignore SIGXFSZ"))?;
    become_subreaper().map_err(KeeperError::setup("become a subreaper"))?;
    if let Err(error) = crate::spawn::raise_descriptor_limit() {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
    Ok(children)
}

/// What is kept, or why nothing can be: that is no reason not to serve.
pub(super) fn keep(dir: Option<&Path>, ground: &mut Ground) -> (Archive, Option<String>) {
    let Some(dir) = dir else {
        let reason = "this server has no state directory to keep jobs in".to_owned();
        return (Archive::default(), Some(reason));
    };
    match kept::open(dir, ground) {
        Ok(archive) => (archive, None),
        Err(error) => {
            let reason = format!("jobs cannot be kept in {}: {error}", dir.display());
            tracing::warn!(reason, "--detach is refused");
            (Archive::default(), Some(reason))
        }
    }
}

/// The sockets of the network, and who lets people in there.
pub(super) fn open_network(
    config: Option<NetworkConfig>,
    ground: &Ground,
) -> Result<Option<Network>, KeeperError> {
    let logins = |key: &_, reader: &_| ground.workers.logins(key, reader);
    let connections = ground.limits.connections;
    let network = config.map(|config| Network::new(config, connections, logins));
    network.transpose()
}

pub(super) fn set_up(
    limits: Limits,
    instance: &[u8; 16],
    tickets: &Arc<SpawnTickets>,
) -> io::Result<Ground> {
    let cgroups = CgroupRoot::discover(&hex(instance))
        .inspect_err(|reason| tracing::info!(%reason, "no cgroups: ending a job is best effort"))
        .ok();
    let workers = Workers::new(limits.jobs as usize, tickets, cgroups)?;
    Ground::new(limits, workers)
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
