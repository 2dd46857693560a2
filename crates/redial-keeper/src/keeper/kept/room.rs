//! How much may be kept, of one job, of one user and of all.

use crate::quota::Quota;

/// What is left of the quota for all kept output.
#[derive(Debug)]
pub(in crate::keeper) struct Room {
    quota: Quota,
    /// Somebody waits for more.
    is_wanted: bool,
}

impl Room {
    pub(in crate::keeper) fn new(quota: u64, share: u64) -> Self {
        Self {
            quota: Quota::new(quota, share),
            is_wanted: false,
        }
    }

    /// A file of this user's has grown or shrunk.
    pub(in crate::keeper) fn change(&mut self, uid: u32, from: u64, to: u64) {
        self.quota.change(uid, from, to);
    }

    /// Somebody waits for more.
    pub(in crate::keeper) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Whether somebody does, who is now told that there may be.
    pub(in crate::keeper) fn take_wanted(&mut self) -> bool {
        std::mem::take(&mut self.is_wanted)
    }

    /// Bytes that may still be written for this user.
    pub(in crate::keeper) fn left(&self, uid: u32) -> u64 {
        self.quota.left(uid)
    }

    /// Whether it is this user's share that leaves least, not the quota.
    pub(in crate::keeper) fn is_share_short(&self, uid: u32) -> bool {
        self.quota.is_share_short(uid)
    }
}

/// Most bytes of output that take no more than `room` bytes of a file in so many pieces: each has
/// a head, and each block that is begun one of its own.
pub(super) fn fits(room: u64, pieces: usize) -> u64 {
    let heads = 4 * pieces as u64;
    // Two blocks may be begun whatever there is, and one for each 64 KiB.
    room.saturating_sub(heads + 128) / 65_536 * 65_472
        + (room.saturating_sub(heads + 128) % 65_536).saturating_sub(64)
}

/// Of a file, what so many bytes in so many pieces take at most.
pub(super) fn space(bytes: u64, pieces: usize) -> u64 {
    let blocks = bytes / 65_000 + 2;
    bytes + 4 * pieces as u64 + 64 * blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{OldestGo, SpoolWriter};
    use std::sync::Arc;

    #[test]
    fn what_fits_fits() {
        for room in [0, 100, 200, 1_000, 65_536, 65_700, 200_000, 1_000_000] {
            for start in [0_usize, 1, 60_000, 65_400, 65_499] {
                let file = Arc::new(tempfile::tempfile().unwrap());
                let mut writer = SpoolWriter::new(file, [0, 0]);
                let before = vec![1; start];
                let never = OldestGo::Never;
                writer
                    .append(&mut Vec::new(), [(1, &before[..])], never)
                    .unwrap();
                let used = writer.state().used();
                let fits = usize::try_from(fits(room, 2)).unwrap();
                let bytes = vec![1; fits];
                let (one, other) = bytes.split_at(fits / 3);
                writer
                    .append(&mut Vec::new(), [(1, one), (2, other)], never)
                    .unwrap();
                let more = writer.state().used() - used;
                assert!(more <= room, "{more} > {room} behind {start}");
                assert!(
                    more <= space(bytes.len() as u64, 2),
                    "{more} behind {start}"
                );
            }
        }
    }
}
