//! The read buffer: grows while the peer sends much, shrinks when it is silent.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Enough for hellos and controls; what an idle connection keeps.
const SMALL_BYTES: usize = 4 * 1024;

/// Several data frames a read; beyond this larger reads gain nothing measurable.
const LARGE_BYTES: usize = 512 * 1024;

/// A large buffer is read into until there is less room than this: the beginning of a frame
/// stays where it is instead of being copied behind every read.
const LEAST_ROOM_BYTES: usize = 64 * 1024;

/// Full buffers, of which somebody may still have parts, that are looked at again: when nobody has
/// any more, one is used again. New memory costs a page fault for every page.
const LENT_MAX: usize = 4;

/// Bytes that were read and not yet taken as frames.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: BytesMut,
    /// What is left of buffers whose parts were taken, the oldest first.
    lent: VecDeque<BytesMut>,
    /// How much a read asks for at first.
    step: usize,
    /// Bytes of the frame at the front, as far as that is known: there is room for them.
    wanted: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Inbox {
            buffer: BytesMut::new(),
            lent: VecDeque::new(),
            step: SMALL_BYTES,
            wanted: 0,
        }
    }

    /// Reads once. `Ready(Ok(0))` is the end of the stream.
    pub(crate) fn poll_fill<T: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.buffer.capacity() - self.buffer.len();
        // Cancel-safe and without state of its own, so it may be made anew at each poll.
        let read = pin!(transport.read_buf(&mut self.buffer)).poll(cx);
        if let Poll::Ready(Ok(read)) = &read
            && *read == room
        {
            self.step = (self.step * 2).min(LARGE_BYTES);
        }
        read
    }

    /// The first `len` bytes; what was read behind them stays where it is.
    pub(crate) fn take(&mut self, len: usize) -> Bytes {
        self.wanted = 0;
        if len < self.buffer.len() || self.step > SMALL_BYTES {
            return self.buffer.split_to(len).freeze();
        }
        // A small buffer goes along: who keeps a part of it keeps no more than that.
        std::mem::take(&mut self.buffer).freeze()
    }

    /// What is there is the beginning of a frame; at least `needed` more bytes are to come.
    pub(crate) fn await_more(&mut self, needed: usize) {
        self.wanted = self.buffer.len() + needed;
    }

    /// Bytes of an unfinished frame, or not looked at yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Room for the rest of the frame at the front and for a read that is worth it, behind what
    /// is there if possible.
    fn make_room(&mut self) {
        let len = self.buffer.len();
        let missing = self.wanted.saturating_sub(len);
        let least = self.step.min(LEAST_ROOM_BYTES).max(missing);
        if self.buffer.capacity() - len >= least {
            return;
        }
        let most = self.step.max(missing);
        if self.buffer.try_reclaim(most) {
            return;
        }
        let mut next = self.returned(len + most);
        next.reserve(len + most);
        next.extend_from_slice(&self.buffer);
        let mut full = std::mem::replace(&mut self.buffer, next);
        if self.step > SMALL_BYTES {
            full.clear();
            if self.lent.len() == LENT_MAX {
                self.lent.pop_front();
            }
            self.lent.push_back(full);
        }
    }

    /// A buffer that has come back and is large enough; else an empty one.
    fn returned(&mut self, bytes: usize) -> BytesMut {
        let back = self.lent.iter_mut().position(|it| it.try_reclaim(bytes));
        back.and_then(|at| self.lent.remove(at)).unwrap_or_default()
    }

    /// Whether memory could be given back now.
    pub(crate) fn is_idle_and_large(&self) -> bool {
        self.buffer.is_empty() && self.step > SMALL_BYTES
    }

    /// Gives the large buffers back.
    pub(crate) fn shrink(&mut self) {
        self.buffer = BytesMut::new();
        self.lent = VecDeque::new();
        self.step = SMALL_BYTES;
    }
}
