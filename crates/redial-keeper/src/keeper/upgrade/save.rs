//! What is handed over.

use std::os::fd::AsRawFd;

use super::super::turn::Keeper;
use crate::pool::Pool;
use crate::state::{PoolState, State};

impl Keeper<'_> {
    /// All of it, as it is now.
    pub(super) fn save(&self) -> State {
        let pool = |pool: &Pool| PoolState {
            fd: pool.fd().as_raw_fd(),
            chunks: pool.chunks(),
        };
        let (records, forgotten_at) = self.records.save();
        let callers = self.network.iter().flat_map(|network| &network.listeners);
        State {
            instance: self.instance.into(),
            next_serial: self.next_serial,
            last_capability: self.last_capability,
            output: pool(&self.ground.output),
            stdin: pool(&self.ground.stdin),
            sockets: self.listeners.iter().map(|it| it.save()).collect(),
            callers: callers.map(|it| it.save()).collect(),
            cgroup: self.ground.workers.save_cgroups(),
            jobs: self
                .jobs
                .values()
                .map(|job| job.save(&self.ground))
                .collect(),
            records,
            forgotten_at,
            oom_score: crate::spawn::oom::original(),
            upgrades: self.upgrades.done.iter().map(|it| (*it).into()).collect(),
        }
    }
}
