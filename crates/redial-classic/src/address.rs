//! Where a socket is: the addresses that people write, and what they stand for.

mod endpoint;
mod error;

use std::ffi::OsStr;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use endpoint::Endpoint;
pub use error::{AddressError, SocketError};

/// Longest path of a Unix socket in bytes: sun_path less its NUL (unix(7)).
pub const MAX_UNIX_PATH_BYTES: usize = 107;

/// An address as people write it.
///
/// | Text | Family, type |
/// |---|---|
/// | `tcp:HOST:PORT`, or just `HOST:PORT` | AF_INET or AF_INET6, SOCK_STREAM |
/// | `udp:HOST:PORT` | AF_INET or AF_INET6, SOCK_DGRAM |
/// | `unix:PATH` | AF_UNIX, SOCK_STREAM |
/// | `unixgram:PATH` | AF_UNIX, SOCK_DGRAM |
///
/// HOST is a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A byte stream over the network.
    Tcp(HostPort),
    /// Messages over the network.
    Udp(HostPort),
    /// A byte stream on this machine.
    Unix(PathBuf),
    /// Messages on this machine.
    UnixDatagram(PathBuf),
}

/// A host, not yet looked up, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// 0 lets a server have any free one.
    pub port: u16,
}

/// What a socket carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes in order, without boundaries.
    Stream,
    /// Messages, each for itself.
    Datagram,
}

/// From where a server may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From wherever the address says.
    Anywhere,
    /// From this machine alone: what has no authentication stays here.
    ThisMachine,
}

impl Address {
    /// Reads an address. Paths may be any bytes.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what is accepted.
    pub fn parse(text: &OsStr) -> Result<Self, AddressError> {
        let path = |rest: &[u8]| path_of(rest).map(PathBuf::from);
        let bytes = text.as_bytes();
        if let Some(rest) = bytes.strip_prefix(b"unix:") {
            return Ok(Address::Unix(path(rest)?));
        }
        if let Some(rest) = bytes.strip_prefix(b"unixgram:") {
            return Ok(Address::UnixDatagram(path(rest)?));
        }
        let text = text.to_str().ok_or(AddressError::NotUtf8)?;
        if let Some(rest) = text.strip_prefix("udp:") {
            return Ok(Address::Udp(rest.parse()?));
        }
        let rest = text.strip_prefix("tcp:").unwrap_or(text);
        Ok(Address::Tcp(rest.parse()?))
    }

    /// What a socket there carries.
    pub fn kind(&self) -> Kind {
        match self {
            Address::Tcp(_) | Address::Unix(_) => Kind::Stream,
            Address::Udp(_) | Address::UnixDatagram(_) => Kind::Datagram,
        }
    }

    /// Looks the name up. At least one endpoint; IPv4 first, so that server and client of
    /// one name meet (the lesson's family is AF_INET).
    ///
    /// # Errors
    ///
    /// A name that nobody knows.
    pub fn resolve(&self) -> Result<Vec<Endpoint>, SocketError> {
        match self {
            Address::Tcp(place) | Address::Udp(place) => place.resolve(),
            Address::Unix(path) | Address::UnixDatagram(path) => {
                Ok(vec![Endpoint::Path(path.clone())])
            }
        }
    }

    /// Whether it is on this machine, whatever its name resolves to: a loopback address or
    /// a Unix socket. A server asks for [`Reach::ThisMachine`] when it listens instead: a
    /// name may mean something else the next moment.
    ///
    /// # Errors
    ///
    /// A name that nobody knows.
    pub fn is_local(&self) -> Result<bool, SocketError> {
        Ok(self.resolve()?.iter().all(Endpoint::is_local))
    }

    /// The same kind of address at the place where a socket really is.
    pub(crate) fn at(&self, endpoint: &Endpoint) -> Address {
        match (self, endpoint) {
            (Address::Tcp(_), Endpoint::Ip(place)) => Address::Tcp(HostPort::from(*place)),
            (Address::Udp(_), Endpoint::Ip(place)) => Address::Udp(HostPort::from(*place)),
            _ => self.clone(),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Address::parse(OsStr::new(text))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(place) => write!(f, "tcp:{place}"),
            Address::Udp(place) => write!(f, "udp:{place}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::UnixDatagram(path) => write!(f, "unixgram:{}", path.display()),
        }
    }
}

impl HostPort {
    fn resolve(&self) -> Result<Vec<Endpoint>, SocketError> {
        let failed = |cause| SocketError::Resolve {
            host: self.host.clone(),
            cause,
        };
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let mut found: Vec<SocketAddr> = found.map_err(failed)?.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        if found.is_empty() {
            return Err(failed(std::io::ErrorKind::NotFound.into()));
        }
        Ok(found.into_iter().map(Endpoint::Ip).collect())
    }
}

impl From<SocketAddr> for HostPort {
    fn from(place: SocketAddr) -> Self {
        // With its scope, if it has one: "fe80::1%2".
        let host = match place {
            SocketAddr::V6(place) if place.scope_id() != 0 => {
                format!("{}%{}", place.ip(), place.scope_id())
            }
            _ => place.ip().to_string(),
        };
        let port = place.port();
        HostPort { host, port }
    }
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(AddressError::NoPort(text.to_owned()));
        };
        let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bracketed {
            Some(inner) if is_ipv6(inner) => inner,
            Some(inner) => return Err(AddressError::NotIpv6(inner.to_owned())),
            None if text.starts_with('[') && text.ends_with(']') => {
                return Err(AddressError::NoPort(text.to_owned()));
            }
            None if host.contains([':', '[', ']']) => {
                return Err(AddressError::Brackets(text.to_owned()));
            }
            None if host.is_empty() => return Err(AddressError::NoHost(text.to_owned())),
            None => host,
        };
        // u16's own parser takes a plus sign.
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse() {
            Ok(port) if digits => Ok(HostPort {
                host: host.to_owned(),
                port,
            }),
            _ => Err(AddressError::Port(port.to_owned())),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// An IPv6 address, perhaps with the interface it is valid on (RFC 4007, section 11).
fn is_ipv6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok()
}

fn path_of(bytes: &[u8]) -> Result<&Path, AddressError> {
    match bytes.len() {
        0 => Err(AddressError::NoPath),
        len if len > MAX_UNIX_PATH_BYTES => Err(AddressError::LongPath { len }),
        _ if bytes.contains(&0) => Err(AddressError::NulInPath),
        _ => Ok(Path::new(OsStr::from_bytes(bytes))),
    }
}

#[cfg(test)]
mod tests;
