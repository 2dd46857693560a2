//! Receiving a file that was sent with its length before it: whole, or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use redial_frame::{Framing, HeaderFormat};
use rustix::event::{PollFd, PollFlags};
use tempfile::{Builder, NamedTempFile};

use super::line::{Got, Hearing, Line, PIECE, poll_until};
use super::put::file_error;
use super::request::{cut_off, read_header};
use super::{Framed, QUIET, RemoteError, Wire, reply};
use crate::address::Endpoint;
use crate::listen::Listener;

/// How a file is received.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveSettings {
    /// The form of its length, and of the answer's.
    pub header: HeaderFormat,
    /// The largest file that is taken, in bytes.
    pub max_size: u64,
    /// What becomes of a file that is there already.
    pub overwrite: Overwrite,
    /// A sender from whom nothing comes for so long is given up.
    pub patience: Duration,
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// It stays, and that is an error.
    Refuse,
    /// It is replaced, once the new one is whole.
    Replace,
}

/// Takes callers, one after the other, until one of them has sent a whole file, which is then
/// `target`; the result is its length in bytes. It is written beside `target` under another name
/// and renamed, so that nobody ever sees half of it. Who fails is answered in words, named to
/// `failed`, and leaves nothing behind.
///
/// # Errors
/// [`RemoteError::File`] if `target` cannot be written, which is found out before anybody calls;
/// [`RemoteError::Stopped`]; [`RemoteError::Io`] when the listener is of no use.
pub fn receive(
    listener: &Listener,
    target: &Path,
    settings: &ReceiveSettings,
    stop: BorrowedFd<'_>,
    failed: &mut dyn FnMut(&Endpoint, &RemoteError),
) -> Result<u64, RemoteError> {
    check_target(target, settings.overwrite)?;
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(stop, PollFlags::IN),
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
        ];
        poll_until(&mut fds, None)?;
        if !fds[0].revents().is_empty() {
            return Err(RemoteError::Stopped);
        }
        let (stream, from) = match listener.accept() {
            Ok(caller) => caller,
            Err(error) if is_callers(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let line = Line::new(stream, Some(stop));
        match take(&line, target, settings) {
            Ok(length) => return Ok(length),
            Err(RemoteError::Stopped) => return Err(RemoteError::Stopped),
            Err(error) => {
                failed(&from, &error);
                refuse(&line, settings.header, &error);
            }
        }
    }
}

/// The caller's failure, not the listener's (accept(2)).
fn is_callers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted)
}

fn take(line: &Line<'_>, target: &Path, settings: &ReceiveSettings) -> Result<u64, RemoteError> {
    let most = usize::try_from(settings.max_size).unwrap_or(usize::MAX);
    let framing = Framing::new(settings.header).with_max_payload(most);
    let patience = Some(settings.patience);
    let length = read_header(line, &framing, patience)?.ok_or(RemoteError::NoAnswer)?;
    let mut file = beside(target)?;
    let (mut buffer, mut left) = (vec![0; PIECE], length);
    while left > 0 {
        let most = left.min(buffer.len());
        match line.read(&mut buffer[..most], patience)? {
            Got::Bytes(count) => {
                let written = file.write_all(&buffer[..count]);
                written.map_err(|error| file_error(target, error))?;
                left -= count;
            }
            Got::End => return Err(cut_off(left)),
            Got::Quiet => return Err(RemoteError::Silent(settings.patience)),
        }
    }
    keep(file, target, settings.overwrite)?;
    // The file is there; a sender that has left without waiting does not change that.
    let stored = framing.header(0)?;
    if line
        .write_all(stored.as_ref(), Hearing::Deaf, patience)
        .is_ok()
    {
        line.say_goodbye();
    }
    Ok(length as u64)
}

/// A file of another name in the same directory, removed unless it is kept.
fn beside(target: &Path) -> Result<NamedTempFile, RemoteError> {
    // What tempfile says would name the other file too, which nobody has asked for.
    let mut cause = None;
    let made = Builder::new()
        .prefix(".redial-")
        .make_in(directory(target), |path| {
            // Its mode is any new file's: what the umask leaves.
            let opened = File::options().write(true).create_new(true).open(path);
            opened.inspect_err(|error| cause = error.raw_os_error())
        });
    made.map_err(|error| file_error(target, cause.map_or(error, io::Error::from_raw_os_error)))
}

/// On disk, under its name.
fn keep(file: NamedTempFile, target: &Path, overwrite: Overwrite) -> Result<(), RemoteError> {
    let failed = |error| file_error(target, error);
    file.as_file().sync_all().map_err(failed)?;
    check(target, overwrite)?;
    let renamed = match overwrite {
        Overwrite::Refuse => file.persist_noclobber(target),
        Overwrite::Replace => file.persist(target),
    };
    renamed.map_err(|error| failed(error.error))?;
    let directory = File::open(directory(target)).and_then(|directory| directory.sync_all());
    directory.map_err(failed)
}

/// Whether a file may become `target`: its directory can be written to, and what is there already
/// is a file that may be replaced. To be asked before somebody is told where to send.
///
/// # Errors
/// [`RemoteError::File`].
pub fn check_target(target: &Path, overwrite: Overwrite) -> Result<(), RemoteError> {
    check(target, overwrite)?;
    beside(target).map(drop)
}

fn check(target: &Path, overwrite: Overwrite) -> Result<(), RemoteError> {
    let wrong = |text: &str| Err(file_error(target, io::Error::other(text)));
    if target.file_name().is_none() {
        return wrong("names no file");
    }
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(file_error(target, error)),
        // A device or a link would be replaced by a file.
        Ok(there) if !there.is_file() => wrong("is there already, and is no regular file"),
        Ok(_) if overwrite == Overwrite::Refuse => wrong("is there already; --force replaces it"),
        Ok(_) => Ok(()),
    }
}

fn directory(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Tells the sender why not; it may be gone already.
fn refuse(line: &Line<'_>, header: HeaderFormat, error: &RemoteError) {
    let wire = Wire {
        framed: Framed::Reply,
        header,
        quiet: QUIET,
    };
    if reply::send_words(line, &wire, &error.to_string()).is_ok() {
        line.say_goodbye();
    }
}
