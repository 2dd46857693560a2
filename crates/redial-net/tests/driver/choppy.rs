//! A transport that reads and writes a few bytes at a time, and often none.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Cuts what passes through `inner`, by a seed.
pub(crate) struct Choppy<T> {
    inner: T,
    state: u64,
}

impl<T> Choppy<T> {
    pub(crate) fn new(inner: T, seed: u64) -> Self {
        Choppy {
            inner,
            state: seed | 1,
        }
    }

    /// How many bytes the next call may move; none: it pretends to be not ready.
    fn chop(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        // xorshift64: enough to cut anywhere, and the same for the same seed.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        if self.state.is_multiple_of(5) {
            cx.waker().wake_by_ref();
            return None;
        }
        let most = if self.state.is_multiple_of(3) {
            7
        } else {
            5_000
        };
        Some(1 + (self.state >> 20) as usize % most)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Choppy<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(most) = self.chop(cx) else {
            return Poll::Pending;
        };
        let mut piece = vec![0; most.min(buffer.remaining())];
        let mut small = ReadBuf::new(&mut piece);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut small);
        buffer.put_slice(small.filled());
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Choppy<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(most) = self.chop(cx) else {
            return Poll::Pending;
        };
        Pin::new(&mut self.inner).poll_write(cx, &bytes[..most.min(bytes.len())])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(most) = self.chop(cx) else {
            return Poll::Pending;
        };
        let mut joined = Vec::new();
        for slice in slices {
            let room = most - joined.len();
            joined.extend_from_slice(&slice[..room.min(slice.len())]);
        }
        Pin::new(&mut self.inner).poll_write(cx, &joined)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
