//! The file of a kept job, as one channel reads it.

use std::collections::VecDeque;
use std::io;

use redial_keeper::spool::{SpoolReader, SpoolState};
use redial_net::proto::message::Outcome;

use super::{Buffers, Copy, index};
use crate::shares::Share;

/// Read from a file in one go.
const LOAD_BYTES: usize = 256 * 1024;
/// Of a file, so much is read ahead of what the client has acknowledged.
const MAX_LOADED_BYTES: usize = 1024 * 1024;
/// What a read of a file has brought.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) reader: SpoolReader,
    /// How the file stood then.
    state: SpoolState,
    /// Nothing was found, since the oldest has gone meanwhile.
    moved_on: bool,
    pub(crate) copies: io::Result<Vec<Copy>>,
}

/// A kept job's file, and how far a channel has come in it.
#[derive(Debug)]
pub(crate) struct FileSource {
    /// None while it is read from.
    reader: Option<SpoolReader>,
    state: SpoolState,
    pub(crate) buffers: Buffers,
    /// Read, and not made ready yet.
    loaded: VecDeque<Copy>,
    /// Made ready up to here.
    pub(crate) at: [u64; 2],
    /// No more comes of these.
    pub(crate) ended: [bool; 2],
    /// Their end was said.
    pub(crate) end_said: [bool; 2],
    /// Said when all the rest is.
    pub(crate) outcome: Option<Outcome>,
    share: Share,
}

impl FileSource {
    /// Reads on from these offsets.
    pub(crate) fn new(reader: SpoolReader, state: SpoolState, at: [u64; 2], share: Share) -> Self {
        Self {
            reader: Some(reader),
            state,
            buffers: Buffers::new(at),
            loaded: VecDeque::new(),
            at,
            ended: [false; 2],
            end_said: [false; 2],
            outcome: None,
            share,
        }
    }

    /// The file is written further.
    pub(crate) fn grown(&mut self, state: SpoolState) {
        self.state = state;
    }

    /// The reader, if there is something to be read and room for it. A channel that had output
    /// from memory before is ahead of the file until that is written as far.
    pub(crate) fn begin_to_load(&mut self) -> Option<(SpoolReader, SpoolState, usize)> {
        let mut streams = self.at.into_iter().zip(self.state.ends());
        let is_behind = streams.any(|(at, end)| at < end);
        let most = self.share.most(MAX_LOADED_BYTES);
        if !is_behind || !self.loaded.is_empty() || self.buffers.len() >= most {
            return None;
        }
        Some((self.reader.take()?, self.state, most.min(LOAD_BYTES)))
    }

    /// What was read is here; an error if there was nothing, or it cannot be read. Where more was
    /// written meanwhile, what had been there may have gone, and all of it is looked for anew: at
    /// once, or (false) when it is told how the file stands.
    pub(crate) fn loaded(&mut self, loaded: Loaded) -> io::Result<bool> {
        let Loaded {
            mut reader,
            state,
            moved_on,
            copies,
        } = loaded;
        let found_nothing = copies.as_ref().is_ok_and(Vec::is_empty);
        let is_old = state != self.state;
        if found_nothing {
            reader.want(self.at);
        }
        self.reader = Some(reader);
        self.loaded.extend(copies?);
        // Of a job that has ended there is no more news: then its file is damaged.
        let more_news = self.outcome.is_none();
        match found_nothing && !is_old {
            true if moved_on && more_news => Ok(false),
            true => Err(io::ErrorKind::NotFound.into()),
            false => Ok(true),
        }
    }

    /// What is not there is left out, up to where the file is written.
    pub(crate) fn pass_over(&mut self) -> [u64; 2] {
        let (at, ends) = (self.at, self.ends());
        self.at = [0, 1].map(|index| at[index].max(ends[index]));
        if let Some(reader) = &mut self.reader {
            reader.want(self.at);
        }
        at
    }

    /// The next of that to be made ready; none if it lies behind a gap, and the client has not all
    /// that lies before.
    pub(crate) fn next_copy(&mut self) -> Option<Copy> {
        let next = self.loaded.front()?;
        let at = index(next.stream).and_then(|index| self.at.get(index))?;
        if next.offset > *at && self.buffers.len() > 0 {
            return None;
        }
        let next = self.loaded.pop_front()?;
        self.buffers.add(&next);
        Some(next)
    }

    /// Where it is written to.
    pub(crate) fn ends(&self) -> [u64; 2] {
        self.state.ends()
    }
}

/// Reads so much of a file, or little more; on a thread that may wait for the disk.
pub(crate) fn load(mut reader: SpoolReader, state: SpoolState, most: usize) -> Loaded {
    let mut copies = Vec::new();
    let mut bytes = 0;
    let result = loop {
        match reader.next(&state) {
            Ok(found) if found.is_empty() => break Ok(()),
            Ok(found) => {
                bytes += found.iter().map(|it| it.bytes.len()).sum::<usize>();
                copies.extend(found.into_iter().map(|it| Copy {
                    stream: it.stream,
                    offset: it.offset,
                    bytes: it.bytes,
                }));
                if bytes >= most {
                    break Ok(());
                }
            }
            Err(error) => break Err(error),
        }
    };
    let is_empty = result.is_ok() && copies.is_empty();
    Loaded {
        // If that cannot be read either, there is nothing to be waited for.
        moved_on: is_empty && reader.has_moved_on(&state).unwrap_or(false),
        reader,
        state,
        copies: result.map(|()| copies),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::Shares;

    #[test]
    fn a_channel_that_is_ahead_of_its_file_reads_on_when_that_is_written_further() {
        let nothing = std::fs::File::open("/dev/null").unwrap();
        let state = |stdout, stderr| SpoolState {
            stdout,
            stderr,
            ..SpoolState::default()
        };
        let reader = SpoolReader::new(nothing.into());
        let share = Shares::default().one_more();
        let mut file = FileSource::new(reader, state(100, 0), [150, 0], share);
        assert!(file.begin_to_load().is_none(), "it has all of that");
        file.grown(state(150, 0));
        assert!(file.begin_to_load().is_none());
        file.grown(state(151, 0));
        assert!(file.begin_to_load().is_some());
    }
}
