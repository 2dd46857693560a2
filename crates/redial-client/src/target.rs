//! Where a command is to run: the forms that may stand in HOST's place.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

mod host;

pub use host::{DEFAULT_PORT, HostError, HostTarget};
pub(crate) use host::{NATS, is_host, is_user, nats_name};

/// A server, named.
///
/// ```
/// use redial_client::Target;
///
/// assert_eq!("local:".parse(), Ok(Target::Local));
/// assert_eq!("unix:/run/r.sock".parse(), Ok(Target::Unix(Some("/run/r.sock".into()))));
/// let Ok(Target::Network(host)) = "ada@web1:7335".parse() else { panic!() };
/// assert_eq!((host.host.as_str(), host.port), ("web1", Some(7335)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `local:`, a private server on this machine that ends with the connection.
    Local,
    /// `unix:PATH`, a server's socket; `unix:` alone is [`crate::default_socket`].
    Unix(Option<PathBuf>),
    /// `exec:COMMAND`, any program that carries the protocol on its stdin and stdout.
    /// The text is given to `/bin/sh -c`.
    Exec(OsString),
    /// `[user@]host[:port]`, a server on the network: TLS over TCP; or `[user@]nats:NAME`: TLS by way
    /// of a NATS cluster.
    Network(HostTarget),
}

impl Target {
    /// Reads one of the forms above. Paths and commands may hold any bytes.
    ///
    /// # Errors
    ///
    /// [`TargetError`] says which forms there are.
    pub fn parse(text: &OsStr) -> Result<Self, TargetError> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(TargetError::Empty);
        }
        if bytes == b"local:" {
            return Ok(Target::Local);
        }
        if let Some(path) = bytes.strip_prefix(b"unix:") {
            let path = (!path.is_empty()).then(|| OsString::from_vec(path.to_vec()).into());
            return Ok(Target::Unix(path));
        }
        if let Some(command) = bytes.strip_prefix(b"exec:") {
            if command.iter().all(u8::is_ascii_whitespace) {
                return Err(TargetError::NoProgram);
            }
            return Ok(Target::Exec(OsString::from_vec(command.to_vec())));
        }
        let text = text.to_string_lossy().into_owned();
        if let Some(meant) = meant(&text) {
            return Err(TargetError::Meant { text, meant });
        }
        match text.split_once(':') {
            Some(("local", _)) => Err(TargetError::AfterLocal(text)),
            _ => Ok(Target::Network(HostTarget::parse(&text)?)),
        }
    }
}

/// One of the forms, where only its beginning is missing.
fn meant(text: &str) -> Option<String> {
    match text {
        "local" | "unix" => Some(format!("{text}:")),
        "exec" => Some("'exec:COMMAND'".to_owned()),
        _ if ["/", "./", "../"]
            .iter()
            .any(|start| text.starts_with(start)) =>
        {
            Some(format!("unix:{text}"))
        }
        _ => None,
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Target::parse(OsStr::new(text))
    }
}

/// As [`Target::parse`] reads it. The alternate form (`{:#}`) ends with a colon, to begin a
/// message about it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if f.alternate() { ":" } else { "" };
        match self {
            Target::Local => f.write_str("local:"),
            Target::Unix(None) => f.write_str("unix:"),
            Target::Unix(Some(path)) => write!(f, "unix:{}{colon}", path.display()),
            Target::Exec(command) => write!(f, "exec:{}{colon}", command.display()),
            Target::Network(host) => write!(f, "{host}{colon}"),
        }
    }
}

/// A text that names no server this version can reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is none.
    #[error(
        "the host is empty; it may be [user@]host[:port], nats:NAME, local:, unix:, unix:PATH or exec:COMMAND"
    )]
    Empty,
    /// Nearly one of the forms.
    #[error("{text:?} is no host; did you mean {meant} ?")]
    Meant {
        /// What was given.
        text: String,
        /// What would be one.
        meant: String,
    },
    /// `exec:` without a command.
    #[error("exec: needs a command, as in 'exec:ssh web1 redial serve --stdio'")]
    NoProgram,
    /// Something behind `local:`.
    #[error("{0:?}: local: stands alone; a socket is unix:PATH")]
    AfterLocal(String),
    /// No form of a host on the network.
    #[error(transparent)]
    Host(#[from] HostError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_path_may_hold_any_bytes() {
        let text = OsStr::from_bytes(b"unix:/tmp/\xff:x");
        let path = PathBuf::from(OsStr::from_bytes(b"/tmp/\xff:x"));
        assert_eq!(Target::parse(text), Ok(Target::Unix(Some(path))));
        assert_eq!("unix:".parse(), Ok(Target::Unix(None)));
    }

    #[test]
    fn an_exec_command_is_kept_as_it_is() {
        let target: Target = "exec:ssh web1 redial serve --stdio".parse().unwrap();
        assert_eq!(target, Target::Exec("ssh web1 redial serve --stdio".into()));
        assert_eq!(target.to_string(), "exec:ssh web1 redial serve --stdio");
        assert_eq!(format!("{target:#}"), format!("{target}:"));
        assert_eq!(format!("{:#}", Target::Local), "local:");
        assert_eq!("exec: ".parse::<Target>(), Err(TargetError::NoProgram));
    }

    #[test]
    fn what_lacks_only_its_beginning_is_suggested_with_it() {
        for (text, meant) in [
            ("local", "local:"),
            ("unix", "unix:"),
            ("exec", "'exec:COMMAND'"),
            ("/run/r.sock", "unix:/run/r.sock"),
            ("./r.sock", "unix:./r.sock"),
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(
                error.contains(&format!("did you mean {meant} ?")),
                "{error}"
            );
        }
    }

    #[test]
    fn what_stands_behind_a_beginning_is_looked_at() {
        let Ok(Target::Network(host)) = "ada@nats:web1.example".parse() else {
            panic!("a host of a cluster is one on the network")
        };
        assert_eq!(host.nats(), "web1.example".parse().ok());
        assert_eq!(host.to_string(), "ada@nats:web1.example");
        for text in ["nats:", "nats:web1:7334", "nats:a/b"] {
            assert!(matches!(
                text.parse::<Target>(),
                Err(TargetError::Host(HostError::Nats(..)))
            ));
        }
        assert!(matches!(
            "local:x".parse::<Target>(),
            Err(TargetError::AfterLocal(_))
        ));
        assert_eq!("".parse::<Target>(), Err(TargetError::Empty));
    }
}
