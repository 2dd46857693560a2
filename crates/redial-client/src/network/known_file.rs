//! redial's own known_hosts: read, and written whole under a lock.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redial_net::auth::known_hosts::{
    FileTooLong, HostDecision, HostName, HostNameError, KnownHosts, Marker,
};
use redial_net::auth::{PublicKey, limits};
use rustix::fs::{FlockOperation, flock};

use super::options::NetworkOptions;
use super::user_file;
use crate::target::{DEFAULT_PORT, HostTarget};

/// Why the file cannot be used. Nothing is decided without it.
#[derive(Debug, thiserror::Error)]
pub enum KnownFileError {
    /// Nobody knows where it is.
    #[error("where known_hosts lies is not known: set HOME or XDG_CONFIG_HOME to an absolute path")]
    NoPlace,
    /// The host's name has characters that mean something else in the file.
    #[error("{0:?}: {1}")]
    Name(String, HostNameError),
    /// It cannot be read.
    #[error("{}: cannot be read: {reason}; nothing is trusted without it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another key is known for that host, or this one is revoked.
    #[error(
        "{}: line {line} says otherwise of {name}; to take the new key instead, run \
         'redial keys forget {name}' first",
        path.display()
    )]
    Conflict {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The host, as it is typed.
        name: String,
    },
}

/// A line of the file that has a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// `@revoked` or `@cert-authority`, if it begins so.
    pub marker: Option<String>,
    /// The hosts' names as they stand there, hashed ones too.
    pub names: String,
    /// The key; none if it is of a kind that is not taken.
    pub key: Option<PublicKey>,
}

/// Where redial's own file lies: `known_hosts` in [`NetworkOptions::config_dir`].
///
/// # Errors
///
/// [`KnownFileError::NoPlace`].
pub fn known_hosts_path(options: &NetworkOptions) -> Result<PathBuf, KnownFileError> {
    let dir = options.config_dir.as_ref().ok_or(KnownFileError::NoPlace)?;
    Ok(dir.join("known_hosts"))
}

/// The name under which a host's key is known: what was typed, with its port.
///
/// # Errors
///
/// [`KnownFileError::Name`].
pub fn known_name(
    target: &HostTarget,
    options: &NetworkOptions,
) -> Result<HostName, KnownFileError> {
    let port = target.port.or(options.overrides.port);
    name(&target.host, port.unwrap_or(DEFAULT_PORT))
}

pub(crate) fn name(host: &str, port: u16) -> Result<HostName, KnownFileError> {
    HostName::new(host, port).map_err(|error| KnownFileError::Name(host.to_owned(), error))
}

/// The host as a person would type it: `web1`, with a port other than ours `web1:7335`.
pub(crate) fn spoken(name: &HostName) -> String {
    let port = |host: &str, port| HostTarget {
        user: None,
        host: host.to_owned(),
        port,
    };
    let bracketed = name.as_str().strip_prefix('[');
    let parts = bracketed.and_then(|rest| rest.rsplit_once("]:"));
    let target = match parts.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, DEFAULT_PORT)) => port(host, None),
        Some((host, other)) => port(host, Some(other)),
        None => port(name.as_str(), Some(22)),
    };
    target.to_string()
}

/// The lines of the file that have a key. None if there is no file.
///
/// # Errors
///
/// [`KnownFileError::Unreadable`].
pub fn list(path: &Path) -> Result<Vec<Entry>, KnownFileError> {
    let text = read(path)?;
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    Ok(lines.filter_map(|(at, line)| entry(at + 1, line)).collect())
}

fn entry(number: usize, line: &[u8]) -> Option<Entry> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let first = words.next().filter(|word| !word.starts_with('#'))?;
    let marker = first.starts_with('@').then(|| first.to_owned());
    let names = match marker {
        Some(_) => words.next()?,
        None => first,
    };
    let (kind, base64) = (words.next()?, words.next()?);
    Some(Entry {
        line: number,
        marker,
        names: names.to_owned(),
        key: PublicKey::from_text(&format!("{kind} {base64}")).ok(),
    })
}

/// Adds a line for a host's key, unless the file says so already. True if it was added.
///
/// # Errors
///
/// [`KnownFileError`]; another key of that host is a conflict.
pub fn trust(path: &Path, name: &HostName, key: &PublicKey) -> Result<bool, KnownFileError> {
    change(path, |known| {
        let line = match known.decide(name, key) {
            HostDecision::Unknown { .. } => {
                return Ok((Edit::Append(known.addition(name, key)), true));
            }
            HostDecision::Known { .. } => return Ok((Edit::None, false)),
            HostDecision::Revoked { line } => line,
            HostDecision::Changed { lines } => lines.first().copied().unwrap_or_default(),
        };
        Err(KnownFileError::Conflict {
            path: path.to_owned(),
            line,
            name: spoken(name),
        })
    })
}

/// Removes the lines that know a key of the host; what is revoked stays so. Gives their number.
///
/// # Errors
///
/// [`KnownFileError`].
pub fn forget(path: &Path, name: &HostName) -> Result<usize, KnownFileError> {
    change(path, |known| {
        let lines = known.lines_of(name);
        let ours = lines.filter(|line| line.marker == Marker::None);
        let numbers: Vec<_> = ours.map(|line| line.number).collect();
        let edit = match numbers.is_empty() {
            true => Edit::None,
            false => Edit::Replace(known.without(&numbers)),
        };
        Ok((edit, numbers.len()))
    })
}

/// The text; empty if there is no file.
///
/// # Errors
///
/// [`KnownFileError::Unreadable`], also for a file too long to be decided on.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, KnownFileError> {
    match user_file::read(path, limits::KNOWN_HOSTS_BYTES) {
        Ok(text) => Ok(text.unwrap_or_default()),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &impl std::fmt::Display) -> KnownFileError {
    KnownFileError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

pub(crate) fn parse<'a>(path: &Path, text: &'a [u8]) -> Result<KnownHosts<'a>, KnownFileError> {
    KnownHosts::new(text).map_err(|error: FileTooLong| KnownFileError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// What is to be done to the file.
enum Edit {
    None,
    /// A line more. One that a death in the middle has left without its end is none, and its host is
    /// as unknown as before.
    Append(String),
    /// Another text, whole.
    Replace(Vec<u8>),
}

/// Changes the file while nobody else does.
fn change<T>(
    path: &Path,
    edit: impl FnOnce(KnownHosts<'_>) -> Result<(Edit, T), KnownFileError>,
) -> Result<T, KnownFileError> {
    let unwritable = |source| KnownFileError::Unwritable {
        path: path.to_owned(),
        source,
    };
    // Some keep it as a link into another directory.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = real.parent().unwrap_or(Path::new("."));
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(dir).map_err(unwritable)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options
        .open(dir.join("known_hosts.lock"))
        .map_err(unwritable)?;
    // Others hold it for as long as a small file takes to be written.
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| unwritable(error.into()))?;
    let text = read(&real)?;
    let (edit, result) = edit(parse(&real, &text)?)?;
    match edit {
        Edit::None => {}
        Edit::Append(line) => {
            // Longer than what is read, it would trust nobody any more.
            if text.len() + line.len() >= limits::KNOWN_HOSTS_BYTES {
                let bytes = text.len() + line.len();
                return Err(unreadable(&real, &FileTooLong { bytes }));
            }
            append(&real, &line).map_err(unwritable)?;
        }
        Edit::Replace(text) => replace(&real, dir, &text).map_err(unwritable)?,
    }
    Ok(result)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(path)?;
    file.write_all(line.as_bytes())
}

fn replace(path: &Path, dir: &Path, text: &[u8]) -> io::Result<()> {
    let new = dir.join("known_hosts.new");
    // One that was left by a writer who died; nobody else writes, we hold the lock.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text)?;
    // Before it takes the old one's place: an empty file would make every host a new one.
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use redial_net::auth::PrivateKey;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn key(seed: u8) -> PublicKey {
        PrivateKey::ed25519(&[seed; 32], "").public_key().clone()
    }

    #[test]
    fn what_is_trusted_is_listed_and_can_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/known_hosts");
        let (one, two) = (name("One", 7334).unwrap(), name("two", 22).unwrap());
        assert!(list(&path).unwrap().is_empty());
        assert!(trust(&path, &one, &key(1)).unwrap());
        assert!(!trust(&path, &one, &key(1)).unwrap());
        assert!(trust(&path, &two, &key(2)).unwrap());
        let conflict = trust(&path, &one, &key(3));
        assert!(matches!(
            conflict,
            Err(KnownFileError::Conflict { line: 1, .. })
        ));
        let listed = list(&path).unwrap();
        let names: Vec<_> = listed.iter().map(|entry| entry.names.as_str()).collect();
        assert_eq!(names, ["[one]:7334", "two"]);
        assert_eq!(listed[1].key, Some(key(2)));
        assert_eq!(forget(&path, &one).unwrap(), 1);
        assert_eq!(forget(&path, &one).unwrap(), 0);
        assert_eq!(list(&path).unwrap().len(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_host_is_called_as_it_is_typed() {
        for (host, port, shown) in [
            ("web1", 7334, "web1"),
            ("web1", 7335, "web1:7335"),
            ("web1", 22, "web1:22"),
            ("::1", 7334, "[::1]"),
            ("::1", 22, "[::1]:22"),
        ] {
            let known = name(host, port).unwrap();
            assert_eq!(spoken(&known), shown);
            let target = HostTarget::parse(shown).unwrap();
            let again = known_name(&target, &NetworkOptions::default());
            assert_eq!(again.unwrap(), known);
        }
    }

    #[test]
    fn what_is_revoked_is_not_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let one = name("one", 7334).unwrap();
        let text = key(1).to_text();
        fs::write(
            &path,
            format!("# mine\n[one]:7334 {text} x\n@revoked * {text}\n"),
        )
        .unwrap();
        assert_eq!(forget(&path, &one).unwrap(), 1);
        let left = fs::read_to_string(&path).unwrap();
        assert_eq!(left, format!("# mine\n@revoked * {text}\n"));
        assert!(matches!(
            trust(&path, &one, &key(1)),
            Err(KnownFileError::Conflict { line: 2, .. })
        ));
        let listed = list(&path).unwrap();
        assert_eq!(listed[0].marker.as_deref(), Some("@revoked"));
    }

    #[test]
    fn writers_at_the_same_time_lose_no_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        std::thread::scope(|scope| {
            for number in 0..20 {
                let path = &path;
                scope.spawn(move || {
                    let name = name(&format!("h{number}"), 7334).unwrap();
                    assert!(trust(path, &name, &key(number)).unwrap());
                });
            }
        });
        assert_eq!(list(&path).unwrap().len(), 20);
    }

    #[test]
    fn a_link_stays_one_and_a_file_too_long_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("known_hosts"));
        fs::write(&real, "# no end of line").unwrap();
        symlink(&real, &link).unwrap();
        let one = name("one", 7334).unwrap();
        assert!(trust(&link, &one, &key(1)).unwrap());
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(list(&real).unwrap()[0].line, 2);
        fs::write(&real, vec![b'#'; limits::KNOWN_HOSTS_BYTES + 1]).unwrap();
        for result in [
            trust(&link, &one, &key(1)).map(usize::from),
            forget(&link, &one),
        ] {
            assert!(matches!(result, Err(KnownFileError::Unreadable { .. })));
        }
    }
}
