//! The end: jobs are ended, the front says goodbye.

use super::poll::Serial;
use super::report::tell;
use super::time::Millis;
use super::turn::Keeper;
use crate::outcome::Cause;
use crate::wire::ToFront;

/// After KILL, so long for outputs to be read before they are given up.
const GIVE_UP_MS: u64 = 2_000;
/// When all jobs have ended, so long for the front to tell its clients.
const LEAVE_MS: u64 = 2_000;

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// No more starts; jobs are being ended.
    Ending {
        give_up_at: Millis,
        hurried: bool,
    },
    /// All jobs have ended. The front may say goodbye.
    Leaving {
        until: Millis,
    },
}

impl Phase {
    pub(super) fn is_serving(self) -> bool {
        self == Self::Serving
    }

    pub(super) fn wants_front(self) -> bool {
        self.is_serving()
    }

    pub(super) fn due(self) -> Option<Millis> {
        match self {
            Self::Serving => None,
            Self::Ending { give_up_at, .. } => Some(give_up_at),
            Self::Leaving { until } => Some(until),
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
            Phase::Ending { hurried: false, .. } => self.hurry(),
            Phase::Ending { .. } | Phase::Leaving { .. } => {}
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
        let give_up_at = self.ground.now + kill_after_ms + GIVE_UP_MS;
        self.phase = Phase::Ending {
            give_up_at,
            hurried: kill_after_ms == 0,
        };
        self.listeners.clear();
        if let Some(network) = &mut self.network {
            network.close();
        }
        if self.front.is_ready {
            tell(&mut self.front.out, &ToFront::ShuttingDown);
        }
        self.end_all_jobs(kill_after_ms);
    }

    fn hurry(&mut self) {
        self.phase = Phase::Ending {
            give_up_at: self.ground.now + GIVE_UP_MS,
            hurried: true,
        };
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
        let now = self.ground.now;
        match self.phase {
            Phase::Serving => {
                let is_over = self.private
                    && self.stdio.is_none()
                    && self.clients.is_empty()
                    && self.jobs.is_empty()
                    && self.starting.is_empty();
                if is_over {
                    tell(&mut self.front.out, &ToFront::ShuttingDown);
                    self.phase = Phase::Leaving {
                        until: now + LEAVE_MS,
                    };
                }
            }
            Phase::Ending {
                give_up_at,
                hurried,
            } => {
                let unfinished = self.unfinished();
                if unfinished.is_empty() && self.starting.is_empty() {
                    self.phase = Phase::Leaving {
                        until: now + LEAVE_MS,
                    };
                } else if give_up_at <= now && self.gave_up {
                    let left = unfinished.len() + self.starting.len();
                    tracing::error!(left, "jobs could not be ended");
                    self.note_given_up();
                    self.phase = Phase::Leaving {
                        until: now + LEAVE_MS,
                    };
                } else if give_up_at <= now {
                    self.gave_up = true;
                    self.phase = Phase::Ending {
                        give_up_at: now + GIVE_UP_MS,
                        hurried,
                    };
                    for serial in unfinished {
                        self.with_job(serial, |job, ground| job.give_up(ground));
                    }
                }
            }
            Phase::Leaving { .. } => {}
        }
    }

    /// Whether there is nothing left to do or to wait for.
    pub(super) fn has_ended(&self) -> bool {
        let Phase::Leaving { until } = self.phase else {
            return false;
        };
        !self.front.is_there() || until <= self.ground.now
    }
}
