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

/// Buffers lent out that are looked at again: when nobody has a part of one any more, it is used
/// for the next read. New memory costs a page fault for every page.
const LENT_MAX: usize = 4;

/// Bytes that were read and not yet taken as frames.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: BytesMut,
    /// What was taken, the oldest first.
    lent: VecDeque<Bytes>,
    /// How much the next read asks for.
    step: usize,
    /// Fewer bytes than this are no whole frame: they are not looked at again before.
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
        self.make_room(self.step);
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

    /// Everything read so far, if a whole frame may be in it; what is not one comes back
    /// by [`Inbox::put_back`].
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        if self.buffer.len() < self.wanted {
            return None;
        }
        // All of it, with what is unused: so it can come back whole.
        let taken = std::mem::take(&mut self.buffer).freeze();
        if self.step > SMALL_BYTES {
            if self.lent.len() == LENT_MAX {
                self.lent.pop_front();
            }
            self.lent.push_back(taken.clone());
        }
        Some(taken)
    }

    /// Room for so many more bytes, in a buffer that nobody else has.
    fn make_room(&mut self, bytes: usize) {
        let len = self.buffer.len();
        if self.buffer.capacity() - len >= bytes {
            return;
        }
        let mut next = self.returned(len + bytes);
        next.reserve(len + bytes);
        next.extend_from_slice(&self.buffer);
        self.buffer = next;
    }

    /// A buffer that has come back and is large enough; else an empty one.
    fn returned(&mut self, bytes: usize) -> BytesMut {
        for _ in 0..self.lent.len() {
            let Some(lent) = self.lent.pop_front() else {
                break;
            };
            match lent.try_into_mut() {
                Ok(mut buffer) => {
                    buffer.clear();
                    if buffer.capacity() >= bytes {
                        return buffer;
                    }
                }
                Err(lent) => self.lent.push_back(lent),
            }
        }
        BytesMut::new()
    }

    /// The beginning of a frame, of which at least `needed` more bytes are to come.
    pub(crate) fn put_back(&mut self, rest: &[u8], needed: usize) {
        self.wanted = rest.len() + needed;
        self.make_room(self.wanted);
        self.buffer.extend_from_slice(rest);
    }

    /// Bytes of an unfinished frame.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether memory could be given back now.
    pub(crate) fn is_idle_and_large(&self) -> bool {
        self.buffer.is_empty() && self.step > SMALL_BYTES
    }

    /// Gives the large buffer back.
    pub(crate) fn shrink(&mut self) {
        self.buffer = BytesMut::new();
        self.lent = VecDeque::new();
        self.step = SMALL_BYTES;
    }
}
