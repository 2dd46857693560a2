//! Whether the client is still there while its command runs.
//!
//! A client that sends no more may still want its answer (`nc -N`, socat), or be gone. Unix sockets
//! tell one from the other; TCP does not, since both are a FIN. But the other end of a loopback
//! connection is a socket of this machine, so the kernel's table of sockets says whether a process
//! still has it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{getpeername, getsockname};

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

/// Whether no process has the other end of this TCP connection. False for other sockets; true
/// where the table cannot be read, since a command nobody waits for should not run on.
fn tcp_peer_is_gone(socket: BorrowedFd<'_>) -> bool {
    let address = |any: rustix::net::SocketAddrAny| SocketAddr::try_from(any).ok();
    let own = getsockname(socket).ok().and_then(address);
    let peer = getpeername(socket).ok().flatten().and_then(address);
    let (Some(own), Some(peer)) = (own, peer) else {
        return false;
    };
    let (own, peer) = (canonical(own), canonical(peer));
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let texts = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
    let is_it = |entry: &Entry| entry.local == peer && entry.remote == own;
    let entry = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(Entry::parse)
        .find(is_it);
    entry.is_none_or(|entry| entry.inode == 0)
}

/// A line of /proc/net/tcp or tcp6 (proc_pid_net(5)).
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    local: SocketAddr,
    remote: SocketAddr,
    /// 0 when no process has the socket.
    inode: u64,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let local = address(fields.nth(1)?)?;
        let remote = address(fields.next()?)?;
        let inode = fields.nth(6)?.parse().ok()?;
        Some(Self {
            local,
            remote,
            inode,
        })
    }
}

/// `0100007F:1F90`: the address as 32-bit words in this machine's byte order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = host.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = match host.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            IpAddr::from(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(canonical(SocketAddr::new(ip, port)))
}

/// Without scope, and IPv4 as IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_table_is_read() {
        let line = "   0: 0100007F:1F90 0200007F:0050 05 00000000:00000000 03:00000B1C 00000000  \
                    1000        0 4711 1 0000000000000000 20 0 0 10 -1";
        let entry = Entry {
            local: "127.0.0.1:8080".parse().unwrap(),
            remote: "127.0.0.2:80".parse().unwrap(),
            inode: 4711,
        };
        assert_eq!(Entry::parse(line), Some(entry));
        let six = "00000000000000000000000001000000:0016";
        assert_eq!(address(six), Some("[::1]:22".parse().unwrap()));
        let mapped = "0000000000000000FFFF00000100007F:0016";
        assert_eq!(address(mapped), Some("127.0.0.1:22".parse().unwrap()));
        for wrong in ["", "x:1", "0100007F", "0100007F:1F90x", "01é007F:1F90"] {
            assert_eq!(address(wrong), None, "{wrong}");
        }
        assert_eq!(Entry::parse("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn a_peer_that_only_sends_no_more_is_told_from_one_that_is_gone() {
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(place) else {
                continue; // without IPv6
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            assert!(!tcp_peer_is_gone(server.as_fd()));
            client.shutdown(Shutdown::Write).unwrap();
            assert!(!tcp_peer_is_gone(server.as_fd()));
            drop(client);
            assert!(tcp_peer_is_gone(server.as_fd()));
        }
    }
}
