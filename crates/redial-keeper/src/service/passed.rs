//! Sockets that a service manager has opened for us (sd_listen_fds(3)): it listens from the boot on, and
//! starts us when somebody comes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketType, sockopt};

/// The first of them.
const FIRST: RawFd = 3;
/// More are no setting of anybody's.
const MAX: RawFd = 64;

/// What of it there is, each until it is taken.
#[derive(Debug, Default)]
pub struct PassedSockets {
    unix: Vec<(PathBuf, OwnedFd)>,
    tcp: Vec<(SocketAddr, OwnedFd)>,
}

impl PassedSockets {
    /// Those that the environment says are ours; to be asked once, before anything is opened.
    ///
    /// # Errors
    /// One is none that could be listened on.
    pub fn from_environment() -> io::Result<Self> {
        let number = |name| -> Option<i32> { std::env::var(name).ok()?.parse().ok() };
        let own = std::process::id().cast_signed();
        if number("LISTEN_PID") != Some(own) {
            return Ok(Self::default());
        }
        let count = number("LISTEN_FDS").unwrap_or(0);
        if !(0..=MAX).contains(&count) {
            return Err(io::Error::other("LISTEN_FDS is out of range"));
        }
        let mut passed = Self::default();
        for fd in FIRST..FIRST + count {
            rustix::io::fcntl_getfd(borrowed(fd)?)?;
            // SAFETY: it is open, and by LISTEN_PID was left so for us; nobody else here has it.
            passed.add(unsafe { OwnedFd::from_raw_fd(fd) })?;
        }
        Ok(passed)
    }

    fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        let wrong = |text| Err(io::Error::other(text));
        if sockopt::socket_type(&socket)? != SocketType::STREAM
            || !sockopt::socket_acceptconn(&socket)?
        {
            return wrong("a passed descriptor is no socket that is listened on");
        }
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        let address = rustix::net::getsockname(&socket)?;
        if address.address_family() == AddressFamily::UNIX {
            let address = rustix::net::SocketAddrUnix::try_from(address)?;
            let Some(path) = address.path_bytes() else {
                return wrong("a passed Unix socket has no path");
            };
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
            self.unix.push((path, socket));
            return Ok(());
        }
        self.tcp.push((SocketAddr::try_from(address)?, socket));
        Ok(())
    }

    /// That of this path.
    pub(crate) fn take_unix(&mut self, path: &Path) -> Option<OwnedFd> {
        let at = self.unix.iter().position(|(known, _)| known == path)?;
        Some(self.unix.swap_remove(at).1)
    }

    /// That of this address.
    pub(crate) fn take_tcp(&mut self, address: SocketAddr) -> Option<OwnedFd> {
        let at = self.tcp.iter().position(|(known, _)| *known == address)?;
        Some(self.tcp.swap_remove(at).1)
    }

    /// One that nobody has taken: whose unit and whose settings do not agree.
    pub(crate) fn left(&self) -> Option<String> {
        let unix = self
            .unix
            .first()
            .map(|(path, _)| format!("unix:{}", path.display()));
        unix.or_else(|| Some(self.tcp.first()?.0.to_string()))
    }
}

fn borrowed(fd: RawFd) -> io::Result<std::os::fd::BorrowedFd<'static>> {
    // SAFETY: only asked whether it is open; an error is the answer where it is not.
    Ok(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    #[test]
    fn a_socket_is_found_by_where_it_listens_and_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let unix = UnixListener::bind(&path).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        let mut passed = PassedSockets::default();
        passed.add(unix.into()).unwrap();
        passed.add(tcp.into()).unwrap();
        assert!(passed.left().is_some_and(|left| left.ends_with("/s")));
        assert!(passed.take_unix(Path::new("/other")).is_none());
        assert!(passed.take_unix(&path).is_some() && passed.take_unix(&path).is_none());
        assert_eq!(passed.left(), Some(address.to_string()));
        assert!(passed.take_tcp(address).is_some());
        assert_eq!(passed.left(), None);
    }

    #[test]
    fn what_cannot_be_listened_on_is_no_such_socket() {
        let mut passed = PassedSockets::default();
        for odd in [
            OwnedFd::from(std::fs::File::open("/dev/null").unwrap()),
            UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            UnixDatagram::unbound().unwrap().into(),
            std::os::unix::net::UnixStream::pair().unwrap().0.into(),
        ] {
            assert!(passed.add(odd).is_err());
        }
        assert_eq!(passed.left(), None);
    }
}
