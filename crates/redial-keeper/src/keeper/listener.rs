//! Unix sockets: made so that only their owner gets in, accepted without reading.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::config::{KeeperError, ManyUsers};
use super::upgrade::Inherited;
use crate::state::SocketState;

/// A socket that is listened on; removed when dropped.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Held as long as we serve: says that the socket is not a dead server's.
    lock: File,
    pub(super) admits: Admits,
    /// The service manager's: it goes on to listen when we have ended.
    is_passed: bool,
}

/// Who gets in on a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admits {
    /// Our own user, and root.
    Own,
    /// Everybody, but for the user that the front is.
    AllBut(u32),
    /// This user, and root.
    Only(u32),
}

impl Admits {
    pub(super) fn of(many: Option<&ManyUsers>) -> Self {
        many.map_or(Self::Own, |many| Self::AllBut(many.front.uid))
    }

    fn refuses(self, uid: u32) -> bool {
        match self {
            Self::Own => uid != own_uid() && uid != 0,
            Self::AllBut(front) => uid == front,
            Self::Only(one) => uid != one && uid != 0,
        }
    }

    /// Who may connect by the socket's mode.
    fn mode(self) -> u32 {
        match self {
            Self::Own => 0o600,
            // The rest is asked of who has come: a change of owner might not be allowed.
            Self::AllBut(_) | Self::Only(_) => 0o666,
        }
    }
}

/// Whether the server goes on without what it cannot have: one that has taken another program's
/// place has jobs to go on with, whatever has changed around it since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tolerant(pub(super) bool);

impl Tolerant {
    /// None, and a line in the log, for an error that is tolerated.
    pub(super) fn or_log<T>(
        self,
        result: Result<T, KeeperError>,
    ) -> Result<Option<T>, KeeperError> {
        match result {
            Err(error) if self.0 => {
                tracing::error!(%error, "the server goes on without that");
                Ok(None)
            }
            result => result.map(Some),
        }
    }
}

/// Who connected, as the kernel says (unix(7), SO_PEERCRED).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// 0 if it lives in a pid namespace of its own.
    pub(super) pid: u32,
}

/// What one accept came to.
#[derive(Debug)]
pub(super) enum Accepted {
    Connection(OwnedFd, Peer),
    /// Another user, with this uid: closed.
    Refused(u32),
    /// One of whom nothing is known, or for whom there was no descriptor: closed.
    Dropped,
    /// Nobody waits.
    Nobody,
    /// Out of descriptors, and no way to turn anyone away: come again later.
    Exhausted,
}

impl Listener {
    /// Takes the socket's lock, replaces a dead server's socket.
    pub(super) fn bind(path: &Path, admits: Admits) -> Result<Self, KeeperError> {
        let failed = |source| KeeperError::Listen {
            path: path.to_owned(),
            source,
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let about = fs::metadata(directory).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => KeeperError::NoDirectory {
                path: directory.to_owned(),
            },
            _ => failed(error),
        })?;
        if about.uid() != own_uid() || about.mode() & 0o022 != 0 {
            return Err(KeeperError::Directory {
                path: directory.to_owned(),
            });
        }
        let lock = locked(path)?;
        if fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket()) {
            fs::remove_file(path).map_err(failed)?;
        }
        let socket = UnixListener::bind(path).map_err(failed)?;
        let listener = Self {
            socket,
            path: path.to_owned(),
            lock,
            admits,
            is_passed: false,
        };
        // The directory keeps others out until this is done.
        fs::set_permissions(path, Permissions::from_mode(admits.mode())).map_err(failed)?;
        listener.socket.set_nonblocking(true).map_err(failed)?;
        Ok(listener)
    }

    /// Takes one over that the service manager has made, and its lock, for which another server may
    /// still have it.
    pub(super) fn adopt(path: &Path, socket: OwnedFd, admits: Admits) -> Result<Self, KeeperError> {
        Ok(Self {
            lock: locked(path)?,
            socket: socket.into(),
            path: path.to_owned(),
            admits,
            is_passed: true,
        })
    }

    /// For another program.
    pub(super) fn save(&self) -> SocketState {
        SocketState {
            path: self.path.as_os_str().as_bytes().to_vec().into(),
            socket: self.socket.as_raw_fd(),
            lock: self.lock.as_raw_fd(),
            is_passed: Some(self.is_passed),
        }
    }

    /// As it was saved; none if it is not there any more.
    pub(super) fn restore(state: &SocketState, fds: &mut Inherited) -> Option<Self> {
        let (socket, lock) = (fds.take(Some(state.socket))?, fds.take(Some(state.lock))?);
        Some(Self {
            socket: socket.into(),
            path: PathBuf::from(OsString::from_vec(state.path.to_vec())),
            lock: lock.into(),
            admits: Admits::Own,
            is_passed: state.is_passed == Some(true),
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the next who waits. Nothing is read from it.
    pub(super) fn accept(&self, reserve: &mut Reserve) -> Accepted {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(&self.socket, flags) {
            Ok(socket) => check_peer(socket, self.admits),
            Err(Errno::AGAIN) => Accepted::Nobody,
            Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                if reserve.turn_away(self.socket.as_fd()) {
                    Accepted::Dropped
                } else {
                    Accepted::Exhausted
                }
            }
            // Who had gone before we came; accept(2) names many more such errors.
            Err(_) => Accepted::Dropped,
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The lock's file stays: to remove it would let two servers hold "the" lock.
        if !self.is_passed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Only one server has it.
fn locked(path: &Path) -> Result<File, KeeperError> {
    let failed = |source| KeeperError::Listen {
        path: path.to_owned(),
        source,
    };
    let lock = lock_beside(path).map_err(failed)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => Err(KeeperError::AlreadyServed {
            path: path.to_owned(),
        }),
        Err(error) => Err(failed(error.into())),
    }
}

fn lock_beside(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW).open(name)
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn check_peer(socket: OwnedFd, admits: Admits) -> Accepted {
    let Ok(peer) = credentials(&socket) else {
        return Accepted::Dropped;
    };
    let uid = peer.uid;
    if admits.refuses(uid) {
        match admits {
            // Everybody may try, as often as they like.
            Admits::Only(_) => tracing::debug!(uid, "a connection of this user is refused"),
            _ => tracing::warn!(uid, "a connection of this user is refused"),
        }
        return Accepted::Refused(uid);
    }
    Accepted::Connection(socket, peer)
}

/// SO_PEERCRED, read here because rustix takes the pid to be no 0, which it is for who
/// lives in a pid namespace that we cannot see into.
fn credentials(socket: impl AsFd) -> io::Result<Peer> {
    let mut found = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: a live descriptor, a live struct of integers, and its length.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &mut len,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Peer {
        uid: found.uid,
        gid: found.gid,
        pid: u32::try_from(found.pid).unwrap_or(0),
    })
}

/// A descriptor kept for the day when there is none: given up to accept a
/// connection and close it, for else it would wait, and wake us, for ever.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    spare: Option<File>,
}

impl Reserve {
    pub(super) fn new() -> Self {
        Self {
            spare: File::open("/dev/null").ok(),
        }
    }

    /// False if that cannot be done either.
    pub(super) fn turn_away(&mut self, socket: BorrowedFd<'_>) -> bool {
        if self.spare.take().is_none() {
            *self = Self::new();
            return false;
        }
        let accepted = rustix::net::accept_with(socket, SocketFlags::CLOEXEC);
        let is_done = accepted.is_ok();
        drop(accepted);
        *self = Self::new();
        if is_done {
            tracing::warn!("out of descriptors: a connection is turned away");
        }
        is_done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_who_is_at_the_other_end() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = Peer {
            uid: own_uid(),
            gid: rustix::process::getegid().as_raw(),
            pid: std::process::id(),
        };
        assert_eq!(credentials(&ours).unwrap(), peer);
        assert!(credentials(File::open("/dev/null").unwrap()).is_err());
    }
}
