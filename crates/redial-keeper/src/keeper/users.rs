//! Whose jobs a server runs: those of its own user, or, as root, those of many.

use std::collections::HashMap;
use std::sync::Arc;

use super::config::ManyUsers;
use super::logins::Logins;
use super::time::Millis;
use crate::account::User;
use crate::login::Whose;

/// For so long what was found out of a user is taken for granted on Unix sockets. The groups of a
/// process do not change either while it lives.
const KNOWN_MS: u64 = 10_000;
/// Users of whom something is remembered.
const MAX_KNOWN: usize = 1_024;
/// Connections of one user that wait for it to be looked up; a local flood.
const MAX_WAITING_OF_ONE: usize = 8;
/// Longest login name (login.defs(5); the kernel and utmp have less).
const MAX_NAME_BYTES: usize = 256;

/// Who may have jobs here.
#[derive(Debug)]
pub(super) enum Users {
    /// The user that we are.
    Own,
    Many(ManyUsers),
}

impl Users {
    pub(super) fn are_many(&self) -> bool {
        matches!(self, Self::Many(_))
    }

    /// Whose files are to be read for who says that this is its name.
    pub(super) fn whose(&self, name: &str) -> Whose {
        match self {
            Self::Own => Whose::Own,
            // What is no name belongs to nobody: the uid that setresuid(2) takes for "none".
            Self::Many(_) if !is_name(name) => Whose::Uid(u32::MAX),
            Self::Many(_) => Whose::Named(name.to_owned()),
        }
    }

    /// Why this user gets no jobs here, though the system lets it log in.
    pub(super) fn refuses(&self, user: &User) -> Option<&'static str> {
        let Self::Many(many) = self else {
            return None;
        };
        self.refuses_uid(user.account.uid).or_else(|| {
            let is_fronts = user.account.gid == many.front.gid && many.front.gid != 0;
            is_fronts.then_some("its group is that of the process that talks to the network")
        })
    }

    /// The same, by the uid alone.
    pub(super) fn refuses_uid(&self, uid: u32) -> Option<&'static str> {
        match self {
            Self::Many(many) if uid == many.front.uid => {
                Some("that is the user of the process that talks to the network")
            }
            Self::Many(many) if uid == 0 && !many.allow_root => {
                Some("this server runs nothing as root (serve --allow-root)")
            }
            _ => None,
        }
    }
}

/// Who may have jobs, and who finds out who somebody is.
pub(super) struct People {
    pub(super) users: Arc<Users>,
    /// Where somebody has to be looked up.
    pub(super) logins: Option<Logins>,
    pub(super) known: KnownUsers,
    /// It was said how far the front has shut itself in.
    pub(super) told_confinement: bool,
}

#[cfg(feature = "simulation")]
impl People {
    /// One user, whom nobody has to look up.
    pub(super) fn alone() -> Self {
        Self {
            users: Arc::new(Users::Own),
            logins: None,
            known: KnownUsers::default(),
            told_confinement: false,
        }
    }
}

fn is_name(name: &str) -> bool {
    let odd = |byte: u8| byte.is_ascii_control() || byte == b':' || byte == b'/';
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.bytes().any(odd)
}

/// Users who were looked up a moment ago, by uid.
#[derive(Debug, Default)]
pub(super) struct KnownUsers {
    known: HashMap<u32, (Option<Arc<User>>, Millis)>,
    /// Connections that wait for a user to be looked up.
    waiting: HashMap<u32, usize>,
}

impl KnownUsers {
    /// Who that is, if it was found out a moment ago; or that it is nobody who may come in.
    pub(super) fn find(&self, uid: u32, now: Millis) -> Option<Option<Arc<User>>> {
        let (user, until) = self.known.get(&uid)?;
        (*until > now).then(|| user.clone())
    }

    /// It was found out.
    pub(super) fn add(&mut self, uid: u32, user: Option<&Arc<User>>, now: Millis) {
        if self.known.len() >= MAX_KNOWN {
            self.known.retain(|_, (_, until)| *until > now);
        }
        if self.known.len() < MAX_KNOWN {
            self.known.insert(uid, (user.cloned(), now + KNOWN_MS));
        }
    }

    /// One more connection waits for it; false where enough do.
    pub(super) fn wait(&mut self, uid: u32) -> bool {
        let waiting = self.waiting.entry(uid).or_default();
        let may = *waiting < MAX_WAITING_OF_ONE;
        *waiting += usize::from(may);
        may
    }

    /// One less.
    pub(super) fn has_waited(&mut self, uid: u32) {
        if let Some(waiting) = self.waiting.get_mut(&uid) {
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                self.waiting.remove(&uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::spawn::Identity;

    fn user(uid: u32, gid: u32) -> Arc<User> {
        let account = Account {
            name: b"ada".to_vec(),
            uid,
            gid,
            home: b"/".to_vec(),
            shell: b"/bin/sh".to_vec(),
        };
        let (account, groups) = (Arc::new(account), vec![gid]);
        Arc::new(User { account, groups })
    }

    fn many(allow_root: bool) -> Users {
        let front = Identity {
            uid: 900,
            gid: 901,
            groups: vec![901],
        };
        Users::Many(ManyUsers { front, allow_root })
    }

    #[test]
    fn neither_root_nor_the_front_has_jobs() {
        for (uid, gid, refused) in [
            (1000, 1000, false),
            (0, 0, true),
            (900, 1000, true),
            (1000, 901, true),
        ] {
            let why = many(false).refuses(&user(uid, gid));
            assert_eq!(why.is_some(), refused, "{uid} {gid}");
            assert_eq!(Users::Own.refuses(&user(uid, gid)), None);
        }
        assert_eq!(many(true).refuses(&user(0, 0)), None);
    }

    #[test]
    fn what_is_no_name_is_nobodys() {
        let many = many(false);
        assert_eq!(many.whose("ada"), Whose::Named("ada".to_owned()));
        for name in ["", "a\0", "a:b", "../a", &"x".repeat(257)] {
            assert_eq!(many.whose(name), Whose::Uid(u32::MAX), "{name:?}");
        }
        assert_eq!(Users::Own.whose(""), Whose::Own);
    }

    #[test]
    fn who_was_looked_up_is_known_for_a_moment() {
        let mut known = KnownUsers::default();
        known.add(7, Some(&user(7, 7)), 5);
        known.add(9, None, 5);
        assert_eq!(known.find(7, 5 + KNOWN_MS - 1), Some(Some(user(7, 7))));
        assert_eq!(known.find(9, 5 + KNOWN_MS - 1), Some(None));
        assert_eq!(known.find(7, 5 + KNOWN_MS), None);
        assert_eq!(known.find(8, 5), None);
        for uid in 0..2_000 {
            known.add(uid, Some(&user(uid, 7)), 6 + KNOWN_MS);
        }
        assert!(known.known.len() <= MAX_KNOWN);
    }

    #[test]
    fn so_many_connections_of_one_user_wait_and_no_more() {
        let mut known = KnownUsers::default();
        for _ in 0..MAX_WAITING_OF_ONE {
            assert!(known.wait(7));
        }
        assert!(!known.wait(7) && known.wait(8));
        known.has_waited(7);
        assert!(known.wait(7));
        known.has_waited(8);
        assert!(!known.waiting.contains_key(&8));
    }
}
