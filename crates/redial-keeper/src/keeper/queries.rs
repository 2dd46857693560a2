//! Questions about jobs, and what is done to one by who does not hold it.

use super::command::{Refusal, job_name};
use super::grant::Client;
use super::kept::Asker;
use super::poll::Serial;
use super::report::tell;
use super::turn::Keeper;
use crate::outcome::{ControlKind, RefusedCode};
use crate::wire::{Ask, Capability, JobId, Reply, ToFront};

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
        if !matches!(ask, Ask::List(..)) {
            client.check_may_change()?;
        }
        let reply = match ask {
            Ask::List(prefix, after) => self.list(&client, &prefix, &after),
            Ask::Signal(job, request, signal) => {
                self.act(&client, &job, *request, ControlKind::Signal(signal))?
            }
            Ask::Cancel(job, request, grace_ms) => {
                self.act(&client, &job, *request, ControlKind::Cancel(grace_ms))?
            }
            Ask::Upgrade(_) if self.people.users.are_many() && client.uid != 0 => {
                let text = "only root may replace the program of a server of many users";
                return Err(Refusal::new(RefusedCode::NotAllowed, text));
            }
            Ask::Upgrade(request) => return self.ask_for_upgrade(&client, number, *request),
            Ask::Remove(job) => match self.remove(&client, (who, number), &job)? {
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
        asker: Asker,
        id: &JobId,
    ) -> Result<Option<Reply>, Refusal> {
        let kept = self.keeping.archive.find(id);
        if kept.is_some_and(|kept| client.reaches(&kept.record.owner())) {
            self.remove_kept(id, asker)?;
            return Ok(None);
        }
        let serial = self.ids.get(id).copied();
        let job = serial.and_then(|serial| self.jobs.get(&serial));
        let job = job.filter(|job| client.reaches(&job.terms.owner));
        let not_now = |text: &str| Err(Refusal::new(RefusedCode::Unsupported, text));
        match (serial, job) {
            (Some(serial), Some(job)) if job.only_waits_for_room() => {
                self.with_job(serial, |job, ground| {
                    job.remove_for = Some(asker);
                    job.drop_rest(ground);
                });
                Ok(None)
            }
            (_, Some(job)) if job.outcome.is_none() => {
                not_now("the job has not ended; end it first")
            }
            (_, Some(job)) if job.spool.is_some() || job.is_being_kept => {
                not_now("the job's end is being written down; try again")
            }
            // It sends from memory that would be another's at once.
            (_, Some(job)) if job.holder.is_some() => {
                not_now("a client holds the job, and has not seen its end; it goes with that")
            }
            (Some(serial), Some(_)) => {
                self.let_go(serial, true);
                Ok(Some(Reply::Done))
            }
            _ => Err(no_such_job()),
        }
    }
}
