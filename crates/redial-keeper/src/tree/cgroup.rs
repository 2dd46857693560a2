//! A cgroup v2 for each job (cgroups(7), and the kernel's admin-guide/cgroup-v2).
//!
//! The keeper makes one directory below its own cgroup, and jobs get directories
//! in that. Making and removing one costs 200 µs, so an empty one is used again.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags};

use super::controllers::{self, Handed, Unlimited};
use super::directory::{DEPTH_MAX, children, collect_pids, remove};
use super::own_cgroup::own_directory;
use super::{leftovers, process};
use crate::state::CgroupState;
use crate::wire::Resources;

/// Directories at once, for jobs and for what outlives them.
pub(super) const CGROUPS_MAX: usize = 4_096;
/// Empty ones kept for the next jobs.
const FREE_MAX: usize = 64;
/// Ones that were still in use when their job ended, looked at again per start.
const CHECKED_PER_START: usize = 4;
/// How long the end of killed processes is waited for when all is removed.
const REMOVE_TIME: Duration = Duration::from_secs(2);
/// Descriptors open at once while processes are signalled.
const PIDFDS_MAX: usize = 128;
/// Rounds of signalling, each to those who came during the one before.
const ROUNDS_MAX: usize = 64;

/// Why jobs get no cgroup here; for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no cgroup for jobs: {0}")]
pub struct CgroupUnavailable(String);

/// The keeper's directory of job cgroups. What is in it dies when it is dropped.
#[derive(Debug)]
pub struct CgroupRoot {
    path: PathBuf,
    /// Held as long as this keeper lives, see `leftovers`.
    lock: OwnedFd,
    made: u64,
    present: usize,
    free: Vec<JobCgroup>,
    /// Given back while something still ran in them.
    populated: VecDeque<JobCgroup>,
    /// Controllers that jobs can be limited by, once somebody has asked for a limit.
    handed: Option<Handed>,
}

impl CgroupRoot {
    /// Makes `redial-INSTANCE` below the cgroup this process is in.
    ///
    /// # Errors
    /// There is no cgroup v2, or we may not make or use one.
    pub fn discover(instance: &str) -> Result<Self, CgroupUnavailable> {
        let read = |path| {
            std::fs::read(path).map_err(|error| CgroupUnavailable(format!("{path}: {error}")))
        };
        let mounts = read("/proc/self/mountinfo")?;
        let own = read("/proc/self/cgroup")?;
        let parent = own_directory(&mounts, &own)
            .ok_or_else(|| CgroupUnavailable("cgroup v2 is not mounted here".into()))?;
        Self::below(&controllers::without_own(parent), instance)
    }

    /// Makes `redial-INSTANCE` in the cgroup directory `parent`, and removes what dead
    /// keepers have left there.
    ///
    /// # Errors
    /// As [`CgroupRoot::discover`].
    pub fn below(parent: &Path, instance: &str) -> Result<Self, CgroupUnavailable> {
        let refused = |path: &Path, error: io::Error| {
            CgroupUnavailable(format!("{}: {error}", path.display()))
        };
        // To be born in another cgroup takes write access to where both meet.
        let meeting = parent.join("cgroup.procs");
        rustix::fs::accessat(
            rustix::fs::CWD,
            &meeting,
            Access::WRITE_OK,
            AtFlags::EACCESS,
        )
        .map_err(|error| refused(&meeting, error.into()))?;
        let path = parent.join(format!("redial-{instance}"));
        let lock = leftovers::make_locked(&path).map_err(|error| refused(&path, error))?;
        leftovers::sweep(parent);
        let (free, populated, handed) = Default::default();
        Ok(Self {
            path,
            lock,
            made: 0,
            present: 0,
            free,
            populated,
            handed,
        })
    }

    /// For another program in this process's place: where it is, its lock, directories made.
    pub(crate) fn save(&self) -> CgroupState {
        CgroupState {
            path: self.path.as_os_str().as_bytes().to_vec().into(),
            lock: self.lock.as_raw_fd(),
            made: self.made,
        }
    }

    /// As it was saved. What is in it and no job's, was given back with something running in it.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn adopt(
        path: PathBuf,
        lock: OwnedFd,
        made: u64,
        used: &HashSet<PathBuf>,
    ) -> io::Result<Self> {
        let all = children(&path)?;
        let idle = all.iter().filter(|path| !used.contains(*path));
        let populated = idle
            .filter_map(|path| JobCgroup::adopt(path).ok())
            .collect();
        Ok(Self {
            path,
            lock,
            made,
            present: all.len(),
            free: Vec::new(),
            populated,
            handed: None,
        })
    }

    /// An empty cgroup for one job, with these limits; it is no other's after that.
    ///
    /// # Errors
    /// Why it cannot be limited.
    pub(crate) fn acquire_limited(&mut self, limits: &Resources) -> Result<JobCgroup, Unlimited> {
        let parent = self.path.parent().unwrap_or(&self.path);
        let handed = self
            .handed
            .get_or_insert_with(|| Handed::down(parent, &self.path));
        let handed = handed.clone();
        let mut cgroup = self
            .make()
            .map_err(|error| Unlimited(format!("no cgroup to limit the job by: {error}")))?;
        // Before it is limited: half limited, it is no other's either.
        cgroup.is_limited = true;
        match handed.limit(&cgroup.path, limits) {
            Ok(()) => Ok(cgroup),
            Err(unlimited) => {
                self.release(cgroup);
                Err(unlimited)
            }
        }
    }

    /// An empty cgroup for one job; give it back with [`CgroupRoot::release`].
    ///
    /// # Errors
    /// Too many are in use (EDQUOT), or one cannot be made.
    pub fn acquire(&mut self) -> io::Result<JobCgroup> {
        for _ in 0..CHECKED_PER_START.min(self.populated.len()) {
            if let Some(cgroup) = self.populated.pop_front() {
                self.release(cgroup);
            }
        }
        match self.free.pop() {
            Some(cgroup) => Ok(cgroup),
            None => self.make(),
        }
    }

    fn make(&mut self) -> io::Result<JobCgroup> {
        if self.present >= CGROUPS_MAX {
            return Err(io::Error::from_raw_os_error(libc::EDQUOT));
        }
        let path = self.path.join(format!("job-{}", self.made));
        self.made += 1;
        std::fs::create_dir(&path)?;
        let cgroup = JobCgroup::open(&path).inspect_err(|_| {
            // Out of descriptors, say: it must not be there uncounted.
            let _ = std::fs::remove_dir(&path);
        })?;
        self.present += 1;
        Ok(cgroup)
    }

    /// Takes a job's cgroup back. If something still runs in it, it stays as it is
    /// and is used again once that has ended.
    pub fn release(&mut self, cgroup: JobCgroup) {
        // When in doubt it is in use: a job must never be born among strangers.
        if cgroup.populated().unwrap_or(true) {
            self.populated.push_back(cgroup);
        } else if self.free.len() < FREE_MAX && cgroup.may_serve_again() {
            self.free.push(cgroup);
        } else if remove(&cgroup.path, DEPTH_MAX).is_ok() {
            self.present -= 1;
        } else {
            self.populated.push_back(cgroup);
        }
    }

    /// Kills what is left in any of the jobs' cgroups, and removes them all, this
    /// root included. Waits for the killed ones, some seconds at most.
    ///
    /// # Errors
    /// Something would not go.
    pub fn remove_all(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + REMOVE_TIME;
        loop {
            let _ = std::fs::write(self.path.join("cgroup.kill"), "1");
            match remove(&self.path, DEPTH_MAX) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if Instant::now() > deadline => return Err(error),
                // Killed, but not quite gone: the kernel tells nobody when.
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        self.free.clear();
        self.populated.clear();
        if let Some(parent) = self.path.parent().filter(|_| self.handed.is_some()) {
            controllers::move_back(parent);
        }
        Ok(())
    }
}

impl Drop for CgroupRoot {
    fn drop(&mut self) {
        if let Err(error) = self.remove_all() {
            tracing::warn!(path = %self.path.display(), %error, "a cgroup is left behind");
        }
    }
}

/// One job's cgroup.
#[derive(Debug)]
#[must_use = "to be given back with CgroupRoot::release"]
pub struct JobCgroup {
    path: PathBuf,
    directory: Arc<OwnedFd>,
    /// `cgroup.events`, kept open: it is read at the end of each job.
    events: OwnedFd,
    /// Then no job may be born in it any more: since Linux 6.14 a fork compares how
    /// often the parent's cgroup was killed with how often the child's was, where the
    /// two differ, and kills the child. (6.18 still does.)
    was_killed: AtomicBool,
    /// It was limited for one job.
    is_limited: bool,
}

impl JobCgroup {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = Arc::new(rustix::fs::open(path, flags, Mode::empty())?);
        let events = rustix::fs::openat(
            &directory,
            "cgroup.events",
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            events,
            was_killed: AtomicBool::new(false),
            is_limited: false,
        })
    }

    /// One of another program's. Whether it was ever killed is not known: nobody is born in it.
    pub(crate) fn adopt(path: &Path) -> io::Result<Self> {
        let cgroup = Self::open(path)?;
        cgroup.was_killed.store(true, Ordering::Relaxed);
        Ok(cgroup)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For [`crate::spawn::SpawnRequest::cgroup`].
    pub fn fd(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.directory)
    }

    fn may_serve_again(&self) -> bool {
        !self.is_limited && !self.was_killed.load(Ordering::Relaxed)
    }

    /// Whether the kernel has ended processes in it for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        controllers::oom_kills(&self.path) > 0
    }

    /// Whether a process lives in it or below (a zombie does not count).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn populated(&self) -> io::Result<bool> {
        let mut events = [0; 256];
        let len = rustix::io::pread(&self.events, &mut events, 0)?;
        Ok(!events[..len]
            .split(|&byte| byte == b'\n')
            .any(|line| line == b"populated 0"))
    }

    /// The processes in it and below.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn pids(&self) -> io::Result<Vec<i32>> {
        let mut pids = Vec::new();
        collect_pids(&self.path, DEPTH_MAX, &mut pids)?;
        Ok(pids)
    }

    /// Kills every process in it and below, also those being forked. Says how many
    /// there were just before.
    ///
    /// # Errors
    /// It cannot be done.
    pub fn kill(&self) -> io::Result<usize> {
        if !self.populated()? {
            return Ok(0);
        }
        let count = self.pids()?.len();
        self.was_killed.store(true, Ordering::Relaxed);
        match std::fs::write(self.path.join("cgroup.kill"), "1") {
            // Before Linux 5.14.
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.signal(libc::SIGKILL),
            result => result.map(|()| count),
        }
    }

    /// Sends `signal` to each process in it and below, until none is new. Says how
    /// many got it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn signal(&self, signal: i32) -> io::Result<usize> {
        let mut done = HashSet::new();
        let mut signalled = 0;
        for _ in 0..ROUNDS_MAX {
            let mut pids = self.pids()?;
            pids.retain(|pid| done.insert(*pid));
            if pids.is_empty() {
                break;
            }
            // The oldest first (but for a wrap of the numbers): a script must not see
            // its commands die before it gets the signal itself.
            pids.sort_unstable();
            for some in pids.chunks(PIDFDS_MAX) {
                signalled += self.signal_some(some, signal)?;
            }
        }
        Ok(signalled)
    }

    fn signal_some(&self, pids: &[i32], signal: i32) -> io::Result<usize> {
        let open = |pid| rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok();
        let held: Vec<_> = pids
            .iter()
            .filter_map(|pid| Some((*pid, open(*pid)?)))
            .collect();
        // Who is still listed now that a pidfd holds it is the process that is ours.
        let listed: HashSet<i32> = self.pids()?.into_iter().collect();
        let ours = held.iter().filter(|(pid, _)| listed.contains(pid));
        Ok(ours
            .filter(|(_, pidfd)| process::signal_pidfd(pidfd, signal).is_ok())
            .count())
    }
}

#[cfg(test)]
mod tests;
