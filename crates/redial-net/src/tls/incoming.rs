//! Ciphertext that has come and is not yet whole records: decrypted where it lies.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// The longest record on the wire: header, 16 KiB, and what TLS 1.3 may add (RFC 8446
/// section 5.2).
pub(super) const MAX_RECORD_BYTES: usize = 5 + (1 << 14) + 256;

/// Enough for what an idle connection hears; read through the stack, so that it keeps
/// no buffer.
const SMALL_BYTES: usize = 4 * 1024;

/// Sixteen records a read; more gains nothing measurable.
const LARGE_BYTES: usize = 256 * 1024;

/// Plaintext of a peer until its buffer may grow: more than anybody says before a login (a hello and
/// three tries of 16 KiB). Stops strangers from taking memory with many small records.
const GROW_AFTER_BYTES: u64 = 128 * 1024;

/// A buffer that is there while something lies in it, or much comes.
#[derive(Debug)]
pub(super) struct Incoming {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How much the next read asks for.
    step: usize,
    last_read: usize,
    /// Plaintext that came out of it so far.
    delivered: u64,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Incoming {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            step: SMALL_BYTES,
            last_read: 0,
            delivered: 0,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// So much plaintext has come out.
    pub(super) fn delivered(&mut self, len: usize) {
        self.delivered = self.delivered.saturating_add(len as u64);
    }

    /// The first `len` bytes are done with.
    pub(super) fn discard(&mut self, len: usize) {
        self.start += len;
        if self.start < self.end {
            return;
        }
        (self.start, self.end) = (0, 0);
        if self.step == SMALL_BYTES {
            self.buffer = Vec::new();
        }
    }

    /// Reads once. `Ready(Ok(0))` is the end of the line.
    ///
    /// # Errors
    ///
    /// The transport's, and `InvalidData` when more than `most` bytes make no sense yet.
    pub(super) fn poll_fill<T: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
        most: Limit,
    ) -> Poll<io::Result<usize>> {
        let (read, room) = if self.end == 0 && self.step == SMALL_BYTES {
            let mut small = [0; SMALL_BYTES];
            let read = ready!(poll_read(cx, transport, &mut small))?;
            self.buffer = small[..read].to_vec();
            (read, SMALL_BYTES)
        } else {
            self.make_room(most)?;
            let room = &mut self.buffer[self.end..];
            let len = room.len();
            match poll_read(cx, transport, room) {
                Poll::Ready(read) => (read?, len),
                Poll::Pending => {
                    self.shrink_if_idle();
                    return Poll::Pending;
                }
            }
        };
        self.end += read;
        self.last_read = read;
        if read == room && most == Limit::Traffic && self.delivered > GROW_AFTER_BYTES {
            self.step = (self.step * 4).min(LARGE_BYTES);
        }
        Poll::Ready(Ok(read))
    }

    fn make_room(&mut self, most: Limit) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let wanted = match most {
            Limit::Handshake => MAX_RECORD_BYTES,
            Limit::Traffic => self.step.max(2 * MAX_RECORD_BYTES),
        };
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        if self.end == self.buffer.len() {
            let text = "a TLS message is longer than any can be";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(())
    }

    /// Nothing lies here, and little came last: the large buffer goes back.
    fn shrink_if_idle(&mut self) {
        if self.start == self.end && self.last_read <= SMALL_BYTES {
            self.buffer = Vec::new();
            self.step = SMALL_BYTES;
        }
    }
}

/// How much may lie here undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// One record: no honest hello is longer, and a stranger's gets no more memory.
    Handshake,
    /// What makes reading fast.
    Traffic,
}

fn poll_read<T: AsyncRead + Unpin>(
    cx: &mut Context<'_>,
    transport: &mut T,
    bytes: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(bytes);
    ready!(Pin::new(transport).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}
