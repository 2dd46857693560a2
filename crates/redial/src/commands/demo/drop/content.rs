//! What the job prints: a function of the seed and the place, so that each byte can be checked
//! wherever it arrives.

use std::io::{self, Write};

const PIECE_BYTES: usize = 64 * 1024;
/// Weyl's step of SplitMix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Steele, Lea and Flood's SplitMix64: number `index` of a seed. No two numbers of a seed are
/// the same, so what stands in a wrong place is found.
pub(super) fn number(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(STEP.wrapping_mul(index.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The bytes of one seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) seed: u64,
}

impl Content {
    /// The bytes from `offset` on.
    pub(super) fn fill(self, offset: u64, mut bytes: &mut [u8]) {
        let (mut index, mut within) = (offset / 8, (offset % 8) as usize);
        while !bytes.is_empty() {
            let word = number(self.seed, index).to_le_bytes();
            let len = bytes.len().min(8 - within);
            let (now, later) = bytes.split_at_mut(len);
            now.copy_from_slice(&word[within..within + len]);
            (bytes, index, within) = (later, index + 1, 0);
        }
    }

    /// Writes the first `size` bytes.
    ///
    /// # Errors
    /// As the writer's.
    pub(super) fn write(self, size: u64, mut to: impl Write) -> io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut offset = 0;
        while offset < size {
            let left = usize::try_from(size - offset).unwrap_or(PIECE_BYTES);
            let piece = &mut piece[..left.min(PIECE_BYTES)];
            self.fill(offset, piece);
            to.write_all(piece)?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// The exit status of the job: from 1 to 99, so never one that stands for something else.
    pub(super) fn status(self) -> u8 {
        let status = 1 + number(self.seed, u64::MAX) % 99;
        u8::try_from(status).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_depends_on_its_place_not_on_the_cuts() {
        let content = Content { seed: 7 };
        let mut whole = Vec::new();
        content.write(200_001, &mut whole).unwrap();
        assert_eq!(whole.len(), 200_001);
        for (from, to) in [
            (0, 1),
            (1, 8),
            (3, 30),
            (65_535, 65_537),
            (199_990, 200_001),
        ] {
            let mut part = vec![0; to - from];
            content.fill(from as u64, &mut part);
            assert_eq!(part, whole[from..to]);
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        // From the reference implementation, seed 1234567.
        let numbers = [0, 1, 2].map(|index| number(1_234_567, index));
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_status_is_no_number_with_a_meaning() {
        for seed in 0..1_000 {
            assert!((1..100).contains(&Content { seed }.status()));
        }
    }
}
