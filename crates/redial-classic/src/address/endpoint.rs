//! Where a socket really is, as the kernel says it.

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

/// One end of a socket: what getsockname, getpeername, accept and recvfrom say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// AF_INET or AF_INET6.
    Ip(SocketAddr),
    /// AF_UNIX, with a name in the file system.
    Path(PathBuf),
    /// AF_UNIX, with a name outside the file system (unix(7), "abstract").
    Abstract(Vec<u8>),
    /// AF_UNIX without a name: a client that did not bind.
    Unnamed,
}

impl Endpoint {
    /// Whether only this machine gets there.
    pub fn is_local(&self) -> bool {
        match self {
            Endpoint::Ip(place) => match place.ip() {
                IpAddr::V4(ip) => ip.is_loopback(),
                // ::ffff:127.0.0.1 is 127.0.0.1.
                IpAddr::V6(ip) => ip
                    .to_ipv4_mapped()
                    .map_or_else(|| ip.is_loopback(), |ip| ip.is_loopback()),
            },
            Endpoint::Path(_) | Endpoint::Abstract(_) | Endpoint::Unnamed => true,
        }
    }

    pub(crate) fn family(&self) -> AddressFamily {
        match self {
            Endpoint::Ip(SocketAddr::V4(_)) => AddressFamily::INET,
            Endpoint::Ip(SocketAddr::V6(_)) => AddressFamily::INET6,
            _ => AddressFamily::UNIX,
        }
    }

    /// As bind(2), connect(2) and sendto(2) want it.
    pub(crate) fn to_kernel(&self) -> Result<SocketAddrAny, Errno> {
        Ok(match self {
            Endpoint::Ip(place) => SocketAddrAny::from(*place),
            Endpoint::Path(path) => SocketAddrUnix::new(path.as_path())?.into(),
            Endpoint::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?.into(),
            Endpoint::Unnamed => SocketAddrUnix::new_unnamed().into(),
        })
    }

    /// As the kernel said it; a family we never open counts as unnamed.
    pub(crate) fn from_kernel(said: Option<SocketAddrAny>) -> Self {
        let Some(said) = said else {
            return Endpoint::Unnamed;
        };
        if let Ok(place) = SocketAddr::try_from(said.clone()) {
            return Endpoint::Ip(place);
        }
        let Ok(unix) = SocketAddrUnix::try_from(said) else {
            return Endpoint::Unnamed;
        };
        if let Some(path) = unix.path() {
            return Endpoint::Path(OsStr::from_bytes(path.to_bytes()).into());
        }
        match unix.abstract_name() {
            Some(name) if !name.is_empty() => Endpoint::Abstract(name.to_vec()),
            _ => Endpoint::Unnamed,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Ip(place) => write!(f, "{place}"),
            Endpoint::Path(path) => write!(f, "{}", path.display()),
            Endpoint::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
            Endpoint::Unnamed => write!(f, "(unnamed)"),
        }
    }
}
