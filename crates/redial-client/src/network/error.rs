//! Why a host on the network cannot be used: what, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use redial_net::auth::PublicKey;
use redial_net::auth::ssh_config::{ConfigError, TokenError};

use super::identity::{Skipped, Source};
use super::interaction::HostQuestion;
use super::known_file::KnownFileError;
use crate::target::{HostError, NATS};

/// The way to a host is not known, or not safe to go.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Nobody says as whom.
    #[error("no user is known for {0}: write user@{0}, or set User in ~/.ssh/config")]
    NoUser(String),
    /// The settings' user is no user's name.
    #[error(
        "{0:?} is no user's name that can be sent; see User in ~/.ssh/config and redial's config.toml"
    )]
    User(String),
    /// The settings' address is none.
    #[error(
        "{0}: its address is set to {1:?}, which is neither a name nor an address; see HostName in ~/.ssh/config and redial's config.toml"
    )]
    Address(String, String),
    /// A jump host is none.
    #[error("ProxyJump {0:?}: {1}")]
    Jump(String, HostError),
    /// A token in the settings.
    #[error("{0} in ~/.ssh/config or redial's config.toml has {1}")]
    Token(&'static str, TokenError),
    /// Others may write a file that names programs to run.
    #[error("{}: others may write it, or it is not ours; not used (chmod go-w it, as ssh demands too)", .0.display())]
    Untrusted(PathBuf),
    /// It cannot be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It cannot be understood.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Where in it, and why.
        source: ConfigError,
    },
}

/// The server is not known to be the one that was meant. Nothing was sent to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// Another key is known: somebody may be in the middle.
    #[error(
        "the server's key is {shown}, but {} knows {name} by {} ({}): its key has changed, or \
         somebody else answers in its place. If you know that it changed, run 'redial keys forget \
         {name}' and connect again",
        path.display(), known.join(" and "), numbered(lines)
    )]
    Changed {
        /// The host, as it is typed.
        name: String,
        /// The file.
        path: PathBuf,
        /// The lines, from 1.
        lines: Vec<usize>,
        /// The fingerprints there.
        known: Vec<String>,
        /// The fingerprint of the key that the server has shown and proven.
        shown: String,
    },
    /// The key must not be used any more.
    #[error(
        "the server's key {shown} is revoked for {name} ({}, line {line}): whoever has it is not \
         to be trusted. Give the server a new key",
        path.display()
    )]
    Revoked {
        /// The host.
        name: String,
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key's fingerprint.
        shown: String,
    },
    /// Not the key that was asked for.
    #[error(
        "the server's key is {shown}, not the one asked for, {pinned}: this is not the server that was meant"
    )]
    Pinned {
        /// The host.
        name: String,
        /// The fingerprint asked for.
        pinned: String,
        /// The fingerprint of the key that the server has shown and proven.
        shown: String,
    },
    /// Nobody knows it, and nobody said that it is the one.
    #[error(
        "the server's key is not known: {shown}{}. Compare it with the one that the server logs \
         when it starts; if it is that, run 'redial keys trust {name}{}', or connect with --host-key \
         {shown}, or with --accept-new for any new host",
        doubt.as_ref().map(|doubt| format!(" ({doubt})")).unwrap_or_default(),
        if name.starts_with(NATS) { " --nats …" } else { "" }
    )]
    Unknown {
        /// The host.
        name: String,
        /// The fingerprint of the key that the server has shown and proven.
        shown: String,
        /// What speaks against it.
        doubt: Option<String>,
    },
    /// The key is of a kind that known_hosts has no place for.
    #[error("the server's key is no use: {0}")]
    Key(String),
    /// A file that would know cannot be used, or what is to be remembered cannot be written.
    #[error("{0}")]
    File(String),
}

impl From<KnownFileError> for HostKeyError {
    fn from(error: KnownFileError) -> Self {
        HostKeyError::File(error.to_string())
    }
}

/// Nobody has said yes.
impl From<&HostQuestion> for HostKeyError {
    fn from(question: &HostQuestion) -> Self {
        HostKeyError::Unknown {
            name: question.name.clone(),
            shown: question.key.fingerprint(),
            doubt: question.doubt.clone(),
        }
    }
}

fn numbered(lines: &[usize]) -> String {
    let each: Vec<_> = lines.iter().map(usize::to_string).collect();
    match each.len() {
        1 => format!("line {}", each.concat()),
        _ => format!("lines {}", each.join(", ")),
    }
}

/// The server does not let us in, or cannot say that it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// It would let anybody in.
    #[error("the server does not ask who we are; nothing was sent to it. Is it a redial server?")]
    NoAuthentication,
    /// Nothing to prove a key over.
    #[error("the server gave no nonce to prove a key over; nothing was sent to it")]
    NoNonce,
    /// It said yes where it has seen no proof.
    #[error("the server broke the login's rules: {0}")]
    Rules(&'static str),
    /// There is no key to try.
    #[error(
        "no key to log in with as {user}{}; make one with 'redial keys new' or 'ssh-keygen -t \
         ed25519', and add its public half to ~/.ssh/authorized_keys on the server",
        listed(": ", skipped)
    )]
    NoKeys {
        /// The user.
        user: String,
        /// What was passed over.
        skipped: Vec<Skipped>,
    },
    /// None of our keys will do.
    #[error(
        "not let in as {user}: {}{}{}{}",
        listed("", tried), listed("; not tried: ", skipped),
        reason.as_ref().map(|reason| format!("; the server says: {reason}")).unwrap_or_default(),
        advice(user, tried)
    )]
    Denied {
        /// The user.
        user: String,
        /// Each key, and what came of it.
        tried: Vec<Tried>,
        /// What was passed over.
        skipped: Vec<Skipped>,
        /// The server's own words, if it had any.
        reason: Option<String>,
    },
}

/// A key that did not let us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The key.
    pub key: PublicKey,
    /// Where it is from.
    pub source: Source,
    /// Why not.
    pub why: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, why) = (&self.source, &self.why);
        write!(f, "{source} ({}): {why}", self.key.fingerprint())
    }
}

/// Why a key was given up: the server does not take it.
pub(crate) const NOT_TAKEN: &str = "not taken";
/// Its turn did not come.
pub(crate) const LEFT_OUT: &str = "not tried, a connection has three tries";

/// Only where no key was taken that something else is wrong with.
fn advice(user: &str, tried: &[Tried]) -> String {
    let only = |tried: &Tried| [NOT_TAKEN, LEFT_OUT].contains(&tried.why.as_str());
    match tried.iter().all(only) {
        true => {
            format!(
                "; one of them must stand in ~/.ssh/authorized_keys of {user} on the server, or where its \
                 --authorized-keys says, in a line that is good now (its log says more)"
            )
        }
        false => String::new(),
    }
}

/// Names of more keys than this are not shown one by one; nobody reads on.
const SHOWN: usize = 12;

fn listed<T: fmt::Display>(before: &str, things: &[T]) -> String {
    if things.is_empty() {
        return String::new();
    }
    let each: Vec<_> = things.iter().take(SHOWN).map(T::to_string).collect();
    let more = match things.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{before}{}{more}", each.join("; "))
}
