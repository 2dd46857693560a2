//! Signals as descriptors. Only the binary decides that they are taken this way.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

/// A signalfd(2) that is readable once SIGTERM or SIGINT has arrived, again for
/// each further one.
///
/// Blocks both in this thread, and so in those it starts: call it before any other
/// thread runs. SIGHUP is ignored from now on. Children that [`crate::spawn`]
/// starts get an empty mask and default dispositions.
///
/// # Errors
/// Out of descriptors.
pub fn termination() -> io::Result<OwnedFd> {
    // SAFETY: no handler is installed; ignoring a signal has no precondition.
    if unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    blocked(&[libc::SIGTERM, libc::SIGINT])
}

/// A signalfd(2) for SIGCHLD, which is blocked in this thread and those it starts.
pub(crate) fn child_exits() -> io::Result<OwnedFd> {
    blocked(&[libc::SIGCHLD])
}

/// Takes everything that is pending, so that the descriptor is readable no more.
/// Says how many signals that were.
pub(crate) fn drain(signals: &OwnedFd) -> usize {
    let mut buffer = [0_u8; 8 * size_of::<libc::signalfd_siginfo>()];
    let mut count = 0;
    while let Ok(len) = rustix::io::read(signals, &mut buffer) {
        count += len / size_of::<libc::signalfd_siginfo>();
        if len < buffer.len() {
            break;
        }
    }
    count
}

fn blocked(signals: &[i32]) -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for &signal in signals {
        // SAFETY: an initialised set and a valid signal number.
        unsafe { libc::sigaddset(&mut set, signal) };
    }
    // SAFETY: as above; the old mask is not asked for.
    let errno = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) };
    if errno != 0 {
        return Err(io::Error::from_raw_os_error(errno));
    }
    // SAFETY: -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
