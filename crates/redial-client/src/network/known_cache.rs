//! Files of known hosts, read once for many connections that are made one after the other.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use redial_net::auth::known_hosts::{Index, KnownHosts};

use super::known_file::{self, KnownFileError};
use crate::lock::lock;

/// What a file was when it was read: another one has another of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file as it was read.
#[derive(Debug)]
pub(crate) struct KnownFile {
    pub(crate) path: PathBuf,
    text: Vec<u8>,
    stamp: Option<Stamp>,
    /// Made when it is asked for a second time: once, a look at each line is faster.
    index: OnceLock<Index>,
    is_asked_again: AtomicBool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles(Mutex<HashMap<PathBuf, Arc<KnownFile>>>);

impl KnownFiles {
    /// The file as it is now.
    pub(crate) fn read(&self, path: PathBuf) -> Result<Arc<KnownFile>, KnownFileError> {
        let now = stamp(&path);
        let known = lock(&self.0).get(&path).map(Arc::clone);
        if let Some(known) = known.filter(|known| now.is_some() && known.stamp == now) {
            return Ok(known.again());
        }
        let text = known_file::read(&path)?;
        // What changes meanwhile is read again the next time.
        let stamp = now.filter(|now| stamp(&path) == Some(*now) && now.size == text.len() as u64);
        let file = Arc::new(KnownFile {
            path: path.clone(),
            text,
            stamp,
            index: OnceLock::new(),
            is_asked_again: AtomicBool::new(false),
        });
        lock(&self.0).insert(path, Arc::clone(&file));
        Ok(file)
    }
}

impl KnownFile {
    /// For one more who asks: it is not the last one.
    pub(crate) fn again(self: Arc<Self>) -> Arc<Self> {
        self.is_asked_again.store(true, Ordering::Relaxed);
        self
    }

    /// What it says.
    pub(crate) fn hosts(&self) -> Result<KnownHosts<'_>, KnownFileError> {
        let hosts = known_file::parse(&self.path, &self.text)?;
        if !self.is_asked_again.load(Ordering::Relaxed) {
            return Ok(hosts);
        }
        let index = self.index.get_or_init(|| Index::new(&self.text));
        Ok(hosts.with_index(index))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some(Stamp {
        device: about.dev(),
        inode: about.ino(),
        size: about.size(),
        modified: (about.mtime(), about.mtime_nsec()),
        changed: (about.ctime(), about.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_only_when_it_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let files = KnownFiles::default();
        let read = || files.read(path.clone()).unwrap();
        assert!(read().text.is_empty());
        std::fs::write(&path, "one\n").unwrap();
        let first = read();
        assert!(Arc::ptr_eq(&first, &read()));
        std::fs::write(&path, "other\n").unwrap();
        assert_eq!(read().text, b"other\n");
        std::fs::remove_file(&path).unwrap();
        assert!(read().text.is_empty());
    }
}
