//! Frames on their way out: gathered, written in one vectored call, taken up again
//! where a short write stopped.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use redial_proto::{Body, Connection, Transmit};
use tokio::io::AsyncWrite;

use crate::session::{Session, Slices};

/// Frames gathered for one write.
const BATCH_FRAMES: usize = 16;

/// Bytes gathered for one write, at least, if there are so many. Each write wakes the peer.
const BATCH_BYTES: usize = 512 * 1024;

/// One slice for the rest of a frame, then a head and its body for each frame.
const MAX_SLICES: usize = 1 + BATCH_FRAMES * (1 + Slices::MAX);

/// What is to be written next.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The rest of a frame of which a part is written already. It is a copy, because
    /// the stream it came from may be gone before the transport takes more.
    rest: Vec<u8>,
    rest_written: usize,
    frames: VecDeque<Transmit>,
    frame_bytes: usize,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.frames.is_empty()
    }

    /// Takes frames from the connection, up to one batch.
    pub(crate) fn fill(&mut self, connection: &mut Connection) {
        while self.frames.len() < BATCH_FRAMES && self.frame_bytes < BATCH_BYTES {
            let Some(frame) = connection.poll_transmit() else {
                return;
            };
            self.frame_bytes += frame_len(&frame);
            self.frames.push_back(frame);
        }
    }

    /// Writes once. `Ready(Ok(()))` means that something was written or dropped.
    pub(crate) fn poll_write<T, S>(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut T,
        session: &S,
    ) -> Poll<io::Result<()>>
    where
        T: AsyncWrite + Unpin,
        S: Session + ?Sized,
    {
        self.drop_frames_without_bytes(session)?;
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let mut used = 0;
        let mut add = |slice| {
            slices[used] = IoSlice::new(slice);
            used += 1;
        };
        if !self.rest.is_empty() {
            add(&self.rest[self.rest_written..]);
        }
        let mut bodies = [const { None }; BATCH_FRAMES];
        for (frame, body) in self.frames.iter().zip(&mut bodies) {
            *body = Some(body_of(frame, session));
        }
        for (frame, body) in self.frames.iter().zip(&bodies) {
            add(frame.head.as_ref());
            for part in body.iter().flat_map(Slices::parts) {
                add(part);
            }
        }
        if used == 0 {
            return Poll::Ready(Ok(()));
        }
        let written = ready!(Pin::new(transport).poll_write_vectored(cx, &slices[..used]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written, session);
        Poll::Ready(Ok(()))
    }

    /// # Errors
    /// The line cannot go on without the bytes.
    fn drop_frames_without_bytes<S: Session + ?Sized>(&mut self, session: &S) -> io::Result<()> {
        let bytes = &mut self.frame_bytes;
        let (mut given_up, mut ends_wrong) = (Vec::new(), false);
        self.frames.retain(|frame| {
            let there = match &frame.body {
                Body::Stream { len, channel, .. } => {
                    let there = body_of(frame, session).len() == *len as usize;
                    if !there && session.has_given_up(*channel) {
                        given_up.push(*channel);
                    }
                    there
                }
                Body::None | Body::Owned(_) => {
                    ends_wrong |= given_up.iter().any(|channel| frame.ends(*channel));
                    !given_up.iter().any(|it| frame.ends_stream_of(*it))
                }
            };
            if !there {
                *bytes -= frame_len(frame);
            }
            there
        });
        if ends_wrong {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn advance<S: Session + ?Sized>(&mut self, mut written: usize, session: &S) {
        let rest = self.rest.len() - self.rest_written;
        if written < rest {
            self.rest_written += written;
            return;
        }
        written -= rest;
        self.rest = Vec::new();
        self.rest_written = 0;
        while written > 0 {
            let Some(frame) = self.frames.pop_front() else {
                return;
            };
            let len = frame_len(&frame);
            self.frame_bytes -= len;
            if written < len {
                self.rest = unwritten(&frame, written, session);
                return;
            }
            written -= len;
        }
    }
}

fn frame_len(frame: &Transmit) -> usize {
    frame.head.as_ref().len()
        + match &frame.body {
            Body::None => 0,
            Body::Owned(bytes) => bytes.len(),
            Body::Stream { len, .. } => *len as usize,
        }
}

fn body_of<'a, S: Session + ?Sized>(frame: &'a Transmit, session: &'a S) -> Slices<'a> {
    let mut slices = Slices::new();
    match &frame.body {
        Body::None => {}
        Body::Owned(bytes) => {
            slices.push(bytes);
        }
        Body::Stream {
            channel,
            stream,
            offset,
            len,
        } => {
            if !session.payload(*channel, *stream, *offset, *len as usize, &mut slices) {
                return Slices::new();
            }
        }
    }
    slices
}

/// The bytes of `frame` behind the first `written`.
fn unwritten<S: Session + ?Sized>(frame: &Transmit, mut written: usize, session: &S) -> Vec<u8> {
    let mut rest = Vec::with_capacity(frame_len(frame) - written);
    let body = body_of(frame, session);
    for part in std::iter::once(frame.head.as_ref()).chain(body.parts().iter().copied()) {
        let skip = written.min(part.len());
        rest.extend_from_slice(&part[skip..]);
        written -= skip;
    }
    rest
}
