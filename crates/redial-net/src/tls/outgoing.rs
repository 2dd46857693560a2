//! Records on their way out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// A buffer up to this is given back as soon as it is written.
const SMALL_BYTES: usize = 4 * 1024;

/// Encrypted bytes that the transport has not taken.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// As long as it ever had to be since it was empty; a part of it is in use.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// A place for `len` more bytes; say what was used by [`Outgoing::add`].
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        let wanted = self.end + len;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        &mut self.buffer[self.end..]
    }

    pub(super) fn add(&mut self, len: usize) {
        self.end += len;
    }

    /// Writes all of it.
    pub(super) fn poll_flush<T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let bytes = &self.buffer[self.start..self.end];
            match ready!(Pin::new(&mut *transport).poll_write(cx, bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.start += written,
            }
        }
        if self.end <= SMALL_BYTES {
            self.buffer = Vec::new();
        }
        (self.start, self.end) = (0, 0);
        Poll::Ready(Ok(()))
    }
}
