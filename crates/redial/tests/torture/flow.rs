//! A long stream: each byte a function of its place, and compared as it comes.

use std::io::{Read, Write};
use std::path::Path;

use crate::support::noise;

/// Of a block, which begins with its number.
const BLOCK_BYTES: usize = 1 << 20;
const NUMBER_BYTES: usize = 16;

/// Blocks of 1 MiB. Each begins with its number, so that none is like another.
pub(crate) struct Flow {
    noise: Vec<u8>,
    blocks: u64,
}

impl Flow {
    /// At least so many bytes.
    pub(crate) fn new(seed: u64, bytes: u64) -> Self {
        Flow {
            noise: noise(seed, BLOCK_BYTES - NUMBER_BYTES),
            blocks: bytes.div_ceil(BLOCK_BYTES as u64),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.blocks * BLOCK_BYTES as u64
    }

    /// A shell command that writes it, with a file of it in `dir`.
    pub(crate) fn command(&self, dir: &Path) -> String {
        std::fs::write(dir.join("noise"), &self.noise).unwrap();
        format!(
            "i=0; while [ $i -lt {} ]; do printf %0{NUMBER_BYTES}d $i; cat noise; i=$((i+1)); done",
            self.blocks
        )
    }

    fn block(&self, number: u64) -> Vec<u8> {
        let mut block = format!("{number:0NUMBER_BYTES$}").into_bytes();
        block.extend_from_slice(&self.noise);
        block
    }

    /// Writes it, as far as somebody reads it.
    pub(crate) fn write(&self, mut to: impl Write) {
        for number in 0..self.blocks {
            if to.write_all(&self.block(number)).is_err() {
                return;
            }
        }
    }

    /// Reads to the end. `Err` says where it is not as it was written.
    pub(crate) fn compare(
        &self,
        mut from: impl Read,
        mut at: impl FnMut(u64),
    ) -> Result<(), String> {
        let mut got = vec![0; BLOCK_BYTES];
        for number in 0..self.blocks {
            let mut filled = 0;
            while filled < BLOCK_BYTES {
                match from.read(&mut got[filled..]).unwrap() {
                    0 => return Err(format!("it ends in block {number}, at {filled}")),
                    len => filled += len,
                }
            }
            if got != self.block(number) {
                return Err(format!("block {number} is another"));
            }
            at((number + 1) * BLOCK_BYTES as u64);
        }
        match from.read(&mut got).unwrap() {
            0 => Ok(()),
            _ => Err("there is more".to_owned()),
        }
    }
}
