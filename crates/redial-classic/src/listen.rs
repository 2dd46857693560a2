//! Listening: socket, bind, listen, accept.

mod callers;
mod file;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::address::{Address, Endpoint, Kind, Reach, SocketError};
use crate::connect::{Facts, Stream};
pub use callers::{Calls, answer_each};
use file::SocketFile;

/// A client whose machine is gone without a word is noticed after about this long and a
/// few tries more (tcp(7), TCP_KEEPIDLE), so that it does not hold its place for ever.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// A stream socket that is listened on. Its socket file, if it has one, goes with it.
///
/// It does not block: wait for it with poll(2), then [`Listener::accept`].
pub struct Listener {
    socket: OwnedFd,
    address: Address,
    _file: Option<SocketFile>,
}

impl Listener {
    /// socket(2), bind(2), listen(2). At most `backlog` callers wait until they are
    /// accepted (listen(2): the system may round it). The port can be had again at once
    /// after an earlier server; a socket file is replaced if no socket is bound to it any
    /// more, and only this user may connect to the new one.
    ///
    /// # Errors
    ///
    /// All but [`SocketError::Refused`], `Connect` and `NoDatagrams`.
    pub fn bind(address: &Address, backlog: u16, reach: Reach) -> Result<Self, SocketError> {
        if address.kind() != Kind::Stream {
            let address = address.clone();
            return Err(SocketError::NoStream { address });
        }
        let bound = bind(address, reach, |socket| {
            rustix::net::listen(socket, i32::from(backlog))
        })?;
        Ok(Listener {
            socket: bound.socket,
            address: bound.address,
            _file: bound.file,
        })
    }

    /// Where it really listens: port 0 has become a number.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next caller.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nobody waits; others as in accept(2). None of
    /// them means that the listener is of no use any more.
    pub fn accept(&self) -> io::Result<(Stream, Endpoint)> {
        let (socket, from) = rustix::net::acceptfrom_with(&self.socket, SocketFlags::CLOEXEC)?;
        if matches!(self.address, Address::Tcp(_)) {
            // Without it a connection works as well.
            let _ = sockopt::set_socket_keepalive(&socket, true);
            let _ = sockopt::set_tcp_keepidle(&socket, KEEPALIVE_AFTER);
            let _ = sockopt::set_tcp_nodelay(&socket, true);
        }
        Ok((Stream::from(socket), Endpoint::from_kernel(from)))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.address)
    }
}

/// A datagram socket with an address of its own. Its socket file, if it has one, goes
/// with it. It does not block.
pub struct Mailbox {
    socket: OwnedFd,
    address: Address,
    _file: Option<SocketFile>,
}

impl Mailbox {
    /// socket(2), bind(2); as [`Listener::bind`], but that a port is nobody else's until it
    /// is closed: there are no earlier connections that could hold it.
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`], with [`SocketError::NoDatagrams`] for `NoStream`.
    pub fn bind(address: &Address, reach: Reach) -> Result<Self, SocketError> {
        if address.kind() != Kind::Datagram {
            let address = address.clone();
            return Err(SocketError::NoDatagrams { address });
        }
        let bound = bind(address, reach, |_| Ok(()))?;
        Ok(Mailbox {
            socket: bound.socket,
            address: bound.address,
            _file: bound.file,
        })
    }

    /// Where it really is: port 0 has become a number.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the system knows of it.
    pub fn facts(&self) -> Facts {
        Facts::of(&self.socket)
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox({})", self.address)
    }
}

struct Bound {
    socket: OwnedFd,
    address: Address,
    file: Option<SocketFile>,
}

/// The first of the address's endpoints that can be had. `then` belongs to it: of two
/// TCP servers with SO_REUSEADDR that bind, the second to listen is refused.
fn bind(
    address: &Address,
    reach: Reach,
    then: impl Fn(&OwnedFd) -> Result<(), Errno>,
) -> Result<Bound, SocketError> {
    let endpoints = address.resolve()?;
    if reach == Reach::ThisMachine && !endpoints.iter().all(Endpoint::is_local) {
        let address = address.clone();
        return Err(SocketError::NotLocal { address });
    }
    let mut failure = None;
    for endpoint in &endpoints {
        match bind_one(address, endpoint, &then) {
            Ok(bound) => return Ok(bound),
            // The first is what people mean by the name.
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.expect("an address resolves to one endpoint at least"))
}

fn bind_one(
    address: &Address,
    endpoint: &Endpoint,
    then: impl Fn(&OwnedFd) -> Result<(), Errno>,
) -> Result<Bound, SocketError> {
    let failed = |cause: Errno| match cause {
        Errno::ADDRINUSE => SocketError::InUse {
            address: address.clone(),
        },
        cause => SocketError::Listen {
            address: address.clone(),
            cause: cause.into(),
        },
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = endpoint.family();
    let socket =
        rustix::net::socket_with(family, socket_type(address), flags, None).map_err(failed)?;
    let mut file = None;
    match endpoint {
        Endpoint::Path(path) => {
            // The file is made with the socket's own mode: nobody else's even for a moment.
            rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(failed)?;
            file = Some(file::bind(&socket, path, address)?);
        }
        _ => {
            // Two datagram servers would share the port with it.
            if address.kind() == Kind::Stream {
                sockopt::set_socket_reuseaddr(&socket, true).map_err(failed)?;
            }
            let place = endpoint.to_kernel().map_err(failed)?;
            rustix::net::bind(&socket, &place).map_err(failed)?;
        }
    }
    then(&socket).map_err(failed)?;
    let at = Endpoint::from_kernel(Some(rustix::net::getsockname(&socket).map_err(failed)?));
    Ok(Bound {
        address: match family {
            AddressFamily::UNIX => address.clone(),
            _ => address.at(&at),
        },
        socket,
        file,
    })
}

/// SOCK_STREAM or SOCK_DGRAM.
pub(crate) fn socket_type(address: &Address) -> SocketType {
    match address.kind() {
        Kind::Stream => SocketType::STREAM,
        Kind::Datagram => SocketType::DGRAM,
    }
}

#[cfg(test)]
mod tests;
