//! Connecting, and what a connected stream can do.

mod facts;

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

use crate::address::{Address, Endpoint, Kind, SocketError};
use crate::listen::socket_type;
pub use facts::Facts;

/// Who has not answered by then is not there, or its waiting line is full.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connected stream socket, TCP or Unix. Several threads may use it at once, through
/// `&Stream`. Writing to a peer that is gone is an error, no signal.
#[derive(Debug)]
pub struct Stream {
    socket: OwnedFd,
}

impl Stream {
    /// socket(2), connect(2): each endpoint of the address in turn, at most
    /// [`CONNECT_TIMEOUT`] each.
    ///
    /// # Errors
    ///
    /// [`SocketError::Resolve`], `NoStream`, `Refused` and `Connect`.
    pub fn connect(address: &Address) -> Result<Self, SocketError> {
        if address.kind() != Kind::Stream {
            let address = address.clone();
            return Err(SocketError::NoStream { address });
        }
        let socket = connect(address)?;
        if matches!(address, Address::Tcp(_)) {
            // Only a matter of speed: a message is sent whole, and soon.
            let _ = sockopt::set_tcp_nodelay(&socket, true);
        }
        Ok(Stream { socket })
    }

    /// getsockname(2).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn local(&self) -> io::Result<Endpoint> {
        let said = rustix::net::getsockname(&self.socket)?;
        Ok(Endpoint::from_kernel(Some(said)))
    }

    /// getpeername(2).
    ///
    /// # Errors
    ///
    /// When the peer has gone already.
    pub fn peer(&self) -> io::Result<Endpoint> {
        Ok(Endpoint::from_kernel(rustix::net::getpeername(
            &self.socket,
        )?))
    }

    /// What the system knows of it.
    pub fn facts(&self) -> Facts {
        Facts::of(&self.socket)
    }

    /// Says that nothing more is written, or read, or both. Other threads that wait in
    /// it go on.
    ///
    /// # Errors
    ///
    /// When the peer has gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => rustix::net::Shutdown::Read,
            Shutdown::Write => rustix::net::Shutdown::Write,
            Shutdown::Both => rustix::net::Shutdown::Both,
        };
        Ok(rustix::net::shutdown(&self.socket, how)?)
    }

    /// Waits until there is something to read (bytes, the end, or an error); `false` when
    /// the line was quiet for so long.
    ///
    /// # Errors
    ///
    /// As poll(2).
    pub fn wait_readable(&self, quiet: Duration) -> io::Result<bool> {
        wait_readable(&self.socket, quiet)
    }

    /// Reads what is there, without waiting: recv(2) with MSG_DONTWAIT.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing is.
    pub fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(&self.socket, buffer, RecvFlags::DONTWAIT)?.0)
    }

    /// Writes what fits, without waiting: send(2) with MSG_DONTWAIT.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing does.
    pub fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        Ok(rustix::net::send(&self.socket, bytes, flags)?)
    }
}

impl From<OwnedFd> for Stream {
    fn from(socket: OwnedFd) -> Self {
        Stream { socket }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(&self.socket, buffer, RecvFlags::empty())?.0)
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connected socket of the address's type. Datagram sockets are connected too: then
/// they hear nobody else, and learn that nobody listens there. A Unix one gets a name of
/// its own, without which it could not be answered: outside the file system, so that
/// nothing has to be removed (unix(7), "autobind").
pub(crate) fn connect(address: &Address) -> Result<OwnedFd, SocketError> {
    let mut failure = None;
    for endpoint in address.resolve()? {
        match connect_one(address, &endpoint) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(connect_error(
        address,
        failure.expect("an address resolves to one endpoint at least"),
    ))
}

fn connect_one(address: &Address, endpoint: &Endpoint) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(endpoint.family(), socket_type(address), flags, None)?;
    if matches!(address, Address::UnixDatagram(_)) {
        rustix::net::bind(&socket, &Endpoint::Unnamed.to_kernel()?)?;
    }
    // It limits connect too, socket(7).
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(CONNECT_TIMEOUT))?;
    match rustix::net::connect(&socket, &endpoint.to_kernel()?) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::AGAIN) => return Err(Errno::TIMEDOUT),
        Err(error) => return Err(error),
    }
    sockopt::set_socket_timeout(&socket, Timeout::Send, None)?;
    Ok(socket)
}

pub(crate) fn connect_error(address: &Address, error: Errno) -> SocketError {
    let (address, cause) = (address.clone(), error.into());
    match error {
        Errno::CONNREFUSED | Errno::NOENT => SocketError::Refused { address, cause },
        _ => SocketError::Connect { address, cause },
    }
}

/// Waits until there is something to read; `false` after so long.
pub(crate) fn wait_readable(socket: impl AsFd, quiet: Duration) -> io::Result<bool> {
    let mut waited = [PollFd::new(&socket, PollFlags::IN)];
    let limit = Timespec::try_from(quiet).ok();
    loop {
        match poll(&mut waited, limit.as_ref()) {
            Ok(count) => return Ok(count > 0),
            // Only a debugger: our signals are not handled by handlers.
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
