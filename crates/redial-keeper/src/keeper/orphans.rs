//! Children that are no job's: whose parents have died are ours (prctl(2), PR_SET_CHILD_SUBREAPER), and are
//! reaped.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::poll::{Interest, Token};
use super::time::Millis;
use super::turn::Keeper;
use crate::signals;
use crate::tree::{Next, OrphanReaper, SpawnTickets};

/// Between two looks at children that may belong to a start under way.
const ORPHANS_MS: u64 = 100;

/// What is known of them.
pub(super) struct Orphans {
    /// Readable when a child has ended.
    pub(super) children: OwnedFd,
    reaper: OrphanReaper,
    /// Children wait to be reaped behind one that is a job's.
    hidden: bool,
    /// To be looked at again then.
    pub(super) at: Option<Millis>,
    /// Their ends wake us; see `overlook_children`.
    children_watched: bool,
}

impl Orphans {
    pub(super) fn new(children: OwnedFd, tickets: Arc<SpawnTickets>) -> Self {
        Self {
            children,
            reaper: OrphanReaper::new(tickets),
            hidden: false,
            at: None,
            children_watched: true,
        }
    }

    /// A child has ended.
    pub(super) fn on_child(&mut self) {
        signals::drain(&self.children);
        self.hidden = true;
    }

    /// Whether it is time to look.
    pub(super) fn are_due(&self, now: Millis) -> bool {
        self.hidden || self.at.is_some_and(|at| at <= now)
    }
}

impl Keeper<'_> {
    /// For a while nobody is woken by a child's end. While something starts it is mostly that
    /// which ends, which its pidfd says too, and to look at it as an orphan only holds up the news.
    pub(super) fn overlook_children(&mut self) {
        let poll = &self.ground.poll;
        if self.orphans.children_watched {
            let changed = poll.change(&self.orphans.children, Token::Children, Interest::Hangup);
            self.orphans.children_watched = changed.is_err();
        }
        self.orphans.at.get_or_insert(self.ground.now + ORPHANS_MS);
    }

    fn look_at_children(&mut self) {
        let poll = &self.ground.poll;
        if self.orphans.children_watched {
            return;
        }
        if self.starting.is_empty() {
            let changed = poll.change(&self.orphans.children, Token::Children, Interest::Read);
            self.orphans.children_watched = changed.is_ok();
        }
        if !self.orphans.children_watched {
            self.orphans.at.get_or_insert(self.ground.now + ORPHANS_MS);
        }
    }

    pub(super) fn reap_orphans(&mut self) {
        self.orphans.at = None;
        let (jobs, front) = (&self.jobs, self.front.pid());
        let is_ours = |pid| {
            front == Some(pid)
                || jobs
                    .values()
                    .any(|job| job.pid == pid && !job.ending.is_reaped())
        };
        let next = match self.orphans.reaper.reap(is_ours) {
            Ok(orphans) => orphans.next,
            Err(error) => {
                tracing::error!(%error, "cannot reap orphans");
                Next::Deferred
            }
        };
        self.orphans.hidden = matches!(next, Next::Job(_));
        if next == Next::Deferred {
            self.orphans.at = Some(self.ground.now + ORPHANS_MS);
        }
        self.look_at_children();
    }
}
