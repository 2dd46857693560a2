//! A start that is under way, for who watches how long it takes.
//!
//! The thread that starts a process sleeps until that has its program. Its directory or program may be
//! on a file system that hangs, and the process is its user's already, who may stop it. So another
//! thread can end it.

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};

const NONE: RawFd = -1;

/// One for each thread that starts.
#[derive(Debug)]
pub(crate) struct InFlight {
    state: Mutex<State>,
    /// Written by the kernel, before the process runs.
    pidfd: AtomicI32,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    ended: bool,
}

impl Default for InFlight {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            pidfd: AtomicI32::new(NONE),
        }
    }
}

impl InFlight {
    /// A start begins; where the kernel is to put the pidfd.
    pub(super) fn begin(&self) -> *mut RawFd {
        self.pidfd.store(NONE, Ordering::SeqCst);
        *self.lock() = State {
            began: Some(Instant::now()),
            ended: false,
        };
        self.pidfd.as_ptr()
    }

    /// It is over: the pidfd, which is the caller's from now on, and whether it was ended from here.
    pub(super) fn finish(&self) -> (RawFd, bool) {
        let mut state = self.lock();
        state.began = None;
        (self.pidfd.swap(NONE, Ordering::SeqCst), state.ended)
    }

    /// Ends it, if it takes longer than that.
    pub(crate) fn end_if_longer(&self, limit: Duration) {
        let mut state = self.lock();
        let is_due = state.began.is_some_and(|began| began.elapsed() > limit);
        let pidfd = self.pidfd.load(Ordering::SeqCst);
        if !is_due || state.ended || pidfd < 0 {
            return;
        }
        // SAFETY: whoever closes it takes it in `finish` first, which waits for this lock.
        let process = unsafe { BorrowedFd::borrow_raw(pidfd) };
        state.ended = pidfd_send_signal(process, Signal::KILL).is_ok();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is whole after every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use crate::account::Account;
    use crate::spawn::{Program, SpawnRequest, SpawnStage, Spawner};

    use super::*;

    /// Who executes a file under a lease waits for who has the lease (fcntl(2), F_SETLEASE).
    #[test]
    fn a_start_that_hangs_is_ended_by_another_thread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        std::fs::copy("/bin/true", &path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let held = File::options().read(true).write(true).open(&path).unwrap();
        // SAFETY: nobody in this program wants to hear of it; then numbers only.
        let leased = unsafe {
            libc::signal(libc::SIGIO, libc::SIG_IGN);
            libc::fcntl(held.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
        };
        if leased != 0 {
            println!("skipped: no leases on this file system");
            return;
        }
        let mut spawner = Spawner::new().unwrap();
        let in_flight = spawner.in_flight();
        let program = Program::Argv(vec![path.as_os_str().as_bytes().to_vec()]);
        let account = Arc::new(Account::own().unwrap());
        let mut request = SpawnRequest::new(program, account);
        request.cwd = Some(b"/".to_vec());
        let starting = std::thread::spawn(move || spawner.spawn(&request).map(drop));
        while !starting.is_finished() {
            in_flight.end_if_longer(Duration::from_millis(50));
            std::thread::yield_now();
        }
        let error = starting.join().unwrap().unwrap_err();
        assert_eq!(
            (error.stage, error.errno),
            (SpawnStage::Hung, libc::ETIMEDOUT)
        );
        // Nothing of it is left, and the next is watched anew.
        in_flight.end_if_longer(Duration::ZERO);
    }
}
