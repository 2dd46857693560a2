//! authorized_keys: which keys may log in, and what each may do.
//!
//! Source: sshd(8), AUTHORIZED_KEYS FILE FORMAT, and what sshd makes of it where that says nothing.
//! Differences from sshd, each of which refuses what sshd takes:
//!
//! - `cert-authority` and `principals=` reject the line; so does `tunnel=`, which is not known here.
//! - RSA keys of less than 2048 or more than 8192 bits, DSA keys.
//! - `from=` with addresses in a form that only getaddrinfo(3) takes (`10.1`, `0x7f.1`,
//!   `fe80::1%eth0`).
//! - `expiry-time=` with a day that the calendar does not have (`20260231`).
//! - `permitopen=` and `permitlisten=` with the name of a service for a port.
//! - Lines over [`limits::LINE_BYTES`], files over [`limits::FILE_BYTES`].
//!
//! Options of redial's own (`allow-argv=`, `env=`, `max-jobs=`, `max-time=`, `read-only`, see [`Policy`])
//! stand in redial's own file: to sshd they are unknown, so that it refuses the line.
//!
//! And one that may go either way for an hour: `expiry-time=` without `Z` counts by the local clock
//! of the moment, summer time included, while sshd takes it for winter time.

mod expiry;
mod options;
mod policy;
mod source;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub use expiry::{Expiry, Now};
pub use options::{Demand, Grant, OptionError, Options, Presence, Variable};
pub use policy::{ArgvPattern, Policy, VariableNames};
pub use source::{SourceError, Sources};

use crate::key_text::{self, NamedKey};
use crate::limits;
use crate::public_key::{KeyError, PublicKey};

/// A line that is understood, with all it says: what a capability carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// Its number in the file, from 1.
    pub number: usize,
    /// The key.
    pub key: PublicKey,
    /// What its owner may do.
    pub options: Options,
    /// What stands behind the key, cut to 256 bytes. Written by users: escape it before showing it.
    pub comment: String,
    /// The line, to be read again: from its options on, or its key if it has none.
    pub text: Vec<u8>,
}

/// Why a line grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {problem}")]
pub struct LineError {
    /// Its number in the file, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Longer than [`limits::LINE_BYTES`].
    #[error("the line has {bytes} bytes, at most {} are read", limits::LINE_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// No key, neither at the beginning nor behind options.
    #[error("no key")]
    NoKey,
    /// A key that is not taken.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// An option that is unknown, or wrong.
    #[error("{0}")]
    Option(#[from] OptionError),
    /// Its `expiry-time` has passed.
    #[error("the key has expired (expiry-time)")]
    Expired,
    /// Its `from` does not have the address the connection comes from.
    #[error("the key may not be used from this address (from)")]
    From,
}

/// A line read as far as its key; the rest is read when the key is the one that is asked about.
pub(crate) struct Entry<'a> {
    number: usize,
    /// From the options on, where there are any.
    options: Option<&'a [u8]>,
    named: NamedKey,
    comment: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads a line up to its key. None for one that is empty or a comment.
    fn read(number: usize, line: &'a [u8]) -> Option<Result<Entry<'a>, LineError>> {
        let line = key_text::skip_blanks(line);
        if matches!(line.first(), None | Some(b'#')) {
            return None;
        }
        Some(Entry::parse(number, line).map_err(|problem| LineError { number, problem }))
    }

    fn parse(number: usize, line: &'a [u8]) -> Result<Entry<'a>, Problem> {
        if line.len() > limits::LINE_BYTES {
            return Err(Problem::TooLong { bytes: line.len() });
        }
        let (options, (named, comment)) = match key_text::read(line) {
            Some(found) => (None, found),
            None => {
                let behind = past_options(line).ok_or(Problem::NoKey)?;
                (Some(line), key_text::read(behind).ok_or(Problem::NoKey)?)
            }
        };
        Ok(Entry {
            number,
            options,
            named,
            comment,
        })
    }

    /// Whether the line has this key, byte for byte: a key has one blob.
    pub(crate) fn names(&self, key: &PublicKey) -> bool {
        self.named.blob() == key.blob()
    }

    /// Reads the rest.
    ///
    /// # Errors
    /// When the key is not taken, or an option is unknown or wrong.
    pub(crate) fn complete(self) -> Result<KeyLine, LineError> {
        let number = self.number;
        self.completed()
            .map_err(|problem| LineError { number, problem })
    }

    fn completed(self) -> Result<KeyLine, Problem> {
        let comment = self.comment.trim_ascii();
        let comment = &comment[..comment.len().min(256)];
        let key = self.named.key()?;
        let plain = || format!("{} {}", key.to_text(), String::from_utf8_lossy(comment));
        Ok(KeyLine {
            number: self.number,
            text: self
                .options
                .map_or_else(|| plain().into_bytes(), <[u8]>::to_vec),
            key,
            options: self
                .options
                .map_or(Ok(Options::default()), Options::parse)?,
            comment: String::from_utf8_lossy(comment).into_owned(),
        })
    }
}

/// The lines of a file that are neither empty nor comments, read up to their keys.
pub(crate) fn entries(text: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, LineError>> {
    key_text::lines(text).filter_map(|(number, line)| Entry::read(number, line))
}

/// Each line that is neither empty nor a comment: understood, or what is wrong with it. For people
/// who look for mistakes; who may log in is for [`decide`](crate::decide) to say.
pub fn lines(text: &[u8]) -> impl Iterator<Item = Result<KeyLine, LineError>> {
    entries(text).map(|entry| entry.and_then(Entry::complete))
}

/// What follows the options at the beginning of a line: a blank outside of quotes ends them. None
/// if a quote has no end.
fn past_options(line: &[u8]) -> Option<&[u8]> {
    let mut rest = line;
    let mut quoted = false;
    loop {
        rest = match rest {
            [b' ' | b'\t', ..] if !quoted => return Some(key_text::skip_blanks(rest)),
            [b'\\', b'"', after @ ..] => after,
            [b'"', after @ ..] => {
                quoted = !quoted;
                after
            }
            [_, after @ ..] => after,
            [] => return (!quoted).then_some(rest),
        };
    }
}

impl KeyLine {
    /// Whether the line still lets its key in, now and from there: to be asked at every use.
    ///
    /// # Errors
    /// [`Problem::Expired`] or [`Problem::From`].
    pub fn check(&self, source: Option<core::net::IpAddr>, now: Now) -> Result<(), Problem> {
        if self
            .options
            .expiry
            .is_some_and(|expiry| expiry.has_passed(now))
        {
            return Err(Problem::Expired);
        }
        match &self.options.sources {
            Some(sources) if !sources.allow(source) => Err(Problem::From),
            _ => Ok(()),
        }
    }

    /// Whether its owner may run less than the user: `command=`, `allow-argv=` or `restrict`. Jobs of
    /// such a key are its own; jobs of others are the user's.
    pub fn is_restricted(&self) -> bool {
        let options = &self.options;
        options.restrict || options.command.is_some() || options.policy.restricts_commands()
    }
}

#[cfg(test)]
mod tests;
