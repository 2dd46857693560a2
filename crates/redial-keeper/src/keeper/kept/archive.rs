//! The kept jobs that have ended.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use super::super::time::Millis;
use super::record::{End, Record};
use crate::spool::SpoolState;
use crate::wire::JobId;

/// An ended kept job.
#[derive(Debug)]
pub(in crate::keeper) struct Kept {
    pub(in crate::keeper) record: Record,
    pub(in crate::keeper) end: End,
    /// When it is forgotten: on a clock that nobody sets.
    expires_at: Millis,
}

impl Kept {
    /// None if it has not ended. The wall clock is asked only how long ago that was.
    pub(in crate::keeper) fn new(mut record: Record, now: Millis, unix_ms: u64) -> Option<Self> {
        let end = record.end.take()?;
        let age = unix_ms.saturating_sub(end.at_ms);
        Some(Self {
            expires_at: now.saturating_add(record.keep_ms.saturating_sub(age)),
            record,
            end,
        })
    }

    /// When it is forgotten, in milliseconds of Unix time.
    pub(in crate::keeper) fn expires_ms(&self) -> u64 {
        self.end.at_ms.saturating_add(self.record.keep_ms)
    }

    pub(in crate::keeper) fn spool(&self) -> SpoolState {
        self.end.spool
    }
}

/// What is kept, or why nothing can be.
#[derive(Debug)]
pub(in crate::keeper) struct Keeping {
    pub(in crate::keeper) archive: Archive,
    /// Why no job can be kept.
    pub(in crate::keeper) cannot: Option<String>,
    /// When it is looked again whose time is over.
    pub(in crate::keeper) expire_at: Option<Millis>,
}

impl Keeping {
    /// With these jobs.
    pub(super) fn at(archive: Archive) -> Self {
        Self {
            archive,
            cannot: None,
            expire_at: None,
        }
    }

    /// No job can be kept, for this reason.
    pub(in crate::keeper) fn nowhere(reason: String) -> Self {
        Self {
            cannot: Some(reason),
            ..Self::at(Archive::default())
        }
    }
}

/// All of them, by id.
#[derive(Debug, Default)]
pub(in crate::keeper) struct Archive {
    jobs: BTreeMap<JobId, Kept>,
}

impl Archive {
    pub(in crate::keeper) fn add(&mut self, kept: Kept) {
        self.jobs.insert(*kept.record.job, kept);
    }

    pub(in crate::keeper) fn find(&self, id: &JobId) -> Option<&Kept> {
        self.jobs.get(id)
    }

    pub(in crate::keeper) fn remove(&mut self, id: &JobId) -> Option<Kept> {
        self.jobs.remove(id)
    }

    /// How many are this user's.
    pub(in crate::keeper) fn of(&self, uid: u32) -> usize {
        let own = self.jobs.values().filter(|kept| kept.record.uid == uid);
        own.count()
    }

    pub(in crate::keeper) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Those with these ids, in order.
    pub(in crate::keeper) fn range(
        &self,
        ids: impl RangeBounds<JobId>,
    ) -> impl Iterator<Item = &Kept> {
        self.jobs.range(ids).map(|(_, kept)| kept)
    }

    /// Those whose time is over.
    pub(in crate::keeper) fn expired(&self, now: Millis) -> Vec<JobId> {
        let over = |kept: &&Kept| kept.expires_at <= now;
        self.jobs
            .values()
            .filter(over)
            .map(|it| *it.record.job)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::record;
    use super::*;

    #[test]
    fn a_job_is_kept_for_its_time_whatever_becomes_of_the_wall_clock() {
        let mut archive = Archive::default();
        // It ended at 2,000 of Unix time, and is kept for 5,000.
        archive.add(Kept::new(record(1, true), 10_000, 3_000).unwrap());
        assert!(archive.expired(13_999).is_empty());
        assert_eq!(archive.expired(14_000), [[1; 16]]);
        let year = 365 * 86_400_000;
        archive.add(Kept::new(record(2, true), 10_000, 0).unwrap());
        archive.add(Kept::new(record(3, true), 10_000, year).unwrap());
        assert_eq!(archive.expired(14_999), [[1; 16], [3; 16]]);
        assert_eq!(archive.len(), 3);
    }

    #[test]
    fn what_has_not_ended_is_not_archived() {
        assert!(Kept::new(record(1, false), 0, 0).is_none());
    }
}
