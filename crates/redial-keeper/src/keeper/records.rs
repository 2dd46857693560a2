//! What is remembered of jobs that are gone, so that a start is never run twice.

use std::collections::{HashMap, VecDeque};

use super::grant::{Client, Owner};
use super::time::Millis;
use crate::outcome::{Cause, Digest, Outcome, Status};
use crate::state::RecordState;
use crate::wire::{JobId, Resent};

/// An ended job.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) owner: Owner,
    pub(super) hash: u128,
    end: End,
    ended_at: Millis,
}

#[derive(Debug)]
enum End {
    /// Nobody has said that the outcome arrived.
    Unread(Box<Outcome>),
    /// It has; only this much is kept.
    Read(Status),
}

impl Record {
    pub(super) fn outcome(&self) -> Outcome {
        match &self.end {
            End::Unread(outcome) => (**outcome).clone(),
            End::Read(status) => bare(status.clone()),
        }
    }
}

/// An outcome of which only the status is known.
pub(super) fn bare(status: Status) -> Outcome {
    let gone = Digest {
        bytes: 0,
        checksum: [0; 16].into(),
        complete: false,
    };
    Outcome {
        status,
        cause: Cause::Itself,
        stdin: gone,
        stdout: gone,
        stderr: gone,
        holders: Vec::new(),
        lingering: 0,
        exact: false,
        duration_ms: 0,
        cpu_us: 0,
    }
}

/// A table for so many is made at once; a larger one grows.
const RECORDS_AT_ONCE: usize = 16_384;

/// The ended jobs: bounded by number and age, those read going first.
#[derive(Debug)]
pub(super) struct Records {
    known: HashMap<JobId, Record>,
    /// In order of ending; an id that has moved to `read` is passed over.
    unread: VecDeque<(Millis, JobId)>,
    /// In order of being read.
    read: VecDeque<(Millis, JobId)>,
    max: usize,
    max_age_ms: u64,
    /// When an id was last forgotten.
    forgotten_at: Option<Millis>,
}

impl Records {
    pub(super) fn new(max: usize, max_age_ms: u64) -> Self {
        Self {
            // Twice the size from the start: removals would make it grow to that anyway,
            // after many jobs, and only what is touched costs.
            known: HashMap::with_capacity(2 * max.min(RECORDS_AT_ONCE) + 1),
            unread: VecDeque::new(),
            read: VecDeque::new(),
            max,
            max_age_ms,
            forgotten_at: None,
        }
    }

    /// For another program.
    pub(super) fn save(&self) -> (Vec<RecordState>, Option<Millis>) {
        let record = |(id, record): (&JobId, &Record)| RecordState {
            id: (*id).into(),
            uid: record.owner.uid,
            key: record.owner.key().map(str::to_owned),
            hash: record.hash.to_be_bytes().into(),
            ended_at: record.ended_at,
            outcome: match &record.end {
                End::Unread(outcome) => Some((**outcome).clone()),
                End::Read(_) => None,
            },
            status: match &record.end {
                End::Unread(_) => None,
                End::Read(status) => Some(status.clone()),
            },
        };
        (self.known.iter().map(record).collect(), self.forgotten_at)
    }

    /// As they were saved.
    pub(super) fn restore(&mut self, mut records: Vec<RecordState>, forgotten_at: Option<Millis>) {
        records.sort_by_key(|record| record.ended_at);
        for record in records {
            let (id, at) = (*record.id, record.ended_at);
            let (end, queue) = match (record.outcome, record.status) {
                (Some(outcome), _) => (End::Unread(Box::new(outcome)), &mut self.unread),
                (None, Some(status)) => (End::Read(status), &mut self.read),
                (None, None) => continue,
            };
            queue.push_back((at, id));
            let record = Record {
                owner: Owner::of(record.uid, record.key.as_deref()),
                hash: u128::from_be_bytes(record.hash.into()),
                end,
                ended_at: at,
            };
            self.known.insert(id, record);
        }
        self.forgotten_at = forgotten_at;
    }

    pub(super) fn find(&self, id: &JobId) -> Option<&Record> {
        self.known.get(id)
    }

    /// A job has ended; `read` when its outcome has arrived already.
    pub(super) fn add(
        &mut self,
        now: Millis,
        id: JobId,
        (owner, hash): (Owner, u128),
        outcome: Box<Outcome>,
        read: bool,
    ) {
        let record = Record {
            owner,
            hash,
            end: End::Unread(outcome),
            ended_at: now,
        };
        self.known.insert(id, record);
        self.unread.push_back((now, id));
        if read {
            self.mark(now, &id);
        }
        self.forget(now);
    }

    /// The outcome has arrived at its owner.
    pub(super) fn mark_read(&mut self, now: Millis, id: &JobId, by: &Client) {
        let known = self.known.get(id);
        if known.is_some_and(|record| by.reaches(&record.owner)) {
            self.mark(now, id);
        }
    }

    fn mark(&mut self, now: Millis, id: &JobId) {
        let Some(record) = self.known.get_mut(id) else {
            return;
        };
        if let End::Unread(outcome) = &record.end {
            let status = match &outcome.status {
                // The path is the client's text; it is not worth remembering.
                Status::NotStarted(stage, errno, _) => {
                    Status::NotStarted(stage.clone(), *errno, Vec::new().into())
                }
                other => other.clone(),
            };
            record.end = End::Read(status);
            self.read.push_back((now, *id));
        }
    }

    /// Whether an unknown id that was sent before may have run here: an id was
    /// forgotten since, or it went to another instance.
    pub(super) fn may_have_run(&self, now: Millis, resent: &Resent, instance: &[u8; 16]) -> bool {
        let sent_at = now.saturating_sub(resent.ago_ms);
        *resent.instance != *instance || self.forgotten_at.is_some_and(|at| at >= sent_at)
    }

    /// Forgets what is too old or too much.
    pub(super) fn forget(&mut self, now: Millis) {
        while self.known.len() > self.max {
            let Some((_, id)) = self.read.pop_front().or_else(|| self.unread.pop_front()) else {
                break;
            };
            self.remove(now, &id);
        }
        for queue in [&mut self.read, &mut self.unread] {
            let too_old = |at: Millis| at.saturating_add(self.max_age_ms) <= now;
            while let Some((_, id)) = queue.pop_front_if(|(at, _)| too_old(*at)) {
                let expired = |record: &Record| too_old(record.ended_at);
                if self.known.get(&id).is_some_and(expired) && self.known.remove(&id).is_some() {
                    self.forgotten_at = Some(now);
                }
            }
        }
        // Ids that were read lie in `unread` too until they come to its front.
        while self
            .unread
            .front()
            .is_some_and(|(_, id)| !self.is_unread(id))
        {
            self.unread.pop_front();
        }
        if self.unread.len() > 2 * self.max + 64 {
            let known = &self.known;
            self.unread.retain(|(_, id)| {
                known
                    .get(id)
                    .is_some_and(|record| matches!(record.end, End::Unread(_)))
            });
        }
    }

    fn is_unread(&self, id: &JobId) -> bool {
        self.known
            .get(id)
            .is_some_and(|record| matches!(record.end, End::Unread(_)))
    }

    fn remove(&mut self, now: Millis, id: &JobId) {
        if self.known.remove(id).is_some() {
            self.forgotten_at = Some(now);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Exit;

    const INSTANCE: [u8; 16] = [9; 16];

    fn id(number: u32) -> JobId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        id
    }

    fn outcome() -> Box<Outcome> {
        Box::new(Outcome {
            cpu_us: 5,
            ..bare(Status::Ended(Exit::Code(3)))
        })
    }

    fn resent(ago_ms: u64) -> Resent {
        Resent {
            ago_ms,
            instance: INSTANCE.into(),
        }
    }

    #[test]
    fn records_are_bounded_and_those_read_go_first() {
        let mut records = Records::new(4, 1_000);
        for number in 0..4 {
            records.add(10, id(number), (Owner::user(0), 1), outcome(), false);
        }
        records.mark_read(11, &id(2), &Client::local(0));
        records.add(12, id(4), (Owner::user(0), 1), outcome(), false);
        assert_eq!(records.len(), 4);
        assert!(records.find(&id(2)).is_none());
        assert!(records.find(&id(0)).is_some());
        records.add(13, id(5), (Owner::user(0), 1), outcome(), false);
        assert!(records.find(&id(0)).is_none());
    }

    #[test]
    fn records_expire() {
        let mut records = Records::new(10, 1_000);
        records.add(10, id(1), (Owner::user(0), 1), outcome(), false);
        records.add(20, id(2), (Owner::user(0), 1), outcome(), true);
        records.forget(1_009);
        assert_eq!(records.len(), 2);
        records.forget(1_020);
        assert_eq!(records.len(), 0);
        assert!(records.unread.is_empty() && records.read.is_empty());
    }

    #[test]
    fn a_read_outcome_keeps_its_status_only() {
        let mut records = Records::new(10, 1_000);
        records.add(10, id(1), (Owner::user(7), 1), outcome(), false);
        records.mark_read(10, &id(1), &Client::local(8));
        assert_eq!(records.find(&id(1)).unwrap().outcome().cpu_us, 5);
        records.mark_read(10, &id(1), &Client::local(7));
        let read = records.find(&id(1)).unwrap().outcome();
        assert_eq!(
            (read.cpu_us, read.status),
            (0, Status::Ended(Exit::Code(3)))
        );
    }

    #[test]
    fn an_unknown_id_may_have_run_only_if_one_was_forgotten_since() {
        let mut records = Records::new(1, 1_000_000);
        assert!(!records.may_have_run(100, &resent(u64::MAX), &INSTANCE));
        records.add(100, id(1), (Owner::user(0), 1), outcome(), false);
        records.add(200, id(2), (Owner::user(0), 1), outcome(), false);
        assert!(records.may_have_run(300, &resent(100), &INSTANCE));
        assert!(!records.may_have_run(300, &resent(99), &INSTANCE));
        assert!(records.may_have_run(300, &resent(0), &[1; 16]));
    }

    #[test]
    fn what_is_remembered_is_handed_over() {
        let mut records = Records::new(10, 1_000);
        records.add(10, id(1), (Owner::user(7), 1), outcome(), false);
        records.add(20, id(2), (Owner::user(7), 2), outcome(), true);
        let mut after = Records::new(10, 1_000);
        let (saved, forgotten_at) = records.save();
        after.restore(saved, forgotten_at);
        let of = |records: &Records, number| records.find(&id(number)).unwrap().outcome();
        for number in [1, 2] {
            assert_eq!(of(&after, number), of(&records, number));
        }
        after.forget(1_010);
        assert_eq!(after.len(), 1, "each for its time");
        assert!(after.may_have_run(1_010, &resent(0), &INSTANCE));
    }

    #[test]
    fn the_queues_stay_bounded_however_many_jobs_are_read() {
        let mut records = Records::new(8, u64::MAX);
        records.add(0, id(1_000_000), (Owner::user(0), 1), outcome(), false);
        for number in 0..5_000 {
            records.add(1, id(number), (Owner::user(0), 1), outcome(), true);
        }
        assert_eq!(records.len(), 8);
        assert!(records.unread.len() + records.read.len() < 200);
        assert!(records.find(&id(1_000_000)).is_some());
    }
}
