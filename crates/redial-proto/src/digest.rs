//! The running checksum of a stream.

use core::fmt;

use twox_hash::xxhash3_128::Hasher;

/// The checksum of PROTOCOL.md section 7: XXH3-128, chained over blocks of 64 KiB. Finds faults,
/// not forgery.
#[derive(Clone)]
pub struct StreamDigest {
    bytes: u64,
    /// The checksum of the whole blocks so far.
    chain: [u8; 16],
    /// The chain, then what has arrived of the block under way.
    block: Option<Hasher>,
}

const BLOCK_BYTES: u64 = 65_536;

impl StreamDigest {
    /// The digest of a stream without bytes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: 0,
            chain: [0; 16],
            block: None,
        }
    }

    /// Takes in the stream's next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let filled = self.bytes % BLOCK_BYTES;
            let block = self.block.get_or_insert_with(|| {
                let mut block = Hasher::new();
                block.write(&self.chain);
                block
            });
            let room = (BLOCK_BYTES - filled) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(room));
            block.write(now);
            self.bytes += now.len() as u64;
            if now.len() == room {
                self.chain = block.finish_128().to_be_bytes();
                self.block = None;
            }
            bytes = later;
        }
    }

    /// How many bytes were taken in.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The checksum of the bytes taken in.
    #[must_use]
    pub fn checksum(&self) -> [u8; 16] {
        match &self.block {
            Some(block) => block.finish_128().to_be_bytes(),
            None => self.chain,
        }
    }
}

impl Default for StreamDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for StreamDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamDigest")
            .field("bytes", &self.bytes)
            .field("checksum", &self.checksum())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use xxhash_rust::xxh3::xxh3_128;

    /// Section 7, word for word.
    fn by_definition(stream: &[u8]) -> [u8; 16] {
        stream.chunks(65_536).fold([0; 16], |chain, block| {
            let joined: Vec<u8> = chain.iter().chain(block).copied().collect();
            xxh3_128(&joined).to_be_bytes()
        })
    }

    #[test]
    fn the_checksum_is_that_of_the_definition_however_the_bytes_come() {
        let stream: Vec<u8> = (0..200_000_u32)
            .map(|at| (at * 7 + at / 251) as u8)
            .collect();
        for length in [0, 1, 240, 65_535, 65_536, 65_537, 131_072, 200_000] {
            for step in [1 << 20, 65_536, 4_099, 97] {
                let mut digest = StreamDigest::new();
                for piece in stream[..length].chunks(step) {
                    digest.update(piece);
                }
                assert_eq!(digest.bytes(), length as u64);
                assert_eq!(digest.checksum(), by_definition(&stream[..length]));
            }
        }
    }
}
