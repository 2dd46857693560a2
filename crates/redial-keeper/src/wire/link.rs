//! One end of the socket pair.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// Most descriptors that go with one packet.
pub const MAX_PACKET_FDS: usize = 3;

/// One end of a `SOCK_SEQPACKET` socket pair, non-blocking and close-on-exec
/// (unix(7)): a packet arrives whole or not at all.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
}

/// What [`Link::receive`] took from the socket.
#[derive(Debug)]
pub struct Received {
    /// Bytes of the packet, now in the buffer; 0 when the other end is gone.
    pub len: usize,
    /// The descriptors that came with it, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

impl Link {
    /// Both ends of a new pair.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// Takes over an end that came from elsewhere, as a front does with its stdin.
    ///
    /// # Errors
    /// It is not a Unix socket of this kind.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let domain = rustix::net::sockopt::socket_domain(&fd)?;
        let kind = rustix::net::sockopt::socket_type(&fd)?;
        if domain != AddressFamily::UNIX || kind != SocketType::SEQPACKET {
            let text = "not a Unix socket that keeps packet boundaries";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let flags = rustix::fs::fcntl_getfl(&fd)?;
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
        Ok(Self { socket: fd })
    }

    /// Sends one packet with at most [`MAX_PACKET_FDS`] descriptors, whole.
    ///
    /// # Errors
    /// `WouldBlock` when the socket is full, `BrokenPipe` when the other end is
    /// gone, `InvalidInput` for an empty packet or too many descriptors.
    pub fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if packet.is_empty() || fds.len() > MAX_PACKET_FDS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PACKET_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let packet = [IoSlice::new(packet)];
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(&self.socket, &packet, &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// Takes one packet; `buffer` should hold [`super::MAX_PACKET_BYTES`]. What the other end had
    /// sent arrives, also when that has died since.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, `InvalidData` when the packet is more than fits.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PACKET_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(buffer)];
        let mut receive = || {
            rustix::io::retry_on_intr(|| {
                let flags = RecvFlags::CMSG_CLOEXEC;
                rustix::net::recvmsg(&self.socket, &mut slices, &mut control, flags)
            })
        };
        let message = match receive() {
            // The other end has died and not read all of ours. That is said once, and before the
            // packets that it had sent; they are still there.
            Err(Errno::CONNRESET) => receive()?,
            received => received?,
        };
        let mut fds = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = part {
                fds.extend(rights);
            }
        }
        // Without its descriptors (CTRUNC: there was no place for them here) a message is told all
        // the same: who misses them says so.
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a packet over the limit",
            ));
        }
        Ok(Received {
            len: message.bytes,
            fds,
        })
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Link> for OwnedFd {
    fn from(link: Link) -> Self {
        link.socket
    }
}
