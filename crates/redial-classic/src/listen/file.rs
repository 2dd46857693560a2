//! The file of a Unix socket: made, replaced if its server is dead, removed.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::address::{Address, SocketError};

/// A socket file that is ours; removed when dropped, if it still is.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: a file of that name may be somebody else's by then.
    identity: Option<(u64, u64)>,
}

/// bind(2), in place of a dead server's file if there is one.
pub(super) fn bind(
    socket: &OwnedFd,
    path: &Path,
    address: &Address,
) -> Result<SocketFile, SocketError> {
    let place = |cause: io::Error| SocketError::Listen {
        address: address.clone(),
        cause,
    };
    let name = SocketAddrUnix::new(path).map_err(|error| place(error.into()))?;
    match rustix::net::bind(socket, &name) {
        Ok(()) => return Ok(SocketFile::at(path)),
        Err(Errno::ADDRINUSE) => {}
        Err(error) => return Err(place(error.into())),
    }
    // Two that find the same dead server's file: the second must not remove the first's.
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let lock = File::open(directory).map_err(place)?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(in_use(address)),
        Err(error) => return Err(place(error.into())),
    }
    let there = fs::symlink_metadata(path).map_err(place)?;
    if !there.file_type().is_socket() {
        let path = path.to_owned();
        return Err(SocketError::NoSocket { path });
    }
    if !is_dead(&name).map_err(place)? {
        return Err(in_use(address));
    }
    fs::remove_file(path).map_err(place)?;
    rustix::net::bind(socket, &name).map_err(|error| place(error.into()))?;
    Ok(SocketFile::at(path))
}

fn in_use(address: &Address) -> SocketError {
    let address = address.clone();
    SocketError::InUse { address }
}

/// Whether no socket is bound to this file any more. Asked with a datagram socket, so
/// that a server of streams is not even called: it is of the wrong type (EPROTOTYPE).
fn is_dead(name: &SocketAddrUnix) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    match rustix::net::connect(&probe, name) {
        // EPERM: a datagram socket that is connected to somebody else.
        Ok(()) | Err(Errno::PROTOTYPE | Errno::PERM) => Ok(false),
        Err(Errno::CONNREFUSED) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

impl SocketFile {
    fn at(path: &Path) -> Self {
        SocketFile {
            path: path.to_owned(),
            identity: identity(path),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // Who cannot remove it leaves it to the next server, which replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let about = fs::symlink_metadata(path).ok()?;
    Some((about.dev(), about.ino()))
}
