//! What files said a moment ago, for many connections that are made one after the other
//! ([`NetworkOptions::together`](super::NetworkOptions::together)): nobody waits for the disk,
//! or for a thread that may, to read again what was just read.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redial_net::auth::known_hosts::HostName;
use redial_net::auth::ssh_config::Included;
use redial_net::auth::{PrivateKey, PublicKey};

use super::error::RouteError;
use super::identity::{Found, Skipped};
use super::known_cache::{KnownFile, KnownFiles};
use super::known_file::KnownFileError;
use super::route::Named;
use crate::lock::lock;

/// What is this old is read again.
const FRESH: Duration = Duration::from_secs(1);
/// Of each kind: beyond them, what is not fresh is thrown away.
const KEPT: usize = 64;
/// Hosts that may be met for the first time in such a moment.
const CONFIRMED: usize = 16_384;

/// Where an answer may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// The disk.
    Disk,
    /// Only what is kept. Any error means: not all of it is, ask the disk.
    Memory,
}

/// Key files as they were found, and those that were passed over.
pub(crate) type FoundFiles = Arc<(Vec<Found>, Vec<Skipped>)>;

/// All that is kept. By default nothing is: who connects once has no use for it, and a private
/// key does not stay in memory.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    is_shared: bool,
    /// Files of ~/.ssh/config.
    pub(crate) configs: Recent<PathBuf, Option<Arc<[u8]>>>,
    /// What its `Include` means, by the pattern.
    pub(crate) included: Recent<PathBuf, Arc<[Included]>>,
    /// Key files, by their list.
    pub(crate) found: Recent<Vec<(PathBuf, Named)>, FoundFiles>,
    /// Keys that need no passphrase.
    pub(crate) keys: Recent<PathBuf, Arc<PrivateKey>>,
    /// Keys of hosts that were accepted: what the file of known hosts said a moment ago may be older.
    pub(crate) confirmed: Recent<HostName, PublicKey>,
    known: Recent<PathBuf, Arc<KnownFile>>,
    known_files: KnownFiles,
    /// One reads for all that wait.
    turn: tokio::sync::Mutex<()>,
}

impl Kept {
    /// For many connections.
    pub(crate) fn shared() -> Self {
        Kept {
            is_shared: true,
            configs: Recent::new(),
            included: Recent::new(),
            found: Recent::new(),
            keys: Recent::new(),
            confirmed: Recent::with_room(CONFIRMED),
            known: Recent::new(),
            ..Kept::default()
        }
    }

    /// Asks for something: first what is kept, then the disk, on a thread that may wait for it.
    ///
    /// # Errors
    ///
    /// As `ask`; `died` makes one of a panic.
    pub(crate) async fn or_read<T, E>(
        &self,
        ask: impl Fn(Medium) -> Result<T, E> + Send + 'static,
        died: impl FnOnce(tokio::task::JoinError) -> E,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let mut turn = None;
        if self.is_shared {
            if let Ok(answer) = ask(Medium::Memory) {
                return Ok(answer);
            }
            turn = Some(self.turn.lock().await);
            if let Ok(answer) = ask(Medium::Memory) {
                return Ok(answer);
            }
        }
        let read = tokio::task::spawn_blocking(move || ask(Medium::Disk)).await;
        drop(turn);
        read.unwrap_or_else(|error| Err(died(error)))
    }

    /// A file of known hosts.
    pub(crate) fn known(
        &self,
        path: PathBuf,
        from: Medium,
    ) -> Result<Arc<KnownFile>, KnownFileError> {
        if from == Medium::Memory {
            let known = self.known.get(&path);
            return known
                .map(KnownFile::again)
                .ok_or_else(|| KnownFileError::Unreadable {
                    path,
                    reason: NOT_KEPT.to_owned(),
                });
        }
        let file = self.known_files.read(path.clone())?;
        Ok(self.known.put(path, file))
    }
}

const NOT_KEPT: &str = "not read yet";

/// That a file of ~/.ssh/config is not kept.
pub(crate) fn not_kept(path: &Path) -> RouteError {
    RouteError::Unreadable {
        path: path.to_owned(),
        reason: NOT_KEPT.to_owned(),
    }
}

/// Answers, and when they were given.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    all: Mutex<HashMap<K, (Instant, V)>>,
    room: usize,
}

/// Without room for any.
impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Recent {
            all: Mutex::default(),
            room: 0,
        }
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    fn new() -> Self {
        Recent::with_room(KEPT)
    }

    fn with_room(room: usize) -> Self {
        Recent {
            room,
            ..Recent::default()
        }
    }

    /// What was put there a moment ago.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let all = lock(&self.all);
        let (since, value) = all.get(key)?;
        (since.elapsed() < FRESH).then(|| value.clone())
    }

    /// Keeps it, and gives it back.
    pub(crate) fn put(&self, key: K, value: V) -> V {
        let mut all = lock(&self.all);
        if all.len() >= self.room {
            all.retain(|_, (since, _)| since.elapsed() < FRESH);
        }
        if all.len() < self.room {
            all.insert(key, (Instant::now(), value.clone()));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_a_moment_and_not_too_many_are() {
        let recent = Recent::new();
        for key in 0..2 * KEPT {
            recent.put(key, "answer");
        }
        assert_eq!(recent.get(&0), Some("answer"));
        assert_eq!(recent.get(&(KEPT - 1)), Some("answer"));
        assert_eq!(recent.get(&KEPT), None, "there is no room for it");
        for (since, _) in lock(&recent.all).values_mut() {
            *since -= FRESH;
        }
        assert_eq!(recent.get(&0), None, "it is too old");
        recent.put(KEPT, "another");
        assert_eq!(recent.get(&KEPT), Some("another"));
        assert_eq!(lock(&recent.all).len(), 1);
    }

    #[tokio::test]
    async fn of_many_who_ask_for_the_same_one_reads() {
        let kept = Arc::new(Kept::shared());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let ask = |kept: &Arc<Kept>| {
            let (kept, path) = (Arc::clone(kept), path.clone());
            move |from| match from {
                Medium::Memory => kept.configs.get(&path).ok_or(String::new()),
                Medium::Disk => {
                    // Who reads a second time finds something else.
                    let text = std::fs::read(&path).unwrap_or_default();
                    std::fs::write(&path, [&text[..], b"x"].concat()).unwrap();
                    Ok(kept.configs.put(path.clone(), Some(text.into())))
                }
            }
        };
        let all = (0..32).map(|_| {
            let (kept, ask) = (Arc::clone(&kept), ask(&kept));
            tokio::spawn(async move { kept.or_read(ask, |error| error.to_string()).await })
        });
        for asked in all.collect::<Vec<_>>() {
            assert_eq!(asked.await.unwrap().unwrap().as_deref(), Some(&b""[..]));
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        // Who is alone reads each time, and nothing is kept.
        let alone = Arc::new(Kept::default());
        for text in ["x", "xx"] {
            let read = alone.or_read(ask(&alone), |error| error.to_string());
            assert_eq!(read.await.unwrap().as_deref(), Some(text.as_bytes()));
        }
    }
}
