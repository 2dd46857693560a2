//! The streams of one channel that this side receives: what is due, what is granted.

use alloc::format;

use crate::error::{ErrorCode, Fault};
use crate::id::Stream;

/// The receiving half of a channel.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    streams: [Receiving; 3],
}

#[derive(Debug, Default)]
struct Receiving {
    /// Offset of the next byte.
    due: u64,
    /// The peer goes on here behind what it sent before it knew, and bytes before are dropped.
    begin: u64,
    /// The peer may send bytes before this offset.
    granted: u64,
    /// Everything before this offset is here for good.
    acknowledged: u64,
    ended: bool,
    /// This side has said that it does not want the rest: the peer may end anywhere.
    stopped: bool,
}

impl Receiver {
    /// Takes in the place of a data frame and says how many of its bytes are to be dropped.
    pub(super) fn data(&mut self, stream: Stream, offset: u64, len: usize) -> Result<usize, Fault> {
        let receiving = &mut self.streams[stream.index()];
        receiving.check_place(offset)?;
        let end = offset
            .checked_add(len as u64)
            .ok_or_else(|| Fault::new(ErrorCode::Offset, "the offset overflows"))?;
        if end > receiving.granted {
            return Err(Fault::new(
                ErrorCode::Credit,
                format!("bytes up to {end}, the credit is {}", receiving.granted),
            ));
        }
        receiving.due = end;
        let known = receiving.begin.saturating_sub(offset);
        Ok(usize::try_from(known).map_or(len, |known| known.min(len)))
    }

    /// Takes in the end of a stream.
    pub(super) fn eof(&mut self, stream: Stream, offset: u64) -> Result<(), Fault> {
        let receiving = &mut self.streams[stream.index()];
        let cut = receiving.stopped && !receiving.ended && offset >= receiving.due;
        if !cut {
            receiving.check_place(offset)?;
        }
        receiving.ended = true;
        Ok(())
    }

    /// Takes in that the bytes from `from` to `to` are gone.
    pub(super) fn missed(&mut self, stream: Stream, from: u64, to: u64) -> Result<(), Fault> {
        let receiving = &mut self.streams[stream.index()];
        receiving.check_place(from)?;
        receiving.due = to;
        Ok(())
    }

    /// The peer may send up to `up_to`: true if that is news.
    #[must_use]
    pub(super) fn grant(&mut self, stream: Stream, up_to: u64) -> bool {
        let receiving = &mut self.streams[stream.index()];
        let news = up_to > receiving.granted && !receiving.ended;
        receiving.granted = receiving.granted.max(up_to);
        news
    }

    /// Everything before `up_to`, as far as it has come, is here for good: true if that is news.
    #[must_use]
    pub(super) fn acknowledge(&mut self, stream: Stream, up_to: u64) -> bool {
        let receiving = &mut self.streams[stream.index()];
        let up_to = up_to.min(receiving.due);
        let news = up_to > receiving.acknowledged;
        receiving.acknowledged = receiving.acknowledged.max(up_to);
        news
    }

    /// A stream begins at this offset; nothing of it has come.
    pub(super) fn begin(&mut self, stream: Stream, offset: u64) {
        self.streams[stream.index()].due = offset;
    }

    /// A stream of which some has come goes on at this offset, as soon as the peer knows.
    pub(super) fn go_on(&mut self, stream: Stream, offset: u64) {
        self.streams[stream.index()].begin = offset;
    }

    /// The rest of a stream is not wanted.
    pub(super) fn stop(&mut self, stream: Stream) {
        self.streams[stream.index()].stopped = true;
    }

    pub(super) fn granted(&self, stream: Stream) -> u64 {
        self.streams[stream.index()].granted
    }

    pub(super) fn acknowledged(&self, stream: Stream) -> u64 {
        self.streams[stream.index()].acknowledged
    }
}

impl Receiving {
    fn check_place(&self, offset: u64) -> Result<(), Fault> {
        if self.ended {
            return Err(Fault::state("the stream has ended"));
        }
        if offset == self.due || (self.due < self.begin && offset == self.begin) {
            return Ok(());
        }
        Err(Fault::new(
            ErrorCode::Offset,
            format!("offset {offset} where {} was due", self.due),
        ))
    }
}
