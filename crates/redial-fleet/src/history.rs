//! Runs as directories: one each, readable by their user only.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::fleet::Journal;
use crate::record::{Header, Line, Record, VERSION, hex};

const HEADER: &str = "run.json";
const JOURNAL: &str = "journal";
const STDIN: &str = "stdin";
const OUTPUTS: &str = "outputs";
/// A header of a million hosts has some 20 MiB, a journal ten times that.
const FILE_MAX_BYTES: u64 = 1 << 30;
/// Who looks whether a run is driven holds it for a moment.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Runs that are kept; the oldest go.
const RUNS_KEPT: usize = 500;

/// Why a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none, or several.
    #[error("{0}")]
    Name(String),
    /// Somebody drives it.
    #[error("run {0} goes on in another process")]
    Busy(String),
    /// It is not in a form that is known.
    #[error("{}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// All runs of a user.
#[derive(Debug, Clone)]
pub struct History(PathBuf);

/// A run that this process drives. Another process cannot, as long as it is there.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    journal: Mutex<Lines>,
}

/// The journal, and up to where it is whole.
#[derive(Debug)]
struct Lines {
    file: File,
    whole: u64,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> HistoryError + '_ {
    |source| HistoryError::Io {
        path: path.to_owned(),
        source,
    }
}

impl History {
    /// In this directory, which need not be there.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        History(dir.into())
    }

    /// Makes room for a run, names it by its time, and writes down what is asked for; old runs go.
    ///
    /// # Errors
    ///
    /// It cannot be written down.
    pub fn create(&self, header: &mut Header, stdin: Option<&[u8]>) -> Result<Run, HistoryError> {
        let private =
            |dir: &Path, all: bool| DirBuilder::new().mode(0o700).recursive(all).create(dir);
        private(&self.0, true).map_err(at(&self.0))?;
        self.prune();
        let mut now = header.began;
        let dir = loop {
            header.id = name(now);
            let dir = self.0.join(&header.id);
            match private(&dir, false) {
                Ok(()) => break dir,
                // Another began in this very moment.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => now += 1,
                Err(error) => return Err(at(&dir)(error)),
            }
        };
        let begun = self.begin(dir.clone(), header, stdin);
        if begun.is_err() {
            // Without a header nobody would find it. What cannot be removed stays.
            let _ = fs::remove_dir_all(dir);
        }
        begun
    }

    fn begin(
        &self,
        dir: PathBuf,
        header: &Header,
        stdin: Option<&[u8]>,
    ) -> Result<Run, HistoryError> {
        let run = self.open_in(dir, &header.id)?;
        if let Some(stdin) = stdin {
            let path = run.dir.join(STDIN);
            write(&path, stdin).map_err(at(&path))?;
        }
        // Last: a run without it has not begun.
        let path = run.dir.join(HEADER);
        let text = serde_json::to_vec(header).map_err(io::Error::other);
        text.and_then(|text| write(&path, &text))
            .map_err(at(&path))?;
        Ok(run)
    }

    /// Takes up a run that nobody drives.
    ///
    /// # Errors
    ///
    /// Somebody does, or it is not there.
    pub fn open(&self, id: &str) -> Result<Run, HistoryError> {
        self.open_in(self.0.join(id), id)
    }

    fn open_in(&self, dir: PathBuf, id: &str) -> Result<Run, HistoryError> {
        let path = dir.join(JOURNAL);
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path);
        let journal = opened.map_err(at(&path))?;
        let mut tries = LOCK_TRIES;
        loop {
            match flock(&journal, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                // Somebody may only have looked whether it is driven.
                Err(Errno::WOULDBLOCK) if tries > 0 => std::thread::sleep(LOCK_PAUSE),
                Err(Errno::WOULDBLOCK) => return Err(HistoryError::Busy(id.to_owned())),
                Err(error) => return Err(at(&path)(error.into())),
            }
            tries -= 1;
        }
        let whole = journal.metadata().map_err(at(&path))?.len();
        let file = journal;
        Ok(Run {
            dir,
            journal: Mutex::new(Lines { file, whole }),
        })
    }

    /// The run that is meant: by its name, by what only its name begins or ends with, or `last`.
    ///
    /// # Errors
    ///
    /// There is none, or several.
    pub fn find(&self, name: &str) -> Result<String, HistoryError> {
        let mut ids = self.ids()?;
        if name == "last" {
            let none = || HistoryError::Name("there is no run yet".to_owned());
            return ids.pop().ok_or_else(none);
        }
        if ids.iter().any(|id| id == name) {
            return Ok(name.to_owned());
        }
        ids.retain(|id| !name.is_empty() && (id.starts_with(name) || id.ends_with(name)));
        match &ids[..] {
            [id] => Ok(id.clone()),
            [] => Err(HistoryError::Name(format!(
                "there is no run {name:?}; 'redial history list' shows them"
            ))),
            ids => Err(HistoryError::Name(format!(
                "{name:?} is the beginning or end of {} runs: {} …",
                ids.len(),
                ids[..2].join(", ")
            ))),
        }
    }

    /// The names of all runs, the oldest first.
    ///
    /// # Errors
    ///
    /// They cannot be listed.
    pub fn ids(&self) -> Result<Vec<String>, HistoryError> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(at(&self.0)(error)),
        };
        let names = entries.flatten().filter_map(|entry| {
            let is_run = entry.path().join(HEADER).exists();
            entry.file_name().into_string().ok().filter(|_| is_run)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    /// What was asked for.
    ///
    /// # Errors
    ///
    /// It is not there, or not in a form that is known.
    pub fn header(&self, id: &str) -> Result<Header, HistoryError> {
        let path = self.0.join(id).join(HEADER);
        let text = read(&path).map_err(at(&path))?;
        let malformed = |what: String| HistoryError::Malformed {
            path: path.clone(),
            what,
        };
        let header: Header =
            serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
        match header.version {
            VERSION => Ok(header),
            other => Err(malformed(format!(
                "of version {other}, which this redial does not know"
            ))),
        }
    }

    /// What happened since.
    ///
    /// # Errors
    ///
    /// As [`History::header`].
    pub fn record(&self, id: &str) -> Result<Record, HistoryError> {
        let path = self.0.join(id).join(JOURNAL);
        let text = read(&path).map_err(at(&path))?;
        Record::read(&String::from_utf8_lossy(&text)).map_err(|line| HistoryError::Malformed {
            path,
            what: format!("line {line} is not understood"),
        })
    }

    /// Whether a process drives it.
    pub fn is_driven(&self, id: &str) -> bool {
        let Ok(journal) = File::open(self.0.join(id).join(JOURNAL)) else {
            return false;
        };
        flock(&journal, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    }

    /// The stdin that all hosts get.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn stdin(&self, id: &str) -> Result<Vec<u8>, HistoryError> {
        let path = self.0.join(id).join(STDIN);
        read(&path).map_err(at(&path))
    }

    /// Forgets the oldest. One that cannot be removed stays: no reason not to begin another.
    fn prune(&self) {
        // Most times there is nothing to look at closely.
        let entries = fs::read_dir(&self.0).map_or(0, Iterator::count);
        if entries < RUNS_KEPT {
            return;
        }
        let ids = self.ids().unwrap_or_default();
        for id in ids.iter().rev().skip(RUNS_KEPT - 1) {
            if !self.is_driven(id) {
                let _ = fs::remove_dir_all(self.0.join(id));
            }
        }
    }
}

impl Run {
    /// Writes down what happened.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn note(&self, line: &Line) -> io::Result<()> {
        let mut lines = self.lines();
        let text = line.to_text();
        let written = lines.file.write_all(text.as_bytes());
        match &written {
            Ok(()) => lines.whole += text.len() as u64,
            // A part of a line would spoil the next one. Where even that fails, whoever reads it is told.
            Err(_) => drop(lines.file.set_len(lines.whole)),
        }
        written
    }

    /// Ends what a client was writing when it died, so that the next line is one of its own.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn mend(&self) -> io::Result<()> {
        let path = self.dir.join(JOURNAL);
        let text = read(&path)?;
        let whole = text
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        match whole < text.len() {
            true => {
                let mut lines = self.lines();
                lines.whole = whole as u64;
                lines.file.set_len(lines.whole)
            }
            false => Ok(()),
        }
    }

    /// Where outputs are put that memory does not hold.
    pub fn outputs(&self) -> PathBuf {
        self.dir.join(OUTPUTS)
    }

    /// The outputs are not needed any more. A file that cannot be removed goes with the run.
    pub fn forget_outputs(&self) {
        let _ = fs::remove_file(self.outputs());
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Run {
    fn sent(&self, host: usize, instance: [u8; 16]) -> io::Result<()> {
        self.note(&Line::Sent {
            host: u32::try_from(host).unwrap_or(u32::MAX),
            to: hex(&instance),
            at: now_ms(),
        })
    }
}

/// A time as a name: `20261231-235959.123`, UTC.
fn name(ms: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(ms);
    let text = humantime::format_rfc3339_millis(time).to_string();
    let kept = text
        .chars()
        .filter(|it| it.is_ascii_digit() || matches!(it, 'T' | '.'));
    kept.map(|it| if it == 'T' { '-' } else { it }).collect()
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > FILE_MAX_BYTES {
        // Nothing is decided on a part of it.
        true => Err(io::Error::other("has more than 1 GiB")),
        false => Ok(bytes),
    }
}

/// Under its name when it is whole.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests;
