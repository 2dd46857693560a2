//! The options before a key: sshd's grammar, and what is known of it here.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::expiry::Expiry;
use super::policy::Policy;
use super::source::{SourceError, Sources};
use crate::limits;

/// Whether something is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It is.
    Allowed,
    /// It is not.
    Refused,
}

/// Whether a FIDO token must do something for each signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// It must.
    Required,
    /// It need not.
    NotRequired,
}

/// What a FIDO token must have seen for its signatures to count. Of no effect on other keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// Someone touched it (`no-touch-required` waives it).
    pub touch: Demand,
    /// It knows its user, by PIN or finger (`verify-required` asks for it).
    pub verification: Demand,
}

impl Presence {
    /// What is asked for without any option.
    pub const DEFAULT: Presence = Presence {
        touch: Demand::Required,
        verification: Demand::NotRequired,
    };
}

/// One `environment=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Letters, digits and `_`; of any meaning, `LD_PRELOAD` too: what may be set is the caller's
    /// to decide.
    pub name: String,
    /// Its value: any bytes but NUL.
    pub value: Vec<u8>,
}

/// What the options of a line say. sshd's defaults where they say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `command=`: run whatever is asked for. Given to the user's shell, and maybe empty.
    pub command: Option<Vec<u8>>,
    /// `environment=`, the first of each name.
    pub environment: Vec<Variable>,
    /// `from=`.
    pub sources: Option<Sources>,
    /// `expiry-time=`, the earliest.
    pub expiry: Option<Expiry>,
    /// `restrict` was given.
    pub restrict: bool,
    /// `pty`, `no-pty`.
    pub pty: Grant,
    /// `port-forwarding`, `no-port-forwarding`.
    pub port_forwarding: Grant,
    /// `agent-forwarding`, `no-agent-forwarding`.
    pub agent_forwarding: Grant,
    /// `X11-forwarding`, `no-X11-forwarding`.
    pub x11_forwarding: Grant,
    /// `user-rc`, `no-user-rc`.
    pub user_rc: Grant,
    /// `permitopen=`: the only `host:port` that forwarding may reach. Empty: any.
    pub permit_open: Vec<String>,
    /// `permitlisten=`: the only `[host:]port` that forwarding may listen on. Empty: any.
    pub permit_listen: Vec<String>,
    /// `verify-required`, `no-touch-required`.
    pub presence: Presence,
    /// redial's own options.
    pub policy: Policy,
}

/// Why options are refused, and the line with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// Not known here: maybe a restriction, so the line grants nothing.
    #[error("unknown option `{}`", .0.escape_debug())]
    Unknown(String),
    /// Known, and refused: no certificates are taken.
    #[error("`{0}` is about certificates, which are not taken")]
    Certificates(&'static str),
    /// Given twice, which of them counts cannot be told.
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    /// No `"` where a value begins, or none where it ends.
    #[error("`{0}` has no value in quotes")]
    Quotes(&'static str),
    /// A comma with nothing behind it.
    #[error("nothing follows the last comma")]
    End,
    /// No time of the calendar in the form `YYYYMMDD[HHMM[SS]][Z]`.
    #[error("`expiry-time` has no time in the form YYYYMMDD[HHMM[SS]][Z]")]
    Expiry,
    /// Not understood.
    #[error("`from` has {0}")]
    From(SourceError),
    /// No `NAME=VALUE` with a name of letters, digits and `_`.
    #[error("`environment` has no NAME=VALUE")]
    Environment,
    /// No `host:port` (`permitlisten`: or `port`), the port a number from 1 or `*`.
    #[error("`{0}` has no host and port")]
    Permit(&'static str),
    /// No value that makes sense.
    #[error("`{0}` has no value that is understood: it {expected}", expected = expected(.0))]
    Value(&'static str),
    /// Known, and of no effect yet: a line that has it must not grant what it is to limit.
    #[error("`{0}` is reserved for a later version")]
    Reserved(&'static str),
    /// One says what is run, the other what may be: which counts cannot be told.
    #[error("`command` and `allow-argv` exclude each other")]
    Both,
    /// More of them than sshd takes.
    #[error("too many of `{0}`")]
    TooMany(&'static str),
}

impl Options {
    /// Reads options from the beginning of a line up to the first blank outside of values.
    ///
    /// Source: sshauthopt_parse in OpenSSH, down to what it makes of empty options.
    pub(super) fn parse(text: &[u8]) -> Result<Options, OptionError> {
        let mut options = Options::default();
        let mut rest = text;
        while !ends(rest) {
            let end = rest.iter().position(|byte| b"=, \t\"".contains(byte));
            let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = options.take(name, after)?;
            if ends(rest) {
                break;
            }
            rest = rest.strip_prefix(b",").ok_or_else(|| unknown(text, rest))?;
            if rest.is_empty() {
                return Err(OptionError::End);
            }
        }
        if options.command.is_some() && options.policy.argv.is_some() {
            return Err(OptionError::Both);
        }
        Ok(options)
    }

    /// Takes one option; gives what follows it.
    fn take<'a>(&mut self, name: &[u8], after: &'a [u8]) -> Result<&'a [u8], OptionError> {
        let lower = name.to_ascii_lowercase();
        if let Some(value) = after.strip_prefix(b"=") {
            return self.take_value(&lower, name, value);
        }
        let flag = match lower.strip_prefix(b"no-") {
            Some(flag) => (flag, Grant::Refused),
            None => (&lower[..], Grant::Allowed),
        };
        let demand = match flag.1 {
            Grant::Allowed => Demand::Required,
            Grant::Refused => Demand::NotRequired,
        };
        match flag {
            (b"", Grant::Allowed) => {}
            (b"restrict", Grant::Allowed) => self.restrict(),
            (b"cert-authority", Grant::Allowed) => {
                return Err(OptionError::Certificates("cert-authority"));
            }
            (b"pty", grant) => self.pty = grant,
            (b"port-forwarding", grant) => self.port_forwarding = grant,
            (b"agent-forwarding", grant) => self.agent_forwarding = grant,
            (b"x11-forwarding", grant) => self.x11_forwarding = grant,
            (b"user-rc", grant) => self.user_rc = grant,
            (b"touch-required", _) => self.presence.touch = demand,
            (b"verify-required", _) => self.presence.verification = demand,
            (b"read-only", Grant::Allowed) => self.policy.read_only = true,
            _ => return Err(OptionError::Unknown(shown(name))),
        }
        Ok(after)
    }

    fn take_value<'a>(
        &mut self,
        lower: &[u8],
        name: &[u8],
        quoted: &'a [u8],
    ) -> Result<&'a [u8], OptionError> {
        let value = |name| dequote(quoted).ok_or(OptionError::Quotes(name));
        if let Some(taken) = self.policy.take_value(lower, value) {
            return taken;
        }
        match lower {
            b"command" => {
                let (command, rest) = value("command")?;
                once(&mut self.command, command, "command")?;
                Ok(rest)
            }
            b"from" => {
                let (patterns, rest) = value("from")?;
                let sources = Sources::parse(&patterns).map_err(OptionError::From)?;
                once(&mut self.sources, sources, "from")?;
                Ok(rest)
            }
            b"expiry-time" => {
                let (time, rest) = value("expiry-time")?;
                self.expire(Expiry::parse(&time).ok_or(OptionError::Expiry)?);
                Ok(rest)
            }
            b"environment" => {
                let (entry, rest) = value("environment")?;
                self.set(&entry)?;
                Ok(rest)
            }
            b"permitopen" => {
                let (entry, rest) = value("permitopen")?;
                permit(&mut self.permit_open, &entry, "permitopen")?;
                Ok(rest)
            }
            b"permitlisten" => {
                let (mut entry, rest) = value("permitlisten")?;
                if !entry.contains(&b':') {
                    entry = [b"*:", &entry[..]].concat();
                }
                permit(&mut self.permit_listen, &entry, "permitlisten")?;
                Ok(rest)
            }
            b"principals" => Err(OptionError::Certificates("principals")),
            b"read-only" => Err(OptionError::Value("read-only")),
            _ => Err(OptionError::Unknown(shown(name))),
        }
    }

    /// Takes back what sshd grants by default; options behind it may grant it again.
    fn restrict(&mut self) {
        self.restrict = true;
        self.pty = Grant::Refused;
        self.port_forwarding = Grant::Refused;
        self.agent_forwarding = Grant::Refused;
        self.x11_forwarding = Grant::Refused;
        self.user_rc = Grant::Refused;
    }

    /// The earliest of several counts.
    fn expire(&mut self, expiry: Expiry) {
        self.expiry = Some(match self.expiry {
            Some(earlier) => earlier.earliest(expiry),
            None => expiry,
        });
    }

    fn set(&mut self, entry: &[u8]) -> Result<(), OptionError> {
        if self.environment.len() >= limits::ENVIRONMENT {
            return Err(OptionError::TooMany("environment"));
        }
        let equals = entry.iter().position(|byte| *byte == b'=');
        let (name, value) = entry.split_at(equals.ok_or(OptionError::Environment)?);
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name.is_empty() || !name.iter().all(good) {
            return Err(OptionError::Environment);
        }
        let name = String::from_utf8_lossy(name).into_owned();
        if !self.environment.iter().any(|known| known.name == name) {
            let value = value[1..].to_vec();
            self.environment.push(Variable { name, value });
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            command: None,
            environment: Vec::new(),
            sources: None,
            expiry: None,
            restrict: false,
            pty: Grant::Allowed,
            port_forwarding: Grant::Allowed,
            agent_forwarding: Grant::Allowed,
            x11_forwarding: Grant::Allowed,
            user_rc: Grant::Allowed,
            permit_open: Vec::new(),
            permit_listen: Vec::new(),
            presence: Presence::DEFAULT,
            policy: Policy::default(),
        }
    }
}

/// What one of redial's own options takes.
fn expected(name: &str) -> &'static str {
    match name {
        "allow-argv" => {
            "is patterns with commas between them, each a program, absolute or without /, and its arguments"
        }
        "env" => "is names of variables with commas between them, * and ? as wildcards",
        "max-jobs" => "is a number from 1",
        "max-time" => "is a number from 1 and s, m, h or d",
        _ => "takes none",
    }
}

/// Whether the options end here.
fn ends(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b' ' | b'\t'))
}

/// A value in quotes, `\"` standing for a quote and every other backslash for itself; and what
/// follows it.
fn dequote(quoted: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut rest = quoted.strip_prefix(b"\"")?;
    let mut value = Vec::new();
    loop {
        rest = match rest {
            [b'\\', b'"', after @ ..] => {
                value.push(b'"');
                after
            }
            [b'"', after @ ..] => return Some((value, after)),
            [byte, after @ ..] => {
                value.push(*byte);
                after
            }
            [] => return None,
        };
    }
}

/// Takes a value, of which there is to be one.
pub(super) fn once<T>(
    place: &mut Option<T>,
    value: T,
    name: &'static str,
) -> Result<(), OptionError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(OptionError::Twice(name)),
    }
}

fn permit(permits: &mut Vec<String>, entry: &[u8], name: &'static str) -> Result<(), OptionError> {
    if permits.len() >= limits::PERMITS {
        return Err(OptionError::TooMany(name));
    }
    let entry = core::str::from_utf8(entry).map_err(|_| OptionError::Permit(name))?;
    // sshd splits at a slash too, as ssh's own addresses may.
    let split = match entry.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').and_then(|(host, rest)| {
            let port = rest.strip_prefix([':', '/'])?;
            Some((host, port))
        }),
        None => entry.split_once([':', '/']),
    };
    let good = |port: &str| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        port == "*" || (digits && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    match split {
        Some((host, port)) if host.len() <= limits::PATTERN_BYTES && good(port) => {
            permits.push(entry.to_string());
            Ok(())
        }
        _ => Err(OptionError::Permit(name)),
    }
}

fn unknown(text: &[u8], rest: &[u8]) -> OptionError {
    let read = &text[..text.len() - rest.len()];
    let begin = read.iter().rposition(|byte| *byte == b',');
    let option = &text[begin.map_or(0, |at| at + 1)..];
    let end = option.iter().position(|byte| b", \t".contains(byte));
    OptionError::Unknown(shown(&option[..end.unwrap_or(option.len())]))
}

/// An option as an error shows it: not more than a line of it.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned()
}
