//! Logs against real pipes.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::*;
use crate::pool::{CHUNK_BYTES, Pool};
use crate::wire::Piece;

const CHUNK: u64 = CHUNK_BYTES as u64;

fn pool(chunks: u64) -> Pool {
    Pool::create("test", chunks * CHUNK).unwrap()
}

fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    for fd in [reader.as_fd(), writer.as_fd()] {
        let flags = rustix::fs::fcntl_getfl(fd).unwrap();
        rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    }
    (reader, writer)
}

fn pattern(from: u64, len: usize) -> Vec<u8> {
    (from..)
        .take(len)
        .map(|at| (at.wrapping_mul(0x9E37_79B9) >> 13) as u8)
        .collect()
}

fn chained(bytes: &[u8]) -> [u8; 16] {
    bytes.chunks(CHUNK_BYTES).fold([0; 16], |value, block| {
        xxh3_128(&[value.as_slice(), block].concat()).to_be_bytes()
    })
}

proptest! {
    #[test]
    fn a_checksum_does_not_depend_on_the_cuts(
        len in 0_usize..300_000,
        cuts in proptest::collection::vec(1_usize..100_000, 1..20),
    ) {
        let bytes = pattern(7, len);
        let mut chain = Chain::default();
        let (mut rest, mut cuts) = (bytes.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            chain.update(now);
            rest = later;
        }
        let digest = chain.digest(true);
        prop_assert_eq!(*digest.checksum, chained(&bytes));
        prop_assert_eq!(digest.bytes, len as u64);
    }

    #[test]
    fn a_journal_forgets_exactly_what_is_acknowledged(
        arrivals in proptest::collection::vec((1_u8..3, 1_u64..5), 0..60),
        acknowledged in proptest::collection::vec((1_u8..3, 0_u64..9), 0..30),
    ) {
        let mut journal = Journal::default();
        let mut bytes: Vec<u8> = Vec::new();
        for (stream, len) in arrivals {
            journal.push(stream, len);
            bytes.extend(std::iter::repeat_n(stream, len as usize));
        }
        for (stream, len) in acknowledged {
            journal.forget(stream, len);
            for _ in 0..len {
                if let Some(at) = bytes.iter().position(|it| *it == stream) {
                    bytes.remove(at);
                }
            }
            let pieces = journal.pieces();
            let flat: Vec<u8> = pieces
                .iter()
                .flat_map(|piece| std::iter::repeat_n(piece.stream, piece.len as usize))
                .collect();
            prop_assert_eq!(&flat, &bytes);
            prop_assert!(pieces.windows(2).all(|pair| pair[0].stream != pair[1].stream));
        }
    }
}

#[test]
fn news_are_told_once() {
    let mut journal = Journal::default();
    journal.push(1, 5);
    journal.push(1, 6);
    assert_eq!(journal.take_news(), [Piece { stream: 1, len: 11 }]);
    journal.push(1, 1);
    journal.push(2, 1);
    let news = [Piece { stream: 1, len: 1 }, Piece { stream: 2, len: 1 }];
    assert_eq!(journal.take_news(), news);
    assert!(!journal.has_news());
    assert_eq!(journal.pieces().len(), 2);
}

/// Reads `len` bytes of a pattern through a log that is acknowledged in odd steps.
fn through(pool: &mut Pool, log: &mut OutputLog, len: usize) {
    let (reader, mut writer) = pipe();
    let (bytes, mut written, mut acknowledged) = (pattern(0, len), 0, 0);
    while acknowledged < len as u64 {
        if written < len {
            written += writer.write(&bytes[written..]).unwrap_or(0);
        }
        let filled = log.fill(pool, reader.as_fd(), u64::MAX);
        assert_ne!(filled, Filled::End);
        for chunk in log.take_new_chunks() {
            assert!(chunk.number * CHUNK < log.end());
        }
        if filled == Filled::Full || filled == Filled::Empty {
            let state = log.state(false);
            for chunk in log.chunks() {
                let from = state.oldest.max(chunk.number * CHUNK);
                let to = state.end.min((chunk.number + 1) * CHUNK);
                let start = (from % CHUNK) as usize;
                let range = start..start + (to - from) as usize;
                let seen = pool.slice(chunk.slot, range).unwrap();
                assert_eq!(seen, &bytes[from as usize..to as usize]);
            }
            acknowledged += log.acknowledge(pool, state.oldest + 70_001);
        }
    }
    assert_eq!(*log.digest(true).checksum, chained(&bytes));
}

#[test]
fn output_is_exact_through_reused_chunks() {
    let mut pool = pool(32);
    let mut log = OutputLog::new(1, pool.take_own().unwrap(), 16);
    through(&mut pool, &mut log, 3_000_000);
    log.close(&mut pool, false);
    assert_eq!(pool.free(), 32);
}

#[test]
fn a_stream_makes_do_with_its_own_chunk_when_the_pool_is_short() {
    let mut pool = pool(8);
    let mut log = OutputLog::new(1, pool.take_own().unwrap(), 16);
    let taken: Vec<u32> = (0..7).map(|_| pool.take_own().unwrap()).collect();
    through(&mut pool, &mut log, 500_000);
    taken.into_iter().for_each(|slot| pool.give_back(slot));
    log.close(&mut pool, false);
    assert_eq!(pool.free(), 8);
}

#[test]
fn a_log_takes_no_more_than_its_bound() {
    let mut pool = pool(64);
    let mut log = OutputLog::new(1, pool.take_own().unwrap(), 3);
    let (reader, mut writer) = pipe();
    let bytes = vec![1; CHUNK_BYTES];
    while log.fill(&mut pool, reader.as_fd(), u64::MAX) != Filled::Full {
        let _ = writer.write(&bytes);
    }
    assert_eq!(log.end(), 3 * CHUNK);
    assert_eq!(log.fill(&mut pool, reader.as_fd(), u64::MAX), Filled::Full);
    assert_eq!(
        log.acknowledge(&mut pool, u64::MAX),
        0,
        "of what nobody was told"
    );
    assert_eq!(log.take_new_chunks().len(), 3);
    assert_eq!(log.acknowledge(&mut pool, u64::MAX), 3 * CHUNK);
    assert_ne!(log.fill(&mut pool, reader.as_fd(), u64::MAX), Filled::Full);
    assert_eq!(log.acknowledge(&mut pool, 0), 0);
}

#[test]
fn a_read_takes_no_more_than_it_was_told_to() {
    let mut pool = pool(64);
    let mut log = OutputLog::new(1, pool.take_own().unwrap(), 3);
    let (reader, mut writer) = pipe();
    writer.write_all(b"what it wrote, and more").unwrap();
    assert_eq!(log.fill(&mut pool, reader.as_fd(), 13), Filled::Bytes(13));
    assert_eq!(log.fill(&mut pool, reader.as_fd(), 0), Filled::Empty);
    drop(writer);
    assert_eq!(log.fill(&mut pool, reader.as_fd(), 100), Filled::Bytes(10));
    assert_eq!(log.fill(&mut pool, reader.as_fd(), 100), Filled::End);
}

#[test]
fn stdin_is_exact_through_reused_chunks() {
    let mut pool = pool(64);
    let view = crate::pool::StdinView::map(pool.share(true).unwrap(), 64).unwrap();
    let mut log = InputLog::new(pool.take_own().unwrap(), 16);
    let (mut reader, writer) = pipe();
    let bytes = pattern(3, 1_500_000);
    let (mut scratch, mut seen) = (vec![0; CHUNK_BYTES], Vec::new());
    let mut buffer = vec![0; 50_000];
    loop {
        let arrived = log.arrived();
        if let Some(chunk) = log
            .chunks()
            .into_iter()
            .find(|it| it.number == arrived / CHUNK)
        {
            let until = bytes.len().min(((chunk.number + 1) * CHUNK) as usize);
            let part = &bytes[arrived as usize..until];
            assert!(view.write(chunk.slot, (arrived % CHUNK) as usize, part));
            log.arrive(until as u64);
        }
        if log.arrived() == bytes.len() as u64 {
            log.finish(log.arrived());
        }
        let written = log.write_to(&mut pool, writer.as_fd(), &mut scratch);
        log.grant(&mut pool);
        let len = reader.read(&mut buffer).unwrap_or(0);
        seen.extend_from_slice(&buffer[..len]);
        if written == Written::End && len == 0 {
            break;
        }
    }
    assert_eq!(seen, bytes);
    let digest = log.digest();
    assert_eq!(
        (*digest.checksum, digest.bytes),
        (chained(&bytes), bytes.len() as u64)
    );
    assert!(digest.complete);
    log.close(&mut pool);
    assert_eq!(pool.free(), 64);
}

#[test]
fn stdin_that_cannot_be_true_is_clamped() {
    let mut pool = pool(64);
    let mut log = InputLog::new(pool.take_own().unwrap(), 16);
    log.arrive(u64::MAX);
    assert_eq!(log.arrived(), CHUNK);
    log.arrive(5);
    assert_eq!(log.arrived(), CHUNK);
    log.finish(3);
    let (_reader, writer) = pipe();
    let mut scratch = vec![0; CHUNK_BYTES];
    assert_eq!(
        log.write_to(&mut pool, writer.as_fd(), &mut scratch),
        Written::End
    );
    log.arrive(u64::MAX);
    assert_eq!(log.arrived(), CHUNK);
}

#[test]
fn a_child_that_reads_no_more_ends_stdin() {
    let mut pool = pool(64);
    let mut log = InputLog::new(pool.take_own().unwrap(), 16);
    log.arrive(10);
    let (reader, writer) = pipe();
    drop(reader);
    let mut scratch = vec![0; CHUNK_BYTES];
    assert_eq!(
        log.write_to(&mut pool, writer.as_fd(), &mut scratch),
        Written::Closed
    );
    assert!(!log.digest().complete);
}
