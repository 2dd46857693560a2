//! What a stream holds: a function of job, stream and offset, made in blocks so that comparing
//! is cheap.

use std::sync::LazyLock;

use crate::chance::Chance;

const BLOCK: u64 = 1024;
const TABLE_BYTES: u64 = 65_521;

static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut chance = Chance::new(1, 1);
    (0..TABLE_BYTES)
        .map(|_| (chance.next() >> 40) as u8)
        .collect()
});

/// The content of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content(u64);

impl Content {
    /// Of a job's stream: 0 stdin, 1 stdout, 2 stderr.
    pub(crate) fn of(seed: u64, job: usize, stream: usize) -> Self {
        Content(Chance::new(seed, (job as u64) << 8 | stream as u64).next())
    }

    /// What stands at `from`, at most up to the end of a block.
    fn piece(self, from: u64, len: usize) -> &'static [u8] {
        let start = Chance::new(self.0, from / BLOCK).below(TABLE_BYTES - BLOCK) + from % BLOCK;
        let len = len.min((BLOCK - from % BLOCK) as usize);
        let start = start as usize;
        &TABLE[start..start + len]
    }

    /// The `len` bytes at `from`.
    pub(crate) fn bytes(self, from: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            bytes.extend_from_slice(self.piece(from + bytes.len() as u64, len - bytes.len()));
        }
        bytes
    }

    /// Whether these are the bytes at `from`.
    pub(crate) fn is(self, mut from: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let piece = self.piece(from, bytes.len());
            if bytes[..piece.len()] != *piece {
                return false;
            }
            from += piece.len() as u64;
            bytes = &bytes[piece.len()..];
        }
        true
    }
}
