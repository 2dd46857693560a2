//! The network as the keeper has it: sockets that are listened on, and who comes in there.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use redial_auth::HostKey;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::Resource;

use super::config::{KeeperError, NetworkConfig};
use super::grant::Grant;
use super::listener::{Accepted, Admits, Listener, Reserve, Tolerant};
use super::penalties::Penalties;
use super::strangers::Strangers;
use super::time::Millis;
use super::upgrade::Inherited;
use crate::login::{Found, KeyReader, Whose};
use crate::state::CallerState;

/// As many as the system lets wait to be accepted (listen(2) cuts it to somaxconn).
const BACKLOG: i32 = 4_096;
/// What a front has open besides connections, and some more.
const OTHER_DESCRIPTORS: usize = 64;

/// All that there is only where the network is listened on.
pub(super) struct Network {
    pub(super) host_key: Arc<HostKey>,
    pub(super) listeners: Vec<TcpListener>,
    pub(super) door: Option<Listener>,
    pub(super) strangers: Strangers,
    pub(super) penalties: Penalties,
    /// When it is looked again whether keys still stand; none while that is done, or while no
    /// key has let anybody in.
    pub(super) recheck_at: Option<Millis>,
    /// Since then that is being done.
    pub(super) rechecking: Option<Millis>,
    /// Were gone at the last look. A file may have been half written then, so it takes two.
    pub(super) suspects: Vec<Arc<Grant>>,
}

/// A TCP socket that is listened on.
#[derive(Debug)]
pub(super) struct TcpListener {
    socket: OwnedFd,
    pub(super) address: SocketAddr,
    /// As it was asked for: its port may be any.
    asked: SocketAddr,
}

/// What one accept came to.
#[derive(Debug)]
pub(super) enum Caller {
    Connection(OwnedFd, SocketAddr),
    /// Somebody has brought it; where it is from, nobody knows.
    Carried(OwnedFd),
    /// Gone, or there was no descriptor for it.
    Dropped,
    Nobody,
    /// Out of descriptors.
    Exhausted,
}

impl Network {
    /// Listens, at the door for who is admitted there.
    pub(super) fn new(
        config: NetworkConfig,
        connections: u32,
        mut inherited: impl FnMut(SocketAddr) -> Option<TcpListener>,
        (tolerant, admits): (Tolerant, Admits),
    ) -> Result<Self, KeeperError> {
        let mut bind = |address| inherited(address).map_or_else(|| TcpListener::bind(address), Ok);
        let bind = |address| tolerant.or_log(bind(address)).transpose();
        let listeners: Result<Vec<_>, _> = config.listen.into_iter().filter_map(bind).collect();
        let door = config.door.map(|door| Listener::bind(&door.path, admits));
        Ok(Self {
            host_key: Arc::new(config.host_key),
            listeners: listeners?,
            door: door.transpose()?,
            strangers: Strangers::within(spare_descriptors(connections)),
            penalties: Penalties::default(),
            recheck_at: None,
            rechecking: None,
            suspects: Vec::new(),
        })
    }

    /// All that is listened on, with its number.
    pub(super) fn watched(&self) -> impl Iterator<Item = (u64, BorrowedFd<'_>)> {
        let sockets = self.listeners.iter().map(AsFd::as_fd);
        (0..).zip(sockets.chain(self.door.iter().map(AsFd::as_fd)))
    }

    /// Takes the next who waits there.
    pub(super) fn accept(&self, number: u64, reserve: &mut Reserve) -> Caller {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(listener) = self.listeners.get(index) {
            return listener.accept(reserve);
        }
        match self.door.as_ref().map(|door| door.accept(reserve)) {
            Some(Accepted::Connection(socket, _)) => Caller::Carried(socket),
            Some(Accepted::Refused(_) | Accepted::Dropped) => Caller::Dropped,
            Some(Accepted::Exhausted) => Caller::Exhausted,
            Some(Accepted::Nobody) | None => Caller::Nobody,
        }
    }

    /// Nobody comes in any more.
    pub(super) fn close(&mut self) {
        self.listeners.clear();
        self.door = None;
    }
}

/// Descriptors that a front has for strangers: it has the same limit as we, and other uses.
fn spare_descriptors(connections: u32) -> usize {
    let limit = rustix::process::getrlimit(Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    limit.saturating_sub(connections as usize + OTHER_DESCRIPTORS)
}

/// A server that nobody could log in to is a mistake, and is said to be one now.
pub(super) fn check_keys(reader: &KeyReader) -> Result<(), KeeperError> {
    let fetched = reader.fetch(&Whose::Own, |spawn| spawn());
    let files = fetched
        .map_err(|error| KeeperError::Keys(error.to_string()))?
        .files;
    let mut looked = Vec::new();
    for file in &files {
        let path = file.path().display().to_string();
        match &file.found {
            Found::Missing => looked.push(format!("{path} is not there")),
            Found::Refused(reason) => looked.push(format!("{path} does not count: {reason}")),
            Found::Text(text) => {
                let mut lines = redial_auth::authorized_keys::lines(text);
                if lines.any(|line| line.is_ok()) {
                    return Ok(());
                }
                looked.push(format!("{path} has no usable line"));
            }
        }
    }
    Err(KeeperError::NoKeys(looked.join("; ")))
}

impl TcpListener {
    fn bind(address: SocketAddr) -> Result<Self, KeeperError> {
        let bound = Self::try_bind(address);
        bound.map_err(|source| KeeperError::ListenTcp { address, source })
    }

    fn try_bind(address: SocketAddr) -> io::Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        // The port is ours again at once after a restart.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        if address.is_ipv6() {
            // 0.0.0.0 and [::] can so be listened on beside each other.
            sockopt::set_ipv6_v6only(&socket, true)?;
        }
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        let asked = address;
        let address = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
        Ok(Self {
            socket,
            address,
            asked,
        })
    }

    /// One that the service manager has made.
    pub(super) fn adopt(socket: OwnedFd, asked: SocketAddr) -> io::Result<Self> {
        let address = SocketAddr::try_from(rustix::net::getsockname(&socket)?)?;
        Ok(Self {
            socket,
            address,
            asked,
        })
    }

    /// For another program.
    pub(super) fn save(&self) -> CallerState {
        CallerState {
            address: self.asked.to_string(),
            socket: self.socket.as_raw_fd(),
        }
    }

    /// The socket of another program for this address, if it had one.
    pub(super) fn restore(
        asked: SocketAddr,
        states: &[CallerState],
        fds: &mut Inherited,
    ) -> Option<Self> {
        let text = asked.to_string();
        let state = states.iter().find(|state| state.address == text)?;
        let socket = fds.take(Some(state.socket))?;
        let address = SocketAddr::try_from(rustix::net::getsockname(&socket).ok()?).ok()?;
        Some(Self {
            socket,
            address,
            asked,
        })
    }

    /// Takes the next who waits. Nothing is read from it.
    pub(super) fn accept(&self, reserve: &mut Reserve) -> Caller {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::acceptfrom_with(&self.socket, flags) {
            Ok((socket, Some(address))) => match SocketAddr::try_from(address) {
                Ok(address) => Caller::Connection(socket, address),
                Err(_) => Caller::Dropped,
            },
            Ok((_, None)) => Caller::Dropped,
            Err(Errno::AGAIN) => Caller::Nobody,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                if reserve.turn_away(self.socket.as_fd()) {
                    Caller::Dropped
                } else {
                    Caller::Exhausted
                }
            }
            // Who had gone before we came; accept(2) names many more such errors.
            Err(_) => Caller::Dropped,
        }
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
