//! What a side of a connection brings to the driver.

use std::task::{Context, Poll};

use bytes::Bytes;
use redial_proto::{ChannelId, Connection, Event, Stream};

/// One side's part in a connection: the client's jobs, or the front's.
///
/// The driver calls these from one task, never concurrently.
pub trait Session {
    /// What the peer said. `source` is the buffer that the event's borrowed bytes lie
    /// in: `source.slice_ref(bytes)` keeps them without copying.
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, source: &Bytes);

    /// Pushes the `len` bytes at `offset` of an outgoing stream to `out`, in at most
    /// [`Slices::MAX`] pieces; false when they are gone, which drops the frame. That may
    /// only happen for streams that the peer does not wait for any more, and for channels that
    /// were [given up](Session::has_given_up).
    fn payload<'a>(
        &'a self,
        channel: ChannelId,
        stream: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool;

    /// True when bytes of the channel's streams are missing because it was closed in the meantime
    /// or is another's: then the end of a stream that would follow them is left out as well. If
    /// an outcome would, there is nothing right to be said any more, and the line is dropped.
    fn has_given_up(&self, _channel: ChannelId) -> bool {
        false
    }

    /// False holds the peer back: nothing is read until a later turn says true. The
    /// session wakes its task then.
    fn wants_input(&self) -> bool {
        true
    }

    /// Called at every turn: hands the connection its commands and registers the
    /// waker for more. `Ready` leaves at once, without goodbye.
    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<()>;
}

/// 64 KiB across chunks of 64 KiB is two; one to spare.
const MAX_PIECES: usize = 3;

/// The bytes of one frame, which may lie in a few places.
#[derive(Debug, Default)]
pub struct Slices<'a> {
    parts: [&'a [u8]; MAX_PIECES],
    used: usize,
}

impl<'a> Slices<'a> {
    /// Pieces a frame may lie in.
    pub const MAX: usize = MAX_PIECES;

    pub(crate) fn new() -> Self {
        Slices {
            parts: [&[]; MAX_PIECES],
            used: 0,
        }
    }

    /// Adds a piece; false when there are too many.
    pub fn push(&mut self, part: &'a [u8]) -> bool {
        match self.parts.get_mut(self.used) {
            Some(place) => {
                *place = part;
                self.used += 1;
                true
            }
            None => false,
        }
    }

    pub(crate) fn parts(&self) -> &[&'a [u8]] {
        &self.parts[..self.used]
    }

    pub(crate) fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }
}
