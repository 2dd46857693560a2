//! What the system knows of a socket, as Python's `print(socket)` shows it.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::address::Endpoint;

/// What the system knows of a socket. Shown as
/// `fd=4 family=AF_INET type=SOCK_STREAM local=127.0.0.1:8080 remote=127.0.0.1:5280`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its number in this process.
    pub fd: RawFd,
    /// getsockopt(2), SO_DOMAIN.
    pub family: &'static str,
    /// getsockopt(2), SO_TYPE.
    pub kind: &'static str,
    /// getsockname(2).
    pub local: Option<Endpoint>,
    /// getpeername(2); none for a socket that is not connected.
    pub remote: Option<Endpoint>,
}

impl Facts {
    pub(crate) fn of(socket: impl AsFd) -> Self {
        let socket = socket.as_fd();
        Facts {
            fd: socket.as_raw_fd(),
            family: match sockopt::socket_domain(socket) {
                Ok(AddressFamily::INET) => "AF_INET",
                Ok(AddressFamily::INET6) => "AF_INET6",
                Ok(AddressFamily::UNIX) => "AF_UNIX",
                _ => "unknown",
            },
            kind: match sockopt::socket_type(socket) {
                Ok(SocketType::STREAM) => "SOCK_STREAM",
                Ok(SocketType::DGRAM) => "SOCK_DGRAM",
                _ => "unknown",
            },
            local: rustix::net::getsockname(socket)
                .ok()
                .map(|said| Endpoint::from_kernel(Some(said))),
            remote: rustix::net::getpeername(socket)
                .ok()
                .map(Endpoint::from_kernel),
        }
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts {
            fd, family, kind, ..
        } = self;
        write!(f, "fd={fd} family={family} type={kind}")?;
        for (name, end) in [("local", &self.local), ("remote", &self.remote)] {
            if let Some(end) = end {
                write!(f, " {name}={end}")?;
            }
        }
        Ok(())
    }
}
