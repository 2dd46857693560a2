//! Where a channel's outputs come from: the pool, for who holds the job; copies, for who reads
//! along; a file, of a kept job.

mod file;

use std::collections::VecDeque;

use redial_net::Slices;

use crate::shares::Share;

pub(crate) use file::{FileSource, Loaded, load};

/// Output that waits here for one channel, at most: what one stream's log holds, twice.
pub(crate) const MAX_COPIED_BYTES: usize = 4 * 1024 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) enum Source {
    /// The chunks that the keeper has told of.
    #[default]
    Pool,
    /// What came while this channel read along.
    Copies(Copies),
    /// The file of a kept job.
    File(Box<FileSource>),
    /// Nothing of them is wanted.
    Nothing,
}

/// What a channel that reads along is given. When it takes too little of that, it is given nothing
/// more until it has taken all, and then goes on behind what went meanwhile.
#[derive(Debug)]
pub(crate) struct Copies {
    pub(crate) buffers: Buffers,
    /// Up to where it has gone without this channel.
    left_out: Option<[u64; 2]>,
    /// Up to where the client knows of that.
    said: Option<[u64; 2]>,
    share: Share,
}

impl Copies {
    /// From these offsets on.
    pub(crate) fn new(from: [u64; 2], share: Share) -> Self {
        Self {
            buffers: Buffers::new(from),
            left_out: None,
            said: None,
            share,
        }
    }

    /// Takes what comes, or leaves it out: false.
    pub(crate) fn add(&mut self, copy: &Copy) -> bool {
        let most = self.share.most(MAX_COPIED_BYTES);
        let is_full = self.buffers.len() + copy.bytes.len() > most;
        if self.left_out.is_none() && is_full {
            self.left_out = Some(self.buffers.ends());
        }
        let (Some(left_out), Some(index)) = (&mut self.left_out, index(copy.stream)) else {
            self.buffers.add(copy);
            return true;
        };
        if let Some(at) = left_out.get_mut(index) {
            *at = copy.offset + copy.bytes.len() as u64;
        }
        false
    }

    /// When all was taken that had been given, or there is nothing more to be given: up to where
    /// it goes on.
    pub(crate) fn go_on(&mut self, is_over: bool) -> Option<[u64; 2]> {
        let is_taken = self.buffers.len() == 0;
        let at = self.left_out.filter(|_| is_taken || is_over)?;
        if is_taken {
            self.left_out = None;
            self.buffers = Buffers::new(at);
        } else {
            self.said = Some(at);
        }
        Some(at)
    }

    /// What is here, and from where the rest is to be read.
    pub(crate) fn into_buffers(self) -> (Buffers, [u64; 2]) {
        let at = self.said.unwrap_or_else(|| self.buffers.ends());
        (self.buffers, at)
    }

    /// Behind what has come, given or left out.
    #[cfg(test)]
    pub(crate) fn ends(&self) -> [u64; 2] {
        self.left_out.unwrap_or_else(|| self.buffers.ends())
    }
}

fn index(stream: u8) -> Option<usize> {
    usize::from(stream).checked_sub(1)
}

/// Bytes of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copy {
    /// 1 stdout, 2 stderr.
    pub(crate) stream: u8,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// The two outputs, from what is not acknowledged on.
#[derive(Debug, Default)]
pub(crate) struct Buffers([Buffer; 2]);

#[derive(Debug, Default)]
struct Buffer {
    start: u64,
    bytes: VecDeque<u8>,
}

impl Buffers {
    /// From these offsets on.
    pub(crate) fn new(from: [u64; 2]) -> Self {
        Self(from.map(|start| Buffer {
            start,
            bytes: VecDeque::new(),
        }))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|buffer| buffer.bytes.len()).sum()
    }

    /// Adds what follows; what was there is given up when there is a gap.
    pub(crate) fn add(&mut self, copy: &Copy) {
        let Some(buffer) = self.of(copy.stream) else {
            return;
        };
        if buffer.start + buffer.bytes.len() as u64 != copy.offset {
            buffer.bytes.clear();
            buffer.start = copy.offset;
        }
        buffer.bytes.extend(&copy.bytes);
    }

    /// Acknowledged up to here.
    pub(crate) fn release(&mut self, stream: u8, up_to: u64) {
        let Some(buffer) = self.of(stream) else {
            return;
        };
        let len = usize::try_from(up_to.saturating_sub(buffer.start)).unwrap_or(usize::MAX);
        let len = len.min(buffer.bytes.len());
        buffer.bytes.drain(..len);
        buffer.start += len as u64;
    }

    /// Behind the last bytes.
    pub(crate) fn ends(&self) -> [u64; 2] {
        self.0
            .each_ref()
            .map(|buffer| buffer.start + buffer.bytes.len() as u64)
    }

    fn of(&mut self, stream: u8) -> Option<&mut Buffer> {
        self.0.get_mut(usize::from(stream).checked_sub(1)?)
    }

    /// Bytes of an output; false when they are not here.
    pub(crate) fn slices<'a>(
        &'a self,
        stream: u8,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        let index = usize::from(stream).checked_sub(1);
        let Some(buffer) = index.and_then(|index| self.0.get(index)) else {
            return false;
        };
        let Some(from) = offset.checked_sub(buffer.start) else {
            return false;
        };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let Some(to) = from.checked_add(len).filter(|to| *to <= buffer.bytes.len()) else {
            return false;
        };
        let (first, second) = buffer.bytes.as_slices();
        let middle = first.len();
        let in_first = &first[from.min(middle)..to.min(middle)];
        let in_second = &second[from.max(middle) - middle..to.max(middle) - middle];
        let mut parts = [in_first, in_second].into_iter();
        parts.all(|part| part.is_empty() || out.push(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::Shares;

    fn copy(stream: u8, offset: u64, bytes: &[u8]) -> Copy {
        Copy {
            stream,
            offset,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn buffered_bytes_are_found_by_their_offsets_until_they_are_acknowledged() {
        let mut buffers = Buffers::default();
        buffers.add(&copy(1, 100, b"hello "));
        buffers.add(&copy(1, 106, b"world"));
        buffers.add(&copy(2, 0, b"x"));
        let found = |buffers: &Buffers, stream, offset, len| {
            let mut out = Slices::default();
            buffers.slices(stream, offset, len, &mut out)
        };
        assert!(found(&buffers, 1, 100, 11) && found(&buffers, 2, 0, 1));
        assert!(!found(&buffers, 1, 99, 2) && !found(&buffers, 1, 105, 7));
        buffers.release(1, 105);
        assert!(!found(&buffers, 1, 104, 1) && found(&buffers, 1, 105, 6));
        assert_eq!(buffers.len(), 7);
        buffers.add(&copy(1, 500, b"behind a gap"));
        assert!(!found(&buffers, 1, 105, 1) && found(&buffers, 1, 500, 12));
    }

    #[test]
    fn whoever_takes_too_little_goes_on_behind_what_went_meanwhile() {
        let mut copies = Copies::new([0, 5], Shares::default().one_more());
        let long = vec![7; MAX_COPIED_BYTES];
        assert!(copies.add(&copy(1, 0, &long)));
        assert!(!copies.add(&copy(2, 5, b"x")));
        assert!(!copies.add(&copy(1, long.len() as u64, b"yz")));
        let behind = [long.len() as u64 + 2, 6];
        assert_eq!((copies.go_on(false), copies.ends()), (None, behind));
        copies.buffers.release(1, 10);
        assert!(!copies.add(&copy(2, 6, b"x")), "not before all is taken");
        copies.buffers.release(1, long.len() as u64);
        let behind = [behind[0], 7];
        assert_eq!(copies.go_on(false), Some(behind));
        assert!(copies.add(&copy(2, 7, b"z")));
        assert_eq!(copies.ends(), [behind[0], 8]);
        assert_eq!(copies.go_on(true), None);
    }
}
