//! `[user@]host[:port]`: a host on the network, as people write it.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use redial_net::nats::{Name, NameError};

/// The port of a redial server.
pub const DEFAULT_PORT: u16 = 7334;

/// The longest name that is taken; DNS allows 253 characters (RFC 1035 section 2.3.4).
const HOST_BYTES: usize = 255;
/// The longest user that is taken, as the protocol has it (PROTOCOL.md section 9).
const USER_BYTES: usize = 256;
/// Characters with a meaning to /bin/sh, which ProxyCommand gets (as ssh refuses them).
const SHELL: &str = "'`\";&<>|(){}$";

/// Before the name of a host that is called through NATS.
pub(crate) const NATS: &str = "nats:";

/// A server on the network, named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostTarget {
    /// The user on the server, 1 to 256 bytes; if none is said, settings know.
    pub user: Option<String>,
    /// A name or an address, IPv6 without brackets; maybe a name that only
    /// ~/.ssh/config knows. ASCII letters, digits and `.-_:%`, never `-` first. Or `nats:NAME`, a
    /// host that has dialled out to a NATS cluster and is called there by that name.
    pub host: String,
    /// The port, if one was said; else [`DEFAULT_PORT`], or what settings know.
    pub port: Option<u16>,
}

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Several hosts, or a pattern.
    #[error("{0:?}: that is a set of hosts, and this takes one: [user@]host[:port]")]
    Set(String),
    /// No host, or characters that no host's name has.
    #[error(
        "{0:?}: {1:?} is no host's name or address: write [user@]host[:port] with letters, \
         digits, '.', '-' and '_', or an IPv6 address in brackets as in [::1]:7334"
    )]
    Host(String, String),
    /// A host of a NATS cluster, with a name that none has.
    #[error(
        "{0:?}: a host of a NATS cluster is written nats:NAME, a set of them nats:web[1-9] or nats:@*: {1}"
    )]
    Nats(String, NameError),
    /// No number, or none of a port.
    #[error(
        "{0:?}: {1:?} is no port; write a number from 1 to 65535 behind the last ':', as in host:7334"
    )]
    Port(String, String),
    /// Empty, too long, or with characters that no user's name has.
    #[error(
        "{0:?}: {1:?} is no user's name: it has 1 to 256 bytes, no blanks, no control characters, \
         none of {SHELL} and no '-' at its beginning"
    )]
    User(String, String),
}

impl HostTarget {
    /// The name of a host that is called through NATS.
    pub(crate) fn nats(&self) -> Option<Name> {
        nats_name(&self.host)
    }

    /// Reads `[user@]host[:port]` or `[user@]nats:NAME`; an address of IPv6 is in brackets if a port follows, and
    /// any host may be, as known_hosts has it.
    ///
    /// # Errors
    ///
    /// [`HostError`] says what is wrong, and how it is written.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let (user, place) = match text.rsplit_once('@') {
            Some(("", _)) => return Err(HostError::Set(text.to_owned())),
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        if place.contains([',', '*', '?', '!', '{']) || place.find('[').is_some_and(|at| at > 0) {
            return Err(HostError::Set(text.to_owned()));
        }
        if let Some(user) = user.filter(|user| !is_user(user)) {
            return Err(HostError::User(text.to_owned(), user.to_owned()));
        }
        // Without a port: nobody is dialled.
        let (host, port) = match place.strip_prefix(NATS) {
            Some(name) => match name.parse::<Name>() {
                Ok(_) => (place, None),
                Err(error) => return Err(HostError::Nats(text.to_owned(), error)),
            },
            None => split(place),
        };
        if !is_host(host) {
            return Err(HostError::Host(text.to_owned(), host.to_owned()));
        }
        let port = match port {
            Some(port) => Some(
                number(port).ok_or_else(|| HostError::Port(text.to_owned(), port.to_owned()))?,
            ),
            None => None,
        };
        Ok(HostTarget {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }
}

/// The host, and what follows it as a port if anything does.
fn split(place: &str) -> (&str, Option<&str>) {
    if let Some(bracketed) = place.strip_prefix('[') {
        return match bracketed.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) => match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None => (place, None),
            },
            None => (place, None),
        };
    }
    if is_ipv6(place) {
        return (place, None);
    }
    match place.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    }
}

/// Without a sign, and not 0, which is no port that anybody listens on.
fn number(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port != 0)
}

/// An address of IPv6, with a zone or without (RFC 4007 section 11).
fn is_ipv6(text: &str) -> bool {
    let address = match text.split_once('%') {
        Some((_, "")) => return false,
        Some((address, _)) => address,
        None => text,
    };
    address.parse::<Ipv6Addr>().is_ok()
}

pub(crate) fn nats_name(host: &str) -> Option<Name> {
    host.strip_prefix(NATS)?.parse().ok()
}

/// Whether a resolver may be asked for it, and a shell given it; or it is a host of NATS.
pub(crate) fn is_host(text: &str) -> bool {
    if text.starts_with(NATS) {
        return nats_name(text).is_some();
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let of_address = |byte: u8| fits(byte) || b":%".contains(&byte);
    !text.is_empty()
        && text.len() <= HOST_BYTES
        && !text.starts_with('-')
        && (text.bytes().all(fits) || (is_ipv6(text) && text.bytes().all(of_address)))
}

/// Whether it may be sent as a user's name, and given to a shell.
pub(crate) fn is_user(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || SHELL.contains(c);
    (1..=USER_BYTES).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('\\')
        && !text.contains(odd)
}

impl FromStr for HostTarget {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        HostTarget::parse(text)
    }
}

/// As [`HostTarget::parse`] reads it.
impl fmt::Display for HostTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        let is_address = self.host.contains(':') && !self.host.starts_with(NATS);
        match (is_address, self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (true, None) => write!(f, "[{}]", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (false, None) => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_host_and_port_are_told_apart() {
        for (text, user, host, port, shown) in [
            ("web1", None, "web1", None, "web1"),
            ("web1:22", None, "web1", Some(22), "web1:22"),
            (
                "me@web1:7334",
                Some("me"),
                "web1",
                Some(7334),
                "me@web1:7334",
            ),
            (
                "me@realm@web_1",
                Some("me@realm"),
                "web_1",
                None,
                "me@realm@web_1",
            ),
            ("10.0.0.1:1", None, "10.0.0.1", Some(1), "10.0.0.1:1"),
            ("::1", None, "::1", None, "[::1]"),
            ("[::1]", None, "::1", None, "[::1]"),
            ("[web1]:1", None, "web1", Some(1), "web1:1"),
            ("[::1]:7334", None, "::1", Some(7334), "[::1]:7334"),
            (
                "u@[fe80::1%eth0]",
                Some("u"),
                "fe80::1%eth0",
                None,
                "u@[fe80::1%eth0]",
            ),
            (
                "u@fe80::1%eth0",
                Some("u"),
                "fe80::1%eth0",
                None,
                "u@[fe80::1%eth0]",
            ),
        ] {
            let target = HostTarget::parse(text).unwrap();
            let parts = (target.user.as_deref(), target.host.as_str(), target.port);
            assert_eq!(parts, (user, host, port), "{text}");
            assert_eq!(target.to_string(), shown);
            assert_eq!(HostTarget::parse(shown), Ok(target));
        }
    }

    #[test]
    fn sets_of_hosts_come_later() {
        for text in [
            "web[01-20]",
            "a,b",
            "@web",
            "web*",
            "me@web?",
            "!a",
            "web{1,2}",
        ] {
            let error = HostTarget::parse(text).unwrap_err();
            assert!(matches!(error, HostError::Set(_)), "{text}: {error}");
            assert!(error.to_string().contains("takes one"), "{error}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_part_that_is_wrong() {
        let long = "a".repeat(256);
        for host in [
            "-oProxyCommand=x",
            "a b",
            "a\u{202e}b",
            "",
            "me@",
            "a/b",
            "[web1]x",
            "[::1",
            "[::1]x",
            "[::1%]",
            "web$(id)",
            "1:2:3:",
            &long,
        ] {
            let error = HostTarget::parse(host).unwrap_err();
            assert!(
                matches!(error, HostError::Host(..) | HostError::Port(..)),
                "{host}: {error}"
            );
        }
        for (text, part) in [("web1:", ""), ("web1:0", "0"), ("web1:65536", "65536")] {
            let error = HostTarget::parse(text);
            assert_eq!(error, Err(HostError::Port(text.into(), part.into())));
        }
        assert!(matches!(
            HostTarget::parse("web1:+1"),
            Err(HostError::Port(..))
        ));
        assert!(matches!(
            HostTarget::parse("tcp:web1"),
            Err(HostError::Port(..))
        ));
        for user in ["-l", "a b", "a;b", "$(id)", "a\n", "a\\"] {
            let error = HostTarget::parse(&format!("{user}@web1"));
            assert!(
                matches!(error, Err(HostError::User(..))),
                "{user:?}: {error:?}"
            );
        }
    }
}
