//! The end: jobs are ended, the front says goodbye.

use super::ending::Awaits;
use super::job::Job;
use super::poll::Serial;
use super::report::tell;
use super::time::Millis;
use super::turn::Keeper;
use crate::outcome::Cause;
use crate::wire::ToFront;

/// After KILL and the walks that it takes, so long for outputs to be read before they are given
/// up, and as long again before the jobs are.
const GIVE_UP_MS: u64 = 2_000;
/// As long as walks that have to do with the end come back at all, it waits for them: one thread
/// makes them for all jobs, and the more jobs there are and the busier the machine, the longer
/// they take. If none comes back for so long, they hang.
const HUNG_MS: u64 = 10_000;
/// When all jobs have ended, so long for the front to tell its clients.
const LEAVE_MS: u64 = 2_000;

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// No more starts; jobs are being ended.
    Ending(End),
    /// All jobs have ended. The front may say goodbye.
    Leaving {
        until: Millis,
    },
}

/// How far the jobs' end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    give_up_at: Millis,
    hurried: bool,
    /// Outputs that nobody read were given up, to come to an end.
    gave_up: bool,
    /// Walks are waited for; since when none has come back.
    waits: bool,
    walked_at: Millis,
}

impl Phase {
    pub(super) fn is_serving(self) -> bool {
        self == Self::Serving
    }

    pub(super) fn is_leaving(self) -> bool {
        matches!(self, Self::Leaving { .. })
    }

    /// What a job that is there only now has before KILL; none while it may run.
    pub(super) fn grace_ms(self, kill_after_ms: u64) -> Option<u64> {
        match self {
            Self::Serving => None,
            Self::Ending(end) if !end.hurried && !end.gave_up => Some(kill_after_ms),
            Self::Ending(_) | Self::Leaving { .. } => Some(0),
        }
    }

    pub(super) fn wants_front(self) -> bool {
        self.is_serving()
    }

    pub(super) fn due(self) -> Option<Millis> {
        match self {
            Self::Serving => None,
            Self::Ending(End { give_up_at, .. }) => Some(give_up_at),
            Self::Leaving { until } => Some(until),
        }
    }

    /// A walk has come back.
    pub(super) fn on_walked(&mut self, now: Millis) {
        if let Self::Ending(end) = self {
            end.walked_at = now;
        }
    }
}

impl Keeper<'_> {
    /// The server is told to end; the second time, at once.
    pub(super) fn on_shutdown_signal(&mut self) {
        // One record of a signalfd; of anything else, all there is.
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.shutdown, &mut record) {
            // Its other end is closed, which it will say for ever.
            Ok(0) => drop(self.ground.poll.remove(&self.shutdown)),
            Ok(_) => {}
            Err(_) => return,
        }
        match self.phase {
            Phase::Serving => self.begin_to_end(self.ground.limits.kill_after_ms),
            Phase::Ending(end) if !end.hurried => self.hurry(end),
            Phase::Ending(_) | Phase::Leaving { .. } => {}
        }
    }

    /// A private server has lost its front, and with that its only client.
    pub(super) fn end_after_front(&mut self) {
        self.front_died = true;
        self.begin_to_end(0);
    }

    fn begin_to_end(&mut self, kill_after_ms: u64) {
        tracing::info!(jobs = self.jobs.len(), "shutting down");
        if let Some(manager) = self.life.manager() {
            manager.stopping();
        }
        let now = self.ground.now;
        self.phase = Phase::Ending(End {
            give_up_at: now + kill_after_ms + GIVE_UP_MS,
            hurried: kill_after_ms == 0,
            gave_up: false,
            waits: false,
            walked_at: now,
        });
        self.listeners.clear();
        if let Some(network) = &mut self.network {
            network.close();
        }
        if self.front.is_ready {
            tell(&mut self.front.out, &ToFront::ShuttingDown);
        }
        self.end_all_jobs(kill_after_ms);
    }

    fn hurry(&mut self, end: End) {
        self.phase = Phase::Ending(End {
            give_up_at: self.ground.now + GIVE_UP_MS,
            hurried: true,
            ..end
        });
        self.end_all_jobs(0);
    }

    fn end_all_jobs(&mut self, kill_after_ms: u64) {
        for serial in self.unfinished() {
            self.with_job(serial, |job, ground| {
                job.wait_for_no_room(ground);
                job.end_tree(ground.now, kill_after_ms, Cause::ServerEnded);
            });
        }
    }

    fn unfinished(&self) -> Vec<Serial> {
        let unfinished = self.jobs.iter().filter(|(_, job)| job.is_unfinished());
        unfinished.map(|(serial, _)| *serial).collect()
    }

    /// Goes on towards the end when the time has come.
    pub(super) fn advance_phase(&mut self) {
        match self.phase {
            Phase::Serving => {
                let is_over = self.private
                    && self.stdio.is_none()
                    && self.clients.is_empty()
                    && self.jobs.is_empty()
                    && self.starting.is_empty();
                if is_over {
                    tell(&mut self.front.out, &ToFront::ShuttingDown);
                    self.begin_to_leave();
                }
            }
            Phase::Ending(end) => self.end_on(end),
            Phase::Leaving { .. } => {}
        }
    }

    fn end_on(&mut self, mut end: End) {
        let now = self.ground.now;
        let unfinished = self.unfinished();
        if unfinished.is_empty() && self.starting.is_empty() {
            return self.begin_to_leave();
        }
        let of = |serial| self.jobs.get(serial).map(Job::awaits);
        let awaited: Vec<Awaits> = unfinished.iter().filter_map(of).collect();
        if !std::mem::replace(&mut end.waits, awaited.contains(&Awaits::Walk)) {
            end.walked_at = now;
        }
        let gets_on = end.waits && now < end.walked_at + HUNG_MS;
        if gets_on || awaited.contains(&Awaits::Grace) {
            end.give_up_at = end.give_up_at.max(now + GIVE_UP_MS);
        }
        self.phase = Phase::Ending(end);
        if now < end.give_up_at {
            return;
        }
        if end.gave_up {
            let left = unfinished.len() + self.starting.len();
            tracing::error!(left, "jobs could not be ended");
            self.note_given_up();
            return self.begin_to_leave();
        }
        self.phase = Phase::Ending(End {
            give_up_at: now + GIVE_UP_MS,
            gave_up: true,
            ..end
        });
        for serial in unfinished {
            self.with_job(serial, |job, ground| job.give_up(ground));
        }
    }

    fn begin_to_leave(&mut self) {
        let until = self.ground.now + LEAVE_MS;
        self.phase = Phase::Leaving { until };
    }

    /// Whether there is nothing left to do or to wait for.
    pub(super) fn has_ended(&self) -> bool {
        let Phase::Leaving { until } = self.phase else {
            return false;
        };
        !self.front.is_there() || until <= self.ground.now
    }
}
