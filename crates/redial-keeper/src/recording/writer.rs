//! The thread that writes recordings, and the handle of who has something to be recorded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::directory::{Room, open_directory};
use super::file::Recording;
use super::{RecordConfig, cast};

/// What a change of size counts for.
const RESIZED_BYTES: usize = 64;
/// What may wait for the thread, in bytes of what terminals show.
const MAX_WAITING_BYTES: usize = 1024 * 1024;
/// Written at once.
const MAX_BATCH: usize = 64;

/// What is known of a recording.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is there, with its first line, or cannot be.
    Opened(u64, Result<(), String>),
    /// It cannot go on.
    Failed(u64, String),
    /// It was full, and there is room again.
    Room,
}

#[derive(Debug)]
enum Task {
    Open(Place),
    Reopen(Place),
    Discard,
    Shown { at_ms: u64, bytes: Vec<u8> },
    Resized { at_ms: u64, size: [u16; 2] },
    Close,
    Flush(Sender<()>),
}

/// The file of one recording.
#[derive(Debug)]
struct Place {
    name: String,
    header: String,
    uid: u32,
}

/// See the module. Recordings are known by the number of their job.
#[derive(Debug)]
pub(crate) struct Recorder {
    tasks: Sender<(u64, Task)>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Handed to the thread, and not written yet.
    waiting_bytes: AtomicUsize,
    pending: AtomicUsize,
    /// Somebody has found it full.
    is_wanted: AtomicBool,
    /// It counts as full: nothing more is to come for now.
    is_paused: AtomicBool,
}

impl Recorder {
    /// Starts the thread. `told` is called on it with what is to be known.
    ///
    /// # Errors
    /// There is no thread; or the directory cannot be used, and this is not `lenient`.
    pub(crate) fn start(
        RecordConfig { dir, quota }: RecordConfig,
        share: u64,
        lenient: bool,
        told: impl Fn(Told) + Send + 'static,
    ) -> io::Result<Self> {
        let mut room = Room::new(quota, share);
        match open_directory(&dir) {
            Err(error) if lenient => {
                let dir = dir.display().to_string();
                tracing::error!(dir = %dir.escape_debug(), %error, "terminals cannot be recorded, so none is given");
            }
            Err(error) => return Err(error),
            Ok(()) => room.look(&dir),
        }
        let shared = Arc::new(Shared::default());
        let (tasks, queue) = channel();
        let desk = Desk {
            dir,
            room,
            open: HashMap::new(),
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("redial-record".to_owned())
            .spawn(move || desk.keep(&queue, &told))?;
        Ok(Self { tasks, shared })
    }

    /// Makes a file of this name, with its first line, for this user's job.
    pub(crate) fn open(&self, job: u64, (name, header): (String, String), uid: u32) {
        self.push(job, Task::Open(Place { name, header, uid }), 0);
    }

    /// Goes on with one that another program has begun.
    pub(crate) fn reopen(&self, job: u64, (name, header): (String, String), uid: u32) {
        self.push(job, Task::Reopen(Place { name, header, uid }), 0);
    }

    /// There is no command that it is of.
    pub(crate) fn discard(&self, job: u64) {
        self.push(job, Task::Discard, 0);
    }

    /// Nothing more is to be shown for now, as if it were full.
    pub(crate) fn pause(&self, pause: bool) {
        self.shared.is_paused.store(pause, Ordering::SeqCst);
    }

    /// Its terminal has shown this, so many milliseconds after its start.
    pub(crate) fn shown(&self, job: u64, at_ms: u64, bytes: Vec<u8>) {
        let len = bytes.len();
        if len > 0 {
            self.push(job, Task::Shown { at_ms, bytes }, len);
        }
    }

    /// Its terminal has so many columns and rows from now on.
    pub(crate) fn resized(&self, job: u64, at_ms: u64, size: [u16; 2]) {
        self.push(job, Task::Resized { at_ms, size }, RESIZED_BYTES);
    }

    /// Nothing follows.
    pub(crate) fn close(&self, job: u64) {
        self.push(job, Task::Close, 0);
    }

    /// Whether nothing more should be shown for now; then [`Told::Room`] follows.
    pub(crate) fn is_full(&self) -> bool {
        if self.shared.is_paused.load(Ordering::SeqCst) {
            return true;
        }
        let is_full = || self.shared.waiting_bytes.load(Ordering::SeqCst) > MAX_WAITING_BYTES;
        if !is_full() {
            return false;
        }
        self.shared.is_wanted.store(true, Ordering::SeqCst);
        // The thread may have come to the end before it saw that.
        is_full()
    }

    /// Whether all is written that was handed over.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.pending.load(Ordering::Acquire) == 0
    }

    /// Waits until it is; not for ever.
    pub(crate) fn finish(&self, within: Duration) {
        let (done, finished) = channel();
        self.push(0, Task::Flush(done), 0);
        if finished.recv_timeout(within).is_err() {
            tracing::error!("recordings of terminals are not whole at the end");
        }
    }

    fn push(&self, job: u64, task: Task, bytes: usize) {
        self.shared.waiting_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.shared.pending.fetch_add(1, Ordering::AcqRel);
        // Fails only if the thread has panicked. Nothing is recorded any more then, and what is asked for
        // is not answered: so nothing gets a terminal.
        if self.tasks.send((job, task)).is_err() {
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
            self.shared.pending.fetch_sub(1, Ordering::AcqRel);
            tracing::error!("the thread that records terminals is gone; restart the server");
        }
    }
}

/// What the thread has.
struct Desk {
    dir: PathBuf,
    room: Room,
    /// And whose it is.
    open: HashMap<u64, (Recording, u32)>,
    shared: Arc<Shared>,
}

impl Desk {
    fn keep(mut self, queue: &Receiver<(u64, Task)>, told: &impl Fn(Told)) {
        while let Ok(first) = queue.recv() {
            let mut lines: HashMap<u64, String> = HashMap::new();
            let (mut tasks, mut bytes) = (0, 0);
            let mut flushed = Vec::new();
            let more = queue.try_iter().take(MAX_BATCH);
            for (job, task) in std::iter::once(first).chain(more) {
                tasks += 1;
                match task {
                    Task::Shown {
                        at_ms,
                        bytes: shown,
                    } => {
                        bytes += shown.len();
                        let text = String::from_utf8_lossy(&shown);
                        *lines.entry(job).or_default() += &cast::shown(at_ms, &text);
                    }
                    Task::Resized {
                        at_ms,
                        size: [columns, rows],
                    } => {
                        bytes += RESIZED_BYTES;
                        *lines.entry(job).or_default() += &cast::resized(at_ms, columns, rows);
                    }
                    Task::Open(place) => {
                        let begun = self.begin(job, &place, Recording::create);
                        told(Told::Opened(job, begun));
                    }
                    Task::Reopen(place) => {
                        if let Err(reason) = self.begin(job, &place, Recording::reopen) {
                            told(Told::Failed(job, reason));
                        }
                    }
                    Task::Discard => {
                        let recording = self.open.remove(&job);
                        recording.into_iter().for_each(|(it, _)| it.discard());
                    }
                    Task::Close => {
                        let rest = lines.remove(&job).unwrap_or_default();
                        self.append(job, &rest, told);
                        self.open.remove(&job);
                    }
                    Task::Flush(done) => flushed.push(done),
                }
            }
            lines
                .drain()
                .for_each(|(job, lines)| self.append(job, &lines, told));
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
            self.shared.pending.fetch_sub(tasks, Ordering::AcqRel);
            let is_wanted = self.shared.waiting_bytes.load(Ordering::SeqCst) <= MAX_WAITING_BYTES
                && self.shared.is_wanted.swap(false, Ordering::SeqCst);
            for done in flushed {
                // Who waited may have lost patience.
                let _ = done.send(());
            }
            if is_wanted {
                told(Told::Room);
            }
        }
    }

    /// The directory is looked at each time: who could write in it would say what was shown.
    fn begin(
        &mut self,
        job: u64,
        place: &Place,
        open: fn(&Path, &str) -> io::Result<Recording>,
    ) -> Result<(), String> {
        let path = self.dir.join(&place.name);
        let head = place.header.len() as u64;
        let opened = open_directory(&self.dir)
            .and_then(|()| self.room.take(&self.dir, place.uid, head))
            .and_then(|()| open(&path, &place.header));
        let opened = opened.map_err(|error| {
            let path = path.display().to_string();
            format!("{}: {error}", path.escape_debug())
        });
        self.open.insert(job, (opened?, place.uid));
        Ok(())
    }

    /// To one that has failed nothing is added: it is told once.
    fn append(&mut self, job: u64, lines: &str, told: &impl Fn(Told)) {
        let Entry::Occupied(mut recording) = self.open.entry(job) else {
            return;
        };
        let (file, uid) = recording.get_mut();
        let room = self.room.take(&self.dir, *uid, lines.len() as u64);
        if let Err(error) = room.and_then(|()| file.append(lines)) {
            recording.remove();
            told(Told::Failed(job, error.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const QUOTA: u64 = 1 << 30;
    const PATIENCE: Duration = Duration::from_secs(20);

    fn named(name: &str) -> (String, String) {
        (name.to_owned(), "{}\n".to_owned())
    }

    fn start(dir: &Path) -> (Recorder, Receiver<Told>) {
        let (tell, told) = channel();
        let tell = move |it| tell.send(it).unwrap_or_default();
        let config = RecordConfig {
            dir: dir.to_owned(),
            quota: QUOTA,
        };
        (Recorder::start(config, QUOTA, false, tell).unwrap(), told)
    }

    #[test]
    fn what_is_said_of_a_recording_stands_in_its_file_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, told) = start(dir.path());
        recorder.open(1, named("a"), 7);
        recorder.open(2, named("b"), 7);
        recorder.shown(1, 5, b"x".to_vec());
        recorder.shown(2, 6, b"\xff".to_vec());
        recorder.resized(1, 7, [80, 24]);
        recorder.shown(1, 8, Vec::new());
        recorder.close(1);
        recorder.finish(PATIENCE);
        for job in [1, 2] {
            assert_eq!(told.recv_timeout(PATIENCE), Ok(Told::Opened(job, Ok(()))));
        }
        let a = fs::read_to_string(dir.path().join("a")).unwrap();
        assert_eq!(a, "{}\n[0.005,\"o\",\"x\"]\n[0.007,\"r\",\"80x24\"]\n");
        let b = fs::read_to_string(dir.path().join("b")).unwrap();
        assert_eq!(b, "{}\n[0.006,\"o\",\"\u{fffd}\"]\n");
        let (again, _told) = start(dir.path());
        again.reopen(2, named("b"), 7);
        again.shown(2, 9, b"y".to_vec());
        again.finish(PATIENCE);
        let b = fs::read_to_string(dir.path().join("b")).unwrap();
        assert!(b.ends_with("[0.009,\"o\",\"y\"]\n"), "{b}");
    }

    #[test]
    fn one_that_cannot_begin_or_go_on_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, told) = start(dir.path());
        recorder.open(1, named("no/a"), 7);
        let opened = told.recv_timeout(PATIENCE);
        assert!(matches!(opened, Ok(Told::Opened(1, Err(_)))), "{opened:?}");
        recorder.reopen(2, named("no/b"), 7);
        let failed = told.recv_timeout(PATIENCE);
        assert!(matches!(failed, Ok(Told::Failed(2, _))), "{failed:?}");
        recorder.shown(2, 5, b"x".to_vec());
        recorder.finish(PATIENCE);
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn who_has_found_it_full_is_told_of_room() {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, told) = start(dir.path());
        recorder.open(1, named("a"), 7);
        let mut full = 0;
        while full < 3 {
            recorder.shown(1, 5, vec![b'x'; 600_000]);
            if recorder.is_full() {
                full += 1;
                while told.recv_timeout(PATIENCE).unwrap() != Told::Room {}
            }
        }
        recorder.finish(PATIENCE);
        assert!(recorder.is_idle() && !recorder.is_full());
    }

    #[test]
    fn while_it_is_paused_it_counts_as_full_and_comes_to_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, told) = start(dir.path());
        recorder.open(1, named("a"), 7);
        recorder.pause(true);
        assert!(recorder.is_full());
        recorder.discard(1);
        recorder.finish(PATIENCE);
        assert!(recorder.is_idle() && !dir.path().join("a").exists());
        recorder.pause(false);
        assert!(!recorder.is_full());
        assert_eq!(
            told.try_iter().collect::<Vec<_>>(),
            [Told::Opened(1, Ok(()))]
        );
    }
}
