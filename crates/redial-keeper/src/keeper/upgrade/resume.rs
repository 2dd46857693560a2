//! Taking up what another program has handed over.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::super::config::KeeperError;
use super::super::ground::Ground;
use super::super::job::Job;
use super::super::listener::Listener;
use super::super::turn::Keeper;
use super::program::{STATE_VARIABLE, close_on_exec};
use crate::pool::Pool;
use crate::state::{CallerState, CgroupState, Fd, JobState, MAX_BYTES, PoolState, State};
use crate::tree::CgroupRoot;
use crate::wire::JobId;

/// Descriptors that are ours to take, each once. What is left is closed.
#[derive(Debug, Default)]
pub(in crate::keeper) struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// Every descriptor that the state names. Nobody else in this process has them: it has just begun.
    fn of(state: &State) -> io::Result<Self> {
        let own = |fd: RawFd| {
            // Which says whether it is open, too.
            close_on_exec(fd, true)?;
            // SAFETY: it is open, was left so for this, and the state names each but once.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        };
        let fds: io::Result<Vec<OwnedFd>> = state.fds().into_iter().map(own).collect();
        fds.map(Self)
    }

    /// The one with this number.
    pub(in crate::keeper) fn take(&mut self, fd: Option<Fd>) -> Option<OwnedFd> {
        use std::os::fd::AsRawFd;
        let at = self.0.iter().position(|it| Some(it.as_raw_fd()) == fd)?;
        Some(self.0.swap_remove(at))
    }
}

/// A state that was handed over, and what belongs to it.
#[derive(Debug)]
pub(in crate::keeper) struct Resumed {
    state: State,
    pub(in crate::keeper) fds: Inherited,
}

/// The state that the program before us has left, if there was one.
///
/// # Errors
/// It cannot be taken. Its jobs are lost then: their pipes break.
pub(in crate::keeper) fn take_state() -> Result<Option<Resumed>, KeeperError> {
    let Some(number) = std::env::var_os(STATE_VARIABLE) else {
        return Ok(None);
    };
    let taken = (|| {
        let wrong = || io::Error::other("it names no descriptor");
        let number = number.to_str().and_then(|number| number.parse().ok());
        let number: RawFd = number.ok_or_else(wrong)?;
        if number <= 2 {
            return Err(wrong());
        }
        close_on_exec(number, true)?;
        // SAFETY: it is open, and was left so for us alone.
        let mut file = File::from(unsafe { OwnedFd::from_raw_fd(number) });
        file.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        let state = State::from_bytes(&bytes).map_err(io::Error::other)?;
        let fds = Inherited::of(&state)?;
        Ok(Some(Resumed { state, fds }))
    })();
    taken.map_err(KeeperError::setup(
        "take up the state of the program before",
    ))
}

impl Resumed {
    pub(in crate::keeper) fn instance(&self) -> [u8; 16] {
        self.state.instance.into()
    }

    /// What the program before us had, before it protected itself.
    pub(in crate::keeper) fn oom_score(&self) -> Option<i32> {
        self.state.oom_score
    }

    /// Jobs that run on.
    pub(in crate::keeper) fn running(&self) -> HashSet<JobId> {
        let ids = self.state.jobs.iter().map(|job| *job.terms.id);
        ids.collect()
    }

    /// Both pools: output, stdin.
    pub(in crate::keeper) fn pools(&mut self) -> io::Result<(Pool, Pool)> {
        let State { output, stdin, .. } = self.state.clone();
        let output_slots = self.state.output_slots().into_iter().collect();
        let stdin_slots = self.state.stdin_slots().into_iter().collect();
        Ok((
            self.pool(&output, &output_slots)?,
            self.pool(&stdin, &stdin_slots)?,
        ))
    }

    fn pool(&mut self, state: &PoolState, used: &HashSet<u32>) -> io::Result<Pool> {
        let fd = self.fds.take(Some(state.fd));
        let fd = fd.ok_or_else(|| io::Error::other("a pool has no descriptor"))?;
        Pool::adopt(fd, state.chunks, used)
    }

    /// The jobs' cgroups. Without them, ending a job is best effort.
    pub(in crate::keeper) fn cgroups(&mut self) -> Option<CgroupRoot> {
        let CgroupState { path, lock, made } = self.state.cgroup.clone()?;
        let lock = self.fds.take(Some(lock))?;
        let path_of = |path: &[u8]| PathBuf::from(OsString::from_vec(path.to_vec()));
        let used = self.state.jobs.iter().filter_map(|job| {
            let path = job.ending.tree.cgroup.as_ref()?;
            Some(path_of(path))
        });
        CgroupRoot::adopt(path_of(&path), lock, made, &used.collect())
            .inspect_err(|error| tracing::error!(%error, "the jobs' cgroups are lost"))
            .ok()
    }

    /// The socket at this path, if there was one.
    pub(in crate::keeper) fn listener(&mut self, path: &std::path::Path) -> Option<Listener> {
        use std::os::unix::ffi::OsStrExt;
        let wanted = path.as_os_str().as_bytes();
        let states = &self.state.sockets;
        let state = states.iter().find(|state| &state.path[..] == wanted)?;
        Listener::restore(&state.clone(), &mut self.fds)
    }

    /// The sockets of the network.
    pub(in crate::keeper) fn callers(&self) -> Vec<CallerState> {
        self.state.callers.clone()
    }
}

impl Keeper<'_> {
    /// Goes on with the jobs.
    pub(in crate::keeper) fn resume(&mut self, resumed: Resumed) {
        let Resumed { state, mut fds } = resumed;
        self.next_serial = state.next_serial;
        self.last_capability = state.last_capability;
        self.records.restore(state.records, state.forgotten_at);
        self.upgrades.done = state.upgrades.into_iter().map(Into::into).collect();
        let jobs = state.jobs.len();
        for job in state.jobs {
            self.resume_job(job, &mut fds);
        }
        self.recheck_soon();
        tracing::info!(jobs, version = env!("CARGO_PKG_VERSION"), "upgraded");
    }

    fn resume_job(&mut self, state: JobState, fds: &mut Inherited) {
        let (serial, id) = (state.serial, *state.terms.id);
        let name = super::super::command::job_name(&id);
        let Some(mut job) = Job::restore(&mut self.ground, state, fds) else {
            tracing::error!(job = name, "a job cannot be taken up, and is lost");
            return;
        };
        self.ids.insert(id, serial);
        if self.ground.disk.is_none() && job.spool.take().is_some() {
            tracing::error!(job = name, "its output cannot go to its file any more");
            job.tell.ended = job.outcome.is_some();
        }
        if let Some(spool) = &job.spool {
            let uid = job.terms.owner.uid;
            self.ground.room.change(uid, 0, spool.state.used());
        }
        self.jobs.insert(serial, job);
        self.with_job(serial, |job, ground: &mut Ground| job.watch_again(ground));
    }
}
