//! Questions about jobs, and what is done to one by who does not hold it.

use super::command::{Refusal, job_name};
use super::grant::Client;
use super::job::Job;
use super::kept::Kept;
use super::poll::Serial;
use super::report::tell;
use super::start::Starting;
use super::time::unix_ms;
use super::turn::Keeper;
use crate::outcome::{ControlKind, RefusedCode};
use crate::wire::{Ask, Capability, JobId, JobInfo, JobPhase, Reply, ToFront};

/// Of one answer, in bytes: with what is around it, it fits a packet and a frame.
const MAX_PAGE_BYTES: usize = 48 * 1024;
/// Requests remembered for each job, so that none is done twice.
const MAX_REQUESTS: usize = 64;

fn no_such_job() -> Refusal {
    Refusal::new(RefusedCode::NoSuchJob, "no such job")
}

impl Keeper<'_> {
    /// Answers what was asked.
    pub(super) fn query(&mut self, who: Capability, number: u32, ask: Ask) -> Result<(), Refusal> {
        let client = self.client(who)?;
        client.check()?;
        let reply = match ask {
            Ask::List(prefix, after) => self.list(&client, &prefix, &after),
            Ask::Signal(job, request, signal) => {
                self.act(&client, &job, *request, ControlKind::Signal(signal))?
            }
            Ask::Cancel(job, request, grace_ms) => {
                self.act(&client, &job, *request, ControlKind::Cancel(grace_ms))?
            }
            Ask::Upgrade(request) => return self.ask_for_upgrade(&client, number, *request),
            Ask::Remove(job) => match self.remove(&client, number, &job)? {
                Some(reply) => reply,
                None => return Ok(()),
            },
        };
        tell(
            &mut self.front.out,
            &ToFront::Answer(number, Box::new(reply)),
        );
        Ok(())
    }

    /// A page of them, in order of their ids.
    fn list(&self, client: &Client, prefix: &str, after: &[u8]) -> Reply {
        let mut found: Vec<Found<'_>> = Vec::new();
        found.extend(self.starting.values().map(Found::Starting));
        found.extend(self.jobs.values().map(Found::Job));
        found.extend(self.keeping.archive.iter().map(Found::Kept));
        found.retain(|it| {
            let is_behind = after.is_empty() || &it.id()[..] > after;
            is_behind && it.reached_by(client) && job_name(&it.id()).starts_with(prefix)
        });
        found.sort_unstable_by_key(Found::id);
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        let total = found.len();
        for it in found {
            let info = self.info(&it);
            let len = minicbor::to_vec(&info).map_or(0, |encoded| encoded.len());
            if bytes + len > MAX_PAGE_BYTES && !jobs.is_empty() {
                break;
            }
            bytes += len;
            jobs.push(info);
        }
        let more = jobs.len() < total;
        Reply::Jobs(jobs, more)
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

    /// A signal or cancel of who does not hold the job.
    fn act(
        &mut self,
        client: &Client,
        id: &JobId,
        request: [u8; 16],
        control: ControlKind,
    ) -> Result<Reply, Refusal> {
        if !client.may_send(control) {
            let text = "a key with a forced command may not send this signal";
            return Err(Refusal::new(RefusedCode::NotAllowed, text));
        }
        let serial = self.running(client, id)?;
        let by = client.name();
        tracing::debug!(job = job_name(id), ?control, by, "control");
        self.with_job(serial, |job, ground| {
            if !job.requests.contains(&request) {
                if job.requests.len() >= MAX_REQUESTS {
                    job.requests.pop_front();
                }
                job.requests.push_back(request);
                job.apply(ground, control, by);
            }
        });
        Ok(Reply::Done)
    }

    /// A job that can still be controlled.
    fn running(&self, client: &Client, id: &JobId) -> Result<Serial, Refusal> {
        let over = |owner| match client.reaches(&owner) {
            true => Refusal::new(RefusedCode::Unsupported, "the job has ended"),
            false => no_such_job(),
        };
        let Some(&serial) = self.ids.get(id) else {
            let kept = self
                .keeping
                .archive
                .find(id)
                .map(|kept| kept.record.owner());
            let known = kept.or_else(|| Some(self.records.find(id)?.owner.clone()));
            return Err(known.map_or_else(no_such_job, over));
        };
        if let Some(starting) = self.starting.get(&serial) {
            return Err(match client.reaches(&starting.terms.owner) {
                true => Refusal::new(RefusedCode::Failure, "the job is being started; try again"),
                false => no_such_job(),
            });
        }
        let job = self.jobs.get(&serial).ok_or_else(no_such_job)?;
        if job.outcome.is_some() || !client.reaches(&job.terms.owner) {
            return Err(over(job.terms.owner.clone()));
        }
        Ok(serial)
    }

    /// None if the answer follows when the disk has done its part.
    fn remove(
        &mut self,
        client: &Client,
        number: u32,
        id: &JobId,
    ) -> Result<Option<Reply>, Refusal> {
        let kept = self.keeping.archive.find(id);
        if kept.is_some_and(|kept| client.reaches(&kept.record.owner())) {
            self.remove_kept(id, number);
            return Ok(None);
        }
        let serial = self.ids.get(id).copied();
        let job = serial.and_then(|serial| self.jobs.get(&serial));
        let job = job.filter(|job| client.reaches(&job.terms.owner));
        match (serial, job) {
            (Some(serial), Some(job)) if job.outcome.is_some() && job.spool.is_none() => {
                self.let_go(serial, true);
                Ok(Some(Reply::Done))
            }
            (_, Some(_)) => {
                let text = "the job has not ended; end it first";
                Err(Refusal::new(RefusedCode::Unsupported, text))
            }
            (_, None) => Err(no_such_job()),
        }
    }
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
