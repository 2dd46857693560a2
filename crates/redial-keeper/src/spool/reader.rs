//! Reads a spool file, from any offsets on.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use super::{BLOCK_BYTES, FRAME_BYTES, HEADER_BYTES, SpoolState, offsets};

/// Bytes of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes {
    /// 1 stdout, 2 stderr.
    pub stream: u8,
    /// Offset of the first.
    pub offset: u64,
    /// At least one.
    pub bytes: Vec<u8>,
}

/// A place in a spool file. What it finds damaged, it passes over: offsets that jump say so.
#[derive(Debug)]
pub struct SpoolReader {
    file: File,
    /// What is read next.
    at: u64,
    /// Offsets there, once a block was entered.
    offsets: Option<[u64; 2]>,
    /// To be found first.
    seek_to: Option<[u64; 2]>,
    /// Bytes before these are not wanted.
    wanted: [u64; 2],
}

impl SpoolReader {
    /// At the start of the file with this descriptor.
    pub fn new(file: OwnedFd) -> Self {
        Self {
            file: file.into(),
            at: 0,
            offsets: None,
            seek_to: None,
            wanted: [0; 2],
        }
    }

    /// The offsets that the block at this place of a file begins with.
    pub(super) fn offsets_at(file: &File, at: u64) -> io::Result<Option<[u64; 2]>> {
        let mut header = [0; HEADER_BYTES];
        let len = read_at(file, &mut header, at)?;
        Ok(offsets(&header[..len]))
    }

    /// Goes, with the next read, to where stdout and stderr are wanted from.
    pub fn want(&mut self, wanted: [u64; 2]) {
        self.seek_to = Some(wanted);
    }

    fn seek(&mut self, wanted: [u64; 2], state: &SpoolState) -> io::Result<()> {
        self.wanted = wanted;
        let is_before = |offsets: [u64; 2]| offsets[0] <= wanted[0] && offsets[1] <= wanted[1];
        self.at = self.last_block(state, is_before)?;
        self.offsets = None;
        Ok(())
    }

    /// The offsets from which both outputs together have about `bytes` bytes to their end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn before_end(&self, bytes: u64, state: &SpoolState) -> io::Result<[u64; 2]> {
        let end = state.stdout.saturating_add(state.stderr);
        let start = end.saturating_sub(bytes);
        let is_before = |offsets: [u64; 2]| offsets[0].saturating_add(offsets[1]) <= start;
        let at = self.last_block(state, is_before)?;
        Ok(Self::offsets_at(&self.file, at)?.unwrap_or(state.oldest()))
    }

    /// The last block that begins like that, else the first that is kept.
    fn last_block(
        &self,
        state: &SpoolState,
        is_wanted: impl Fn([u64; 2]) -> bool,
    ) -> io::Result<u64> {
        let first = state.first / BLOCK_BYTES;
        let (mut low, mut high) = (first, state.len.div_ceil(BLOCK_BYTES).max(first + 1));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            // One that is damaged sends us to the front: more is read then, nothing is left out.
            match Self::offsets_at(&self.file, middle * BLOCK_BYTES)? {
                Some(found) if is_wanted(found) => low = middle,
                _ => high = middle,
            }
        }
        Ok(low * BLOCK_BYTES)
    }

    /// What follows in the file, up to a block of it; nothing when that is all there is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, state: &SpoolState) -> io::Result<Vec<Bytes>> {
        let mut found: Vec<Bytes> = Vec::new();
        if let Some(wanted) = self.seek_to.take() {
            self.seek(wanted, state)?;
        }
        if self.at < state.first {
            (self.at, self.offsets) = (state.first, None);
        }
        while found.is_empty() && self.at < state.len {
            let block_end = (self.at / BLOCK_BYTES + 1) * BLOCK_BYTES;
            let end = block_end.min(state.len);
            let mut block = vec![0; (end - self.at) as usize];
            let len = read_at(&self.file, &mut block, self.at)?;
            block.truncate(len);
            let taken = self.frames(&block, &mut found);
            // It may have been taken out while it was read, and that begins at its front: then
            // some of what looks like bytes is none.
            let block_start = block_end - BLOCK_BYTES;
            if !found.is_empty() && Self::offsets_at(&self.file, block_start)?.is_none() {
                found.clear();
                (self.at, self.offsets) = (block_end, None);
                continue;
            }
            let is_whole = len > 0 && taken == block.len();
            self.at = if is_whole {
                self.at + taken as u64
            } else if end == block_end {
                // What is left of a block that has no room for a frame; or it is damaged.
                block_end
            } else {
                self.offsets = None;
                end
            };
        }
        Ok(found)
    }

    /// Takes frames from what is left of a block; says how many bytes of it.
    fn frames(&mut self, block: &[u8], found: &mut Vec<Bytes>) -> usize {
        let mut at = 0;
        if self.at.is_multiple_of(BLOCK_BYTES) {
            self.offsets = offsets(block);
            at = HEADER_BYTES;
        }
        let Some(mut offsets) = self.offsets else {
            return 0;
        };
        while let Some(head) = block.get(at..at + FRAME_BYTES) {
            let stream = head[0];
            let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let from = at + FRAME_BYTES;
            let Some(bytes) = block.get(from..from + length) else {
                break;
            };
            if !matches!(stream, 1 | 2) || length == 0 {
                break;
            }
            at = from + length;
            let index = usize::from(stream) - 1;
            self.add(found, stream, offsets[index], bytes);
            offsets[index] += length as u64;
        }
        self.offsets = Some(offsets);
        at
    }

    fn add(&self, found: &mut Vec<Bytes>, stream: u8, offset: u64, bytes: &[u8]) {
        let wanted = self.wanted[usize::from(stream) - 1];
        let before = usize::try_from(wanted.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(bytes) = bytes.get(before..).filter(|bytes| !bytes.is_empty()) else {
            return;
        };
        match found.last_mut() {
            Some(last) if last.stream == stream => last.bytes.extend_from_slice(bytes),
            _ => found.push(Bytes {
                stream,
                offset: offset + before as u64,
                bytes: bytes.to_vec(),
            }),
        }
    }

    /// Whether the oldest went since the file stood so: there is news of it under way.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn has_moved_on(&self, state: &SpoolState) -> io::Result<bool> {
        Ok(state.first < state.len && Self::offsets_at(&self.file, state.first)?.is_none())
    }

    /// How a file stands of which only its length is known: after its writer has died.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find_state(file: &File) -> io::Result<SpoolState> {
        let blocks = file.metadata()?.len().div_ceil(BLOCK_BYTES);
        // What was taken out is a part at the front.
        let (mut low, mut high) = (0, blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            match Self::offsets_at(file, middle * BLOCK_BYTES)? {
                Some(_) => high = middle,
                None => low = middle + 1,
            }
        }
        if low == blocks {
            return Ok(SpoolState::default());
        }
        let first = low * BLOCK_BYTES;
        let mut last = blocks;
        let ends = loop {
            last -= 1;
            if let Some(found) = Self::offsets_at(file, last * BLOCK_BYTES)? {
                break found;
            }
        };
        let oldest = Self::offsets_at(file, first)?.unwrap_or(ends);
        let mut state = SpoolState {
            first,
            oldest_stdout: oldest[0],
            oldest_stderr: oldest[1],
            stdout: ends[0],
            stderr: ends[1],
            ..SpoolState::default()
        };
        let mut block = vec![0; BLOCK_BYTES as usize];
        let len = read_at(file, &mut block, last * BLOCK_BYTES)?;
        let mut reader = Self {
            file: file.try_clone()?,
            at: last * BLOCK_BYTES,
            offsets: None,
            seek_to: None,
            wanted: [0; 2],
        };
        let taken = reader.frames(&block[..len], &mut Vec::new());
        state.len = last * BLOCK_BYTES + taken as u64;
        [state.stdout, state.stderr] = reader.offsets.unwrap_or(ends);
        Ok(state)
    }
}

/// Reads as much as there is.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read_at(&mut buffer[len..], at + len as u64) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
