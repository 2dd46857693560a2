//! Which keys the client has: files, and what an agent holds.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redial_net::auth::{PrivateKey, PrivateKeyError, PublicKey, limits};
use zeroize::Zeroizing;

use super::agent;
use super::kept::Medium;
use super::options::NetworkOptions;
use super::route::{Named, Route};
use super::user_file;

/// Keys that are tried at most. Stops an agent full of keys from holding up a login.
const IDENTITIES: usize = 256;

/// A key that can be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its public half.
    pub key: PublicKey,
    /// Where it is from.
    pub source: Source,
    /// The file with its private half, if there is one that may be read.
    pub(crate) file: Option<PathBuf>,
    /// The agent's socket, if the agent has it.
    pub(crate) agent: Option<PathBuf>,
}

/// Where a key is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A private key's file.
    File(PathBuf),
    /// The agent; with its comment.
    Agent(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Agent(comment) if comment.is_empty() => f.write_str("a key of the agent's"),
            Source::Agent(comment) => write!(f, "the agent's {comment:?}"),
        }
    }
}

/// What was passed over, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file or the agent's socket.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

/// All keys to try, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identities {
    pub(crate) keys: Vec<Identity>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Identities {
    /// Looks at the files and asks the agent. Only public halves are looked at.
    pub(crate) async fn of(route: &Route, options: &NetworkOptions) -> Self {
        let mut all = Identities::default();
        let (files, kept) = (route.identity_files.clone(), Arc::clone(options.kept()));
        let ask = move |from| match from {
            Medium::Memory => kept.found.get(&files).ok_or(()),
            Medium::Disk => {
                let found = Arc::new(read_files(&files));
                Ok(kept.found.put(files.clone(), found))
            }
        };
        let read = options.kept().or_read(ask, drop);
        // It panicked or was cancelled: there is nothing from files then.
        let read = read.await.unwrap_or_default();
        let (found, skipped) = &*read;
        all.skipped.clone_from(skipped);
        let agents = all.ask(route.agent.as_deref()).await;
        let (named, usual): (Vec<_>, Vec<_>) = found
            .iter()
            .cloned()
            .partition(|found| found.named != Named::ByDefault);
        for found in named {
            all.add_file(found, &agents);
        }
        if let (Some(socket), false) = (&route.agent, route.identities_only) {
            for key in &agents {
                all.add(Identity {
                    key: key.key.clone(),
                    source: Source::Agent(key.comment.clone()),
                    file: None,
                    agent: Some(socket.clone()),
                });
            }
        }
        for found in usual {
            all.add_file(found, &agents);
        }
        for key in &mut all.keys {
            let held = agents.iter().any(|held| held.key == key.key);
            key.agent = route.agent.clone().filter(|_| held);
        }
        all
    }

    /// An agent that is not there is no failure: many people have none.
    async fn ask(&mut self, socket: Option<&Path>) -> Vec<agent::AgentKey> {
        let Some(socket) = socket else {
            return Vec::new();
        };
        agent::list(socket).await.unwrap_or_else(|error| {
            tracing::debug!(socket = %socket.display(), %error, "the agent is passed over");
            self.skipped.push(Skipped {
                path: socket.to_owned(),
                why: error.to_string(),
            });
            Vec::new()
        })
    }

    fn add_file(&mut self, found: Found, agents: &[agent::AgentKey]) {
        let held = agents.iter().any(|held| held.key == found.key);
        // Only its token can sign with it, and only an agent speaks with tokens here.
        if !held && (found.key.algorithm().is_fido() || found.private.is_none()) {
            self.skipped.push(Skipped {
                why: match found.key.algorithm().is_fido() {
                    true => "a security key, which only an agent can use: ssh-add it".to_owned(),
                    false => "only its public half is there, and no agent has it".to_owned(),
                },
                path: found.path,
            });
            return;
        }
        self.add(Identity {
            key: found.key,
            source: Source::File(found.path),
            file: found.private,
            agent: None,
        });
    }

    fn add(&mut self, identity: Identity) {
        let room = self.keys.len() < IDENTITIES;
        match self.keys.iter_mut().find(|known| known.key == identity.key) {
            Some(known) => known.file = known.file.take().or(identity.file),
            None if room => self.keys.push(identity),
            None => {}
        }
    }
}

/// A key that a file names.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    key: PublicKey,
    named: Named,
    path: PathBuf,
    /// The same path, if the private half is there.
    private: Option<PathBuf>,
}

fn read_files(files: &[(PathBuf, Named)]) -> (Vec<Found>, Vec<Skipped>) {
    let (mut found, mut skipped) = (Vec::new(), Vec::new());
    for (path, named) in files.iter().cloned() {
        match look(&path) {
            Ok(Some((key, private))) => found.push(Found {
                key,
                named,
                private: private.then(|| path.clone()),
                path,
            }),
            Ok(None) if named == Named::ByDefault => {}
            Ok(None) => skipped.push(Skipped {
                path,
                why: "no such file".to_owned(),
            }),
            Err(why) => skipped.push(Skipped { path, why }),
        }
    }
    (found, skipped)
}

/// The public half, and whether the private one is there; nothing if neither is.
fn look(path: &Path) -> Result<Option<(PublicKey, bool)>, String> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let beside = read(Path::new(&beside)).ok().flatten();
    let public = beside.and_then(|text| PublicKey::from_text(&text).ok());
    let text = match read_private(path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(public.map(|key| (key, false))),
        // Somebody may have named the public half: the agent has the other.
        Err(why) => match read(path)
            .ok()
            .flatten()
            .map(|text| PublicKey::from_text(&text))
        {
            Some(Ok(key)) => return Ok(Some((key, false))),
            _ => return Err(why),
        },
    };
    if let Ok(key) = PublicKey::from_text(&text) {
        return Ok(Some((key, false)));
    }
    match (public, PrivateKey::public_key_in(&text)) {
        (Some(key), _) | (None, Ok(key)) => Ok(Some((key, true))),
        (None, Err(error)) => Err(error.to_string()),
    }
}

/// A private key with its passphrase taken off, or why there is none.
pub(crate) fn unlock(path: &Path, passphrase: Option<&[u8]>) -> Result<PrivateKey, UnlockError> {
    let text = read_private(path).map_err(UnlockError::File)?;
    let text = text.ok_or_else(|| UnlockError::File("no such file any more".to_owned()))?;
    Ok(PrivateKey::from_text(&text, passphrase)?)
}

/// Why a file gives no private key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnlockError {
    #[error("{0}")]
    File(String),
    #[error("{0}")]
    Key(#[from] PrivateKeyError),
}

/// The text of a private key's file, unless others may read it too, as ssh has it.
fn read_private(path: &Path) -> Result<Option<Zeroizing<String>>, String> {
    let file = match user_file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let found = file.metadata().map_err(|error| error.to_string())?;
    let ours = found.uid() == rustix::process::getuid().as_raw();
    let mode = found.mode() & 0o7777;
    if ours && mode & 0o077 != 0 {
        return Err(format!(
            "others may read it (mode {mode:04o}), so it is not used: chmod 600 it, and consider \
             a new key"
        ));
    }
    let text = user_file::text(file, limits::PRIVATE_KEY_BYTES);
    let text = text
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(&text).map_err(|_| "no text, so no key".to_owned())?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

fn read(path: &Path) -> Result<Option<String>, String> {
    let text = user_file::read(path, limits::PRIVATE_KEY_BYTES);
    let text = text.map_err(|error| error.to_string())?;
    Ok(text.and_then(|text| String::from_utf8(text).ok()))
}
