//! The directory of kept jobs: a record and a file of output each.
//!
//! A record is written beside, fsynced, renamed into place, and the directory fsynced: after that
//! it survives a loss of power as far as the disk keeps its word.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::Errno;

use super::super::command::job_name;
use super::super::records::bare;
use super::super::time::unix_ms;
use super::record::{End, MAX_BYTES, Record};
use crate::outcome::{Outcome, Status};
use crate::spool::{SpoolReader, SpoolState};
use crate::wire::JobId;

/// Space that is held back, for outcomes when the disk is full.
const RESERVE_BYTES: u64 = 256 * 1024;
/// Between two looks whether another server has ended.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub(in crate::keeper) struct Store {
    dir: PathBuf,
    directory: File,
    /// Held as long as we serve: two servers cannot keep jobs in one place.
    _lock: File,
    reserve: File,
}

/// A new file for output.
#[derive(Debug)]
pub(in crate::keeper) struct Log {
    /// To write.
    pub(in crate::keeper) file: Arc<File>,
    /// To read, for others.
    pub(in crate::keeper) reader: OwnedFd,
}

impl Store {
    /// Makes the directory if it is not there, and takes it for this server alone. A server that is
    /// ending has left its sockets already, and is waited for.
    ///
    /// # Errors
    /// It cannot be made, is not ours alone, or another server has it.
    pub(in crate::keeper) fn open(dir: &Path, patience: Duration) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let about = fs::metadata(dir)?;
        let ours = about.uid() == rustix::process::geteuid().as_raw();
        if !ours || about.permissions().mode() & 0o022 != 0 {
            let text = "it must belong to this user and be writable by nobody else (chmod 0700)";
            return Err(io::Error::other(text));
        }
        let lock = new_file(&dir.join("lock"))?;
        take_lock(&lock, patience)?;
        let store = Self {
            directory: File::open(dir)?,
            reserve: new_file(&dir.join("reserve"))?,
            _lock: lock,
            dir: dir.to_owned(),
        };
        // Full from the start: then jobs are refused, each with the reason.
        let _ = store.refill_reserve();
        Ok(store)
    }

    /// Without it, outcomes of jobs that end while the disk is full wait until it is not.
    fn refill_reserve(&self) -> io::Result<()> {
        let flags = FallocateFlags::empty();
        match rustix::fs::fallocate(&self.reserve, flags, 0, RESERVE_BYTES) {
            // A file system that knows no such thing, or takes no file that long.
            Err(Errno::OPNOTSUPP | Errno::FBIG) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Writes down that a job starts, if there is room for its end as well.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub(super) fn write_start(&self, record: &Record) -> io::Result<()> {
        self.refill_reserve()?;
        self.write(record)
    }

    fn path(&self, id: &JobId, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", job_name(id)))
    }

    /// Every job there is. Of what is no record, the log says that it was set aside.
    ///
    /// # Errors
    /// The directory cannot be read.
    ///
    /// Jobs that run in this very process, since it has taken another program's place, are left out.
    pub(in crate::keeper) fn load(
        &self,
        running: &HashSet<JobId>,
        on_lost: &mut dyn FnMut(&Record, &Outcome),
    ) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("job") => match self.read(&path, running, on_lost) {
                    Ok(Some(record)) => records.push(record),
                    Ok(None) => set_aside(&path, "it is no record, or torn"),
                    // It may be a good one, and can be read another time.
                    Err(error) => {
                        let shown = path.display();
                        tracing::error!(%shown, %error, "a record cannot be read; it stays there");
                    }
                },
                // Never renamed into place, so never acknowledged.
                Some("new") => drop(fs::remove_file(&path)),
                _ => {}
            }
        }
        if let Err(error) = self.remove_orphans(&records) {
            tracing::error!(%error, "output that is nobody's cannot be removed");
        }
        records.retain(|record| !running.contains(&*record.job));
        Ok(records)
    }

    /// Output without a record belongs to a job that was not started, or is forgotten.
    fn remove_orphans(&self, records: &[Record]) -> io::Result<()> {
        let known: HashSet<_> = records
            .iter()
            .map(|record| self.path(&record.job, "log"))
            .collect();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_log = path.extension().is_some_and(|ending| ending == "log");
            // Set aside, or not to be read now.
            let exists = |ending: &str| path.with_extension(ending).exists();
            let has_record = exists("aside") || exists("job");
            if is_log && !known.contains(&path) && !has_record {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn read(
        &self,
        path: &Path,
        running: &HashSet<JobId>,
        on_lost: &mut dyn FnMut(&Record, &Outcome),
    ) -> io::Result<Option<Record>> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        let Some(mut record) = Record::from_bytes(&bytes) else {
            return Ok(None);
        };
        if self.path(&record.job, "job") != path {
            return Ok(None);
        }
        if record.end.is_none() && !running.contains(&*record.job) {
            let outcome = self.end_unknown(&mut record)?;
            on_lost(&record, &outcome);
        }
        Ok(Some(record))
    }

    /// It ran when its server died or the machine stopped: nobody can know how it ended.
    fn end_unknown(&self, record: &mut Record) -> io::Result<Outcome> {
        let spool = match File::open(self.path(&record.job, "log")) {
            Ok(log) => SpoolReader::find_state(&log)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => SpoolState::default(),
            Err(error) => return Err(error),
        };
        let mut outcome = bare(Status::Unknown);
        [outcome.stdout.bytes, outcome.stderr.bytes] = spool.ends();
        record.end = Some(End {
            outcome: outcome.clone(),
            at_ms: unix_ms(),
            spool,
        });
        let job = job_name(&record.job);
        tracing::warn!(job, "it ran when its server ended; its outcome is unknown");
        if let Err(error) = self.write(record) {
            // It is found again the next time.
            tracing::error!(job, %error, "that cannot be written down");
        }
        Ok(outcome)
    }

    /// A file for the output of a new job.
    ///
    /// # Errors
    /// It cannot be made, or is there already.
    pub(super) fn create_log(&self, id: &JobId) -> io::Result<Log> {
        let path = self.path(id, "log");
        let mut options = OpenOptions::new();
        let file = options
            .create_new(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Log {
            file: Arc::new(file),
            reader: File::open(&path)?.into(),
        })
    }

    /// The output of a job, to read.
    ///
    /// # Errors
    /// It is not there, or cannot be opened.
    pub(super) fn open_log(&self, id: &JobId) -> io::Result<OwnedFd> {
        File::open(self.path(id, "log")).map(OwnedFd::from)
    }

    /// Writes a record; when this returns, it is there after a loss of power too.
    ///
    /// # Errors
    /// It cannot be written; what was there before still is.
    pub(super) fn write(&self, record: &Record) -> io::Result<()> {
        let first = self.try_to_write(record);
        match first {
            Err(error) if error.kind() == io::ErrorKind::StorageFull && record.end.is_some() => {
                // What is held back is for this.
                self.reserve.set_len(0)?;
                self.try_to_write(record)
            }
            result => result,
        }
    }

    fn try_to_write(&self, record: &Record) -> io::Result<()> {
        let (path, new) = (self.path(&record.job, "job"), self.path(&record.job, "new"));
        let written = (|| {
            let mut file = new_file(&new)?;
            file.set_len(0)?;
            file.write_all(&record.to_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        })();
        if written.is_err() {
            // Half a file helps nobody, and takes space.
            let _ = fs::remove_file(&new);
        }
        written?;
        self.directory.sync_all()
    }

    /// Forgets a job: the record first, so that nothing half gone is found.
    ///
    /// # Errors
    /// Something of it cannot be removed.
    pub(super) fn remove(&self, id: &JobId) -> io::Result<()> {
        for ending in ["job", "log"] {
            match fs::remove_file(self.path(id, ending)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let _ = self.refill_reserve();
        Ok(())
    }

    /// The same, and it stays so after a loss of power.
    ///
    /// # Errors
    /// As [`Store::remove`].
    pub(super) fn remove_for_good(&self, id: &JobId) -> io::Result<()> {
        self.remove(id)?;
        self.directory.sync_all()
    }
}

fn take_lock(lock: &File, patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    let mut said = false;
    loop {
        match rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                if !std::mem::replace(&mut said, true) {
                    tracing::info!("another server keeps its jobs there; waiting for its end");
                }
                std::thread::sleep(LOCK_LOOK);
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(io::Error::other("another server keeps its jobs there"));
            }
            result => return Ok(result?),
        }
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Out of the way, and there for whoever wants to look.
fn set_aside(path: &Path, reason: &str) {
    let aside = path.with_extension("aside");
    let shown = path.display();
    match fs::rename(path, &aside) {
        Ok(()) => tracing::warn!(%shown, reason, "set aside"),
        Err(error) => tracing::error!(%shown, reason, %error, "cannot be set aside"),
    }
}

#[cfg(test)]
mod tests;
