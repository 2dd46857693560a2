//! What redial takes from ssh's own settings: text of `~/.ssh/config` in, what it says of one host
//! out.
//!
//! Source: ssh_config(5), and what OpenSSH 9.2 makes of its files (readconf.c, misc.c). Taken are
//! `HostName`, `User`, `Port`, `IdentityFile`, `IdentityAgent`, `IdentitiesOnly`, `ProxyJump`,
//! `ProxyCommand`, under `Host`, `Match` and `Include`; every other keyword is passed over. The first
//! value counts, but of `IdentityFile` all. Patterns of `Host` and of `Match user` and `localuser`
//! keep letters' case apart, those of `Match host` and `originalhost` do not, as in ssh.
//!
//! Deliberate differences:
//!
//! - `Match exec` runs nothing. Its block, and one with a criterion that is not known, does not apply
//!   (with `!` neither) and is named in [`HostSettings::passed_over`].
//! - `Match final` and `canonical` do not hold, and no second reading follows: nothing is made
//!   canonical here. A block that only they keep from applying is named as well.
//! - `IdentityAgent None` is `none` in any case of letters. ssh takes others for a path.
//! - `ProxyJump none` may be followed by a comment; ssh 9.2 then jumps over a host of that name. Its
//!   hosts and users have nothing that a shell takes apart, no blanks, and do not begin with `-`, as
//!   ssh demands since 9.6; ssh 9.2 cuts them at a blank. That a host is reached through itself is for
//!   the caller to refuse.
//! - Keywords that are not taken are not errors, whatever follows them. ssh gives up at those it does
//!   not know, and at their bad arguments.
//! - A quote that is not ended in the keyword itself is an error. ssh passes over the line.
//! - A `ProxyCommand` of `=` only is an error.
//! - `Port`, and that in `ProxyJump`, is decimal digits, no name of a service and no sign.
//! - A value that has a NUL or, where it applies, is not UTF-8 is an error. ssh reads a line up to
//!   the NUL.
//! - `IdentityAgent` may name variables of the environment that are not set; that is for
//!   [`expand_path`] to say.
//! - A file named in both files is one `IdentityFile`.
//! - Lines, patterns and files have [limits](crate::limits).

mod line;
mod matching;
mod proxy;
mod reader;
mod tokens;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use tokens::{TokenError, Tokens, Variables, expand, expand_home, expand_path};

/// Whom the settings are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The host as it was typed.
    pub host: &'a str,
    /// The user on that host, if one was typed.
    pub user: Option<&'a str>,
    /// The name of the user who asks; what `Match user` goes by until a user is known.
    pub local_user: &'a str,
}

/// What the files say of a host. Nothing in a field: they say nothing of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// `HostName`, its tokens expanded, in lower case, as ssh calls it. Else the host is called as it was typed.
    pub host_name: Option<String>,
    /// `User`. One that was typed comes first; it is not repeated here.
    pub user: Option<String>,
    /// `Port`, from 1: that of ssh.
    pub port: Option<u16>,
    /// `IdentityFile`, each once, without `none`; see [`expand_path`].
    pub identity_files: Vec<String>,
    /// Whether `IdentityFile` was given, be it only as `none`: then ssh's default files are not meant.
    pub identity_files_given: bool,
    /// `IdentityAgent`.
    pub identity_agent: Option<IdentityAgent>,
    /// `IdentitiesOnly`. Nothing: no.
    pub identities_only: Option<bool>,
    /// `ProxyJump` or `ProxyCommand`, whichever comes first. Most ask
    /// [`proxy_jump`](HostSettings::proxy_jump) and [`proxy_command`](HostSettings::proxy_command).
    pub proxy: Option<Proxy>,
    /// The lines of `Match` blocks that are not taken for what is not decided here (`exec`, `final`,
    /// `canonical`, and what is not known), and whose other criteria hold. In order.
    pub passed_over: Vec<Place>,
}

/// Which agent to ask for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityAgent {
    /// `none`: no agent, whatever the environment says.
    None,
    /// `SSH_AUTH_SOCK` or `$NAME`: the path of the socket is the value of this variable.
    Variable(String),
    /// The path of its socket; see [`expand_path`].
    Socket(String),
}

/// How the host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// `ProxyCommand none`: directly.
    Direct,
    /// `ProxyJump none`: directly; but a `ProxyCommand` behind it counts, as in ssh.
    NoJump,
    /// `ProxyJump`: `[user@]host[:port]` or `ssh://[user@]host[:port]`, each well-formed, with commas
    /// between them; the first is called first.
    Jump(String),
    /// `ProxyCommand`, a shell's command line; see [`expand`].
    Command(String),
}

impl Proxy {
    /// Which of two counts.
    fn first(earlier: Option<Proxy>, later: Option<Proxy>) -> Option<Proxy> {
        match (earlier, later) {
            (Some(Proxy::NoJump), Some(later @ (Proxy::Direct | Proxy::Command(_)))) => Some(later),
            (earlier, later) => earlier.or(later),
        }
    }
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The [name](Included::name) of the included file; none: the text that was given.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: line {}", file.escape_debug(), self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

/// A file that an `Include` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// What to call it in errors: its path.
    pub name: String,
    /// Its text.
    pub text: Vec<u8>,
}

/// Why settings cannot be told: ssh would not connect with such a file either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// Why.
    pub reason: ConfigReason,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigReason {
    /// Nothing, or an empty text, where a value is due.
    #[error("`{0}` has no value")]
    NoValue(&'static str),
    /// Something behind the value.
    #[error("`{0}` has more than one value")]
    Extra(&'static str),
    /// A quote without an end.
    #[error("a quote is not ended")]
    Quotes,
    /// No number from 1 to 65535.
    #[error("`Port` is no number from 1 to 65535")]
    Port,
    /// Neither yes nor no.
    #[error("`{0}` is neither yes nor no")]
    Flag(&'static str),
    /// No `[user@]host[:port]`, or list of them.
    #[error("`ProxyJump` is no list of [user@]host[:port]")]
    Jump,
    /// `$` and no name of a variable behind it.
    #[error("`IdentityAgent` names no variable behind `$`")]
    Variable,
    /// `Match` without a criterion, or one without its value, or `all` beside others.
    #[error("`Match` has no criteria that could be met")]
    Match,
    /// A token where it is not taken.
    #[error("`{0}` has {1}")]
    Token(&'static str, TokenError),
    /// Not text.
    #[error("`{0}` is not UTF-8")]
    NotUtf8(&'static str),
    /// A NUL.
    #[error("a NUL")]
    Nul,
    /// Longer or more than the limit with that number.
    #[error("more than {limit} {what}")]
    Limit {
        /// Of what, and its unit.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}

/// What a file says of a host; `Include` is passed over.
///
/// Source: ssh_config(5).
///
/// # Errors
/// When a keyword that is taken has a bad value, in a block that applies or not; or a limit is
/// exceeded.
pub fn settings(text: &[u8], query: &Query<'_>) -> Result<HostSettings, ConfigError> {
    settings_with(text, query, &mut |_| Vec::new())
}

/// What a file and those that it includes say of a host.
///
/// `include` gets each value of an `Include` as it is written (a pattern of paths; relative ones are
/// meant in `~/.ssh`, in the system's file in `/etc/ssh`), and gives the files that it means, in the
/// order of their names. It is asked in blocks that do not apply as well: ssh reads such files for
/// their syntax.
///
/// # Errors
/// As [`settings`].
pub fn settings_with(
    text: &[u8],
    query: &Query<'_>,
    include: &mut dyn FnMut(&str) -> Vec<Included>,
) -> Result<HostSettings, ConfigError> {
    HostSettings::default().then(text, query, include)
}

impl HostSettings {
    /// What one more file says behind this: the system's behind the user's. As
    /// [`settings_with`]; `Match host` and `Match user` go by what is known from before.
    ///
    /// # Errors
    /// As [`settings`].
    pub fn then(
        self,
        text: &[u8],
        query: &Query<'_>,
        include: &mut dyn FnMut(&str) -> Vec<Included>,
    ) -> Result<HostSettings, ConfigError> {
        reader::read(self, text, query, include)
    }

    /// These, and from `later` what they do not say; identity files of both. Prefer
    /// [`then`](HostSettings::then): `Match` in the later file may depend on the earlier.
    #[must_use]
    pub fn or(mut self, later: HostSettings) -> HostSettings {
        for file in later.identity_files {
            if !self.identity_files.contains(&file) {
                self.identity_files.push(file);
            }
        }
        self.passed_over.extend(later.passed_over);
        HostSettings {
            host_name: self.host_name.or(later.host_name),
            user: self.user.or(later.user),
            port: self.port.or(later.port),
            identity_files: self.identity_files,
            identity_files_given: self.identity_files_given || later.identity_files_given,
            identity_agent: self.identity_agent.or(later.identity_agent),
            identities_only: self.identities_only.or(later.identities_only),
            proxy: Proxy::first(self.proxy, later.proxy),
            passed_over: self.passed_over,
        }
    }

    /// The jump hosts, if the host is reached through some: see [`Proxy::Jump`].
    pub fn proxy_jump(&self) -> Option<&str> {
        match &self.proxy {
            Some(Proxy::Jump(hosts)) => Some(hosts),
            _ => None,
        }
    }

    /// The command to the host, if it is reached through one: see [`Proxy::Command`].
    pub fn proxy_command(&self) -> Option<&str> {
        match &self.proxy {
            Some(Proxy::Command(command)) => Some(command),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
