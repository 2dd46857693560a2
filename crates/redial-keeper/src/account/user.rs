//! A user as whom jobs run, where a server has several.

use std::io;
use std::sync::Arc;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::Account;
use crate::spawn::Identity;

/// An account with all its groups: looked up once, so that both are of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its line of passwd(5).
    pub account: Arc<Account>,
    /// All its groups, the primary one among them.
    pub groups: Vec<u32>,
}

impl User {
    /// With its groups as the name service has them. May block.
    ///
    /// # Errors
    /// As [`Account::groups`].
    pub fn of(account: Account) -> io::Result<Self> {
        Ok(Self {
            groups: account.groups()?,
            account: Arc::new(account),
        })
    }

    /// Who a process of this user's is to be.
    pub fn identity(&self) -> Identity {
        Identity {
            uid: self.account.uid,
            gid: self.account.gid,
            groups: self.groups.clone(),
        }
    }

    /// The login name, for logs.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.account.name).into_owned()
    }
}

/// A user as one process tells another.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct UserEntry {
    #[n(0)]
    name: ByteVec,
    #[n(1)]
    uid: u32,
    #[n(2)]
    gid: u32,
    #[n(3)]
    groups: Vec<u32>,
    #[n(4)]
    home: ByteVec,
    #[n(5)]
    shell: ByteVec,
}

impl UserEntry {
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }
}

impl From<&User> for UserEntry {
    fn from(user: &User) -> Self {
        let account = &user.account;
        Self {
            name: account.name.clone().into(),
            uid: account.uid,
            gid: account.gid,
            groups: user.groups.clone(),
            home: account.home.clone().into(),
            shell: account.shell.clone().into(),
        }
    }
}

impl From<UserEntry> for User {
    fn from(entry: UserEntry) -> Self {
        let account = Account {
            name: entry.name.into(),
            uid: entry.uid,
            gid: entry.gid,
            home: entry.home.into(),
            shell: entry.shell.into(),
        };
        Self {
            account: Arc::new(account),
            groups: entry.groups,
        }
    }
}
