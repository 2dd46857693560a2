//! known_hosts: which keys are known for a host.
//!
//! Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT, and what ssh makes of it. Differences, both to the
//! safe side:
//!
//! - Keys of kinds that are not taken here (DSA, certificates) count as other keys of that host,
//!   whether or not the rest of them is well-formed.
//! - `@revoked` may be followed by a tab; ssh passes over such a line.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::key_text;
use crate::limits;
use crate::pattern::{self, Match};
use crate::public_key::PublicKey;

mod index;

pub use index::Index;

/// A host as known_hosts names it: `web1`, or `[web1]:7334` with a port other than 22. In lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(String);

/// Why something is no name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host's name has no blanks, commas, control characters or wildcards, and is not empty")]
pub struct HostNameError;

impl HostName {
    /// A host, by name or address, and the port of the service whose key it is.
    ///
    /// # Errors
    /// When the host is empty, or has characters that mean something else in the file.
    pub fn new(host: &str, port: u16) -> Result<HostName, HostNameError> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || "*?!,|#@[]\"".contains(c);
        if host.is_empty() || host.len() > limits::PATTERN_BYTES - 8 || host.contains(odd) {
            return Err(HostNameError);
        }
        let host = host.to_ascii_lowercase();
        Ok(HostName(match port {
            22 => host,
            _ => alloc::format!("[{host}]:{port}"),
        }))
    }

    /// As the file has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What known_hosts says of a host's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostDecision {
    /// The key is that host's.
    Known {
        /// The line that says so, from 1.
        line: usize,
    },
    /// No key is known for that host. Somebody has to say whether to trust this one.
    Unknown {
        /// A line that trusts an authority for this host: certificates are not taken, but people
        /// may wonder why it does not help.
        authority: Option<usize>,
    },
    /// Other keys are known for that host, this one is not: stop.
    Changed {
        /// The lines of the other keys, from 1, ascending; never empty.
        lines: Vec<usize>,
    },
    /// The key is revoked for that host, whatever other lines say: stop.
    Revoked {
        /// The line that says so, from 1.
        line: usize,
    },
}

/// A file too long to be read: nothing may be decided on a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the file has {bytes} bytes, at most {} are read",
    limits::KNOWN_HOSTS_BYTES
)]
pub struct FileTooLong {
    /// Its length.
    pub bytes: usize,
}

/// The text of a known_hosts file.
#[derive(Debug, Clone, Copy)]
pub struct KnownHosts<'a> {
    text: &'a [u8],
    index: Option<&'a Index>,
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A key of the host's own.
    None,
    /// `@cert-authority`.
    Authority,
    /// `@revoked`.
    Revoked,
}

/// A line that names a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLine {
    /// Its number, from 1.
    pub number: usize,
    /// What it is for.
    pub marker: Marker,
    /// The key; none if it is of a kind that is not taken.
    pub key: Option<PublicKey>,
}

impl<'a> KnownHosts<'a> {
    /// Takes the text of a file.
    ///
    /// # Errors
    /// When it is longer than [`limits::KNOWN_HOSTS_BYTES`].
    pub fn new(text: &'a [u8]) -> Result<KnownHosts<'a>, FileTooLong> {
        match text.len() {
            bytes if bytes > limits::KNOWN_HOSTS_BYTES => Err(FileTooLong { bytes }),
            _ => Ok(KnownHosts { text, index: None }),
        }
    }

    /// Decides as ssh does. Lines that are not understood are passed over.
    pub fn decide(&self, host: &HostName, key: &PublicKey) -> HostDecision {
        let mut known = None;
        let mut authority = None;
        let mut others = Vec::new();
        for line in self.lines_of(host) {
            let same = line.key.as_ref() == Some(key);
            match line.marker {
                Marker::Revoked if same => {
                    return HostDecision::Revoked { line: line.number };
                }
                Marker::None if same => known = known.or(Some(line.number)),
                Marker::None => others.push(line.number),
                Marker::Authority => authority = authority.or(Some(line.number)),
                Marker::Revoked => {}
            }
        }
        match known {
            Some(line) => HostDecision::Known { line },
            None if others.is_empty() => HostDecision::Unknown { authority },
            None => HostDecision::Changed { lines: others },
        }
    }

    /// The lines that name a host, by name, pattern or hash.
    pub fn lines_of(&self, host: &HostName) -> impl Iterator<Item = HostLine> {
        let host = host.clone();
        let (all, some) = match self.index {
            None => (Some(key_text::lines(self.text)), None),
            Some(index) => (None, Some(index.lines(&host, self.text))),
        };
        let lines = all.into_iter().flatten().chain(some.into_iter().flatten());
        lines.filter_map(move |(number, line)| line_of(&host, number, line))
    }

    /// With an index of this very text: it finds the same lines, without a look at each.
    pub fn with_index(self, index: &'a Index) -> Self {
        KnownHosts {
            index: Some(index),
            ..self
        }
    }

    /// The text without some lines, given by number: to forget a host.
    pub fn without(&self, numbers: &[usize]) -> Vec<u8> {
        let lines = self.text.split_inclusive(|byte| *byte == b'\n').enumerate();
        lines
            .filter(|(index, _)| !numbers.contains(&(index + 1)))
            .flat_map(|(_, line)| line.iter().copied())
            .collect()
    }

    /// What is appended to the text for a line more: this key for this host, its name in the clear.
    pub fn addition(&self, host: &HostName, key: &PublicKey) -> String {
        let is_whole = self.text.last().is_none_or(|byte| *byte == b'\n');
        let before = if is_whole { "" } else { "\n" };
        alloc::format!("{before}{}", entry(host, key))
    }
}

/// One line of known_hosts with its end: to append to a file that ends with a whole line.
pub fn entry(host: &HostName, key: &PublicKey) -> String {
    alloc::format!("{host} {}\n", key.to_text())
}

/// A host's name as known_hosts hashes it (`HashKnownHosts yes`): `|1|salt|hash`. The salt is random.
pub fn hashed(host: &HostName, salt: [u8; 20]) -> String {
    let salt64 = Base64::encode_string(&salt);
    let hash = Base64::encode_string(&digest(host, &salt));
    alloc::format!("|1|{salt64}|{hash}")
}

fn line_of(host: &HostName, number: usize, line: &[u8]) -> Option<HostLine> {
    let line = key_text::skip_blanks(line);
    if line.len() > limits::LINE_BYTES || matches!(line.first(), None | Some(b'#')) {
        return None;
    }
    let (marker, line) = marker(line)?;
    let (names, line) = key_text::word(line);
    if !names_host(names, host) {
        return None;
    }
    let (named, _) = key_text::read(line)?;
    let key = match named.key() {
        Ok(key) => Some(key),
        Err(error) if error.is_of_a_kind() => None,
        Err(_) => return None,
    };
    Some(HostLine {
        number,
        marker,
        key,
    })
}

/// A marker at the beginning, and what follows it. None if it is not known, or followed by another.
fn marker(line: &[u8]) -> Option<(Marker, &[u8])> {
    if line.first() != Some(&b'@') {
        return Some((Marker::None, line));
    }
    let (word, rest) = key_text::word(line);
    let marker = match word {
        b"@cert-authority" => Marker::Authority,
        b"@revoked" => Marker::Revoked,
        _ => return None,
    };
    (rest.first() != Some(&b'@')).then_some((marker, rest))
}

/// Whether the names of a line mean this host.
fn names_host(names: &[u8], host: &HostName) -> bool {
    match names.strip_prefix(b"|") {
        Some(hashed) => hash_matches(hashed, host).unwrap_or(false),
        None => pattern::match_list(host.0.as_bytes(), names) == Match::Yes,
    }
}

/// `1|salt|hash`, both in base64: the salt is the key of an HMAC-SHA1 of the name.
fn hash_matches(hashed: &[u8], host: &HostName) -> Option<bool> {
    let hashed = core::str::from_utf8(hashed).ok()?.strip_prefix("1|")?;
    let (salt, hash) = hashed.split_once('|')?;
    let decode = |text: &str| {
        let mut bytes = [0; 20];
        let decoded = Base64::decode(text, &mut bytes).ok()?;
        (decoded.len() == 20).then_some(bytes)
    };
    Some(digest(host, &decode(salt)?) == decode(hash)?)
}

fn digest(host: &HostName, salt: &[u8; 20]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes keys of any length");
    mac.update(host.0.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
