//! How large the pipes of busy outputs are made.
//!
//! What a pipe holds is read at once: the more that is, the fewer are the times that writer,
//! keeper, front and client wake each other. But a pipe is memory of the kernel's, and counts
//! against what a user may have in pipes (pipe(7), pipe-user-pages-soft: 64 MiB, after which
//! all new ones are tiny). So there is a sum for all, and nobody takes more than a part of what
//! is left of it.

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use crate::log::MAX_READ_BYTES;
use crate::pool::CHUNK_BYTES;

/// For all enlarged pipes: half of what a user may have.
const SUM_BYTES: usize = 32 * 1024 * 1024;
/// One takes at most this part of what is left: 16 are as large as can be, the next 16 half of
/// that.
const PART: usize = 16;

/// What is left for pipes to be enlarged.
#[derive(Debug, Clone)]
pub(super) struct PipeRoom(Rc<Cell<usize>>);

impl Default for PipeRoom {
    fn default() -> Self {
        Self(Rc::new(Cell::new(SUM_BYTES)))
    }
}

/// The size of a pipe that is busy, and what it has taken of the sum until it is dropped.
#[derive(Debug)]
pub(super) struct Capacity {
    bytes: usize,
    taken: usize,
    room: PipeRoom,
}

impl PipeRoom {
    /// Makes a pipe larger, if it may be (fcntl(2), F_SETPIPE_SZ).
    pub(super) fn enlarge(&self, pipe: BorrowedFd<'_>) -> Capacity {
        let wanted = largest_power_of_two(self.0.get() / PART).min(MAX_READ_BYTES);
        // Refused when the user has many large pipes: then it stays as it is.
        let enlarged = (wanted > CHUNK_BYTES)
            .then(|| rustix::pipe::fcntl_setpipe_size(pipe, wanted).ok())
            .flatten();
        let taken = enlarged.map_or(0, |bytes| bytes.min(self.0.get()));
        self.0.set(self.0.get() - taken);
        let bytes = enlarged.or_else(|| rustix::pipe::fcntl_getpipe_size(pipe).ok());
        Capacity {
            bytes: bytes.unwrap_or(CHUNK_BYTES),
            taken,
            room: self.clone(),
        }
    }
}

impl Capacity {
    /// What one read brings at most.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.min(MAX_READ_BYTES)
    }
}

impl Drop for Capacity {
    fn drop(&mut self) {
        self.room.0.set(self.room.0.get() + self.taken);
    }
}

fn largest_power_of_two(most: usize) -> usize {
    most.checked_ilog2().map_or(0, |log| 1 << log)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn busy(room: &PipeRoom, pipes: usize) -> Vec<(std::os::fd::OwnedFd, Capacity)> {
        let make = |_| {
            let (reader, _) = rustix::pipe::pipe().unwrap();
            let capacity = room.enlarge(reader.as_fd());
            (reader, capacity)
        };
        (0..pipes).map(make).collect()
    }

    /// One test, not several at once: all pipes of this user count together.
    #[test]
    fn few_pipes_are_as_large_as_a_read_many_take_no_more_than_the_sum_and_give_it_back() {
        let room = PipeRoom::default();
        let few = busy(&room, 8);
        assert!(few.iter().all(|(_, it)| it.bytes() == MAX_READ_BYTES));
        let many = busy(&room, 200);
        let all = || few.iter().chain(&many);
        let sum: usize = all().map(|(_, it)| it.taken).sum();
        assert!(sum <= SUM_BYTES && room.0.get() == SUM_BYTES - sum);
        let actual: usize = all()
            .map(|(pipe, _)| rustix::pipe::fcntl_getpipe_size(pipe).unwrap())
            .filter(|bytes| *bytes > CHUNK_BYTES)
            .sum();
        assert_eq!(actual, sum, "what is taken is what the kernel has given");
        // Or less: it makes new pipes tiny where this user's other processes have many.
        let (_, last) = many.last().unwrap();
        assert!((1..=CHUNK_BYTES).contains(&last.bytes()));
        drop((few, many));
        assert_eq!(room.0.get(), SUM_BYTES);
    }
}
