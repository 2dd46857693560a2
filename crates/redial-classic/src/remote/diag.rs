//! Which process, if any, has a TCP socket of this machine: sock_diag(7), asked for one socket.
//!
//! The same is in /proc/net/tcp; but reading that walks all sockets there are, which takes too
//! long on a busy machine.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// `nlmsghdr` (netlink(7)).
const HEADER_BYTES: usize = 16;
/// `inet_diag_req_v2` (sock_diag(7)).
const REQUEST_BYTES: usize = 56;
/// Where `idiag_inode` is in an answer, header included.
const INODE_AT: usize = HEADER_BYTES + 68;
/// `SOCK_DIAG_BY_FAMILY`, and the type of an answer.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;

/// What the kernel says of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A process has it.
    Somebody,
    /// The connection is left to the kernel, to be ended.
    Nobody,
    /// There is no such socket, or the kernel cannot be asked.
    Unknown,
}

/// Who has the TCP socket with this address and that peer.
///
/// # Errors
/// When the kernel cannot be asked at all.
pub(crate) fn holder(local: SocketAddr, peer: SocketAddr) -> io::Result<Holder> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = Some(netlink::SOCK_DIAG);
    let kernel =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    rustix::net::send(&kernel, &request(local, peer), SendFlags::empty())?;
    // It has answered when send returns.
    let mut answer = [0; 1024];
    let (_, length) = rustix::net::recv(&kernel, &mut answer, RecvFlags::empty())?;
    Ok(read(&answer[..length]))
}

fn request(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    // An IPv4 connection is one, whatever the family of the sockets at its ends.
    let (local_ip, peer_ip) = (local.ip().to_canonical(), peer.ip().to_canonical());
    let family = match local_ip {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    let length = HEADER_BYTES + REQUEST_BYTES;
    let mut bytes = Vec::with_capacity(length);
    // nlmsghdr: length, type, flags, sequence number, port.
    bytes.extend((length as u32).to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]);
    // inet_diag_req_v2: family, protocol, no extensions, padding, all states; inet_diag_sockid.
    bytes.extend([family.as_raw() as u8, IPPROTO_TCP, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(peer.port().to_be_bytes());
    bytes.extend(in_16_bytes(local_ip));
    bytes.extend(in_16_bytes(peer_ip));
    // Any interface; no cookie.
    bytes.extend([0; 4]);
    bytes.extend([0xff; 8]);
    bytes
}

fn in_16_bytes(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
    }
}

fn read(answer: &[u8]) -> Holder {
    let kind = answer.get(4..6).and_then(|it| it.first_chunk());
    let inode = answer.get(INODE_AT..).and_then(|it| it.first_chunk());
    match (kind.map(|it| u16::from_ne_bytes(*it)), inode) {
        (Some(ERROR), _) => Holder::Unknown,
        (Some(BY_FAMILY), Some(inode)) if u32::from_ne_bytes(*inode) == 0 => Holder::Nobody,
        (Some(BY_FAMILY), Some(_)) => Holder::Somebody,
        _ => Holder::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Shutdown, TcpListener, TcpStream};

    #[test]
    fn a_half_closed_socket_is_somebodys_and_a_closed_one_nobodys() {
        for (listen, dial) in [
            ("127.0.0.1:0", "127.0.0.1"),
            ("[::1]:0", "::1"),
            ("[::]:0", "127.0.0.1"),
        ] {
            let Ok(listener) = TcpListener::bind(listen) else {
                continue; // without IPv6
            };
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((dial, port)).unwrap();
            let (server, _) = listener.accept().unwrap();
            let (own, peer) = (server.local_addr().unwrap(), server.peer_addr().unwrap());
            assert_eq!(holder(peer, own).unwrap(), Holder::Somebody, "{listen}");
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(holder(peer, own).unwrap(), Holder::Somebody, "{listen}");
            drop(client);
            assert_eq!(holder(peer, own).unwrap(), Holder::Nobody, "{listen}");
            assert_eq!(holder(own, peer).unwrap(), Holder::Somebody, "{listen}");
        }
    }

    #[test]
    fn a_socket_that_is_not_there_is_unknown_and_so_is_an_answer_that_is_none() {
        let (one, other) = ("127.0.0.1:1".parse(), "127.0.0.1:2".parse());
        let holder = holder(one.unwrap(), other.unwrap()).unwrap();
        assert_eq!(holder, Holder::Unknown);
        for answer in [&[][..], &[0; 4], &[0; 100]] {
            assert_eq!(read(answer), Holder::Unknown);
        }
    }
}
