//! Whole outputs: each host's when it has ended, or same ones once.

use std::io;
use std::path::PathBuf;

use redial_client::{Bytes, Output};
use redial_fleet::outputs::{Content, Digests, Outputs, Stored};
use redial_fleet::{HostSet, Receipt};

use super::diff::diff;
use super::writer::{Chunk, Desk};

/// Longer outputs are not compared.
const DIFF_MAX_BYTES: u64 = 1 << 20;
/// Of a stream, so much is compared: it takes time, and the differences wait in memory.
const DIFFS_MAX_BYTES: u64 = 64 << 20;
const RULE: &str = "---------------\n";

/// See the module.
pub(super) struct Collected {
    outputs: Outputs<Receipt>,
    folds: Option<Fold>,
}

/// How same outputs are shown once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fold {
    /// Of all but the most frequent, only how they differ from that.
    pub(super) diff: bool,
}

impl Collected {
    /// With what an earlier client has left there.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn new(
        path: Option<PathBuf>,
        folds: Option<Fold>,
        ended: &[(usize, Digests)],
        shown: impl Fn(usize) -> bool,
    ) -> io::Result<Self> {
        let mut outputs = Outputs::new(path, folds.is_some());
        outputs.take_up(ended, shown)?;
        Ok(Collected { outputs, folds })
    }

    /// Up to where there is something of a host.
    pub(super) fn reached(&self, host: usize) -> Option<[u64; 2]> {
        self.outputs.reached(host)
    }

    pub(super) fn take(
        &mut self,
        host: usize,
        (stream, offset): (Output, u64),
        bytes: &Bytes,
        receipt: Receipt,
    ) -> io::Result<()> {
        let taken = self.outputs.take((host, stream), offset, bytes, receipt)?;
        if let Some(receipt) = taken {
            receipt.give();
        }
        Ok(())
    }

    /// What has waited for a turn goes into the file.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        let receipts = self.outputs.turn()?;
        receipts.iter().for_each(Receipt::give);
        Ok(())
    }

    /// A host has ended.
    pub(super) fn end(&mut self, host: usize, digests: Digests) -> io::Result<()> {
        self.outputs.end(host, digests)
    }

    /// Whether all of a host's outputs are here, when they are so long.
    pub(super) fn is_whole(&self, host: usize, lengths: [u64; 2]) -> bool {
        self.outputs.received(host) == lengths
    }

    /// What is shown of a host that has ended; `then` is done when that is written.
    pub(super) fn show_one(
        &mut self,
        host: usize,
        name: &str,
        desk: &mut Desk,
        then: impl FnOnce() + Send + 'static,
    ) {
        if self.folds.is_some() {
            return;
        }
        let mut contents = self.outputs.remove(host);
        contents.retain(|content| content.len > 0);
        let mut chunks = Vec::new();
        for content in &contents {
            chunks.push(Chunk::new(content.stream, title(name, 1)));
            chunks.push(Chunk::stored(content.stream, self.outputs.stored(content)));
        }
        match chunks.pop() {
            Some(last) => {
                chunks.into_iter().for_each(|chunk| desk.push(chunk));
                let stored: Vec<_> = contents.iter().map(|it| self.outputs.stored(it)).collect();
                desk.push(last.then(move || {
                    then();
                    // That it is shown is written down: nobody asks for it any more.
                    stored.iter().for_each(Stored::forget);
                }));
            }
            None => then(),
        }
    }

    /// What is shown when all have ended.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(super) fn show_all(&self, names: &[String], desk: &mut Desk) -> io::Result<()> {
        let Some(fold) = self.folds else {
            return Ok(());
        };
        for stream in Output::BOTH {
            let contents = self.outputs.contents(stream);
            let mut majority: Option<(&Content, String)> = None;
            let mut left = DIFFS_MAX_BYTES;
            for content in &contents {
                let hosts = content.hosts.iter().filter_map(|host| names.get(*host));
                let hosts: HostSet = hosts.collect();
                let title = title(&hosts.to_string(), hosts.len());
                desk.push(Chunk::new(stream, title));
                match &majority {
                    Some((most, set)) if fold.diff => {
                        let both = most.len.saturating_add(content.len);
                        let room = left.checked_sub(both);
                        left = room.unwrap_or(0);
                        let text = match room {
                            Some(_) => self.diff((most, set), (content, &hosts.to_string()))?,
                            None => differs(set, "there is too much to compare"),
                        };
                        desk.push(Chunk::new(stream, text));
                    }
                    _ => {
                        desk.push(Chunk::stored(stream, self.outputs.stored(content)));
                        majority = Some((content, hosts.to_string()));
                    }
                }
            }
        }
        Ok(())
    }

    fn diff(
        &self,
        (most, their_hosts): (&Content, &str),
        (other, hosts): (&Content, &str),
    ) -> io::Result<Vec<u8>> {
        if most.len > DIFF_MAX_BYTES || other.len > DIFF_MAX_BYTES {
            return Ok(differs(their_hosts, "it is too long to be compared"));
        }
        let read = |content| {
            let mut bytes = Vec::new();
            let stored = self.outputs.stored(content);
            stored.read(|piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(diff((their_hosts, &read(most)?), (hosts, &read(other)?)).into_bytes())
    }
}

fn differs(from: &str, why: &str) -> Vec<u8> {
    format!("(differs from {from}; {why})\n").into_bytes()
}

/// As clush and dshbak have it.
fn title(hosts: &str, count: u64) -> Vec<u8> {
    let count = match count {
        1 => String::new(),
        count => format!(" ({count})"),
    };
    format!("{RULE}{hosts}{count}\n{RULE}").into_bytes()
}
