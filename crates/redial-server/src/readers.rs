//! Who reads a job: one that holds it, and any number that read along.

use redial_keeper::pool::OutputView;
use redial_keeper::wire::{Capability, Chunk, Piece, Snapshot};
use redial_net::proto::ChannelId;

use crate::channel::ChunkMap;
use crate::source::{Copy, MAX_COPIED_BYTES};

/// A channel that is told about a job.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) capability: Capability,
    pub(crate) channel: ChannelId,
    pub(crate) way: Way,
    pub(crate) holds: bool,
}

/// How it gets the outputs.
#[derive(Debug)]
pub(crate) enum Way {
    /// It holds the job: from the chunks, which its acknowledgements free.
    Holds,
    /// It is given copies, since the chunks may be freed at any time.
    Along(Along),
    /// From a file.
    File,
    /// Not at all.
    Outcome,
}

/// Where the outputs of a job lie for one that reads along, and how far it has been given them.
#[derive(Debug, Default)]
pub(crate) struct Along {
    chunks: [ChunkMap; 2],
    at: [u64; 2],
}

impl Along {
    /// Begins where the job stands; with copies of what is wanted of its `last` bytes.
    pub(crate) fn new(
        snapshot: &Snapshot,
        wanted: [u64; 2],
        last: u64,
        pool: &OutputView,
    ) -> (Self, Vec<Copy>) {
        let mut along = Self {
            at: [snapshot.stdout.oldest, snapshot.stderr.oldest],
            ..Self::default()
        };
        let ends = [snapshot.stdout.end, snapshot.stderr.end];
        let from = before_end(&snapshot.pieces, ends, last);
        let from = [0, 1].map(|index| from[index].max(wanted[index]));
        let mut copies = along.take(&snapshot.chunks, &snapshot.pieces, pool);
        for copy in &mut copies {
            let from = from[usize::from(copy.stream) - 1];
            let before = usize::try_from(from.saturating_sub(copy.offset)).unwrap_or(usize::MAX);
            copy.bytes.drain(..before.min(copy.bytes.len()));
            copy.offset = copy.offset.max(from);
        }
        copies.retain(|copy| !copy.bytes.is_empty());
        (along, copies)
    }

    /// Copies what has come: done before anything else can free it.
    pub(crate) fn take(
        &mut self,
        chunks: &[Chunk],
        pieces: &[Piece],
        pool: &OutputView,
    ) -> Vec<Copy> {
        for chunk in chunks {
            if let Some(map) = index(chunk.stream).and_then(|at| self.chunks.get_mut(at)) {
                map.add(chunk.number, chunk.slot);
            }
        }
        let mut copies = Vec::new();
        for piece in pieces {
            let Some(index) = index(piece.stream).filter(|at| *at < 2) else {
                continue;
            };
            let offset = self.at[index];
            self.at[index] += piece.len;
            let len = usize::try_from(piece.len).unwrap_or(0);
            let mut bytes = Vec::with_capacity(len.min(MAX_COPIED_BYTES));
            for place in self.chunks[index].places(offset, len) {
                let found = place.and_then(|(slot, range)| pool.slice(slot, range));
                bytes.extend_from_slice(found.unwrap_or_default());
            }
            // One that is not found whole would be read as another's.
            if bytes.len() == len {
                copies.push(Copy {
                    stream: piece.stream,
                    offset,
                    bytes,
                });
            }
            self.chunks[index].release(self.at[index]);
        }
        copies
    }
}

fn index(stream: u8) -> Option<usize> {
    usize::from(stream).checked_sub(1)
}

/// The offsets from which these pieces have so many bytes to their ends.
fn before_end(pieces: &[Piece], ends: [u64; 2], mut bytes: u64) -> [u64; 2] {
    let mut at = ends;
    for piece in pieces.iter().rev() {
        let Some(place) = index(piece.stream).filter(|at| *at < 2) else {
            continue;
        };
        let len = piece.len.min(bytes);
        at[place] = at[place].saturating_sub(len);
        bytes -= len;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_counted_over_both_outputs() {
        let piece = |stream, len| Piece { stream, len };
        let pieces = [piece(1, 100), piece(2, 10), piece(1, 5), piece(2, 1)];
        let last = |bytes| before_end(&pieces, [105, 11], bytes);
        assert_eq!(last(0), [105, 11]);
        assert_eq!(last(1), [105, 10]);
        assert_eq!(last(4), [102, 10]);
        assert_eq!(last(16), [100, 0]);
        assert_eq!(last(u64::MAX), [0, 0]);
    }
}
