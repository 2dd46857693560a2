//! The running checksum of a stream (PROTOCOL.md section 7).

use twox_hash::xxhash3_128::Hasher;

use crate::outcome::Digest;
use crate::pool::CHUNK_BYTES;
use crate::state::ChainState;

/// `c(0)` is 16 zero bytes; `c(i+1) = XXH3-128(c(i) ‖ block(i))`, over blocks of
/// 64 KiB. Bytes may come in any cut.
#[derive(Default)]
pub(crate) struct Chain {
    value: [u8; 16],
    /// The block under way, from its first byte on.
    block: Option<Hasher>,
    filled: usize,
    bytes: u64,
    /// What it came to, when nothing will follow and the block is not known.
    over: Option<Digest>,
}

impl Chain {
    /// The next bytes of the stream.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.filled));
            let block = self.block.get_or_insert_with(|| {
                let mut block = Hasher::new();
                block.write(&self.value);
                block
            });
            block.write(now);
            self.filled += now.len();
            if self.filled == CHUNK_BYTES {
                self.value = block.finish_128().to_be_bytes();
                (self.block, self.filled) = (None, 0);
            }
            bytes = later;
        }
    }

    /// Bytes of the block under way.
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    /// For another program: it goes on from the bytes of the block under way, if these are at hand.
    pub(crate) fn save(&self, block: Option<Vec<u8>>) -> ChainState {
        match block.filter(|block| block.len() == self.filled) {
            Some(block) if self.over.is_none() => {
                ChainState::GoesOn(self.value.into(), block.into(), self.bytes)
            }
            _ => ChainState::Over(self.digest(false)),
        }
    }

    /// As it was saved.
    pub(crate) fn restore(state: ChainState) -> Self {
        match state {
            ChainState::GoesOn(value, block, bytes) => {
                let mut chain = Self {
                    value: value.into(),
                    bytes: bytes.saturating_sub(block.len() as u64),
                    ..Self::default()
                };
                chain.update(&block);
                chain
            }
            ChainState::Over(digest) => Self {
                bytes: digest.bytes,
                over: Some(digest),
                ..Self::default()
            },
        }
    }

    /// Bytes and checksum up to here.
    pub(crate) fn digest(&self, complete: bool) -> Digest {
        if let Some(over) = self.over {
            return Digest { complete, ..over };
        }
        let checksum = match &self.block {
            Some(block) => block.finish_128().to_be_bytes(),
            None => self.value,
        };
        Digest {
            bytes: self.bytes,
            checksum: checksum.into(),
            complete,
        }
    }
}
