//! The thread that writes our stdout and stderr: whole chunks, in the order in which they came.

use std::collections::VecDeque;
use std::future::pending;
use std::io;

use redial_client::Output;
use redial_fleet::Receipt;
use redial_fleet::outputs::Stored;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::stdio::{stderr, stdout};
use rustix::termios::isatty;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};

use crate::report;
use crate::sinks::write_all;

/// Chunks that wait for the thread.
const AHEAD: usize = 256;
/// Chunks written with one call at most.
const BATCH: usize = 64;

/// What is written in one piece.
pub(super) struct Chunk {
    stream: Output,
    body: Body,
    /// What of a command's output is in it, and in those before.
    receipt: Option<Receipt>,
    /// Done when it is written.
    then: Option<Box<dyn FnOnce() + Send>>,
}

enum Body {
    Bytes(Vec<u8>),
    /// Read when its turn comes.
    Stored(Stored),
}

impl Chunk {
    pub(super) fn new(stream: Output, bytes: Vec<u8>) -> Self {
        Chunk {
            stream,
            body: Body::Bytes(bytes),
            receipt: None,
            then: None,
        }
    }

    /// A whole output; its last line gets an end if it has none.
    pub(super) fn stored(stream: Output, stored: Stored) -> Self {
        Chunk {
            body: Body::Stored(stored),
            ..Chunk::new(stream, Vec::new())
        }
    }

    pub(super) fn receipt(mut self, receipt: Receipt) -> Self {
        self.receipt = Some(receipt);
        self
    }

    pub(super) fn then(mut self, then: impl FnOnce() + Send + 'static) -> Self {
        self.then = Some(Box::new(then));
        self
    }

    fn bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            Body::Stored(_) => None,
        }
    }

    /// It is written, or will not be.
    fn done(self, failed: bool) {
        match self.receipt {
            Some(receipt) if failed => receipt.refuse(),
            Some(receipt) => receipt.give(),
            None => {}
        }
        if let Some(then) = self.then.filter(|_| !failed) {
            then();
        }
    }
}

/// Where chunks are handed over.
pub(super) struct Desk {
    chunks: Option<Sender<Chunk>>,
    /// Those that the thread has no room for. Nothing is asked of hosts while there are any.
    pending: VecDeque<Chunk>,
    failures: UnboundedReceiver<(Output, io::Error)>,
}

impl Desk {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, chunks) = channel(AHEAD);
        let (failed, failures) = unbounded_channel();
        std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || write(chunks, &failed))?;
        Ok(Desk {
            chunks: Some(sender),
            pending: VecDeque::new(),
            failures,
        })
    }

    /// Hands a chunk over, or keeps it until there is room.
    pub(super) fn push(&mut self, chunk: Chunk) {
        let Some(chunks) = self.chunks.as_ref().filter(|_| self.pending.is_empty()) else {
            return self.pending.push_back(chunk);
        };
        // A thread that is gone has nobody to write for.
        if let Err(TrySendError::Full(chunk)) = chunks.try_send(chunk) {
            self.pending.push_back(chunk);
        }
    }

    /// Whether chunks wait for room.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Waits until none does, or until a stream can be written no more, which is said once for each.
    /// Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<(Output, io::Error)> {
        loop {
            let is_behind = self.is_behind();
            let room = async {
                match &self.chunks {
                    Some(chunks) => chunks.reserve().await.ok(),
                    None => None,
                }
            };
            tokio::select! {
                Some(failure) = self.failures.recv() => return Some(failure),
                room = room, if is_behind => match (room, self.pending.pop_front()) {
                    (Some(room), Some(chunk)) => {
                        room.send(chunk);
                        if self.pending.is_empty() {
                            return None;
                        }
                    }
                    // Its thread is gone.
                    _ => self.pending.clear(),
                },
                else => return pending().await,
            }
        }
    }

    /// Waits until all is written; the failures that nobody has heard of.
    pub(super) async fn finish(mut self) -> Vec<(Output, io::Error)> {
        let mut failures = Vec::new();
        while self.is_behind() {
            failures.extend(self.next().await);
        }
        self.chunks = None;
        while let Some(failure) = self.failures.recv().await {
            failures.push(failure);
        }
        failures
    }
}

fn write(mut chunks: Receiver<Chunk>, failures: &UnboundedSender<(Output, io::Error)>) {
    let mut batch = VecDeque::new();
    let mut failed = [false; 2];
    let is_terminal = [isatty(stdout()), isatty(stderr())];
    while let Some(first) = chunks.blocking_recv() {
        batch.push_back(first);
        while batch.len() < BATCH
            && let Ok(next) = chunks.try_recv()
        {
            batch.push_back(next);
        }
        while let Some(stream) = batch.front().map(|chunk| chunk.stream) {
            let run = take_run(&mut batch, stream);
            let failed = &mut failed[stream.index()];
            if !*failed {
                let mut written = Ok(());
                if is_terminal[stream.index()] {
                    // Not before there is room: while it is put aside, nothing else goes on.
                    wait_for_room(stream);
                    report::aside(|| written = write_run(stream, &run));
                } else {
                    written = write_run(stream, &run);
                }
                if let Err(error) = written {
                    *failed = true;
                    // Nobody listens only when we are leaving.
                    let _ = failures.send((stream, error));
                }
            }
            run.into_iter().for_each(|chunk| chunk.done(*failed));
        }
    }
}

/// Waits until a write would be taken, or fail.
fn wait_for_room(stream: Output) {
    let fd = match stream {
        Output::Stdout => stdout(),
        Output::Stderr => stderr(),
    };
    // If it cannot be waited for, the write says why.
    let _ = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None);
}

/// Those at the front that can be written with one call.
fn take_run(batch: &mut VecDeque<Chunk>, stream: Output) -> Vec<Chunk> {
    let fits = |chunk: &&Chunk| chunk.stream == stream && chunk.bytes().is_some();
    let run = batch.iter().take_while(fits).count();
    batch.drain(..run.max(1)).collect()
}

fn write_run(stream: Output, run: &[Chunk]) -> io::Result<()> {
    if let [
        Chunk {
            body: Body::Stored(stored),
            ..
        },
    ] = run
    {
        let mut last = b'\n';
        stored.read(|piece| {
            last = piece.last().copied().unwrap_or(last);
            write_all(stream, &[piece])
        })?;
        if last != b'\n' {
            write_all(stream, &[b"\n"])?;
        }
        return Ok(());
    }
    let bytes: Vec<&[u8]> = run.iter().filter_map(Chunk::bytes).collect();
    write_all(stream, &bytes)
}
