//! Where the command's outputs go: our stdout and stderr, written as they come. What
//! would block is written by threads, so that it holds neither the other nor the line.

mod direct;
mod writer;
mod written;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::Poll;

use redial_client::{Bytes, JobHandle, Output};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::charset::Charset;
use crate::json::Event;
use direct::{Behind, Direct};

/// What becomes of the outputs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// They are written as they are.
    Raw,
    /// They are decoded to UTF-8.
    Decoded(Charset),
    /// Both are events on stdout, decoded if there is a charset.
    Json(Option<Charset>),
}

/// What a charset could not carry over: stdin, stdout, stderr.
#[derive(Debug, Clone, Default)]
pub(crate) struct Replaced(Arc<[AtomicU64; 3]>);

impl Replaced {
    /// So many of what our stdin holds, so far.
    pub(crate) fn set_stdin(&self, count: u64) {
        self.0[0].store(count, Ordering::Relaxed);
    }

    /// So many of an output, so far.
    fn set(&self, stream: Output, count: u64) {
        self.0[1 + stream.index()].store(count, Ordering::Relaxed);
    }

    /// In the order above.
    pub(crate) fn counts(&self) -> [u64; 3] {
        [0, 1, 2].map(|at| self.0[at].load(Ordering::Relaxed))
    }
}

/// Both outputs. What waits in them is bounded by the job's window: it is acknowledged
/// only when it is written.
pub(crate) struct Sinks {
    writers: Option<[Sender<Piece>; 2]>,
    /// Those that have had nothing to write so far, and need no thread.
    unstarted: [Option<Start>; 2],
    report: UnboundedSender<Report>,
    /// For bytes that are written as they are.
    direct: Option<Direct>,
    reports: UnboundedReceiver<Report>,
    /// Each stream has a writer of its own.
    is_apart: bool,
    is_json: bool,
    /// Writers that have begun, and not ended.
    running: usize,
}

/// Starts a writer.
type Start = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Something to write.
enum Piece {
    /// A part of an output.
    Data {
        stream: Output,
        /// The offset behind it. Between the last piece's and its bytes there may be
        /// some that were taken and are not to be written.
        end: u64,
        bytes: Bytes,
    },
    /// An event, for JSON.
    Event(Event),
}

/// What a writer says: of each stream at most one failure, and one end.
enum Report {
    Failed(Output, io::Error),
    Ended,
}

impl Sinks {
    /// Nothing is written yet. There is one writer for both when our stdout and stderr are the same file, so
    /// that the order is kept, and for JSON; each starts with the first that it has to write.
    pub(crate) fn new(job: &JobHandle, form: Form, replaced: &Replaced) -> Self {
        let (report, reports) = unbounded_channel();
        let behind = Behind::default();
        let writer = || {
            let (sender, pieces) = channel();
            let (job, report, replaced) = (job.clone(), report.clone(), replaced.clone());
            let behind = behind.clone();
            let start = move || writer::start(pieces, &job, report, form, replaced, behind);
            (sender, Some(Box::new(start) as Start))
        };
        let (first, start) = writer();
        let is_json = matches!(form, Form::Json(_));
        let is_apart = !is_json && !same_file();
        let (second, other) = match is_apart {
            true => writer(),
            false => (first.clone(), None),
        };
        let direct = || Direct::new(job.clone(), behind.clone());
        Sinks {
            writers: Some([first, second]),
            unstarted: [start, other],
            report: report.clone(),
            direct: matches!(form, Form::Raw).then(direct),
            reports,
            is_apart,
            is_json,
            running: 0,
        }
    }

    /// Writes what came, or hands it over.
    pub(crate) fn write(&mut self, stream: Output, offset: u64, bytes: Bytes) {
        self.write_up_to(stream, offset + bytes.len() as u64, bytes);
    }

    /// Writes, or hands over, what is to be written of that which came before the
    /// offset `end`.
    pub(crate) fn write_up_to(&mut self, stream: Output, end: u64, bytes: Bytes) {
        let left = match &mut self.direct {
            Some(direct) => direct.write(stream, end, bytes),
            None => Some(bytes),
        };
        if let Some(bytes) = left {
            self.send(stream, Piece::Data { stream, end, bytes });
        }
    }

    /// Hands over an event, which only JSON shows.
    pub(crate) fn say(&mut self, event: Event) {
        if !self.is_json {
            return;
        }
        self.send(Output::Stdout, Piece::Event(event));
    }

    fn send(&mut self, stream: Output, piece: Piece) {
        self.begin(stream);
        if let Some(writers) = &self.writers {
            // A writer that is gone has said why.
            let _ = writers[stream.index()].send(piece);
        }
    }

    /// The writer of a stream runs from now on; the first may be that of both.
    fn begin(&mut self, stream: Output) {
        let [first, second] = &mut self.unstarted;
        let start = match stream {
            Output::Stderr if second.is_some() => second.take(),
            Output::Stderr if self.is_apart => None,
            Output::Stdout | Output::Stderr => first.take(),
        };
        let Some(start) = start else {
            return;
        };
        match start() {
            Ok(()) => self.running += 1,
            // We hear it ourselves.
            Err(error) => drop(self.report.send(Report::Failed(stream, error))),
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.writers = None;
        self.unstarted = [None, None];
        if let Some(direct) = &mut self.direct {
            direct.acknowledge();
        }
    }

    /// A failure to write, or `None` when everything is written. Cancel-safe.
    pub(crate) async fn next_failure(&mut self) -> Option<(Output, io::Error)> {
        while self.writers.is_some() || self.running > 0 {
            let direct = &mut self.direct;
            tokio::select! {
                report = self.reports.recv() => match report {
                    Some(Report::Failed(stream, error)) => return Some((stream, error)),
                    Some(Report::Ended) => self.running -= 1,
                    None => self.running = 0,
                },
                () = poll_fn(|cx| match direct {
                    Some(direct) => direct.poll_acknowledge(cx),
                    None => Poll::Pending,
                }) => {}
            }
        }
        None
    }
}

fn descriptor(stream: Output) -> BorrowedFd<'static> {
    match stream {
        Output::Stdout => rustix::stdio::stdout(),
        Output::Stderr => rustix::stdio::stderr(),
    }
}

fn same_file() -> bool {
    let identity = |fd| {
        rustix::fs::fstat(fd)
            .ok()
            .map(|stat| (stat.st_dev, stat.st_ino))
    };
    let stdout = identity(rustix::stdio::stdout());
    stdout.is_some() && stdout == identity(rustix::stdio::stderr())
}

/// Writes all of it to our stream of this name, waiting for room if there is none.
pub(crate) fn write_all<B: AsRef<[u8]>>(stream: Output, run: &[B]) -> io::Result<()> {
    let fd = descriptor(stream);
    let slices = run
        .iter()
        .map(AsRef::as_ref)
        .filter(|bytes| !bytes.is_empty());
    let mut slices: Vec<IoSlice<'_>> = slices.map(IoSlice::new).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match rustix::io::writev(fd, left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) => wait_or_fail(fd, error, PollFlags::OUT)?,
        }
    }
    Ok(())
}

/// Somebody who shares our terminal or pipe may have made it non-blocking: that is no
/// failure, and neither is a signal.
pub(crate) fn wait_or_fail(
    fd: BorrowedFd<'_>,
    error: rustix::io::Errno,
    until: PollFlags,
) -> io::Result<()> {
    match error {
        rustix::io::Errno::INTR => Ok(()),
        rustix::io::Errno::AGAIN => match poll(&mut [PollFd::from_borrowed_fd(fd, until)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        },
        error => Err(error.into()),
    }
}
