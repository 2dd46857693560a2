//! What is written of a kept job: as it starts, and again when it has ended.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use twox_hash::xxhash3_128::Hasher;

use super::super::grant::Owner;
use crate::outcome::Outcome;
use crate::spool::SpoolState;

/// Before each record; a later version has another one.
const MAGIC: &[u8] = b"redial job 1\n";
const CHECK_BYTES: usize = 16;
/// Longest record: a command's text, an outcome, and some more.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// A kept job.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(in crate::keeper) struct Record {
    /// Its id.
    #[n(0)]
    pub(in crate::keeper) job: ByteArray<16>,
    /// Whose it is.
    #[n(1)]
    pub(in crate::keeper) uid: u32,
    /// The fingerprint of a restricted key, whose alone it is.
    #[n(2)]
    pub(in crate::keeper) key: Option<String>,
    /// Of its command, for a start that is sent again.
    #[n(3)]
    pub(in crate::keeper) hash: ByteArray<16>,
    /// Its command, for people.
    #[n(4)]
    pub(in crate::keeper) command: String,
    /// The user's name.
    #[n(5)]
    pub(in crate::keeper) user: String,
    /// Unix time, in milliseconds.
    #[n(6)]
    pub(in crate::keeper) started_ms: u64,
    /// It was asked to be kept; else it is because its line dropped.
    #[n(7)]
    pub(in crate::keeper) detached: bool,
    /// So long it is kept after its end, in milliseconds.
    #[n(8)]
    pub(in crate::keeper) keep_ms: u64,
    /// Its end.
    #[n(9)]
    pub(in crate::keeper) end: Option<End>,
}

/// How a job ended, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(in crate::keeper) struct End {
    #[n(0)]
    pub(in crate::keeper) outcome: Outcome,
    /// Unix time, in milliseconds.
    #[n(1)]
    pub(in crate::keeper) at_ms: u64,
    #[n(2)]
    pub(in crate::keeper) spool: SpoolState,
}

impl Record {
    pub(in crate::keeper) fn owner(&self) -> Owner {
        Owner::of(self.uid, self.key.as_deref())
    }

    /// Its output may not be on the disk as it was appended.
    pub(super) fn is_not_safe(&mut self) {
        if let Some(End { outcome, .. }) = &mut self.end {
            (outcome.stdout.complete, outcome.stderr.complete) = (false, false);
        }
    }

    /// As it is written.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        // Writing to a `Vec` cannot fail, and the derived encoder has no errors of its own.
        let _ = minicbor::encode(self, &mut bytes);
        let check = Hasher::oneshot(&bytes).to_be_bytes();
        bytes.extend_from_slice(&check);
        bytes
    }

    /// What was written; none if it is torn, or somebody else's.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let body = bytes.len().checked_sub(CHECK_BYTES)?;
        let (body, check) = bytes.split_at(body);
        if Hasher::oneshot(body).to_be_bytes() != check {
            return None;
        }
        let body = body.strip_prefix(MAGIC)?;
        let mut decoder = minicbor::Decoder::new(body);
        let record = decoder.decode().ok()?;
        (decoder.position() == body.len()).then_some(record)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::keeper::records::bare;
    use crate::outcome::{Exit, Status};

    pub(in super::super) fn record(number: u8, ended: bool) -> Record {
        Record {
            job: [number; 16].into(),
            uid: 7,
            key: (number % 2 == 1).then(|| "SHA256:x".to_owned()),
            hash: [9; 16].into(),
            command: "make all".to_owned(),
            user: "ada".to_owned(),
            started_ms: 1_000,
            detached: true,
            keep_ms: 5_000,
            end: ended.then(|| End {
                outcome: bare(Status::Ended(Exit::Code(3))),
                at_ms: 2_000,
                spool: SpoolState::default(),
            }),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for (number, ended) in [(1, false), (2, true)] {
            let record = record(number, ended);
            assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
        }
    }

    #[test]
    fn a_torn_or_foreign_file_is_no_record() {
        let bytes = record(1, true).to_bytes();
        for len in 0..bytes.len() {
            assert_eq!(Record::from_bytes(&bytes[..len]), None, "{len}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Record::from_bytes(&damaged), None, "{at}");
        }
    }
}
