//! Appends to a spool file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::FallocateFlags;

use super::{BLOCK_BYTES, FRAME_BYTES, HEADER_BYTES, SpoolReader, SpoolState, header};

/// Whether the oldest bytes may go for new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldestGo {
    /// Nothing goes.
    Never,
    /// What is more than this goes, by whole blocks.
    Beyond(u64),
}

/// The end of a spool file. What failed to be written leaves the file as it was.
#[derive(Debug)]
pub struct SpoolWriter {
    file: Arc<File>,
    state: SpoolState,
}

impl SpoolWriter {
    /// Begins an empty file, with the streams at these offsets.
    pub fn new(file: Arc<File>, offsets: [u64; 2]) -> Self {
        let [stdout, stderr] = offsets;
        let state = SpoolState {
            stdout,
            stderr,
            oldest_stdout: stdout,
            oldest_stderr: stderr,
            ..SpoolState::default()
        };
        Self::at(file, state)
    }

    /// Goes on with a file that stands like this.
    pub fn at(file: Arc<File>, state: SpoolState) -> Self {
        Self { file, state }
    }

    /// The file.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// How it stands.
    pub fn state(&self) -> SpoolState {
        self.state
    }

    /// Appends pieces of stdout (1) and stderr (2), all or nothing, by way of a `buffer`.
    ///
    /// # Errors
    /// They cannot be written; the file is as it was.
    pub fn append<'a>(
        &mut self,
        buffer: &mut Vec<u8>,
        pieces: impl IntoIterator<Item = (u8, &'a [u8])>,
        oldest_go: OldestGo,
    ) -> io::Result<()> {
        if let OldestGo::Beyond(bytes) = oldest_go {
            // If that cannot be done, the file must not grow.
            self.forget_beyond(bytes)?;
        }
        let mut after = self.state;
        buffer.clear();
        for (stream, bytes) in pieces {
            frame(buffer, &mut after, self.state.len, stream, bytes);
        }
        if let Err(error) = self.file.write_all_at(buffer, self.state.len) {
            // On a full disk a part may be there. What is behind the end is read by nobody, and
            // written over; to give it back is a courtesy to the disk.
            let _ = self.file.set_len(self.state.len);
            return Err(error);
        }
        self.state = after;
        if let OldestGo::Beyond(bytes) = oldest_go {
            // The next one says so if that cannot be done.
            let _ = self.forget_beyond(bytes);
        }
        Ok(())
    }

    /// Takes whole blocks out from the front.
    fn forget_beyond(&mut self, bytes: u64) -> io::Result<()> {
        if self.state.used() <= bytes {
            return Ok(());
        }
        let keep = bytes.max(BLOCK_BYTES);
        let first = self.state.len.saturating_sub(keep) / BLOCK_BYTES * BLOCK_BYTES;
        if first <= self.state.first {
            return Ok(());
        }
        let Some(oldest) = SpoolReader::offsets_at(&self.file, first)? else {
            return Ok(());
        };
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let len = first - self.state.first;
        rustix::fs::fallocate(&*self.file, flags, self.state.first, len)?;
        self.state.first = first;
        [self.state.oldest_stdout, self.state.oldest_stderr] = oldest;
        Ok(())
    }
}

/// Adds frames for these bytes, and headers of the blocks they begin.
fn frame(buffer: &mut Vec<u8>, state: &mut SpoolState, start: u64, stream: u8, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let used = state.len % BLOCK_BYTES;
        if used == 0 {
            buffer.extend_from_slice(&header([state.stdout, state.stderr]));
            state.len += HEADER_BYTES as u64;
            continue;
        }
        let room = (BLOCK_BYTES - used) as usize;
        if room <= FRAME_BYTES {
            state.len += room as u64;
            buffer.resize((state.len - start) as usize, 0);
            continue;
        }
        let (now, later) = bytes.split_at(bytes.len().min(room - FRAME_BYTES));
        let length = (now.len() as u32).to_be_bytes();
        buffer.extend_from_slice(&[stream, length[1], length[2], length[3]]);
        buffer.extend_from_slice(now);
        state.len += (FRAME_BYTES + now.len()) as u64;
        match stream {
            1 => state.stdout += now.len() as u64,
            _ => state.stderr += now.len() as u64,
        }
        bytes = later;
    }
}
