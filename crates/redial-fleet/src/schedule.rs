//! Which host is next: how many at once, in batches, until too many have failed. Sans-IO: it is told
//! what happened and what time it is, and says what to do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

/// The first wait before a host is tried again; doubled each time.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest.
const RETRY_AFTER_AT_MOST: Duration = Duration::from_secs(30);

/// A number of hosts, or a part of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Hosts(u32),
    /// So many in a hundred, rounded up.
    Percent(u8),
}

impl Share {
    /// Of so many; at least one.
    pub fn of(self, total: usize) -> usize {
        let hosts = match self {
            Share::Hosts(hosts) => hosts as usize,
            Share::Percent(percent) => total.saturating_mul(usize::from(percent)).div_ceil(100),
        };
        hosts.max(1)
    }
}

/// How a run goes through its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Hosts at once, at most.
    pub fanout: usize,
    /// Hosts that begin together; the next begin when all of these have ended.
    pub rolling: Option<Share>,
    /// Between two such batches.
    pub pause: Duration,
    /// When so many have failed, no other is begun.
    pub max_fail: Option<Share>,
    /// How often a host is tried again where the command certainly did not start.
    pub retries: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            fanout: 256,
            rolling: None,
            pause: Duration::ZERO,
            max_fail: None,
            retries: 0,
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Begin with this host.
    Begin(usize),
    /// Nothing, until a host has ended, or until this time.
    Wait(Option<Duration>),
    /// All is done that will be.
    Done,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Schedule {
    plan: Plan,
    batch: usize,
    max_fail: usize,
    fresh: VecDeque<usize>,
    /// Those to be tried again: when, and which.
    again: BinaryHeap<Reverse<(Duration, usize)>>,
    /// How often each of those has been tried again.
    tried: std::collections::HashMap<usize, u32>,
    running: usize,
    /// Hosts of this batch that have begun, and those of them that have ended.
    begun: usize,
    ended: usize,
    paused_until: Option<Duration>,
    failed: usize,
    stopped: bool,
}

impl Schedule {
    /// For these hosts, in this order.
    pub(crate) fn new(plan: Plan, hosts: impl IntoIterator<Item = usize>) -> Self {
        let fresh: VecDeque<usize> = hosts.into_iter().collect();
        let total = fresh.len();
        Schedule {
            batch: plan.rolling.map_or(usize::MAX, |share| share.of(total)),
            max_fail: plan.max_fail.map_or(usize::MAX, |share| share.of(total)),
            plan,
            fresh,
            again: BinaryHeap::new(),
            tried: std::collections::HashMap::new(),
            running: 0,
            begun: 0,
            ended: 0,
            paused_until: None,
            failed: 0,
            stopped: false,
        }
    }

    /// What to do at this time, which never goes back. To be asked until it says to wait.
    pub(crate) fn step(&mut self, now: Duration) -> Step {
        if self.is_stopped() {
            return match self.running {
                0 => Step::Done,
                _ => Step::Wait(None),
            };
        }
        if self.running >= self.plan.fanout.max(1) {
            return Step::Wait(None);
        }
        // Those of this batch before those of the next.
        let due = self.again.peek().map(|Reverse((due, _))| *due);
        if due.is_some_and(|due| due <= now)
            && let Some(Reverse((_, host))) = self.again.pop()
        {
            self.running += 1;
            return Step::Begin(host);
        }
        if self.begun >= self.batch {
            if self.ended < self.begun {
                return Step::Wait(due);
            }
            if !self.fresh.is_empty() {
                let until = *self.paused_until.get_or_insert(now + self.plan.pause);
                if until > now {
                    return Step::Wait(Some(until));
                }
            }
            (self.begun, self.ended, self.paused_until) = (0, 0, None);
        }
        if let Some(host) = self.fresh.pop_front() {
            self.running += 1;
            self.begun += 1;
            return Step::Begin(host);
        }
        match (self.running, due) {
            (0, None) => Step::Done,
            _ => Step::Wait(due),
        }
    }

    /// A host has ended.
    pub(crate) fn ended(&mut self, failed: bool) {
        self.running -= 1;
        self.ended += 1;
        self.failed += usize::from(failed);
    }

    /// The command certainly did not start on this host. True if it is tried again; else it has
    /// ended, and failed.
    pub(crate) fn did_not_start(&mut self, host: usize, may_pass: bool, now: Duration) -> bool {
        let tried = self.tried.get(&host).copied().unwrap_or(0);
        if !may_pass || tried >= self.plan.retries || self.stopped {
            self.ended(true);
            return false;
        }
        self.tried.insert(host, tried + 1);
        self.running -= 1;
        let wait = RETRY_AFTER.saturating_mul(1 << tried.min(8));
        let due = now + wait.min(RETRY_AFTER_AT_MOST);
        self.again.push(Reverse((due, host)));
        true
    }

    /// No other is begun.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether no other is begun, because of [`Schedule::stop`] or too many failures.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped || self.has_failed_too_often()
    }

    /// Whether there were as many failures as there may be.
    pub(crate) fn has_failed_too_often(&self) -> bool {
        self.failed >= self.max_fail
    }

    /// Those that have not begun, or wait to be tried again.
    pub(crate) fn left(&self) -> Vec<usize> {
        let again = self.again.iter().map(|Reverse((_, host))| *host);
        self.fresh.iter().copied().chain(again).collect()
    }
}

#[cfg(test)]
mod tests;
