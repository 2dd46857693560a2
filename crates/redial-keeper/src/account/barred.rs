//! Accounts that are there, and may not log in: what other ways in refuse, this one does.
//!
//! A command here may run without its user's shell. So a shell that stands for "no login", or for
//! "this program only", would be no bar at all: its user is not let in (shells(5), as
//! pam_shells(8) has it). An account that has expired (shadow(5)) and /etc/nologin (nologin(5)) are
//! obeyed as login(1) and sshd(8) do.

use core::ffi::{c_char, c_long};
use std::ffi::CString;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use minicbor::{Decode, Encode};

use super::{Account, ENTRY_BYTES_MAX};

const SHELLS: &str = "/etc/shells";
const NOLOGIN: &str = "/etc/nologin";
/// Where there is no such file (getusershell(3)).
const USUAL_SHELLS: &str = "/bin/sh\n/bin/csh\n";
/// In that file, but made to keep their user to some commands; argv would step round them.
const RESTRICTED: [&[u8]; 17] = [
    b"rbash",
    b"rksh",
    b"rksh93",
    b"rmksh",
    b"rzsh",
    b"git-shell",
    b"scponly",
    b"rssh",
    b"lshell",
    b"mysecureshell",
    // Some systems list these.
    b"nologin",
    b"false",
    b"true",
    b"sync",
    b"halt",
    b"shutdown",
    b"reboot",
];
const SECONDS_A_DAY: u64 = 86_400;

/// Why an account is not let in.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Barred {
    /// Its shell is none that may be logged in with.
    #[n(0)]
    #[error("its shell {0} is not for logging in: not in /etc/shells, or a restricted one")]
    Shell(#[n(0)] String),
    /// Its last day has gone by.
    #[n(1)]
    #[error("the account has expired")]
    Expired,
    /// Nobody but root logs in now.
    #[n(2)]
    #[error("/etc/nologin is there")]
    NoLogin,
}

impl Account {
    /// Why it may not log in now, if so. Only root can see all of it; may block.
    ///
    /// # Errors
    /// It cannot be found out, which is no yes.
    pub fn barred(&self) -> io::Result<Option<Barred>> {
        let listed = match fs::read(SHELLS) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => USUAL_SHELLS.to_owned(),
            Err(error) => return Err(error),
        };
        if !is_usual_shell(&self.shell, &listed) {
            let shell = String::from_utf8_lossy(&self.shell).into_owned();
            return Ok(Some(Barred::Shell(shell)));
        }
        if has_expired(last_day(&self.name)?, today()) {
            return Ok(Some(Barred::Expired));
        }
        let closed = self.uid != 0 && Path::new(NOLOGIN).try_exists()?;
        Ok(closed.then_some(Barred::NoLogin))
    }
}

fn is_usual_shell(shell: &[u8], listed: &str) -> bool {
    let name = shell.rsplit(|byte| *byte == b'/').next();
    let is_restricted = name.is_some_and(|name| RESTRICTED.contains(&name));
    let lines = listed.lines().map(str::trim);
    let mut paths = lines.filter(|line| line.starts_with('/'));
    !is_restricted && paths.any(|path| path.as_bytes() == shell)
}

/// Days since 1970 (shadow(5), field 8).
fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() / SECONDS_A_DAY)
}

/// That day is the first on which it is of no use any more, as for sshd and pam_unix(8).
fn has_expired(last: Option<c_long>, today: u64) -> bool {
    last.and_then(|day| u64::try_from(day).ok())
        .is_some_and(|day| today >= day)
}

/// When the account expires; none where nothing says that it does.
fn last_day(name: &[u8]) -> io::Result<Option<c_long>> {
    let name = CString::new(name)?;
    let mut buffer: Vec<c_char> = vec![0; 1024];
    loop {
        // SAFETY: `spwd` is a C struct of integers and pointers; zero is valid.
        let mut entry: libc::spwd = unsafe { core::mem::zeroed() };
        let mut found = core::ptr::null_mut();
        // SAFETY: every pointer is to a live local, and the length is the buffer's.
        let errno = unsafe {
            libc::getspnam_r(
                name.as_ptr(),
                &mut entry,
                buffer.as_mut_ptr(),
                buffer.len(),
                &mut found,
            )
        };
        match errno {
            libc::ERANGE if buffer.len() < ENTRY_BYTES_MAX => buffer.resize(buffer.len() * 2, 0),
            libc::EINTR => {}
            0 | libc::ENOENT | libc::ESRCH if found.is_null() => return Ok(None),
            0 => return Ok((entry.sp_expire >= 0).then_some(entry.sp_expire)),
            errno => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_for_logging_in_when_it_is_listed_and_not_restricted() {
        let listed = "# valid shells\n/bin/sh\n /bin/bash \n/bin/rbash\n\nnone\n";
        for shell in ["/bin/sh", "/bin/bash"] {
            assert!(is_usual_shell(shell.as_bytes(), listed), "{shell}");
        }
        for shell in [
            "/usr/sbin/nologin",
            "/bin/false",
            "/bin/rbash",
            "/usr/bin/git-shell",
            "sh",
            "none",
            "",
            "/bin/sh ",
        ] {
            assert!(!is_usual_shell(shell.as_bytes(), listed), "{shell}");
        }
        for listed in ["/usr/bin/git-shell", "/usr/sbin/nologin", "/bin/false"] {
            assert!(!is_usual_shell(listed.as_bytes(), listed));
        }
    }

    #[test]
    fn an_account_expires_on_its_day() {
        assert!(!has_expired(None, 20_000));
        assert!(!has_expired(Some(20_001), 20_000));
        assert!(has_expired(Some(20_000), 20_000));
        assert!(has_expired(Some(0), 20_000));
    }
}
