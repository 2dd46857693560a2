//! What hosts write, kept until it is shown: a little of each in memory, the rest in one file. Same
//! outputs are kept once.
//!
//! The file is a row of pieces, each with a head of 24 bytes in big-endian: the host's number (4), the
//! stream (4: 0 stdout, 1 stderr), the offset of the first byte (8), how many follow (8). So a client that
//! takes up the run after this one finds what there is.

mod file;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use redial_client::Output;

use crate::idle::Idle;
use file::{Extent, Pieces};

pub use file::Stored;

/// Of one output, so much waits in memory. Less than half of the smallest window: what waits is not
/// acknowledged.
const PIECE_BYTES: usize = 32 * 1024;
/// Of all of them.
const WAITING_BYTES: usize = 32 << 20;

/// A stream of a host.
pub type Place = (usize, Output);

/// Length and checksum of a host's stdout and stderr, where they are known to be complete.
pub type Digests = [Option<(u64, [u8; 16])>; 2];

/// What a content is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// Its length and checksum.
    Whole(Output, u64, [u8; 16]),
    /// Whose it is: it is not known to be complete.
    Of(Place),
}

/// An output that some hosts have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Which.
    pub stream: Output,
    /// The hosts, in the order in which they ended.
    pub hosts: Vec<usize>,
    /// How many bytes.
    pub len: u64,
    extents: Vec<Extent>,
}

/// See the module. `R` is what is given back when bytes are where they belong.
#[derive(Debug)]
pub struct Outputs<R> {
    pieces: Pieces,
    shared: bool,
    open: HashMap<Place, Open<R>>,
    waiting: usize,
    /// Those of which something waits.
    idle: Idle<Place>,
    contents: HashMap<Key, Content>,
}

#[derive(Debug)]
struct Open<R> {
    extents: Vec<Extent>,
    /// Offset behind what is in the file.
    end: u64,
    waiting: Vec<u8>,
    receipt: Option<R>,
}

impl<R> Default for Open<R> {
    fn default() -> Self {
        Open {
            extents: Vec::new(),
            end: 0,
            waiting: Vec::new(),
            receipt: None,
        }
    }
}

impl<R> Outputs<R> {
    /// In this file, which need not be there; in one without a name, if there is none. Same ones are kept
    /// once if they are `shared`.
    pub fn new(path: Option<PathBuf>, shared: bool) -> Self {
        Outputs {
            shared,
            pieces: Pieces::new(path),
            open: HashMap::new(),
            waiting: 0,
            idle: Idle::default(),
            contents: HashMap::new(),
        }
    }

    /// Takes up what an earlier client has left in the file: `ended` are the hosts that have ended, in
    /// that order, with their outputs; `shown` says whose are not needed any more.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn take_up(
        &mut self,
        ended: &[(usize, Digests)],
        shown: impl Fn(usize) -> bool,
    ) -> io::Result<()> {
        for (place, offset, extent) in self.pieces.scan()? {
            let open = self.open.entry(place).or_default();
            open.end = offset + extent.len;
            open.extents.push(extent);
        }
        for (host, digests) in ended {
            if shown(*host) {
                self.forget_open(*host);
            } else {
                self.end(*host, *digests)?;
            }
        }
        Ok(())
    }

    /// Up to where the outputs of a host that has not ended are in the file, if anything is.
    pub fn reached(&self, host: usize) -> Option<[u64; 2]> {
        let ends = Output::BOTH.map(|stream| self.open.get(&(host, stream)).map(|open| open.end));
        match ends {
            [None, None] => None,
            ends => Some(ends.map(|end| end.unwrap_or(0))),
        }
    }

    /// How much of a host's outputs there is, in the file or not.
    pub fn received(&self, host: usize) -> [u64; 2] {
        Output::BOTH.map(|stream| {
            let open = self.open.get(&(host, stream));
            open.map_or(0, Open::end_of_all)
        })
    }

    /// Takes bytes; gives back a receipt for all up to one of which the bytes are in the file.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn take(
        &mut self,
        place: Place,
        offset: u64,
        bytes: &[u8],
        receipt: R,
    ) -> io::Result<Option<R>> {
        let open = self.open.entry(place).or_default();
        // What is there already may come again, from whoever took the job up at an earlier place.
        let there = open.end_of_all();
        let again = there.saturating_sub(offset).min(bytes.len() as u64);
        let (offset, bytes) = (
            offset + again,
            &bytes[usize::try_from(again).unwrap_or(0)..],
        );
        if open.waiting.is_empty() {
            // Behind what is gone, if something is.
            open.end = open.end.max(offset);
        }
        open.waiting.extend_from_slice(bytes);
        open.receipt = Some(receipt);
        self.waiting += bytes.len();
        if open.waiting.len() < PIECE_BYTES && self.waiting < WAITING_BYTES {
            self.idle.touch(place);
            return Ok(None);
        }
        self.flush(place)
    }

    /// Puts into the file what has waited for a whole turn, from one call of this to the next; gives
    /// back their receipts. What is not acknowledged holds a server's memory, and may be what keeps it
    /// from sending more.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn turn(&mut self) -> io::Result<Vec<R>> {
        let mut receipts = Vec::new();
        for place in self.idle.turn() {
            receipts.extend(self.flush(place)?);
        }
        Ok(receipts)
    }

    fn flush(&mut self, place: Place) -> io::Result<Option<R>> {
        self.idle.forget(&place);
        let Some(open) = self.open.get_mut(&place) else {
            return Ok(None);
        };
        let bytes = open.waiting.len();
        open.flush(place, &mut self.pieces)?;
        self.waiting -= bytes;
        Ok(open.receipt.take())
    }

    /// A host has ended: its outputs are kept, unless the same are already. Their length and checksum
    /// are those of complete ones.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn end(&mut self, host: usize, digests: Digests) -> io::Result<()> {
        for (stream, digest) in Output::BOTH.into_iter().zip(digests) {
            let place = (host, stream);
            self.idle.forget(&place);
            let mut open = self.open.remove(&place).unwrap_or_default();
            self.waiting -= open.waiting.len();
            let whole = digest.filter(|_| self.shared);
            let whole = whole.map(|(len, checksum)| Key::Whole(stream, len, checksum));
            // Where others have it, it need not be here; else all of it must.
            let is_here = digest.is_some_and(|(len, _)| len == open.end_of_all());
            let key = match whole.filter(|key| is_here || self.contents.contains_key(key)) {
                Some(key) => key,
                None => Key::Of(place),
            };
            if let Some(known) = self.contents.get_mut(&key) {
                known.hosts.push(host);
                self.pieces.stored(&open.extents).forget();
                continue;
            }
            open.flush(place, &mut self.pieces)?;
            let len = open.extents.iter().map(|extent| extent.len).sum();
            let content = Content {
                stream,
                hosts: vec![host],
                len,
                extents: open.extents,
            };
            self.contents.insert(key, content);
        }
        Ok(())
    }

    /// Takes out the contents of a host, which nobody has in common with it.
    pub fn remove(&mut self, host: usize) -> Vec<Content> {
        let mut own: Vec<Content> = Vec::new();
        self.contents.retain(|_, content| {
            let is_own = content.hosts == [host];
            if is_own {
                own.push(content.clone());
            }
            !is_own
        });
        own.sort_by_key(|content| content.stream.index());
        own
    }

    /// All contents of this stream that are not empty, those of most hosts first.
    pub fn contents(&self, stream: Output) -> Vec<&Content> {
        let fitting = self.contents.values();
        let mut fitting: Vec<&Content> = fitting
            .filter(|content| content.stream == stream && content.len > 0)
            .collect();
        fitting.sort_by_key(|content| {
            (
                std::cmp::Reverse(content.hosts.len()),
                content.hosts.iter().min().copied(),
            )
        });
        fitting
    }

    /// Where the bytes of a content are.
    pub fn stored(&self, content: &Content) -> Stored {
        self.pieces.stored(&content.extents)
    }

    fn forget_open(&mut self, host: usize) {
        for stream in Output::BOTH {
            self.open.remove(&(host, stream));
        }
    }
}

impl<R> Open<R> {
    fn end_of_all(&self) -> u64 {
        self.end + self.waiting.len() as u64
    }

    fn flush(&mut self, place: Place, pieces: &mut Pieces) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let extent = pieces.append(place, self.end, &self.waiting)?;
        self.waiting.clear();
        self.end += extent.len;
        self.extents.push(extent);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
