//! Whose processes they are: the passwd entry, and the environment built from it.
//!
//! Nothing of the keeper's own environment reaches a job but what this module
//! names, so an `LD_PRELOAD` set where the keeper was started stays there.

use core::ffi::{CStr, c_char};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::sync::LazyLock;
use std::{env, io, ptr};

mod barred;
mod user;

pub use barred::Barred;
pub use user::User;
pub(crate) use user::UserEntry;

/// The environment variable that names the job, and that marks its processes.
pub const JOB_MARK: &str = "REDIAL_JOB";

const ROOT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const USER_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
const LOGIN_LANG: &[u8] = b"C.UTF-8";
/// The group of an account that has no passwd entry and is not ours.
const NOGROUP: u32 = 65_534;
/// A passwd entry or group list that needs more than this is refused.
const ENTRY_BYTES_MAX: usize = 1024 * 1024;
/// The kernel's own limit (NGROUPS_MAX).
const GROUPS_MAX: usize = 65_536;

/// One line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name; the uid in decimal where there is no entry.
    pub name: Vec<u8>,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory, `/` where there is no entry.
    pub home: Vec<u8>,
    /// Login shell, `/bin/sh` where there is no entry or it is empty.
    pub shell: Vec<u8>,
}

impl Account {
    /// Looks `uid` up with getpwuid_r(3).
    ///
    /// A uid without an entry gets a plain account of its own. May block: the name
    /// service reads files or asks the network.
    ///
    /// # Errors
    /// The look-up itself failed (out of descriptors, name service down).
    pub fn of_uid(uid: u32) -> io::Result<Self> {
        Ok(Self::find_uid(uid)?.unwrap_or_else(|| Self::unnamed(uid)))
    }

    /// As [`Account::of_uid`]; none where there is no entry.
    ///
    /// # Errors
    /// As there.
    pub fn find_uid(uid: u32) -> io::Result<Option<Self>> {
        // SAFETY: the pointers are those that `find` has made for this call.
        find(|entry, buffer, len, found| unsafe {
            libc::getpwuid_r(uid, entry, buffer, len, found)
        })
    }

    /// Looks a name up with getpwnam_r(3); none where there is no such user.
    ///
    /// # Errors
    /// As [`Account::of_uid`].
    pub fn find_name(name: &[u8]) -> io::Result<Option<Self>> {
        let Ok(name) = CString::new(name) else {
            return Ok(None);
        };
        // SAFETY: as above, and a C string that lives as long.
        find(|entry, buffer, len, found| unsafe {
            libc::getpwnam_r(name.as_ptr(), entry, buffer, len, found)
        })
    }

    /// The account this process runs as (its effective user id).
    ///
    /// # Errors
    /// As [`Account::of_uid`].
    pub fn own() -> io::Result<Self> {
        Self::of_uid(rustix::process::geteuid().as_raw())
    }

    /// The groups this account belongs to, the primary one among them
    /// (getgrouplist(3)). May block, as [`Account::of_uid`].
    ///
    /// # Errors
    /// The name has a NUL inside, or the list is over the kernel's limit.
    pub fn groups(&self) -> io::Result<Vec<u32>> {
        let name = CString::new(self.name.as_slice())?;
        let mut groups: Vec<u32> = vec![0; 64];
        loop {
            let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
            // SAFETY: `count` is the length of `groups`; `name` is a C string.
            let result = unsafe {
                libc::getgrouplist(name.as_ptr(), self.gid, groups.as_mut_ptr(), &mut count)
            };
            if result >= 0 {
                groups.truncate(usize::try_from(count).unwrap_or(0));
                groups.sort_unstable();
                groups.dedup();
                return Ok(groups);
            }
            if groups.len() >= GROUPS_MAX {
                return Err(io::Error::from_raw_os_error(libc::EOVERFLOW));
            }
            groups.resize(groups.len() * 2, 0);
        }
    }

    fn unnamed(uid: u32) -> Self {
        let own = rustix::process::geteuid().as_raw() == uid;
        let gid = if own {
            rustix::process::getegid().as_raw()
        } else {
            NOGROUP
        };
        let name = uid.to_string().into_bytes();
        Self {
            name,
            uid,
            gid,
            home: b"/".to_vec(),
            shell: b"/bin/sh".to_vec(),
        }
    }

    /// # Safety
    /// The string fields of `entry` are null or C strings.
    unsafe fn from_entry(entry: &libc::passwd) -> Self {
        let text = |field: *mut c_char, otherwise: &[u8]| {
            if field.is_null() {
                return otherwise.to_vec();
            }
            // SAFETY: not null, so a C string, by the caller's word.
            let field = unsafe { CStr::from_ptr(field) }.to_bytes();
            if field.is_empty() {
                otherwise.to_vec()
            } else {
                field.to_vec()
            }
        };
        Self {
            name: text(entry.pw_name, entry.pw_uid.to_string().as_bytes()),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            home: text(entry.pw_dir, b"/"),
            shell: text(entry.pw_shell, b"/bin/sh"),
        }
    }
}

/// Asks for an entry of passwd(5), with as much room as it needs.
fn find(
    mut ask: impl FnMut(
        *mut libc::passwd,
        *mut c_char,
        libc::size_t,
        *mut *mut libc::passwd,
    ) -> libc::c_int,
) -> io::Result<Option<Account>> {
    let mut buffer: Vec<c_char> = vec![0; 1024];
    loop {
        // SAFETY: `passwd` is a C struct of integers and pointers; zero is valid.
        let mut entry: libc::passwd = unsafe { core::mem::zeroed() };
        let mut found = ptr::null_mut();
        match ask(&mut entry, buffer.as_mut_ptr(), buffer.len(), &mut found) {
            libc::ERANGE if buffer.len() < ENTRY_BYTES_MAX => buffer.resize(buffer.len() * 2, 0),
            libc::EINTR => {}
            // What the name services say for "no such user", besides 0.
            0 | libc::ENOENT | libc::ESRCH if found.is_null() => return Ok(None),
            // SAFETY: found, so the fields point at C strings in `buffer`.
            0 => return Ok(Some(unsafe { Account::from_entry(&entry) })),
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// The environment of a job of `account`: built, not inherited.
///
/// `mark` is the job's id and always wins. `term` is the terminal's type, where
/// there is one. `asked` comes last and wins over all but the mark; whether it is
/// allowed is the caller's affair. When the keeper runs as that account, PATH,
/// LANG, LC_* and TZ are the keeper's own; else a login's defaults.
pub fn environment(
    account: &Account,
    mark: &[u8],
    term: Option<&[u8]>,
    asked: &[(Vec<u8>, Vec<u8>)],
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let own = rustix::process::geteuid().as_raw() == account.uid;
    let inherited: &[Variable] = if own { &OURS } else { &[] };
    build(account, mark, term, asked, inherited)
}

/// A name and its value.
type Variable = (Vec<u8>, Vec<u8>);

/// The environment we were started with, which nothing here changes: read once, not for every job.
static OURS: LazyLock<Vec<Variable>> = LazyLock::new(|| {
    env::vars_os()
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .collect()
});

fn build(
    account: &Account,
    mark: &[u8],
    term: Option<&[u8]>,
    asked: &[Variable],
    inherited: &[Variable],
) -> Vec<Variable> {
    // The mark comes first: who walks /proc reads no further to find it.
    let mut built = vec![(JOB_MARK.as_bytes().to_vec(), mark.to_vec())];
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    let mut set = |name, value: &[u8]| {
        if name == JOB_MARK.as_bytes() {
            return;
        }
        match places.entry(name) {
            Entry::Occupied(place) => built[*place.get()].1 = value.to_vec(),
            Entry::Vacant(place) => {
                place.insert(built.len());
                built.push((name.to_vec(), value.to_vec()));
            }
        }
    };
    set(b"HOME", &account.home);
    set(b"USER", &account.name);
    set(b"LOGNAME", &account.name);
    set(b"SHELL", &account.shell);
    set(
        b"PATH",
        if account.uid == 0 {
            ROOT_PATH
        } else {
            USER_PATH
        },
    );
    set(b"LANG", LOGIN_LANG);
    for (name, value) in inherited.iter().filter(|(name, _)| is_passed_on(name)) {
        set(name, value);
    }
    if let Some(term) = term {
        set(b"TERM", term);
    }
    for (name, value) in asked {
        set(name, value);
    }
    built
}

fn is_passed_on(name: &[u8]) -> bool {
    matches!(name, b"PATH" | b"LANG" | b"TZ") || name.starts_with(b"LC_")
}

#[cfg(test)]
mod tests;
