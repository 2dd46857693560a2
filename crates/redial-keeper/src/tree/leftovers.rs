//! Cgroups of keepers that died without removing theirs.
//!
//! A keeper holds a lock on its directory for as long as it lives, so a directory of
//! that name whose lock is free is a dead keeper's. What still runs in one is ended, as it
//! would have been with its keeper: its pipes are broken, and nobody can reach it any more.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::directory::{DEPTH_MAX, children, remove};

/// Another keeper may sweep our directory away before we have locked it.
const TRIES: u32 = 20;
/// How often, and how far apart, it is looked whether those who were killed are gone.
const END_LOOKS: u32 = 200;
const END_LOOK: Duration = Duration::from_millis(5);
/// Bytes of an instance's name: 16, in hex.
const NAME_BYTES: usize = 32;

/// Makes the directory and locks it. The lock goes with the descriptor.
pub(super) fn make_locked(path: &Path) -> io::Result<OwnedFd> {
    let mut tries = 0;
    loop {
        // Jobs may pass through, but not open it: who does could take the lock.
        std::fs::DirBuilder::new().mode(0o711).create(path)?;
        let locked = lock(path).and_then(|lock| is_at(&lock, path).map(|is| is.then_some(lock)));
        if let Ok(Some(lock)) = locked {
            return Ok(lock);
        }
        // Gone, or about to go; either way it is made anew.
        let _ = std::fs::remove_dir(path);
        tries += 1;
        if tries == TRIES {
            let lost = || io::Error::other("it is removed as soon as it is made");
            return Err(locked.err().unwrap_or_else(lost));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends what is left in the directories in `parent` of keepers that are dead, and removes them.
pub(super) fn sweep(parent: &Path) {
    let names = children(parent).unwrap_or_default();
    for path in names
        .iter()
        .filter(|it| it.file_name().is_some_and(is_ours))
    {
        let Ok(_lock) = lock(path) else { continue };
        if !is_empty(path) {
            tracing::warn!(path = %path.display(), "processes of a dead server's jobs are ended");
            end(path);
        }
        if let Err(error) = remove(path, DEPTH_MAX) {
            tracing::info!(path = %path.display(), %error, "a dead server's cgroup stays");
        }
    }
}

/// KILL to everybody in it, and waits until they are gone, but not for ever.
fn end(path: &Path) {
    if let Err(error) = std::fs::write(path.join("cgroup.kill"), "1") {
        tracing::warn!(path = %path.display(), %error, "they cannot be ended");
        return;
    }
    for _ in 0..END_LOOKS {
        if is_empty(path) {
            return;
        }
        std::thread::sleep(END_LOOK);
    }
}

/// `redial-` and an instance.
fn is_ours(name: &OsStr) -> bool {
    let instance = name.to_str().and_then(|name| name.strip_prefix("redial-"));
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    instance.is_some_and(|it| it.len() == NAME_BYTES && it.bytes().all(is_hex))
}

fn lock(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty())?;
    rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
    Ok(directory)
}

fn is_at(directory: &OwnedFd, path: &Path) -> io::Result<bool> {
    let (held, named) = (rustix::fs::fstat(directory)?, rustix::fs::stat(path)?);
    Ok((held.st_dev, held.st_ino) == (named.st_dev, named.st_ino))
}

/// When in doubt it is not.
fn is_empty(path: &Path) -> bool {
    let events = std::fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
    events.lines().any(|line| line == "populated 0")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::tree::CgroupRoot;
    use crate::tree::own_cgroup::own_directory;

    #[test]
    fn only_directories_named_after_an_instance_are_ours() {
        let name = "redial-0123456789abcdef0123456789abcdef";
        assert!(is_ours(OsStr::new(name)));
        for other in [
            "redial-",
            "redial-0",
            "redial.slice",
            &name[1..],
            &name.to_uppercase(),
        ] {
            assert!(!is_ours(OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn what_dead_keepers_left_is_ended_and_what_lives_stays() {
        let read = |path| std::fs::read(path).unwrap_or_default();
        let own = own_directory(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"));
        let parent = own.map(|own| own.join(format!("sweep-test-{}", std::process::id())));
        let parent = parent.filter(|parent| std::fs::create_dir(parent).is_ok());
        let Some(parent) = parent else {
            println!("skipped: no cgroup can be made here");
            return;
        };
        let instance = |digit: &str| digit.repeat(NAME_BYTES);
        let path = |digit: &str| parent.join(format!("redial-{}", instance(digit)));
        let below = |digit: &str| CgroupRoot::below(&parent, &instance(digit)).unwrap();
        let live = below("a");
        for dead in ["b", "c"] {
            std::fs::create_dir_all(path(dead).join("job-0/deeper")).unwrap();
        }
        let mut sleep = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        std::fs::write(path("c").join("job-0/cgroup.procs"), sleep.id().to_string()).unwrap();
        drop(below("d"));
        let is_there = |digit| path(digit).exists();
        let found = ["a", "b", "c", "d"].map(is_there);
        assert!(sleep.wait().unwrap().code().is_none(), "killed");
        assert_eq!(found, [true, false, false, false]);
        drop(live);
        std::fs::remove_dir(parent).unwrap();
    }
}
