//! One process as /proc shows it (proc(5)). What cannot be read is `None`: the
//! process has gone, or is not ours to see.

use std::cmp::Reverse;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};

use crate::account::JOB_MARK;

/// A walk sees no more than this: a fork bomb must not take our memory too.
const PROCESSES_MAX: usize = 65_536;
/// An environment is read this far; the mark comes first in what we start.
const ENVIRON_BYTES_MAX: u64 = 256 * 1024;
/// Descriptors looked at in one process, from 0 upwards.
const DESCRIPTORS_MAX: usize = 1_024;

/// Enough of /proc/PID/stat to tell a process and whose child it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// Clock ticks since boot: with the pid, it names one process for good.
    pub(super) started: u64,
    pub(super) is_zombie: bool,
}

impl Process {
    /// Its name for good.
    pub(super) fn key(&self) -> (i32, u64) {
        (self.pid, self.started)
    }
}

/// The process ids there are, the newest first: who lives but a moment must be
/// looked at in that moment.
pub(super) fn pids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut pids: Vec<i32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .take(PROCESSES_MAX)
        .collect();
    let newest = newest_pid().unwrap_or(i32::MAX);
    newest_first(&mut pids, newest);
    pids
}

/// Numbers are handed out in turn and then from the start again: what is above the
/// newest is from the round before.
fn newest_first(pids: &mut [i32], newest: i32) {
    pids.sort_unstable_by_key(|&pid| (pid > newest, Reverse(pid)));
}

/// The last number handed out: the last field of /proc/loadavg.
fn newest_pid() -> Option<i32> {
    let line = std::fs::read_to_string("/proc/loadavg").ok()?;
    line.split_ascii_whitespace().last()?.parse().ok()
}

pub(super) fn read(pid: i32) -> Option<Process> {
    /// Up to the start time there are 22 fields, most of them short.
    const STAT_BYTES: usize = 1_024;
    let mut bytes = [0; STAT_BYTES];
    let count = File::open(format!("/proc/{pid}/stat"))
        .ok()?
        .read(&mut bytes)
        .ok()?;
    parse_stat(pid, bytes.get(..count)?)
}

/// `pid (comm) state ppid pgrp session …`, where comm may hold anything.
fn parse_stat(pid: i32, stat: &[u8]) -> Option<Process> {
    let comm_end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(comm_end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let started = fields.nth(15)?.parse().ok()?;
    let is_zombie = matches!(state, "Z" | "X");
    Some(Process {
        pid,
        parent,
        group,
        session,
        started,
        is_zombie,
    })
}

/// Whether a process of this user's may signal it (kill(2)).
pub(super) fn may_be_signalled_by(uid: u32, pid: i32) -> bool {
    ids(pid).is_some_and(|(real, saved)| uid == real || uid == saved)
}

/// The user who may signal it: real and saved user id, where they are the same.
pub(super) fn owner(pid: i32) -> Option<u32> {
    let (real, saved) = ids(pid)?;
    (real == saved).then_some(real)
}

/// Real and saved user id.
fn ids(pid: i32) -> Option<(u32, u32)> {
    let status = read_start(pid, "status", 4_096)?;
    let line = status
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Uid:"))?;
    let mut ids = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (real, _effective, saved) = (ids.next()?, ids.next()?, ids.next()?);
    Some((real.parse().ok()?, saved.parse().ok()?))
}

/// What REDIAL_JOB in its environment says.
pub(super) fn mark(pid: i32) -> Option<Vec<u8>> {
    let environ = read_start(pid, "environ", ENVIRON_BYTES_MAX)?;
    let mut variables = environ.split(|&byte| byte == 0);
    let value = variables.find_map(|variable| {
        variable
            .strip_prefix(JOB_MARK.as_bytes())?
            .strip_prefix(b"=")
    });
    value.map(<[u8]>::to_vec)
}

/// Its short name, without the newline; at most 15 bytes of anything.
pub(super) fn name(pid: i32) -> Option<Vec<u8>> {
    let mut name = read_start(pid, "comm", 64)?;
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    Some(name)
}

/// Whose pipes it has open, each once, by what `owner_of` says of an inode; `to_write`, so that it
/// could write to them.
pub(super) fn held(
    pid: i32,
    to_write: bool,
    owner_of: impl Fn(u64) -> Option<usize>,
) -> Vec<usize> {
    let mut owners = Vec::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = rustix::fs::open(format!("/proc/{pid}/fd"), flags, Mode::empty()) else {
        return owners;
    };
    let entries = rustix::fs::Dir::read_from(&directory).into_iter().flatten();
    let mut link = Vec::new();
    // Cut short (the process went) is as good as what there is.
    for entry in entries.take(DESCRIPTORS_MAX + 2).map_while(Result::ok) {
        // "." and ".." are no links, and a descriptor may have been closed by now.
        let Ok(target) = rustix::fs::readlinkat(&directory, entry.file_name(), link) else {
            link = Vec::new();
            continue;
        };
        let may_write = || {
            let stat = rustix::fs::statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
            stat.is_ok_and(|stat| stat.st_mode & 0o200 != 0)
        };
        if let Some(owner) = pipe_of_link(target.to_bytes()).and_then(&owner_of)
            && !owners.contains(&owner)
            && (!to_write || may_write())
        {
            owners.push(owner);
        }
        link = target.into_bytes();
    }
    owners
}

/// `pipe:[INODE]`.
fn pipe_of_link(link: &[u8]) -> Option<u64> {
    let inode = link.strip_prefix(b"pipe:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inode).ok()?.parse().ok()
}

fn read_start(pid: i32, file: &str, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/{file}")).ok()?;
    // Cut short (the process went) is as good as what there is.
    let _ = file.take(limit).read_to_end(&mut bytes);
    Some(bytes)
}

/// Signals exactly this process, however its pid is used by now.
pub(super) fn signal(process: &Process, signal: i32) -> io::Result<()> {
    let gone = || io::Error::from_raw_os_error(libc::ESRCH);
    let pid = Pid::from_raw(process.pid).ok_or_else(gone)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    // The pidfd holds whatever had that pid; from here on it cannot change.
    if read(process.pid).is_none_or(|now| now.started != process.started) {
        return Err(gone());
    }
    signal_pidfd(&pidfd, signal)
}

/// pidfd_send_signal(2), for any signal number.
pub(super) fn signal_pidfd(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a live descriptor, a number and no pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            info,
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_confuse_the_parser() {
        let stat = b"7 (a) R 1 (b)) S 3 4 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 1000 2";
        let process = Process {
            pid: 7,
            parent: 3,
            group: 4,
            session: 5,
            started: 99,
            is_zombie: false,
        };
        assert_eq!(parse_stat(7, stat), Some(process));
        for cut in 0..stat.len() - 12 {
            assert_eq!(parse_stat(7, &stat[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn the_newest_come_first_also_after_the_numbers_have_wrapped() {
        let mut pids = [1, 7, 90, 99, 3];
        newest_first(&mut pids, 8);
        assert_eq!(pids, [7, 3, 1, 99, 90]);
        newest_first(&mut pids, i32::MAX);
        assert_eq!(pids, [99, 90, 7, 3, 1]);
    }

    #[test]
    fn we_find_ourselves() {
        let pid = std::process::id().cast_signed();
        let own = read(pid).expect("we are running");
        assert_eq!(
            own.parent,
            std::os::unix::process::parent_id().cast_signed()
        );
        assert!(pids().contains(&pid));
        assert_eq!(owner(pid), Some(rustix::process::getuid().as_raw()));
        assert!(name(pid).is_some_and(|name| !name.is_empty()));
    }

    #[test]
    fn a_pipe_is_found_by_its_inode_and_direction() {
        let pid = std::process::id().cast_signed();
        let (read_end, write_end) = rustix::pipe::pipe().expect("a pipe");
        let inode = super::super::pipe_inode(&read_end).expect("a pipe");
        assert_eq!(
            super::super::pipe_inode(&write_end).expect("the same"),
            inode
        );
        let held = |to_write| held(pid, to_write, |pipe| (pipe == inode).then_some(7));
        assert_eq!(held(true), [7]);
        drop(write_end);
        assert!(held(true).is_empty());
        assert_eq!(held(false), [7]);
        drop(read_end);
        assert!(held(false).is_empty());
    }
}
