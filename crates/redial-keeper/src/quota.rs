//! Bytes that may be on a disk: of all, and of one user.

use std::collections::HashMap;

/// What is used of a quota. Where there are several users, each may have a share of it.
#[derive(Debug)]
pub(crate) struct Quota {
    all: u64,
    share: u64,
    used: u64,
    by_user: HashMap<u32, u64>,
}

impl Quota {
    pub(crate) fn new(all: u64, share: u64) -> Self {
        Self {
            all,
            share,
            used: 0,
            by_user: HashMap::new(),
        }
    }

    /// A file of this user's has grown or shrunk.
    pub(crate) fn change(&mut self, uid: u32, from: u64, to: u64) {
        let moved = |used: u64| used.saturating_sub(from).saturating_add(to);
        self.used = moved(self.used);
        let own = moved(self.of(uid));
        match own {
            0 => self.by_user.remove(&uid),
            own => self.by_user.insert(uid, own),
        };
    }

    /// Nothing is there.
    pub(crate) fn clear(&mut self) {
        (self.used, self.by_user) = (0, HashMap::new());
    }

    /// Bytes that may still be written for this user.
    pub(crate) fn left(&self, uid: u32) -> u64 {
        self.left_for_all().min(self.left_of_share(uid))
    }

    /// Whether it is this user's share that leaves least, not the quota.
    pub(crate) fn is_share_short(&self, uid: u32) -> bool {
        self.left_of_share(uid) < self.left_for_all()
    }

    fn of(&self, uid: u32) -> u64 {
        self.by_user.get(&uid).copied().unwrap_or(0)
    }

    fn left_for_all(&self) -> u64 {
        self.all.saturating_sub(self.used)
    }

    fn left_of_share(&self, uid: u32) -> u64 {
        self.share.saturating_sub(self.of(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_room_for_others() {
        let mut room = Quota::new(100, 50);
        room.change(1, 0, 40);
        assert_eq!((room.left(1), room.left(2)), (10, 50));
        room.change(1, 40, 50);
        assert!(room.left(1) == 0 && room.is_share_short(1));
        room.change(2, 0, 30);
        room.change(3, 0, 15);
        // Then it is the quota that is short.
        assert_eq!((room.left(3), room.left(1)), (5, 0));
        assert!(!room.is_share_short(3));
        room.change(1, 50, 0);
        assert_eq!((room.left(1), room.left(3)), (50, 35));
        assert_eq!(room.by_user.len(), 2);
        // Alone, one has all of it.
        assert_eq!(Quota::new(100, 100).left(1), 100);
    }
}
