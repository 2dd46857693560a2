//! The streams of one channel that this side sends: what is ready, what may go, in which order.

use alloc::collections::VecDeque;

use crate::id::Stream;
use crate::limits;

/// The sending half of a channel. Holds offsets, never bytes.
#[derive(Debug, Default)]
pub(super) struct Sender {
    streams: [Sending; 3],
    /// Number of the newest piece.
    sequence: u64,
    /// Pieces of all streams.
    pieces: usize,
    /// The offsets are not known yet; nothing is due.
    pub(super) held: bool,
}

#[derive(Debug, Default)]
struct Sending {
    /// Offset of the next byte to send.
    next: u64,
    /// Offset behind the last byte made ready.
    ready: u64,
    /// The peer takes bytes before this offset.
    credit: u64,
    /// The peer has bytes before this offset for good.
    acknowledged: u64,
    /// Where the bytes between `next` and `ready` stand among those of the other streams.
    pieces: VecDeque<Piece>,
    eof: Eof,
    /// The peer does not want the rest.
    stopped: bool,
}

/// Bytes of one stream that were made ready before any later ones of another.
#[derive(Debug)]
struct Piece {
    sequence: u64,
    len: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Eof {
    #[default]
    No,
    Due,
    Sent,
}

/// A frame that may be sent now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Data {
        stream: Stream,
        offset: u64,
        len: u32,
    },
    Eof {
        stream: Stream,
        offset: u64,
    },
}

impl Sender {
    /// `len` more bytes of a stream are ready. False if its end was said before, or if no stream
    /// can be that long.
    #[must_use]
    pub(super) fn make_ready(&mut self, stream: Stream, len: u64) -> bool {
        let sending = &mut self.streams[stream.index()];
        let Some(ready) = sending.ready.checked_add(len) else {
            return false;
        };
        if sending.eof != Eof::No {
            return false;
        }
        sending.ready = ready;
        if sending.stopped || len == 0 {
            return true;
        }
        match sending.pieces.back_mut() {
            Some(last) if last.sequence == self.sequence || self.pieces >= limits::PIECES_MAX => {
                last.len += len;
            }
            _ => {
                self.sequence += 1;
                self.pieces += 1;
                let sequence = self.sequence;
                sending.pieces.push_back(Piece { sequence, len });
            }
        }
        true
    }

    /// The stream ends behind what was made ready.
    pub(super) fn finish(&mut self, stream: Stream) {
        let sending = &mut self.streams[stream.index()];
        if sending.eof == Eof::No {
            sending.eof = Eof::Due;
        }
    }

    /// The next frame: the oldest piece among the streams that have credit, then ends of streams.
    pub(super) fn take(&mut self) -> Option<Due> {
        if let Some(stream) = self.oldest() {
            let sending = &mut self.streams[stream.index()];
            let piece = sending.pieces.front_mut()?;
            let len = piece
                .len
                .min(sending.credit - sending.next)
                .min(u64::from(limits::DATA_MAX_BYTES));
            let offset = sending.next;
            sending.next += len;
            piece.len -= len;
            if piece.len == 0 {
                sending.pieces.pop_front();
                self.pieces -= 1;
            }
            let len = len as u32;
            return Some(Due::Data {
                stream,
                offset,
                len,
            });
        }
        let stream = self.ending()?;
        let sending = &mut self.streams[stream.index()];
        sending.eof = Eof::Sent;
        Some(Due::Eof {
            stream,
            offset: sending.ready,
        })
    }

    /// Whether `take` has something.
    pub(super) fn is_due(&self) -> bool {
        self.oldest().is_some() || self.ending().is_some()
    }

    /// Whether everything made ready, and every end, was sent or is not wanted.
    pub(super) fn is_drained(&self) -> bool {
        self.streams
            .iter()
            .all(|sending| sending.pieces.is_empty() && sending.eof != Eof::Due)
    }

    /// Takes in a credit; a lower one than before is ignored.
    pub(super) fn credit(&mut self, stream: Stream, up_to: u64) {
        let sending = &mut self.streams[stream.index()];
        sending.credit = sending.credit.max(up_to);
    }

    /// Takes in an acknowledgement: `Ok(true)` if it moved, or the offset that was sent if it is
    /// past that.
    pub(super) fn acknowledge(&mut self, stream: Stream, up_to: u64) -> Result<bool, u64> {
        let sending = &mut self.streams[stream.index()];
        if up_to > sending.next {
            return Err(sending.next);
        }
        let moved = up_to > sending.acknowledged;
        sending.acknowledged = sending.acknowledged.max(up_to);
        Ok(moved)
    }

    /// The peer does not want the rest of a stream.
    pub(super) fn stop(&mut self, stream: Stream) {
        let sending = &mut self.streams[stream.index()];
        self.pieces -= sending.pieces.len();
        sending.pieces = VecDeque::new();
        sending.stopped = true;
    }

    /// No more of any stream is sent, its end included.
    pub(super) fn give_up(&mut self) {
        for stream in Stream::ALL {
            self.stop(stream);
            self.streams[stream.index()].eof = Eof::Sent;
        }
    }

    /// A stream begins at this offset; nothing of it was made ready.
    pub(super) fn begin(&mut self, stream: Stream, offset: u64) {
        let sending = &mut self.streams[stream.index()];
        sending.next = offset;
        sending.ready = offset;
    }

    /// Bytes before `to` that were not sent will not be; says where sending stood.
    pub(super) fn skip(&mut self, stream: Stream, to: u64) -> u64 {
        let sending = &mut self.streams[stream.index()];
        let from = sending.next;
        let mut len = to.saturating_sub(from);
        sending.next += len;
        sending.ready = sending.ready.max(sending.next);
        while let Some(piece) = sending.pieces.front_mut() {
            let now = len.min(piece.len);
            piece.len -= now;
            len -= now;
            if piece.len > 0 {
                break;
            }
            sending.pieces.pop_front();
            self.pieces -= 1;
        }
        from
    }

    /// Offset behind the last byte made ready.
    pub(super) fn ready(&self, stream: Stream) -> u64 {
        self.streams[stream.index()].ready
    }

    /// Whether the peer said that it does not want the rest, or the end is said.
    pub(super) fn is_over(&self, stream: Stream) -> bool {
        let sending = &self.streams[stream.index()];
        sending.stopped || sending.eof != Eof::No
    }

    fn oldest(&self) -> Option<Stream> {
        if self.held {
            return None;
        }
        let mut oldest: Option<(u64, Stream)> = None;
        for stream in Stream::ALL {
            let sending = &self.streams[stream.index()];
            if let Some(piece) = sending.pieces.front()
                && sending.next < sending.credit
                && oldest.is_none_or(|(sequence, _)| piece.sequence < sequence)
            {
                oldest = Some((piece.sequence, stream));
            }
        }
        oldest.map(|(_, stream)| stream)
    }

    fn ending(&self) -> Option<Stream> {
        if self.held {
            return None;
        }
        Stream::ALL.into_iter().find(|stream| {
            let sending = &self.streams[stream.index()];
            sending.eof == Eof::Due && sending.pieces.is_empty()
        })
    }
}
