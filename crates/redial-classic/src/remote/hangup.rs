//! Whether the client is still there while its command runs.
//!
//! A client that sends no more may still want its answer (`nc -N`, socat), or be gone. Unix sockets
//! tell one from the other; TCP does not, since both are a FIN. But the other end of a loopback
//! connection is a socket of this machine, so the kernel can say whether a process still has it.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{getpeername, getsockname};

use super::diag::{self, Holder};

/// How often a client that sends no more is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A client, watched.
pub(crate) struct Hangup<'a> {
    socket: BorrowedFd<'a>,
    half_closed: bool,
}

impl<'a> Hangup<'a> {
    pub(crate) fn new(socket: BorrowedFd<'a>) -> Self {
        Self {
            socket,
            half_closed: false,
        }
    }

    /// To be polled.
    pub(crate) fn poll_fd(&self) -> PollFd<'a> {
        let wanted = if self.half_closed {
            PollFlags::empty()
        } else {
            PollFlags::RDHUP
        };
        PollFd::from_borrowed_fd(self.socket, wanted)
    }

    /// When it is to be looked at even if poll is silent.
    pub(crate) fn look_again(&self) -> Option<Duration> {
        self.half_closed.then_some(LOOK_EVERY)
    }

    /// Whether the client is gone, after a poll.
    pub(crate) fn is_gone(&mut self, seen: PollFlags) -> bool {
        if seen.intersects(PollFlags::HUP | PollFlags::ERR) {
            return true;
        }
        self.half_closed |= seen.contains(PollFlags::RDHUP);
        self.half_closed && tcp_peer_is_gone(self.socket)
    }
}

/// Whether no process has the other end of this TCP connection any more. False for other sockets,
/// and where the kernel cannot be asked: then the deadline ends what nobody waits for.
fn tcp_peer_is_gone(socket: BorrowedFd<'_>) -> bool {
    let address = |any: rustix::net::SocketAddrAny| SocketAddr::try_from(any).ok();
    let own = getsockname(socket).ok().and_then(address);
    let peer = getpeername(socket).ok().flatten().and_then(address);
    let (Some(own), Some(peer)) = (own, peer) else {
        return false;
    };
    match diag::holder(peer, own) {
        Ok(Holder::Nobody) => true,
        // Even the kernel has forgotten it, unless it does not know our end either.
        Ok(Holder::Unknown) => diag::holder(own, peer).is_ok_and(|own| own != Holder::Unknown),
        Ok(Holder::Somebody) | Err(_) => false,
    }
}
