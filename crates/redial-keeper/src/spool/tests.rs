//! What was written is read, from anywhere, whatever happened to the file.

use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn file() -> std::fs::File {
    tempfile::tempfile().unwrap()
}

fn bytes(stream: u8, from: u64, len: usize) -> Vec<u8> {
    let byte = |at: u64| (at.wrapping_mul(31) ^ (at >> 8) ^ u64::from(stream)) as u8;
    (from..from + len as u64).map(byte).collect()
}

fn reader(writer: &SpoolWriter) -> SpoolReader {
    SpoolReader::new(OwnedFd::from(writer.file().try_clone().unwrap()))
}

/// Appends pieces whose bytes follow from their offsets.
fn append(writer: &mut SpoolWriter, pieces: &[(u8, usize)], oldest_go: OldestGo) {
    let mut at = writer.state().ends();
    let made = |&(stream, len): &(u8, usize)| {
        let from = &mut at[usize::from(stream) - 1];
        let made = bytes(stream, *from, len);
        *from += len as u64;
        (stream, made)
    };
    let made: Vec<(u8, Vec<u8>)> = pieces.iter().map(made).collect();
    let lent = made.iter().map(|(stream, bytes)| (*stream, &bytes[..]));
    writer.append(&mut Vec::new(), lent, oldest_go).unwrap();
}

fn read_all(reader: &mut SpoolReader, state: &SpoolState) -> Vec<Bytes> {
    let mut all = Vec::new();
    loop {
        let more = reader.next(state).unwrap();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// From these offsets on, without gap, and as they were written.
fn check(found: &[Bytes], mut at: [u64; 2], state: &SpoolState) {
    for piece in found {
        let next = &mut at[usize::from(piece.stream) - 1];
        assert_eq!(piece.offset, *next);
        assert_eq!(piece.bytes, bytes(piece.stream, *next, piece.bytes.len()));
        *next += piece.bytes.len() as u64;
    }
    assert_eq!(at, state.ends());
}

proptest! {
    #[test]
    fn what_was_appended_is_read_from_any_offsets_on(
        begin in [0_u64..100_000, 0_u64..100_000],
        appends in proptest::collection::vec(
            proptest::collection::vec((1_u8..=2, 1_usize..90_000), 1..5), 1..8),
        from in [0.0..1.0, 0.0..1.0_f64],
    ) {
        let mut writer = SpoolWriter::new(Arc::new(file()), begin);
        for pieces in &appends {
            append(&mut writer, pieces, OldestGo::Never);
        }
        let state = writer.state();
        check(&read_all(&mut reader(&writer), &state), begin, &state);
        let mut wanted = begin;
        for (at, (end, part)) in wanted.iter_mut().zip(state.ends().into_iter().zip(from)) {
            *at += ((end - *at) as f64 * part) as u64;
        }
        let mut second = reader(&writer);
        second.want(wanted);
        check(&read_all(&mut second, &state), wanted, &state);
        prop_assert_eq!(SpoolReader::find_state(writer.file()).unwrap(), state);
    }
}

#[test]
fn the_order_in_which_pieces_came_is_kept() {
    let mut writer = SpoolWriter::new(Arc::new(file()), [0, 0]);
    append(&mut writer, &[(1, 3), (2, 4), (1, 5)], OldestGo::Never);
    append(&mut writer, &[(1, 1), (2, 1)], OldestGo::Never);
    let found = read_all(&mut reader(&writer), &writer.state());
    let order: Vec<_> = found.iter().map(|it| (it.stream, it.bytes.len())).collect();
    assert_eq!(order, [(1, 3), (2, 4), (1, 6), (2, 1)]);
}

#[test]
fn a_reader_at_the_end_goes_on_when_more_is_written() {
    let mut writer = SpoolWriter::new(Arc::new(file()), [0, 0]);
    let mut follower = reader(&writer);
    let mut at = [0, 0];
    for len in [1, 70_000, 20, 65_000] {
        append(&mut writer, &[(1, len), (2, 3)], OldestGo::Never);
        let state = writer.state();
        check(&read_all(&mut follower, &state), at, &state);
        at = state.ends();
    }
}

#[test]
fn the_oldest_go_by_blocks_and_the_rest_is_found() {
    let mut writer = SpoolWriter::new(Arc::new(file()), [0, 0]);
    for _ in 0..40 {
        append(
            &mut writer,
            &[(1, 10_000), (2, 500)],
            OldestGo::Beyond(3 * BLOCK_BYTES),
        );
        let state = writer.state();
        assert!(state.used() <= 4 * BLOCK_BYTES, "{state:?}");
        check(
            &read_all(&mut reader(&writer), &state),
            state.oldest(),
            &state,
        );
    }
    let state = writer.state();
    assert!(state.oldest_stdout > 0 && state.oldest_stderr > 0);
    assert_eq!(SpoolReader::find_state(writer.file()).unwrap(), state);
}

#[test]
fn a_reader_that_is_overtaken_goes_on_behind_what_went() {
    let mut writer = SpoolWriter::new(Arc::new(file()), [0, 0]);
    append(&mut writer, &[(1, 100)], OldestGo::Never);
    let mut slow = reader(&writer);
    assert_eq!(slow.next(&writer.state()).unwrap()[0].bytes.len(), 100);
    append(&mut writer, &[(1, 500_000)], OldestGo::Beyond(BLOCK_BYTES));
    let state = writer.state();
    let rest = read_all(&mut slow, &state);
    assert_eq!(rest[0].offset, state.oldest_stdout);
    check(&rest, state.oldest(), &state);
}

#[test]
fn a_few_last_bytes_are_found_without_reading_the_rest() {
    let mut writer = SpoolWriter::new(Arc::new(file()), [0, 0]);
    append(&mut writer, &[(1, 900_000), (2, 900_000)], OldestGo::Never);
    let state = writer.state();
    let at = reader(&writer).before_end(70_000, &state).unwrap();
    let left: u64 = state.ends().iter().zip(at).map(|(end, at)| end - at).sum();
    assert!((70_000..70_000 + BLOCK_BYTES).contains(&left), "{left}");
    assert_eq!(
        reader(&writer).before_end(u64::MAX, &state).unwrap(),
        [0, 0]
    );
}

#[test]
fn what_a_dead_writer_left_half_written_is_not_there() {
    let mut writer = SpoolWriter::new(Arc::new(file()), [0, 0]);
    append(&mut writer, &[(1, 1_000)], OldestGo::Never);
    let state = writer.state();
    // The head of a frame of 500 bytes, and some of them.
    let torn = [&[1_u8, 0, 1, 244][..], &[7; 100]].concat();
    writer.file().write_all_at(&torn, state.len).unwrap();
    assert_eq!(SpoolReader::find_state(writer.file()).unwrap(), state);
    let nothing = SpoolReader::find_state(&file()).unwrap();
    assert_eq!(nothing, SpoolState::default());
}

#[test]
fn a_damaged_block_is_passed_over_and_the_offsets_say_so() {
    let mut writer = SpoolWriter::new(Arc::new(file()), [0, 0]);
    append(&mut writer, &[(1, 300_000)], OldestGo::Never);
    writer.file().write_all_at(&[0; 8], BLOCK_BYTES).unwrap();
    let found = read_all(&mut reader(&writer), &writer.state());
    let body = BLOCK_BYTES - (HEADER_BYTES + FRAME_BYTES) as u64;
    assert_eq!(found[1].offset, 2 * body);
    assert_eq!(found[1].bytes, bytes(1, 2 * body, found[1].bytes.len()));
}
