//! The thread that writes, and the handle of who has something to be written.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::sink::Sink;
use super::{Asked, AuditArgv, AuditConfig, AuditTo, Event};
use crate::wire::Program;

/// Lines that wait for the thread, in bytes. Stops who asks, or logs in, faster than the disk takes it.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;
/// Lines of what has happened already that cannot be written now, in bytes.
const MAX_OWED_BYTES: usize = 16 * 1024 * 1024;
/// Between two tries to write what is owed.
const AGAIN: Duration = Duration::from_millis(500);
/// Of a command, in bytes; what is more is cut off, and the checksum is that of all.
const MAX_COMMAND_BYTES: usize = 64 * 1024;
/// Of one that does not run.
const MAX_REFUSED_BYTES: usize = 2_048;
/// Written at once.
const MAX_BATCH: usize = 256;

/// What is to be written.
#[derive(Debug)]
enum Task {
    /// Its number is told when it is written.
    Start(u64, String),
    Line(String),
    /// All that came before is written, or cannot be.
    Close(Sender<()>),
}

/// Of a start that waits: its number, and whether it may go on, or why not.
pub(crate) type Verdict = (u64, Result<(), String>);

/// Whoever has something to be written has one of these.
#[derive(Debug, Clone)]
pub(crate) struct Auditor {
    tasks: Sender<Task>,
    shared: Arc<Shared>,
    argv: AuditArgv,
}

#[derive(Debug, Default)]
struct Shared {
    /// Handed to the thread, and not taken by it.
    waiting_bytes: AtomicUsize,
    /// Handed over, and neither written nor given up.
    pending: AtomicUsize,
    /// Of these, lines that could not be written at the last try.
    owed: AtomicUsize,
    /// Given up.
    lost: AtomicU64,
}

impl Auditor {
    /// Starts the thread. `told` is called on it with what is to be known of starts.
    ///
    /// # Errors
    /// There is no thread; or the file cannot be opened, commands are not to run without it, and this is
    /// not `lenient`.
    pub(crate) fn start(
        config: AuditConfig,
        lenient: bool,
        told: impl FnMut(Verdict) + Send + 'static,
    ) -> io::Result<Self> {
        let AuditConfig {
            to,
            argv,
            best_effort,
        } = config;
        let mut books = Books::new(to, best_effort);
        if let Err(error) = books.sink.open() {
            if !best_effort && !lenient {
                return Err(error);
            }
            books.complain(&error);
        }
        let shared = Arc::new(Shared::default());
        let (tasks, queue) = channel();
        let count = Arc::clone(&shared);
        thread::Builder::new()
            .name("redial-audit".to_owned())
            .spawn(move || books.keep(&queue, &count, told))?;
        Ok(Self {
            tasks,
            shared,
            argv,
        })
    }

    /// Writes down that a command starts; its number is told when that is done. False if too much
    /// waits: then it must not run.
    pub(crate) fn start_of(&self, number: u64, event: &Event<'_>) -> bool {
        !self.is_full() && self.push(event.to_line(), |line| Task::Start(number, line))
    }

    /// Writes down what strangers can make happen as often as they like. If too much waits, it is
    /// only counted.
    pub(crate) fn note(&self, event: &Event<'_>) {
        if self.is_full() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.must_note(event);
    }

    /// Writes down what is bounded by what was written before: the end of a job.
    pub(crate) fn must_note(&self, event: &Event<'_>) {
        self.push(event.to_line(), Task::Line);
    }

    /// A command as it is to be written.
    pub(crate) fn command(&self, program: &Program) -> Asked {
        Asked::new(program, self.argv, MAX_COMMAND_BYTES)
    }

    /// One that does not run: who asks for it may do so as often as it likes, so that it is short.
    pub(crate) fn refused_command(&self, program: &Program) -> Asked {
        Asked::new(program, self.argv, MAX_REFUSED_BYTES)
    }

    /// Whether nothing waits, not even a count of what is lost.
    pub(crate) fn is_idle(&self) -> bool {
        let waiting = self.shared.pending.load(Ordering::Acquire);
        waiting == 0 && self.shared.lost.load(Ordering::Relaxed) == 0
    }

    /// Whether what has happened could not be written so far.
    pub(crate) fn owes(&self) -> bool {
        self.shared.owed.load(Ordering::Relaxed) > 0 || self.shared.lost.load(Ordering::Relaxed) > 0
    }

    /// Waits until all is written, or cannot be; not for ever. Says what is missing.
    pub(crate) fn close(&self, within: Duration) {
        let (done, closed) = channel();
        let told = self.tasks.send(Task::Close(done)).is_ok();
        let in_time = told && closed.recv_timeout(within).is_ok();
        let waiting = self.shared.pending.load(Ordering::Acquire);
        let lost = self.shared.lost.load(Ordering::Relaxed);
        if !in_time || !self.is_idle() {
            tracing::error!(waiting, lost, "lines of the audit are missing at the end");
        }
    }

    fn is_full(&self) -> bool {
        self.shared.waiting_bytes.load(Ordering::Relaxed) > MAX_WAITING_BYTES
    }

    fn push(&self, line: String, task: impl FnOnce(String) -> Task) -> bool {
        let bytes = line.len();
        self.shared
            .waiting_bytes
            .fetch_add(bytes, Ordering::Relaxed);
        self.shared.pending.fetch_add(1, Ordering::AcqRel);
        // Fails only if the thread has panicked.
        self.tasks.send(task(line)).is_ok()
    }
}

/// What the thread has.
#[derive(Debug)]
struct Books {
    to: AuditTo,
    sink: Sink,
    best_effort: bool,
    /// What has happened, and could not be written.
    owed: VecDeque<String>,
    owed_bytes: usize,
    /// It was said that it cannot be written.
    complained: bool,
}

/// A line to be written, and the number of the start that waits for it.
type Line = (String, Option<u64>);

impl Books {
    fn new(to: AuditTo, best_effort: bool) -> Self {
        Self {
            sink: Sink::new(&to),
            to,
            best_effort,
            owed: VecDeque::new(),
            owed_bytes: 0,
            complained: false,
        }
    }

    fn keep(mut self, queue: &Receiver<Task>, shared: &Shared, mut told: impl FnMut(Verdict)) {
        loop {
            let first = match self.owed.is_empty() && shared.lost.load(Ordering::Relaxed) == 0 {
                true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => queue.recv_timeout(AGAIN),
            };
            let tasks = match first {
                Ok(first) => {
                    let more = queue.try_iter().take(MAX_BATCH);
                    std::iter::once(first).chain(more).collect()
                }
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            self.serve(tasks, shared, &mut told);
        }
    }

    /// One write for all of them.
    fn serve(&mut self, tasks: Vec<Task>, shared: &Shared, told: &mut impl FnMut(Verdict)) {
        let (mut lines, mut closes) = (Vec::new(), Vec::new());
        for task in tasks {
            match task {
                Task::Start(number, line) => lines.push((line, Some(number))),
                Task::Line(line) => lines.push((line, None)),
                Task::Close(done) => closes.push(done),
            }
        }
        let bytes = lines.iter().map(|(line, _)| line.len()).sum();
        shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let (written, result) = self.write(&lines, shared);
        let mut verdict = Ok(());
        if let Err(error) = result {
            self.complain(&error);
            if !self.best_effort {
                verdict = Err(format!("{}: {error}", self.to));
            }
        }
        for (at, (line, start)) in lines.into_iter().enumerate() {
            let is_written = at < written;
            let good = if is_written { Ok(()) } else { verdict.clone() };
            // What does not happen is not owed.
            let happens = start.is_none() || good.is_ok();
            if !is_written && happens {
                self.owe(line, shared);
            } else {
                shared.pending.fetch_sub(1, Ordering::AcqRel);
            }
            start
                .into_iter()
                .for_each(|start| told((start, good.clone())));
        }
        shared.owed.store(self.owed.len(), Ordering::Relaxed);
        for done in closes {
            // Who waited may have lost patience.
            let _ = done.send(());
        }
    }

    /// What is owed first. Says how many of these lines are written, and why no more.
    fn write(&mut self, lines: &[Line], shared: &Shared) -> (usize, io::Result<()>) {
        let lost = shared.lost.load(Ordering::Relaxed);
        let count = (lost > 0).then(|| Event::Lost { lines: lost }.to_line());
        let before = self.owed.iter().chain(&count);
        let all = before.chain(lines.iter().map(|(line, _)| line));
        let all: Vec<&str> = all.map(String::as_str).collect();
        if all.is_empty() {
            return (0, Ok(()));
        }
        let (mut written, result) = self.sink.append(&all);
        let owed = written.min(self.owed.len());
        for line in self.owed.drain(..owed) {
            self.owed_bytes -= line.len();
            shared.pending.fetch_sub(1, Ordering::AcqRel);
        }
        written -= owed;
        if written > 0 && count.is_some() {
            shared.lost.fetch_sub(lost, Ordering::Relaxed);
            written -= 1;
        }
        if result.is_ok() && std::mem::take(&mut self.complained) {
            tracing::warn!(to = %self.to, "the audit can be written again");
        }
        (written, result)
    }

    fn owe(&mut self, line: String, shared: &Shared) {
        self.owed_bytes += line.len();
        self.owed.push_back(line);
        while self.owed_bytes > MAX_OWED_BYTES
            && let Some(oldest) = self.owed.pop_front()
        {
            self.owed_bytes -= oldest.len();
            shared.lost.fetch_add(1, Ordering::Relaxed);
            shared.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            let consequence = match self.best_effort {
                true => "commands run all the same",
                false => "no command runs until it can be",
            };
            tracing::error!(to = %self.to, %error, consequence, "the audit cannot be written");
        }
    }
}

#[cfg(test)]
mod tests;
