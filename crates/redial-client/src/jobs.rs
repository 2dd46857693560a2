//! Jobs on a server: which there are, and what is done to one by who does not hold it.

use std::time::Duration;

use redial_net::proto::JobId;
use redial_net::proto::message::{AnswerKind, Attach, JobEntry, JobState, QueryKind};

use crate::client::{Client, new_job_id};
use crate::error::{QueryError, StartError};
use crate::outcome::Outcome;

/// How to attach to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttachOptions {
    /// Become its holder: the one that writes and controls. Who was before, is told.
    pub take: bool,
    /// From where its outputs are wanted.
    pub from: Place,
    /// Only its outcome is.
    pub outcome_only: bool,
    /// See [`crate::Command::manual_acknowledge`].
    pub manual_acknowledge: bool,
}

/// A place in the outputs of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind all that has been written.
    Now,
    /// The oldest bytes there are.
    Start,
    /// These offsets of stdout and stderr. What is gone of that, is an error at the end.
    At([u64; 2]),
    /// So many bytes before their end, both together in the order in which they came.
    Last(u64),
}

impl Default for AttachOptions {
    fn default() -> Self {
        AttachOptions {
            take: false,
            from: Place::Now,
            outcome_only: false,
            manual_acknowledge: false,
        }
    }
}

impl AttachOptions {
    /// Sets [`Self::take`].
    pub fn take(mut self, take: bool) -> Self {
        self.take = take;
        self
    }

    /// Sets [`Self::from`].
    pub fn from(mut self, from: Place) -> Self {
        self.from = from;
        self
    }

    /// Sets [`Self::outcome_only`].
    pub fn outcome_only(mut self, only: bool) -> Self {
        self.outcome_only = only;
        self
    }

    /// Sets [`Self::manual_acknowledge`].
    pub fn manual_acknowledge(mut self, manual: bool) -> Self {
        self.manual_acknowledge = manual;
        self
    }

    /// Whether what is gone where the reading begins is no loss: who wants the oldest there is has it
    /// behind that. From now on, or from a place that was named, nothing may be missing.
    pub(crate) fn is_lenient(&self) -> bool {
        matches!(self.from, Place::Start | Place::Last(_))
    }

    pub(crate) fn to_message(self, job: JobId, window: u64) -> Attach {
        let (from, last) = match self.from {
            Place::Now => ([u64::MAX; 2], None),
            Place::Start => ([0; 2], None),
            Place::At(from) => (from, None),
            Place::Last(bytes) => ([0; 2], Some(bytes)),
        };
        // Where they follow from is not known yet: credit is given when it is.
        let credit = match self.from {
            Place::Start => window,
            Place::Now | Place::At(_) | Place::Last(_) => 0,
        };
        Attach {
            job: job.into(),
            take: self.take,
            stdout_from: from[0],
            stderr_from: from[1],
            stdout_credit: credit,
            stderr_credit: credit,
            outcome_only: self.outcome_only.then_some(true),
            last,
        }
    }
}

/// What is known of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobInfo {
    /// Its id.
    pub id: JobId,
    /// Its process is being started.
    pub starting: bool,
    /// Whose it is.
    pub user: String,
    /// Its command, for people.
    pub command: String,
    /// When it was started, since 1970 by the server's clock.
    pub started: Duration,
    /// Process id on the server.
    pub pid: Option<u32>,
    /// Bytes of stdout and stderr so far.
    pub bytes: [u64; 2],
    /// Its output goes to a file, and outlives connections.
    pub kept: bool,
    /// Somebody holds it.
    pub held: bool,
    /// Connections that read it.
    pub readers: u32,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended: Option<Duration>,
    /// When it is forgotten.
    pub expires: Option<Duration>,
    /// Why its output is read no further for now.
    pub stalled: Option<String>,
}

impl From<JobEntry> for JobInfo {
    fn from(entry: JobEntry) -> Self {
        JobInfo {
            id: entry.job.into(),
            starting: entry.state == JobState::Starting,
            user: entry.user,
            command: entry.command,
            started: Duration::from_millis(entry.started_ms),
            pid: (entry.pid != 0).then_some(entry.pid),
            bytes: [entry.stdout, entry.stderr],
            kept: entry.kept,
            held: entry.held,
            readers: entry.readers,
            outcome: entry.outcome.map(Into::into),
            ended: entry.ended_ms.map(Duration::from_millis),
            expires: entry.expires_ms.map(Duration::from_millis),
            stalled: entry.stalled,
        }
    }
}

impl Client {
    /// The jobs whose names begin with this text, the oldest first.
    ///
    /// # Errors
    ///
    /// [`QueryError`].
    pub async fn jobs(&self, prefix: &str) -> Result<Vec<JobInfo>, QueryError> {
        let mut jobs: Vec<JobInfo> = Vec::new();
        loop {
            let after = jobs.last().map(|job| job.id.as_bytes().to_vec());
            let after = after.unwrap_or_default().into();
            let answer = self
                .query(QueryKind::List(prefix.to_owned(), after))
                .await?;
            let AnswerKind::Jobs(page, more) = answer else {
                let text = "the server has answered something else".to_owned();
                return Err(QueryError::Unsendable(text));
            };
            let is_last = !more || page.is_empty();
            jobs.extend(page.into_iter().map(JobInfo::from));
            if is_last {
                break;
            }
        }
        jobs.sort_by_key(|job| (job.started, job.id));
        Ok(jobs)
    }

    /// Sends a signal, by number, to a job's process group, without holding it.
    ///
    /// # Errors
    ///
    /// [`QueryError`]: there is no such job, it has ended, or this client may not.
    pub async fn signal_job(&self, id: JobId, signal: u8) -> Result<(), QueryError> {
        let request = request()?;
        let query = QueryKind::Signal(id.into(), request.into(), signal);
        self.query(query).await.map(drop)
    }

    /// Ends a job's whole tree, without holding it: TERM, and KILL after `grace`.
    ///
    /// # Errors
    ///
    /// As [`Client::signal_job`].
    pub async fn cancel_job(&self, id: JobId, grace: Duration) -> Result<(), QueryError> {
        let request = request()?;
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        let query = QueryKind::Cancel(id.into(), request.into(), grace_ms);
        self.query(query).await.map(drop)
    }

    /// Forgets an ended job, with its output.
    ///
    /// # Errors
    ///
    /// [`QueryError`]: there is no such job, or it has not ended.
    pub async fn remove_job(&self, id: JobId) -> Result<(), QueryError> {
        self.query(QueryKind::Remove(id.into())).await.map(drop)
    }
}

impl Client {
    /// Replaces the server's program, in place and with all its jobs, by the one that lies where it
    /// was started from. The line drops with that; when this returns, another is there.
    ///
    /// # Errors
    ///
    /// [`QueryError`]: the new program was not taken, and the old one stays.
    pub async fn upgrade(&self) -> Result<(), QueryError> {
        let request = request()?;
        self.query(QueryKind::Upgrade(request.into()))
            .await
            .map(drop)
    }
}

/// Names a request, so that it is done once however often it is sent.
fn request() -> Result<JobId, QueryError> {
    new_job_id().map_err(|error: StartError| QueryError::Random(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_at_the_beginning_is_a_loss_unless_the_oldest_there_is_was_wanted() {
        for (place, is_lenient) in [
            (Place::Start, true),
            (Place::Last(10), true),
            (Place::Now, false),
            (Place::At([3, 0]), false),
        ] {
            let options = AttachOptions::default().from(place);
            assert_eq!(options.is_lenient(), is_lenient, "{place:?}");
        }
    }
}
