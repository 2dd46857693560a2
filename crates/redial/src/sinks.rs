//! Where the command's outputs go: our stdout and stderr, written as they come by
//! threads of their own, so that a blocked one holds neither the other nor the line.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use redial_client::{Bytes, JobHandle, Output};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Acknowledged at once when so much is written: a quarter of the window, so that the
/// server need not wait for it.
const ACKNOWLEDGE_BYTES: usize = 256 * 1024;
/// Less is acknowledged when nothing more has come for so long.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(1);
/// Pieces written with one call at most.
const BATCH: usize = 64;

/// Both outputs. What waits in them is bounded by the job's window: it is acknowledged
/// only when it is written.
pub(crate) struct Sinks {
    writers: Option<[Sender<Piece>; 2]>,
    reports: UnboundedReceiver<Report>,
    /// Writers that have not ended.
    running: usize,
}

/// A part of an output.
struct Piece {
    stream: Output,
    /// The offset behind it.
    end: u64,
    bytes: Bytes,
}

/// What a writer says: of each stream at most one failure, and one end.
enum Report {
    Failed(Output, io::Error),
    Ended,
}

impl Sinks {
    /// Starts the writers: one for both when our stdout and stderr are the same file, so
    /// that the order is kept.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub(crate) fn start(job: &JobHandle) -> io::Result<Self> {
        let (report, reports) = unbounded_channel();
        let (first, pieces) = channel();
        writer(pieces, job.clone(), report.clone())?;
        let (second, running) = if same_file() {
            (first.clone(), 1)
        } else {
            let (second, pieces) = channel();
            writer(pieces, job.clone(), report)?;
            (second, 2)
        };
        Ok(Sinks {
            writers: Some([first, second]),
            reports,
            running,
        })
    }

    /// Hands over what came.
    pub(crate) fn write(&self, stream: Output, offset: u64, bytes: Bytes) {
        let end = offset + bytes.len() as u64;
        if let Some(writers) = &self.writers {
            // A writer that is gone has said why.
            let _ = writers[stream.index()].send(Piece { stream, end, bytes });
        }
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.writers = None;
    }

    /// A failure to write, or `None` when everything is written. Cancel-safe.
    pub(crate) async fn next_failure(&mut self) -> Option<(Output, io::Error)> {
        while self.running > 0 {
            match self.reports.recv().await {
                Some(Report::Failed(stream, error)) => return Some((stream, error)),
                Some(Report::Ended) => self.running -= 1,
                None => self.running = 0,
            }
        }
        None
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

fn writer(
    pieces: Receiver<Piece>,
    job: JobHandle,
    report: UnboundedSender<Report>,
) -> io::Result<()> {
    let body = move || {
        let mut failed = [false; 2];
        let mut written = Written::default();
        let mut batch = VecDeque::new();
        while let Some(first) = next_piece(&pieces, &mut written, &job) {
            batch.push_back(first);
            while batch.len() < BATCH
                && let Ok(next) = pieces.try_recv()
            {
                batch.push_back(next);
            }
            while let Some((stream, end, run)) = take_run(&mut batch) {
                let failed = &mut failed[stream.index()];
                if *failed {
                    continue;
                }
                match write_all(stream, &run) {
                    Ok(()) => written.add(stream, end, &run, &job),
                    Err(error) => {
                        *failed = true;
                        // Nobody listens only when we are leaving.
                        let _ = report.send(Report::Failed(stream, error));
                    }
                }
            }
        }
        drop(job);
        let _ = report.send(Report::Ended);
    };
    std::thread::Builder::new()
        .name("sink".to_owned())
        .spawn(body)
        .map(drop)
}

/// What is written and not yet acknowledged. To acknowledge wakes the thread that reads
/// from the line, which for every piece would cost more than the piece.
#[derive(Default)]
struct Written {
    ends: [Option<u64>; 2],
    bytes: usize,
}

impl Written {
    fn add(&mut self, stream: Output, end: u64, run: &[Bytes], job: &JobHandle) {
        self.ends[stream.index()] = Some(end);
        self.bytes += run.iter().map(Bytes::len).sum::<usize>();
        if self.bytes >= ACKNOWLEDGE_BYTES {
            self.acknowledge(job);
        }
    }

    fn acknowledge(&mut self, job: &JobHandle) {
        for stream in Output::BOTH {
            if let Some(end) = self.ends[stream.index()].take() {
                job.acknowledge(stream, end);
            }
        }
        self.bytes = 0;
    }
}

/// Waits for a piece; when none comes soon, acknowledges what is written.
fn next_piece(pieces: &Receiver<Piece>, written: &mut Written, job: &JobHandle) -> Option<Piece> {
    if written.bytes > 0 {
        match pieces.recv_timeout(ACKNOWLEDGE_AFTER) {
            Err(RecvTimeoutError::Timeout) => written.acknowledge(job),
            next => {
                if next.is_err() {
                    written.acknowledge(job);
                }
                return next.ok();
            }
        }
    }
    pieces.recv().ok()
}

/// The pieces at the front that go to the same stream, and the offset behind them.
fn take_run(batch: &mut VecDeque<Piece>) -> Option<(Output, u64, Vec<Bytes>)> {
    let (stream, mut end) = batch.front().map(|piece| (piece.stream, piece.end))?;
    let mut run = Vec::new();
    while let Some(piece) = batch.pop_front_if(|piece| piece.stream == stream) {
        end = piece.end;
        run.push(piece.bytes);
    }
    Some((stream, end, run))
}

fn write_all(stream: Output, run: &[Bytes]) -> io::Result<()> {
    let fd = match stream {
        Output::Stdout => rustix::stdio::stdout(),
        Output::Stderr => rustix::stdio::stderr(),
    };
    let mut slices: Vec<IoSlice<'_>> = run.iter().map(|bytes| IoSlice::new(bytes)).collect();
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
