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
    dispose(libc::SIGHUP, libc::SIG_IGN)?;
    blocked(&[libc::SIGTERM, libc::SIGINT])
}

/// A signalfd(2) that is readable once SIGHUP has arrived; call it after [`termination`], before
/// any other thread runs.
///
/// # Errors
/// Out of descriptors.
pub fn hangup() -> io::Result<OwnedFd> {
    dispose(libc::SIGHUP, libc::SIG_DFL)?;
    blocked(&[libc::SIGHUP])
}

/// A signalfd(2) for SIGCHLD, which is blocked in this thread and those it starts.
///
/// Who started us may have left it ignored, and then the kernel reaps our children
/// and tells nobody how they ended.
pub(crate) fn child_exits() -> io::Result<OwnedFd> {
    dispose(libc::SIGCHLD, libc::SIG_DFL)?;
    blocked(&[libc::SIGCHLD])
}

/// Writing to a pipe that nobody reads is an error, not our death, whatever the
/// binary has set. Children get the default back.
pub(crate) fn ignore_sigpipe() -> io::Result<()> {
    dispose(libc::SIGPIPE, libc::SIG_IGN)
}

/// The same for a file that grows beyond RLIMIT_FSIZE.
pub(crate) fn ignore_sigxfsz() -> io::Result<()> {
    dispose(libc::SIGXFSZ, libc::SIG_IGN)
}

fn dispose(signal: i32, to: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: `to` is one of the kernel's own dispositions, so no handler is installed.
    if unsafe { libc::signal(signal, to) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes what is pending, so that the descriptor is readable no more. Of one signal
/// there is at most one record, however often it was sent.
pub(crate) fn drain(signals: &OwnedFd) {
    let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
    // Nothing to read is as well.
    let _ = rustix::io::read(signals, &mut record);
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
