//! Shared memory and its chunks.

use std::collections::HashSet;
use std::os::fd::OwnedFd;

use super::*;

#[test]
fn what_one_side_writes_the_other_reads() {
    let pool = Mapping::create("test", 4).unwrap();
    let view = StdinView::map(pool.share(true).unwrap(), 4).unwrap();
    assert!(view.write(3, CHUNK_BYTES - 3, b"end"));
    let mut bytes = [0; 3];
    assert!(pool.copy_out(3, CHUNK_BYTES - 3, &mut bytes));
    assert_eq!(&bytes, b"end");
    let output = OutputView::map(pool.share(false).unwrap(), 4).unwrap();
    assert_eq!(
        output.slice(3, CHUNK_BYTES - 3..CHUNK_BYTES).unwrap(),
        b"end"
    );
}

#[test]
fn nothing_lies_past_a_chunk_or_the_pool() {
    let pool = Mapping::create("test", 2).unwrap();
    let view = OutputView::map(pool.share(false).unwrap(), 2).unwrap();
    assert!(view.slice(1, 0..CHUNK_BYTES).is_some());
    assert!(view.slice(1, 0..CHUNK_BYTES + 1).is_none());
    assert!(view.slice(2, 0..0).is_none());
    #[expect(clippy::reversed_empty_ranges)]
    let reversed = view.slice(0, 5..4);
    assert!(reversed.is_none());
    let view = StdinView::map(pool.share(true).unwrap(), 2).unwrap();
    assert!(!view.write(0, CHUNK_BYTES, b"x"));
    assert!(!view.write(0, usize::MAX, b"x"));
    assert!(!view.write(u32::MAX, 0, b"x"));
}

#[test]
fn the_output_descriptor_of_the_front_cannot_write() {
    let pool = Mapping::create("test", 1).unwrap();
    assert!(StdinView::map(pool.share(false).unwrap(), 1).is_err());
    assert!(rustix::io::write(pool.share(false).unwrap(), b"x").is_err());
}

#[test]
fn memory_of_another_size_or_that_could_shrink_is_refused() {
    let pool = Mapping::create("test", 2).unwrap();
    assert!(OutputView::map(pool.share(false).unwrap(), 3).is_err());
    assert!(OutputView::map(pool.share(false).unwrap(), 0).is_err());
    let flags = rustix::fs::MemfdFlags::CLOEXEC | rustix::fs::MemfdFlags::ALLOW_SEALING;
    let unsealed: OwnedFd = rustix::fs::memfd_create("test", flags).unwrap();
    rustix::fs::ftruncate(&unsealed, CHUNK_BYTES as u64).unwrap();
    assert!(OutputView::map(unsealed, 1).is_err());
}

#[test]
fn a_punched_chunk_costs_no_memory() {
    let pool = Mapping::create("test", 4).unwrap();
    let shared = pool.share(true).unwrap();
    let blocks = || rustix::fs::fstat(&shared).unwrap().st_blocks;
    assert_eq!(blocks(), 0);
    let view = StdinView::map(pool.share(true).unwrap(), 4).unwrap();
    view.write(2, 0, &[1; CHUNK_BYTES]);
    assert!(blocks() > 0);
    pool.punch(2).unwrap();
    assert_eq!(blocks(), 0);
}

#[test]
fn used_chunks_are_used_again_first_and_those_nobody_wants_cool_down() {
    let mut slots = Slots::new(16);
    let mut taken: Vec<u32> = (0..4).map(|_| slots.take().unwrap()).collect();
    taken.iter().for_each(|&slot| slots.give_back(slot));
    // They have come since: perhaps they are wanted again at once.
    assert_eq!(slots.cool_unwanted(9), (vec![], false));
    let kept = [slots.take(), slots.take()];
    assert_eq!(kept, [taken.pop(), taken.pop()]);
    kept.iter()
        .flatten()
        .for_each(|&slot| slots.give_back(slot));
    // Two were there all the time.
    assert_eq!(slots.cool_unwanted(1), (vec![taken[0]], true));
    assert_eq!(slots.cool_unwanted(1), (vec![taken[1]], false));
    assert_eq!((slots.warm(), slots.free()), (2, 16));
    // Nobody has wanted the others since.
    assert_eq!(
        slots.cool_unwanted(9),
        (kept.into_iter().flatten().collect(), false)
    );
    assert_eq!((slots.warm(), slots.free()), (0, 16));
    while slots.take().is_some() {}
    assert!(slots.is_short());
}

#[test]
fn memory_of_another_program_that_nobody_wants_goes_back_some_at_a_time() {
    let made = Pool::create("test", 400 * CHUNK_BYTES as u64).unwrap();
    let shared = made.share(true).unwrap();
    let view = StdinView::map(made.share(true).unwrap(), 400).unwrap();
    (0..400).for_each(|slot| assert!(view.write(slot, 0, &[1; CHUNK_BYTES])));
    let blocks = || rustix::fs::fstat(&shared).unwrap().st_blocks.unsigned_abs();
    let all = blocks();
    let used = HashSet::from([0]);
    let mut pool = Pool::adopt(made.share(true).unwrap(), 400, &used).unwrap();
    let mut now = 5_000;
    let (mut steps, mut before) = (0, all);
    while let Some(due) = pool.cool(now) {
        assert!(due > now && due <= now + 1_000);
        now = due;
        steps += 1;
        assert!(before - blocks() <= all / 3);
        before = blocks();
    }
    assert!(steps >= 4, "{steps} steps");
    // Whose chunk is in use keeps it.
    assert_eq!(blocks(), all / 400);
}
