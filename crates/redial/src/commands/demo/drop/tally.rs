//! What has arrived, held against what should have.

use std::time::Duration;

use redial_client::{Outcome, Status, StreamDigest};

use super::content::Content;
use super::line::Made;
use super::plan::{CUTS, KILLS};

/// Counts. Nothing in it relies on the server's word, nor on a checksum, but for the one that is
/// compared in the end.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) content: Content,
    pub(super) size: u64,
    /// All bytes that came.
    pub(super) arrived: u64,
    /// The first byte that has not come.
    pub(super) next: u64,
    pub(super) missing: u64,
    pub(super) doubled: u64,
    /// Bytes that were not as they should be at their place.
    pub(super) wrong: u64,
    pub(super) cuts: u32,
    pub(super) kills: u32,
    pub(super) longest_pause: Duration,
    /// Of the bytes that should have come.
    digest: StreamDigest,
    should: Vec<u8>,
}

impl Tally {
    pub(super) fn new(content: Content, size: u64) -> Self {
        Tally {
            content,
            size,
            arrived: 0,
            next: 0,
            missing: 0,
            doubled: 0,
            wrong: 0,
            cuts: 0,
            kills: 0,
            longest_pause: Duration::ZERO,
            digest: StreamDigest::new(),
            should: Vec::new(),
        }
    }

    /// These came, and are said to belong there.
    pub(super) fn take(&mut self, offset: u64, bytes: &[u8]) {
        let len = bytes.len() as u64;
        self.missing += offset.saturating_sub(self.next);
        self.doubled += self.next.saturating_sub(offset).min(len);
        self.should.resize(bytes.len(), 0);
        self.content.fill(offset, &mut self.should);
        if self.should != bytes {
            let pairs = self.should.iter().zip(bytes);
            self.wrong += pairs.filter(|(should, is)| should != is).count() as u64;
        }
        self.digest.update(&self.should);
        self.arrived += len;
        self.next = self.next.max(offset + len);
    }

    /// Something was done to the line; how often it was by now.
    pub(super) fn count(&mut self, made: Made) -> u32 {
        let count = match made {
            Made::Cut => &mut self.cuts,
            Made::Kill(_) => &mut self.kills,
        };
        *count += 1;
        *count
    }

    pub(super) fn paused(&mut self, pause: Duration) {
        self.longest_pause = self.longest_pause.max(pause);
    }

    /// All there is to say.
    pub(super) fn verdict(&self, outcome: &Outcome) -> Verdict {
        let should = Counts {
            bytes: self.size,
            missing: 0,
            doubled: 0,
            wrong: 0,
            cuts: CUTS,
            kills: KILLS,
            exit: Exit::Status(self.content.status()),
            checksum: self.digest.checksum(),
        };
        let exit = match outcome.status {
            Status::Exited(status) if outcome.stdout.complete => Exit::Status(status),
            ref status => Exit::Other(status.to_string()),
        };
        let is = Counts {
            bytes: self.arrived,
            missing: self.missing,
            doubled: self.doubled,
            wrong: self.wrong,
            cuts: self.cuts,
            kills: self.kills,
            exit,
            checksum: outcome.stdout.checksum,
        };
        Verdict {
            seed: self.content.seed,
            should,
            is,
            longest_pause: self.longest_pause,
            outcome: outcome.status.to_string(),
        }
    }
}

/// What should be, what is.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) seed: u64,
    pub(super) should: Counts,
    pub(super) is: Counts,
    pub(super) longest_pause: Duration,
    /// How the job ended, in words.
    pub(super) outcome: String,
}

impl Verdict {
    /// Whether all is as it should be.
    pub(super) fn holds(&self) -> bool {
        self.should == self.is
    }
}

/// What can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) bytes: u64,
    pub(super) missing: u64,
    pub(super) doubled: u64,
    pub(super) wrong: u64,
    pub(super) cuts: u32,
    pub(super) kills: u32,
    pub(super) exit: Exit,
    pub(super) checksum: [u8; 16],
}

/// How a job ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Status(u8),
    Other(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: Content = Content { seed: 3 };

    /// After taking these ranges: missing, doubled, wrong, arrived.
    fn after(ranges: &[(u64, u64)], spoil: impl Fn(&mut Vec<u8>)) -> [u64; 4] {
        let mut tally = Tally::new(CONTENT, 100);
        for (from, to) in ranges {
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            CONTENT.fill(*from, &mut bytes);
            spoil(&mut bytes);
            tally.take(*from, &bytes);
        }
        [tally.missing, tally.doubled, tally.wrong, tally.arrived]
    }

    #[test]
    fn each_kind_of_fault_is_counted() {
        let whole = |_: &mut Vec<u8>| ();
        assert_eq!(after(&[(0, 33), (33, 100)], whole), [0, 0, 0, 100]);
        assert_eq!(after(&[(0, 30), (40, 100)], whole), [10, 0, 0, 90]);
        assert_eq!(after(&[(0, 50), (45, 100)], whole), [0, 5, 0, 105]);
        assert_eq!(
            after(&[(0, 50), (20, 30), (50, 100)], whole),
            [0, 10, 0, 110]
        );
        assert_eq!(after(&[(0, 100)], |bytes| bytes[7] ^= 1), [0, 0, 1, 100]);
        // One byte less, and all behind it in the wrong place.
        let [.., wrong, arrived] = after(&[(0, 100)], |bytes| {
            bytes.remove(8);
        });
        assert!(wrong > 80 && arrived == 99);
    }
}
