//! Dialling over TCP: the first address that answers, whatever its family (RFC 8305).

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::transport::Transport;

/// RFC 8305 section 5: "Connection Attempt Delay", its recommended value.
const STAGGER: Duration = Duration::from_millis(250);

/// A name with more addresses than this is tried no further: a resolver's answer must not
/// make us dial the world.
const MAX_ADDRESSES: usize = 32;

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpTarget<'a> {
    /// A name or an address, as getaddrinfo(3) takes it; IPv6 without brackets.
    pub host: &'a str,
    /// The port.
    pub port: u16,
}

/// Where from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bind {
    /// As the routing table has it.
    #[default]
    Any,
    /// From this address of ours; addresses of the other family are not tried.
    Address(IpAddr),
}

/// How to dial.
#[derive(Debug, Clone, Copy)]
pub struct TcpOptions {
    /// The source address.
    pub bind: Bind,
    /// When to give up, names and all.
    pub deadline: Instant,
}

/// Why nobody answered.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// The name has no address, or nobody could say.
    #[error("cannot find the address of {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// It has addresses, but none of the family that we are bound to.
    #[error("{host} has no address that can be reached from {bind}")]
    Family {
        /// The name.
        host: String,
        /// The source address asked for.
        bind: IpAddr,
    },
    /// The source address is none that we could dial from.
    #[error("cannot dial from {bind}: {source}")]
    Bind {
        /// The source address asked for.
        bind: IpAddr,
        /// Why not.
        source: io::Error,
    },
    /// Every address was tried.
    #[error("cannot connect to {host}: {}", list(.tried))]
    Unreachable {
        /// The name.
        host: String,
        /// Each address with its error, in the order in which they failed.
        tried: Vec<(SocketAddr, io::Error)>,
    },
    /// The deadline came first.
    #[error("no connection to {host} in time{}", if .tried.is_empty() { String::new() } else { format!(" ({})", list(.tried)) })]
    Deadline {
        /// The name.
        host: String,
        /// What had failed before.
        tried: Vec<(SocketAddr, io::Error)>,
    },
}

fn list(tried: &[(SocketAddr, io::Error)]) -> String {
    let each: Vec<_> = tried
        .iter()
        .map(|(to, error)| format!("{to}: {error}"))
        .collect();
    each.join("; ")
}

impl Transport {
    /// Connects over TCP: to the first address, a quarter of a second later to the next
    /// as well, families taking turns, and so on; whichever answers first is it.
    ///
    /// The name is resolved on a thread of the runtime's, which outlives the deadline if
    /// the resolver hangs.
    ///
    /// # Errors
    ///
    /// [`TcpError`], with what each address said; at the deadline at the latest.
    pub async fn tcp(target: TcpTarget<'_>, options: TcpOptions) -> Result<Self, TcpError> {
        let host = || target.host.to_owned();
        let found = timeout_at(options.deadline, lookup_host((target.host, target.port)));
        let found = match found.await {
            Ok(Ok(found)) => in_turns(found.collect()),
            Ok(Err(source)) => {
                return Err(TcpError::Resolve {
                    host: host(),
                    source,
                });
            }
            Err(_) => {
                return Err(TcpError::Deadline {
                    host: host(),
                    tried: Vec::new(),
                });
            }
        };
        let addresses = reachable(found, options.bind);
        if let (true, Bind::Address(bind)) = (addresses.is_empty(), options.bind) {
            return Err(TcpError::Family { host: host(), bind });
        }
        if let Bind::Address(bind) = options.bind {
            let tried = std::net::UdpSocket::bind((bind, 0));
            tried.map_err(|source| TcpError::Bind { bind, source })?;
        }
        let dial = |to| dial(to, options.bind);
        match race(&addresses, options.deadline, dial).await {
            Ok(transport) => Ok(transport),
            Err((Ended::AllFailed, tried)) => Err(TcpError::Unreachable {
                host: host(),
                tried,
            }),
            Err((Ended::Late, tried)) => Err(TcpError::Deadline {
                host: host(),
                tried,
            }),
        }
    }
}

async fn dial(to: SocketAddr, bind: Bind) -> io::Result<Transport> {
    let stream = match bind {
        Bind::Any => TcpStream::connect(to).await?,
        Bind::Address(from) => {
            let socket = match to {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            socket.bind(SocketAddr::new(from, 0))?;
            socket.connect(to).await?
        }
    };
    Transport::from_tcp(stream.into_std()?)
}

fn reachable(mut addresses: Vec<SocketAddr>, bind: Bind) -> Vec<SocketAddr> {
    if let Bind::Address(from) = bind {
        addresses.retain(|to| to.is_ipv4() == from.is_ipv4());
    }
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

/// The resolver's order (RFC 6724), but the families take turns (RFC 8305 section 4).
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().map(SocketAddr::is_ipv4);
    let (mut some, mut others) = (Vec::new(), Vec::new());
    for address in addresses {
        let same = Some(address.is_ipv4()) == first;
        let family = if same { &mut some } else { &mut others };
        if !family.contains(&address) {
            family.push(address);
        }
    }
    let mut out = Vec::new();
    let (mut some, mut others) = (some.into_iter(), others.into_iter());
    loop {
        match (some.next(), others.next()) {
            (None, None) => return out,
            (one, other) => out.extend(one.into_iter().chain(other)),
        }
    }
}

/// How a race ended without a winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    AllFailed,
    Late,
}

/// Starts an attempt every [`STAGGER`], or as soon as all under way have failed; the first
/// to succeed wins, and the others are dropped.
async fn race<T, F, A>(
    addresses: &[SocketAddr],
    deadline: Instant,
    attempt: A,
) -> Result<T, (Ended, Vec<(SocketAddr, io::Error)>)>
where
    A: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = addresses.iter().copied();
    let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut tried = Vec::new();
    let mut timer = Box::pin(sleep_until(Instant::now()));
    let run = poll_fn(|cx| {
        loop {
            let mut at = 0;
            while let Some((to, future)) = running.get_mut(at) {
                match future.as_mut().poll(cx) {
                    Poll::Ready(Ok(won)) => return Poll::Ready(Some(won)),
                    Poll::Ready(Err(error)) => {
                        tried.push((*to, error));
                        running.swap_remove(at);
                    }
                    Poll::Pending => at += 1,
                }
            }
            let due = running.is_empty() || timer.as_mut().poll(cx).is_ready();
            match due.then(|| waiting.next()).flatten() {
                Some(to) => {
                    running.push((to, Box::pin(attempt(to))));
                    timer.as_mut().reset(Instant::now() + STAGGER);
                }
                None if running.is_empty() => return Poll::Ready(None),
                None => return Poll::Pending,
            }
        }
    });
    match timeout_at(deadline, run).await {
        Ok(Some(won)) => Ok(won),
        Ok(None) => Err((Ended::AllFailed, tried)),
        Err(_) => Err((Ended::Late, tried)),
    }
}

#[cfg(test)]
mod tests;
