//! The list of jobs, a page at a time.

use std::ops::Bound::{self, Excluded, Included};

use super::command::ids_named;
use super::grant::Client;
use super::job::Job;
use super::kept::Kept;
use super::start::Starting;
use super::time::unix_ms;
use super::turn::Keeper;
use crate::wire::{JobId, JobInfo, JobPhase, Reply};

/// Of one answer, in bytes: with what is around it, it fits a packet and a frame.
const MAX_PAGE_BYTES: usize = 48 * 1024;

impl Keeper<'_> {
    /// A page of those whose names begin so, in order of their ids, behind the id `after`. It costs
    /// what is on the page, and a look at each that this client does not reach.
    pub(super) fn list(&self, client: &Client, prefix: &str, after: &[u8]) -> Reply {
        let Some((first, last)) = ids_named(prefix) else {
            return Reply::Jobs(Vec::new(), false);
        };
        let from = behind(after, first);
        if matches!(from, Excluded(id) | Included(id) if id > last) {
            return Reply::Jobs(Vec::new(), false);
        }
        let range = (from, Included(last));
        let running = self.ids.range(range);
        let running = running.filter_map(|(_, serial)| match self.jobs.get(serial) {
            Some(job) => Some(Found::Job(job)),
            None => self.starting.get(serial).map(Found::Starting),
        });
        let kept = self.keeping.archive.range(range).map(Found::Kept);
        let found = in_order(running, kept).filter(|it| it.reached_by(client));
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        for it in found {
            let info = self.info(&it);
            let len = minicbor::to_vec(&info).map_or(0, |encoded| encoded.len());
            if bytes + len > MAX_PAGE_BYTES && !jobs.is_empty() {
                return Reply::Jobs(jobs, true);
            }
            bytes += len;
            jobs.push(info);
        }
        Reply::Jobs(jobs, false)
    }

    fn info(&self, found: &Found<'_>) -> JobInfo {
        match found {
            Found::Starting(starting) => starting.terms.info(),
            Found::Job(job) => job.info(unix_ms(), self.ground.now),
            Found::Kept(kept) => JobInfo {
                phase: JobPhase::Ended,
                user: kept.record.user.clone(),
                stdout: kept.spool().stdout,
                stderr: kept.spool().stderr,
                kept: true,
                outcome: Some(kept.end.outcome.clone()),
                ended_ms: Some(kept.end.at_ms),
                expires_ms: Some(kept.expires_ms()),
                ..JobInfo::new(
                    *kept.record.job,
                    &kept.record.command,
                    kept.record.started_ms,
                )
            },
        }
    }
}

/// The first id to be listed. What is asked for comes from the client, and need be no id.
fn behind(after: &[u8], first: JobId) -> Bound<JobId> {
    let mut id = [0; 16];
    let len = after.len().min(id.len());
    id[..len].copy_from_slice(&after[..len]);
    if id < first || after.is_empty() {
        Included(first)
    } else if len < id.len() {
        Included(id)
    } else {
        Excluded(id)
    }
}

/// Both, in order of their ids. Nothing is in both.
fn in_order<'k>(
    one: impl Iterator<Item = Found<'k>>,
    other: impl Iterator<Item = Found<'k>>,
) -> impl Iterator<Item = Found<'k>> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if second.id() < first.id() => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

/// A job, wherever it is.
enum Found<'k> {
    Starting(&'k Starting),
    Job(&'k Job),
    Kept(&'k Kept),
}

impl Found<'_> {
    fn id(&self) -> JobId {
        match self {
            Self::Starting(starting) => starting.terms.id,
            Self::Job(job) => job.terms.id,
            Self::Kept(kept) => *kept.record.job,
        }
    }

    fn reached_by(&self, client: &Client) -> bool {
        match self {
            Self::Starting(starting) => client.reaches(&starting.terms.owner),
            Self::Job(job) => client.reaches(&job.terms.owner),
            Self::Kept(kept) => client.reaches(&kept.record.owner()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_whatever_was_asked_for() {
        let first = [1; 16];
        assert_eq!(behind(&[], first), Included(first));
        assert_eq!(behind(&[0; 16], first), Included(first));
        assert_eq!(behind(&[1; 16], first), Excluded(first));
        let mut two = [0; 16];
        two[0] = 2;
        assert_eq!(behind(&[2], first), Included(two));
        assert_eq!(behind(&[255; 40], first), Excluded([255; 16]));
    }
}
