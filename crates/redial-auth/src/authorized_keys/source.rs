//! `from=`: the addresses a key may be used from.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str;

use crate::limits;
use crate::pattern::{self, Match};

/// Why a `from=` is not understood; the line it stands in is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing between two commas, or nothing at all.
    #[error("an empty pattern")]
    Empty,
    /// `10.0.0.1/8`, `1.2.3.4/33`: the part after the mask is not 0, or the mask too long.
    #[error("an address with a mask that does not fit it")]
    Mask,
    /// `10.1`, `0x7f.1`, `010.0.0.1`, `fe80::1%eth0`: what people and programs read differently.
    #[error("an address in an unusual form")]
    Unusual,
    /// More than [`limits::PATTERNS`], or one longer than [`limits::PATTERN_BYTES`].
    #[error("too many patterns, or too long a one")]
    TooLong,
}

/// The patterns of a `from=`: addresses, networks (`10.0.0.0/8`), wildcards over an address's text;
/// `!` before one excludes what it matches.
///
/// Names of hosts match nothing: the daemon does not ask the DNS, as sshd with its default
/// `UseDNS no`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    patterns: Vec<u8>,
    networks: Vec<Network>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Network {
    negated: bool,
    address: IpAddr,
    mask: u32,
}

impl Sources {
    pub(super) fn parse(patterns: &[u8]) -> Result<Sources, SourceError> {
        let mut networks = Vec::new();
        for (index, (negated, entry)) in pattern::entries(patterns).enumerate() {
            if index >= limits::PATTERNS || entry.len() > limits::PATTERN_BYTES {
                return Err(SourceError::TooLong);
            }
            if entry.is_empty() {
                return Err(SourceError::Empty);
            }
            if let Some((address, mask)) = network(entry)? {
                networks.push(Network {
                    negated,
                    address,
                    mask,
                });
            }
        }
        Ok(Sources {
            patterns: patterns.to_vec(),
            networks,
        })
    }

    /// Whether a connection from `source` is meant. One without an address never is.
    ///
    /// Source: match_host_and_ip in OpenSSH.
    pub fn allow(&self, source: Option<IpAddr>) -> bool {
        let Some(source) = source.map(|source| source.to_canonical()) else {
            return false;
        };
        let within = |negated: bool| {
            let mut networks = self.networks.iter();
            networks.any(|network| network.negated == negated && network.contains(source))
        };
        let text = alloc::format!("{source}");
        match pattern::match_list(text.as_bytes(), &self.patterns) {
            Match::Negated => false,
            _ if within(true) => false,
            Match::Yes => true,
            Match::No => within(false),
        }
    }
}

impl Network {
    fn contains(&self, source: IpAddr) -> bool {
        match (self.address, source) {
            (IpAddr::V4(net), IpAddr::V4(source)) => {
                let differ = net.to_bits() ^ source.to_bits();
                differ.checked_shr(32 - self.mask).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(source)) => {
                let differ = net.to_bits() ^ source.to_bits();
                differ.checked_shr(128 - self.mask).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// An address with its mask; none if the entry is a wildcard or a name.
fn network(entry: &[u8]) -> Result<Option<(IpAddr, u32)>, SourceError> {
    let Ok(entry) = str::from_utf8(entry) else {
        return Ok(None);
    };
    let (text, mask) = match entry.split_once('/') {
        None => (entry, None),
        Some((text, mask)) => match number(mask) {
            Some(mask) => (text, Some(mask)),
            None => return Ok(None),
        },
    };
    let Some(address) = address(text)? else {
        return Ok(None);
    };
    let (bits, host) = match address {
        IpAddr::V4(v4) => (32, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (128, v6.to_bits()),
    };
    let mask = mask.unwrap_or(bits);
    if mask > bits || host.checked_shl(mask).unwrap_or(0) != 0 {
        return Err(SourceError::Mask);
    }
    Ok(Some((address, mask)))
}

/// sshd reads addresses with getaddrinfo(3), which takes more than people write; what only that
/// would take is an error, or `!10.1` would exclude nobody here.
fn address(text: &str) -> Result<Option<IpAddr>, SourceError> {
    if let Ok(v4) = text.parse::<Ipv4Addr>() {
        return Ok(Some(v4.into()));
    }
    if let Ok(v6) = text.parse::<Ipv6Addr>() {
        return Ok(Some(v6.into()));
    }
    let mut parts = text.split('.');
    let all_numbers = parts.clone().count() <= 4 && parts.all(is_c_number);
    let scoped = text
        .split_once('%')
        .is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    match all_numbers || scoped {
        true => Err(SourceError::Unusual),
        false => Ok(None),
    }
}

/// Whether C's strtoul would take it: decimal, `0x…`, `0…`.
fn is_c_number(text: &str) -> bool {
    let hex = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// A mask: digits only. One that is too large is no mask of any address.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(patterns: &str, source: &str) -> bool {
        let sources = Sources::parse(patterns.as_bytes()).unwrap();
        sources.allow(Some(source.parse().unwrap()))
    }

    #[test]
    fn addresses_networks_and_wildcards_match_as_in_sshd() {
        for (patterns, source, is) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.0/8", "10.255.0.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("0.0.0.0/0", "11.0.0.0", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:DB8:*", "2001:db8::1", true),
            ("10.0.?.*", "10.0.1.77", true),
            ("10.0.?.*", "10.0.11.77", false),
            ("10.0.0.0/8,!10.1.0.0/16", "10.1.2.3", false),
            ("!10.1.0.0/16,10.0.0.0/8", "10.1.2.3", false),
            ("!10.1.0.0/16,10.0.0.0/8", "10.2.2.3", true),
            ("!10.1.0.0/16", "10.2.2.3", false),
            ("*,!10.1.*", "10.1.0.1", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("web.example", "10.0.0.1", false),
            ("*", "10.0.0.1", true),
        ] {
            assert_eq!(allow(patterns, source), is, "{patterns} {source}");
        }
    }

    #[test]
    fn a_connection_without_an_address_is_never_meant() {
        for patterns in ["*", "0.0.0.0/0,::/0", "!10.0.0.1"] {
            assert!(!Sources::parse(patterns.as_bytes()).unwrap().allow(None));
        }
    }

    #[test]
    fn what_is_odd_is_an_error() {
        for (patterns, error) in [
            ("", SourceError::Empty),
            ("10.0.0.1,", SourceError::Empty),
            ("!", SourceError::Empty),
            ("10.0.0.1/8", SourceError::Mask),
            ("10.0.0.0/33", SourceError::Mask),
            ("::/129", SourceError::Mask),
            ("::1/64", SourceError::Mask),
            ("10.1", SourceError::Unusual),
            ("010.0.0.1", SourceError::Unusual),
            ("0x7f.1", SourceError::Unusual),
            ("2130706433", SourceError::Unusual),
            ("fe80::1%lo", SourceError::Unusual),
        ] {
            assert_eq!(
                Sources::parse(patterns.as_bytes()),
                Err(error),
                "{patterns}"
            );
        }
        let many = "*,".repeat(limits::PATTERNS) + "*";
        assert_eq!(Sources::parse(many.as_bytes()), Err(SourceError::TooLong));
        assert!(Sources::parse(&many.as_bytes()[2..]).is_ok());
    }
}
