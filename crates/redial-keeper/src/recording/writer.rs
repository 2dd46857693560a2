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

use super::cast;
use super::file::{Recording, open_directory};

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
    Open { name: String, header: String },
    Reopen { name: String },
    Shown { at_ms: u64, bytes: Vec<u8> },
    Resized { at_ms: u64, size: [u16; 2] },
    Close,
    Flush(Sender<()>),
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
}

impl Recorder {
    /// Starts the thread. `told` is called on it with what is to be known.
    ///
    /// # Errors
    /// There is no thread; or the directory cannot be used, and this is not `lenient`.
    pub(crate) fn start(
        dir: PathBuf,
        lenient: bool,
        told: impl Fn(Told) + Send + 'static,
    ) -> io::Result<Self> {
        match open_directory(&dir) {
            Err(error) if lenient => {
                let dir = dir.display().to_string();
                tracing::error!(dir = %dir.escape_debug(), %error, "terminals cannot be recorded, so none is given");
            }
            opened => opened?,
        }
        let shared = Arc::new(Shared::default());
        let (tasks, queue) = channel();
        let desk = Desk {
            dir,
            open: HashMap::new(),
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name("redial-record".to_owned())
            .spawn(move || desk.keep(&queue, &told))?;
        Ok(Self { tasks, shared })
    }

    /// Makes a file of this name, with its first line.
    pub(crate) fn open(&self, job: u64, name: String, header: String) {
        self.push(job, Task::Open { name, header }, 0);
    }

    /// Goes on with one that another program has begun.
    pub(crate) fn reopen(&self, job: u64, name: String) {
        self.push(job, Task::Reopen { name }, 0);
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
        self.push(job, Task::Resized { at_ms, size }, 0);
    }

    /// Nothing follows.
    pub(crate) fn close(&self, job: u64) {
        self.push(job, Task::Close, 0);
    }

    /// Whether nothing more should be shown for now; then [`Told::Room`] follows.
    pub(crate) fn is_full(&self) -> bool {
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
        // Fails only if the thread has panicked.
        let _ = self.tasks.send((job, task));
    }
}

/// What the thread has.
struct Desk {
    dir: PathBuf,
    open: HashMap<u64, Recording>,
    shared: Arc<Shared>,
}

impl Desk {
    fn keep(mut self, queue: &Receiver<(u64, Task)>, told: &impl Fn(Told)) {
        while let Ok(first) = queue.recv() {
            let mut lines: HashMap<u64, String> = HashMap::new();
            let (mut tasks, mut bytes) = (0, 0);
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
                        *lines.entry(job).or_default() += &cast::resized(at_ms, columns, rows);
                    }
                    // What was said of it before comes before.
                    Task::Open { name, header } => {
                        let recording = Recording::create(&self.dir.join(&name), &header);
                        told(Told::Opened(job, self.begin(job, &name, recording)));
                    }
                    Task::Reopen { name } => {
                        let recording = Recording::reopen(&self.dir.join(&name));
                        if let Err(reason) = self.begin(job, &name, recording) {
                            told(Told::Failed(job, reason));
                        }
                    }
                    Task::Close => {
                        let rest = lines.remove(&job).unwrap_or_default();
                        self.append(job, &rest, told);
                        self.open.remove(&job);
                    }
                    Task::Flush(done) => {
                        lines
                            .drain()
                            .for_each(|(job, lines)| self.append(job, &lines, told));
                        // Who waited may have lost patience.
                        let _ = done.send(());
                    }
                }
            }
            lines
                .drain()
                .for_each(|(job, lines)| self.append(job, &lines, told));
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
            self.shared.pending.fetch_sub(tasks, Ordering::AcqRel);
            let is_wanted = self.shared.waiting_bytes.load(Ordering::SeqCst) <= MAX_WAITING_BYTES
                && self.shared.is_wanted.swap(false, Ordering::SeqCst);
            if is_wanted {
                told(Told::Room);
            }
        }
    }

    fn begin(
        &mut self,
        job: u64,
        name: &str,
        recording: io::Result<Recording>,
    ) -> Result<(), String> {
        let recording = recording.map_err(|error| explain(&self.dir, name, &error))?;
        self.open.insert(job, recording);
        Ok(())
    }

    /// To one that has failed nothing is added: it is told once.
    fn append(&mut self, job: u64, lines: &str, told: &impl Fn(Told)) {
        let Entry::Occupied(mut recording) = self.open.entry(job) else {
            return;
        };
        if let Err(error) = recording.get_mut().append(lines) {
            recording.remove();
            told(Told::Failed(job, error.to_string()));
        }
    }
}

/// For the log.
fn explain(dir: &Path, name: &str, error: &io::Error) -> String {
    let path = dir.join(name).display().to_string();
    format!("{}: {error}", path.escape_debug())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn start(dir: &Path) -> (Recorder, Receiver<Told>) {
        let (tell, told) = channel();
        let tell = move |it| tell.send(it).unwrap_or_default();
        (Recorder::start(dir.to_owned(), false, tell).unwrap(), told)
    }

    #[test]
    fn what_is_said_of_a_recording_stands_in_its_file_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, told) = start(dir.path());
        recorder.open(1, "a".to_owned(), "{}\n".to_owned());
        recorder.open(2, "b".to_owned(), "{}\n".to_owned());
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
        again.reopen(2, "b".to_owned());
        again.shown(2, 9, b"y".to_vec());
        again.finish(PATIENCE);
        let b = fs::read_to_string(dir.path().join("b")).unwrap();
        assert!(b.ends_with("[0.009,\"o\",\"y\"]\n"), "{b}");
    }

    #[test]
    fn one_that_cannot_begin_or_go_on_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, told) = start(dir.path());
        recorder.open(1, "no/a".to_owned(), "{}\n".to_owned());
        let opened = told.recv_timeout(PATIENCE);
        assert!(matches!(opened, Ok(Told::Opened(1, Err(_)))), "{opened:?}");
        recorder.reopen(2, "b".to_owned());
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
        recorder.open(1, "a".to_owned(), "{}\n".to_owned());
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
}
