//! Changes corpus files at random, from a seed: what libFuzzer does better, where there is none.
//!
//! `REDIAL_FUZZ_ROUNDS` sets how many changed inputs each target gets.

use std::fs;
use std::panic;
use std::path::Path;

use redial_fuzz::TARGETS;

const ROUNDS: u64 = 400;

#[test]
fn changed_corpus_files_pass_their_harness() {
    let rounds = std::env::var("REDIAL_FUZZ_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    for (name, harness) in TARGETS {
        let corpus = corpus(name);
        for seed in 0..rounds {
            let data = changed(&corpus, seed);
            if panic::catch_unwind(|| harness(&data)).is_err() {
                panic!("{name} fails with seed {seed}: {data:02x?}");
            }
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("a corpus")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a readable file"))
        .collect()
}

fn changed(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |end: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    };
    let mut data = corpus[below(corpus.len())].clone();
    for _ in 0..1 + below(4) {
        let at = below(data.len());
        match below(5) {
            0 => data.truncate(at),
            1 => data.insert(at, below(256) as u8),
            2 => {
                let other = &corpus[below(corpus.len())];
                data.extend_from_slice(&other[below(other.len())..]);
            }
            3 => {
                let end = (at + below(40)).min(data.len());
                data.extend_from_within(at..end);
            }
            _ => {
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1 << below(8);
                }
            }
        }
    }
    data
}
