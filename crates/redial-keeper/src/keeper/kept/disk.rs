//! The threads that write: one appends output, one does what has to wait for the disk.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::poll::Serial;
use super::super::start::Answer;
use super::super::workers::{Done, Teller, spawn_thread};
use super::record::Record;
use super::store::{Log, Store};
use crate::pool::OutputView;
use crate::spool::{OldestGo, SpoolWriter};
use crate::wire::{Capability, JobId};

/// Where bytes lie in the output pool: stream, slot, range in its chunk.
pub(super) type Place = (u8, u32, Range<usize>);

/// Output to be appended.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) serial: Serial,
    pub(super) writer: Box<SpoolWriter>,
    pub(super) places: Vec<Place>,
    pub(super) oldest_go: OldestGo,
}

/// What has to wait for the disk.
#[derive(Debug)]
enum Errand {
    Record(Serial, Box<Record>),
    Finish(Serial, Box<Record>, Arc<File>),
    Open(JobId, Answer),
    /// With who waits for the answer, if somebody does.
    Remove(JobId, Option<Asker>),
}

/// Who waits for an answer, and the front's number for it: numbers begin anew with every front.
pub(in crate::keeper) type Asker = (Capability, u32);

/// News from these threads.
pub(in crate::keeper) enum DiskDone {
    /// Its record is there, and a file for its output.
    Recorded(Serial, JobId, io::Result<Log>),
    Appended(Serial, Box<SpoolWriter>, io::Result<()>),
    /// Its record says how it ended.
    Finished(Serial, Result<Box<Record>, io::Error>),
    /// A job's files are gone, or cannot be removed.
    Removed(JobId, Option<Asker>, io::Result<()>),
    /// The output of an ended job.
    Opened(JobId, Answer, io::Result<OwnedFd>),
}

/// The queues to the threads. Each job has at most one thing in each.
#[derive(Debug)]
pub(in crate::keeper) struct Disk {
    errands: Sender<Errand>,
    appends: Sender<Append>,
    /// Appends given to the thread, and done by it.
    given: u64,
    done: u64,
    /// Asked for by clients, and not done.
    asked: usize,
    /// Removals under way, whoever asked for them.
    removals: usize,
}

/// Things that clients may have asked for and that are not done; more are by none of ours.
const MAX_ASKED: usize = 1_024;

impl Disk {
    /// Starts the threads. Output is read from `pool`, the second mapping of it in this process.
    pub(in crate::keeper) fn new(
        store: Store,
        pool: OutputView,
        teller: &Teller,
    ) -> io::Result<Self> {
        let (errands, errand_queue) = channel();
        let (appends, append_queue) = channel();
        let store = Arc::new(Mutex::new(store));
        let told = teller.clone();
        spawn_thread("recorder", move || {
            run_errands(&errand_queue, &store, &told)
        })?;
        let told = teller.clone();
        spawn_thread("spooler", move || run_appends(&append_queue, &pool, &told))?;
        Ok(Self {
            errands,
            appends,
            given: 0,
            done: 0,
            asked: 0,
            removals: 0,
        })
    }

    // The threads end only when these senders do, so none of this can fail.

    /// Writes down that a job starts, and makes a file for its output.
    pub(in crate::keeper) fn record(&self, serial: Serial, record: Record) {
        let _ = self.errands.send(Errand::Record(serial, Box::new(record)));
    }

    pub(super) fn append(&mut self, append: Append) {
        self.given += 1;
        let _ = self.appends.send(append);
    }

    /// One of them is done.
    pub(super) fn appended(&mut self) {
        self.done += 1;
    }

    /// How many were given to the thread, and how many it has done: in that order.
    pub(in crate::keeper) fn appends(&self) -> (u64, u64) {
        (self.given, self.done)
    }

    /// Writes down how a job has ended.
    pub(super) fn finish(&self, serial: Serial, record: Record, file: Arc<File>) {
        let errand = Errand::Finish(serial, Box::new(record), file);
        let _ = self.errands.send(errand);
    }

    /// Opens the output of an ended job; false if too many are asked for.
    pub(super) fn open(&mut self, id: JobId, answer: Answer) -> bool {
        if self.asked >= MAX_ASKED {
            return false;
        }
        self.asked += 1;
        self.errands.send(Errand::Open(id, answer)).is_ok()
    }

    /// Whether something is being opened or removed.
    pub(in crate::keeper) fn is_busy(&self) -> bool {
        self.asked > 0 || self.removals > 0
    }

    /// Something that was asked for is done.
    pub(super) fn answered(&mut self) {
        self.asked = self.asked.saturating_sub(1);
    }

    /// Removes a job's files.
    pub(in crate::keeper) fn remove(&mut self, id: JobId) {
        self.removals += 1;
        let _ = self.errands.send(Errand::Remove(id, None));
    }

    /// Somebody asked for that; false if too much is asked for.
    pub(super) fn remove_for(&mut self, id: JobId, asker: Asker) -> bool {
        if self.asked >= MAX_ASKED {
            return false;
        }
        self.asked += 1;
        self.removals += 1;
        self.errands.send(Errand::Remove(id, Some(asker))).is_ok()
    }

    /// One is removed.
    pub(super) fn removed(&mut self) {
        self.removals = self.removals.saturating_sub(1);
    }
}

fn run_errands(queue: &Receiver<Errand>, store: &Mutex<Store>, teller: &Teller) {
    for errand in queue {
        // What it guards is whole after every step.
        let store = store.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match errand {
            Errand::Record(serial, record) => {
                let made = store.create_log(&record.job).and_then(|log| {
                    store.write_start(&record)?;
                    Ok(log)
                });
                let exists = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
                if made.as_ref().is_err_and(|error| !exists(error)) {
                    // Whoever asked is told; what is half there is in nobody's way.
                    let _ = store.remove(&record.job);
                }
                DiskDone::Recorded(serial, *record.job, made)
            }
            Errand::Finish(serial, mut record, file) => {
                if let Err(error) = file.sync_data() {
                    // The kernel takes what it could not write for written (fsync(2)): to try
                    // again would only seem to help.
                    tracing::error!(%error, "a job's output is not safe on the disk");
                    record.is_not_safe();
                }
                let written = store.write(&record);
                DiskDone::Finished(serial, written.map(|()| record))
            }
            Errand::Open(id, answer) => DiskDone::Opened(id, answer, store.open_log(&id)),
            Errand::Remove(id, asker) => {
                let removed = match asker {
                    Some(_) => store.remove_for_good(&id),
                    None => store.remove(&id),
                };
                if let Err(error) = &removed {
                    tracing::error!(%error, "cannot remove a job's files");
                }
                DiskDone::Removed(id, asker, removed)
            }
        };
        teller.tell(Done::Disk(done));
    }
}

fn run_appends(queue: &Receiver<Append>, pool: &OutputView, teller: &Teller) {
    // One for all jobs: each would else keep what its longest piece took.
    let mut buffer = Vec::new();
    for append in queue {
        let Append {
            serial,
            mut writer,
            places,
            oldest_go,
        } = append;
        // They stay where they are until the keeper hears that they are written.
        let bytes = places
            .iter()
            .filter_map(|(stream, slot, range)| Some((*stream, pool.slice(*slot, range.clone())?)));
        let result = writer.append(&mut buffer, bytes, oldest_go);
        teller.tell(Done::Disk(DiskDone::Appended(serial, writer, result)));
    }
}
