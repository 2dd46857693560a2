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
use crate::wire::JobId;

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
    /// With the front's number for the answer, if somebody waits for one.
    Remove(JobId, Option<u32>),
}

/// News from these threads.
pub(in crate::keeper) enum DiskDone {
    /// Its record is there, and a file for its output.
    Recorded(Serial, io::Result<Log>),
    Appended(Serial, Box<SpoolWriter>, io::Result<()>),
    /// Its record says how it ended.
    Finished(Serial, Result<Box<Record>, io::Error>),
    /// A job's files are gone, or cannot be removed.
    Removed(JobId, u32, io::Result<()>),
    /// The output of an ended job.
    Opened(JobId, Answer, io::Result<OwnedFd>),
}

/// The queues to the threads. Each job has at most one thing in each.
#[derive(Debug)]
pub(in crate::keeper) struct Disk {
    errands: Sender<Errand>,
    appends: Sender<Append>,
    /// Opens under way.
    opens: usize,
}

/// Opens that wait at most; more are asked for by no client of ours.
const MAX_OPENS: usize = 1_024;

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
            opens: 0,
        })
    }

    // The threads end only when these senders do, so none of this can fail.

    /// Writes down that a job starts, and makes a file for its output.
    pub(in crate::keeper) fn record(&self, serial: Serial, record: Record) {
        let _ = self.errands.send(Errand::Record(serial, Box::new(record)));
    }

    pub(super) fn append(&self, append: Append) {
        let _ = self.appends.send(append);
    }

    /// Writes down how a job has ended.
    pub(super) fn finish(&self, serial: Serial, record: Record, file: Arc<File>) {
        let errand = Errand::Finish(serial, Box::new(record), file);
        let _ = self.errands.send(errand);
    }

    /// Opens the output of an ended job; false if too many are asked for.
    pub(super) fn open(&mut self, id: JobId, answer: Answer) -> bool {
        if self.opens >= MAX_OPENS {
            return false;
        }
        self.opens += 1;
        self.errands.send(Errand::Open(id, answer)).is_ok()
    }

    /// Whether something is being opened for a reader.
    pub(in crate::keeper) fn is_opening(&self) -> bool {
        self.opens > 0
    }

    /// One of them is done.
    pub(super) fn opened(&mut self) {
        self.opens = self.opens.saturating_sub(1);
    }

    /// Removes a job's files, and answers if it is asked for.
    pub(in crate::keeper) fn remove(&self, id: JobId, number: Option<u32>) {
        let _ = self.errands.send(Errand::Remove(id, number));
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
                if made.is_err() {
                    // Whoever asked is told; what is half there is in nobody's way.
                    let _ = store.remove(&record.job);
                }
                DiskDone::Recorded(serial, made)
            }
            Errand::Finish(serial, record, file) => {
                let written = file.sync_data().and_then(|()| store.write(&record));
                DiskDone::Finished(serial, written.map(|()| record))
            }
            Errand::Open(id, answer) => DiskDone::Opened(id, answer, store.open_log(&id)),
            Errand::Remove(id, number) => {
                let removed = store.remove(&id);
                if let Err(error) = &removed {
                    tracing::error!(%error, "cannot remove a job's files");
                }
                let Some(number) = number else { continue };
                DiskDone::Removed(id, number, removed)
            }
        };
        teller.tell(Done::Disk(done));
    }
}

fn run_appends(queue: &Receiver<Append>, pool: &OutputView, teller: &Teller) {
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
        let result = writer.append(bytes, oldest_go);
        teller.tell(Done::Disk(DiskDone::Appended(serial, writer, result)));
    }
}
