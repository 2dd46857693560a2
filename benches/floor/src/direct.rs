//! The keeper's own spawner, called in this process: what starting a process costs
//! when nothing else is done.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use redial_keeper::account::{Account, environment};
use redial_keeper::spawn::{Program, SpawnRequest, Spawner, Stdio3};
use redial_keeper::tree::{CgroupRoot, JobCgroup};
use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// Spawns `true` as the keeper does: looked for in PATH, with the environment of a
/// job, /dev/null as stdin, pipes as outputs, and in a cgroup where one can be had.
pub struct Direct {
    spawner: Spawner,
    request: SpawnRequest,
    cgroups: Option<CgroupRoot>,
}

/// A child: its pidfd and our ends of its outputs, each gone when it has ended.
pub(crate) struct Running {
    sources: [Option<OwnedFd>; SOURCES],
    cgroup: Option<JobCgroup>,
}

pub(crate) const SOURCES: usize = 3;
/// Which of the sources is the pidfd.
const PIDFD: usize = 0;

impl Direct {
    /// # Errors
    /// As [`Direct::without_cgroup`].
    pub fn new() -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("bench-{}-{number}", std::process::id());
        Ok(Direct {
            cgroups: CgroupRoot::discover(&instance).ok(),
            ..Direct::without_cgroup()?
        })
    }

    /// The same, as where no cgroup can be made.
    ///
    /// # Errors
    /// No child can be prepared.
    pub fn without_cgroup() -> anyhow::Result<Self> {
        let spawner = Spawner::new().context("cannot prepare a spawner")?;
        let account = Arc::new(Account::own().context("cannot read passwd")?);
        let mark = [b'0'; 32];
        let env = environment(&account, &mark, None, &[]);
        let program = Program::Argv(vec![b"true".to_vec()]);
        let request = SpawnRequest {
            env,
            stdin: Stdio3::Null,
            ..SpawnRequest::new(program, account)
        };
        Ok(Direct {
            spawner,
            request,
            cgroups: None,
        })
    }

    /// One `true`: started, its outputs read to their end, reaped.
    ///
    /// # Errors
    /// It could not be started, failed or wrote something.
    pub fn once(&mut self) -> anyhow::Result<()> {
        let mut running = self.start()?;
        while !running.is_over() {
            for source in running.wait()? {
                running.advance(source)?;
            }
        }
        self.release(&mut running);
        Ok(())
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<Running> {
        let cgroup = match &mut self.cgroups {
            Some(cgroups) => Some(cgroups.acquire().context("cannot have a cgroup")?),
            None => None,
        };
        self.request.cgroup = cgroup.as_ref().map(JobCgroup::fd);
        let spawned = self.spawner.spawn(&self.request)?;
        Ok(Running {
            sources: [Some(spawned.pidfd), spawned.stdout, spawned.stderr],
            cgroup,
        })
    }

    pub(crate) fn release(&mut self, running: &mut Running) {
        if let (Some(cgroups), Some(cgroup)) = (&mut self.cgroups, running.cgroup.take()) {
            cgroups.release(cgroup);
        }
    }
}

impl Running {
    fn open(&self) -> impl Iterator<Item = (usize, &OwnedFd)> {
        let numbered = self.sources.iter().enumerate();
        numbered.filter_map(|(number, source)| Some((number, source.as_ref()?)))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.sources.iter().all(Option::is_none)
    }

    /// The sources that are ready, at least one.
    fn wait(&self) -> anyhow::Result<Vec<usize>> {
        let (numbers, mut fds): (Vec<usize>, Vec<PollFd<'_>>) = self
            .open()
            .map(|(number, fd)| (number, PollFd::new(fd, PollFlags::IN)))
            .unzip();
        rustix::io::retry_on_intr(|| poll(&mut fds, None)).context("poll")?;
        let ready = numbers.into_iter().zip(&fds);
        Ok(ready
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(number, _)| number)
            .collect())
    }

    pub(crate) fn watch(&self, epoll: &OwnedFd, slot: usize) -> anyhow::Result<()> {
        for (number, fd) in self.open() {
            let token = epoll::EventData::new_u64((slot * SOURCES + number) as u64);
            epoll::add(epoll, fd, token, epoll::EventFlags::IN).context("epoll")?;
        }
        Ok(())
    }

    /// A source is ready: the child has ended, or an output has.
    pub(crate) fn advance(&mut self, number: usize) -> anyhow::Result<()> {
        let Some(source) = &self.sources[number] else {
            return Ok(());
        };
        if number == PIDFD {
            let reap = || waitid(WaitId::PidFd(source.as_fd()), WaitIdOptions::EXITED);
            let status = rustix::io::retry_on_intr(reap);
            let code = status.context("waitid")?.and_then(|s| s.exit_status());
            anyhow::ensure!(code == Some(0), "true exited with {code:?}");
        } else {
            match rustix::io::read(source, &mut [0]) {
                Ok(0) => {}
                Ok(_) => anyhow::bail!("true wrote something"),
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error).context("read"),
            }
        }
        self.sources[number] = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_runs_to_its_end() {
        Direct::new().unwrap().once().unwrap();
    }
}
