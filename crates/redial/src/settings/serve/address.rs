//! What is listened on, as people write it.

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use redial_client::default_socket;

use crate::settings::SettingsError;

/// Where redial is listened on, and dialled.
const DEFAULT_PORT: u16 = 7334;

/// One `--listen`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    Socket(PathBuf),
    Network(Vec<SocketAddr>),
}

/// A socket's path is made absolute, since the server does not stay where it was started.
pub(super) fn address(text: &OsStr) -> Result<Address, SettingsError> {
    let shown = text.display();
    match text.as_bytes().strip_prefix(b"unix:") {
        Some(b"") => Ok(Address::Socket(
            default_socket().map_err(|error| error.to_string())?,
        )),
        Some(path) => std::path::absolute(OsString::from_vec(path.to_vec()))
            .map(Address::Socket)
            .map_err(|error| format!("--listen {shown}: {error}").into()),
        None => network(&text.to_string_lossy()).map(Address::Network),
    }
}

/// An address or name, and maybe a port; an IPv6 address in brackets.
fn network(text: &str) -> Result<Vec<SocketAddr>, SettingsError> {
    let wrong = |why: &dyn std::fmt::Display| {
        let text =
            format!("--listen {text}: {why}; it is unix:PATH, ADDRESS[:PORT] or [ADDRESS6][:PORT]");
        Err(SettingsError(text))
    };
    if text.contains('/') || text.is_empty() {
        return wrong(&"no address");
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => return wrong(&"a bracket is not closed"),
        },
        None if text.parse::<std::net::Ipv6Addr>().is_ok() => (text, None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let Ok(port) = port.map_or(Ok(DEFAULT_PORT), str::parse) else {
        return wrong(&"no port between 0 and 65535");
    };
    match (host, port).to_socket_addrs() {
        Ok(found) => {
            let mut addresses: Vec<SocketAddr> = found.collect();
            addresses.dedup();
            Ok(addresses)
        }
        Err(error) => wrong(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_listened_on_by_its_path() {
        let at = |text: &str| address(OsStr::new(text));
        assert_eq!(at("unix:/run/x"), Ok(Address::Socket("/run/x".into())));
        assert!(matches!(at("unix:x"), Ok(Address::Socket(path)) if path.is_absolute()));
    }

    #[test]
    fn an_address_of_the_network_has_a_port_or_the_usual_one() {
        for (text, expected) in [
            ("0.0.0.0", "0.0.0.0:7334"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::]", "[::]:7334"),
            ("::1", "[::1]:7334"),
            ("[::1]:22", "[::1]:22"),
        ] {
            assert_eq!(network(text), Ok(vec![expected.parse().unwrap()]), "{text}");
        }
        for text in [
            "",
            "/run/x",
            "0.0.0.0:x",
            "1.2.3.4:70000",
            "[::1",
            "no.such.host.invalid",
        ] {
            let error = network(text).unwrap_err().to_string();
            assert!(error.contains("unix:PATH, ADDRESS"), "{text}: {error}");
        }
    }
}
