//! What is told to the audit, if there is one.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::command::{Refusal, job_name};
use super::config::KeeperError;
use super::grant::{Client, Grant};
use super::ground::Ground;
use super::kept::Record;
use super::records::bare;
use super::terms::Terms;
use super::turn::Keeper;
use super::workers::{Done, Start};
use crate::audit::{
    Act, Asked, AuditConfig, Auditor, Ended, Event, Refused, Started, Text, Who, login_accepted,
    login_refused,
};
use crate::outcome::{Outcome, Status};
use crate::recording::RecordConfig;
use crate::wire::{Ask, Capability, Command, JobId, Program};

/// For the last of them to be written, at the end.
const LAST_LINES: Duration = Duration::from_secs(2);

impl Ground {
    /// Begins to write it. After an upgrade, that it cannot be written is no reason not to go on with the
    /// jobs that run; others are not started then.
    fn open_audit(
        &mut self,
        config: Option<AuditConfig>,
        resumed: bool,
    ) -> Result<(), KeeperError> {
        let Some(config) = config else {
            return Ok(());
        };
        let to = config.to.clone();
        let teller = self.workers.teller().clone();
        let told = move |(serial, written)| teller.tell(Done::Audited(serial, written));
        let failed = |source: io::Error| KeeperError::Audit { to, source };
        self.audit = Some(Auditor::start(config, resumed, told).map_err(failed)?);
        Ok(())
    }

    /// What is done and what terminals show is written down from now on, where it is.
    pub(super) fn open_books(
        &mut self,
        (audit, record): (Option<AuditConfig>, Option<RecordConfig>),
        (resumed, for_many): (bool, bool),
    ) -> Result<(), KeeperError> {
        self.open_audit(audit, resumed)?;
        self.open_recorder(record, (resumed, for_many))
    }

    /// The last of it.
    pub(super) fn close_books(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.finish(LAST_LINES);
        }
        if let Some(audit) = &self.audit {
            audit.close(LAST_LINES);
        }
    }

    /// How a job has ended.
    pub(super) fn note_end(&self, terms: &Terms, outcome: &Outcome) {
        if let Some(audit) = &self.audit {
            let job = job_name(&terms.id);
            audit.must_note(&Event::End(Ended::new(&job, who_owns(terms), outcome)));
        }
    }

    /// It ran when its server died.
    pub(super) fn note_lost(&self, record: &Record, outcome: &Outcome) {
        if let Some(audit) = &self.audit {
            let (job, owner) = (job_name(&record.job), record.owner());
            let who = Who {
                uid: Some(owner.uid),
                key: owner.key(),
                ..Who::default()
            };
            audit.must_note(&Event::End(Ended::new(&job, who, outcome)));
        }
    }

    /// It was to start, and never did.
    pub(super) fn note_not_started(&self, terms: &Terms, reason: &str) {
        if let Some(audit) = &self.audit {
            let (job, outcome) = (job_name(&terms.id), bare(Status::Unknown));
            let ended = Ended::new(&job, who_owns(terms), &outcome);
            audit.must_note(&Event::End(ended.because(reason)));
        }
    }

    /// From there nothing is heard for a while.
    pub(super) fn note_penalty(&self, source: IpAddr, seconds: u64) {
        let text =
            format!("too many failed logins: nothing is accepted from there for {seconds} s");
        tracing::warn!(%source, seconds, "too many failed logins: nothing is accepted from there");
        if let Some(audit) = &self.audit {
            let who = Who {
                source: Some(source),
                ..Who::default()
            };
            audit.note(&login_refused(who, &text));
        }
    }

    /// Somebody has come in over a Unix socket, or was not let in.
    pub(super) fn note_peer(&self, uid: u32, refused: Option<&str>) {
        let Some(audit) = &self.audit else {
            return;
        };
        let who = Who {
            uid: Some(uid),
            ..Who::default()
        };
        audit.note(&match refused {
            None => login_accepted(who),
            Some(reason) => login_refused(who, reason),
        });
    }
}

impl Keeper<'_> {
    /// What was asked for, where the key's line has something else run.
    pub(super) fn asked_of(&self, client: &Client, program: &Program) -> Option<Asked> {
        let audit = self.ground.audit.as_ref()?;
        let grant = client.grant.as_ref()?;
        grant.line.options.command.as_ref()?;
        Some(audit.command(program))
    }

    /// A command is to start; false if too much waits to be written.
    pub(super) fn note_start(&self, terms: &Terms, start: &Start, asked: Option<Asked>) -> bool {
        let Some(audit) = &self.ground.audit else {
            return true;
        };
        let job = job_name(&terms.id);
        let event = Event::Start(Started {
            job: &job,
            who: who_owns(terms),
            command: audit.command(&start.command.program),
            asked,
            cwd: start.command.cwd.as_ref().map(|cwd| Text::of(cwd)),
            detached: terms.detached,
            terminal: terms.is_on_terminal,
        });
        audit.start_of(start.serial, &event)
    }

    /// What was asked for, and what came of it.
    pub(super) fn note_act(&self, who: Capability, deed: Deed, result: &Result<(), Refusal>) {
        let (Some(audit), Ok(client)) = (&self.ground.audit, self.client(who)) else {
            return;
        };
        let (result, reason) = match result {
            Ok(()) if matches!(deed, Deed::Upgrade) => ("begun", None),
            Ok(()) => ("done", None),
            Err(refusal) => ("refused", Some(refusal.text.as_str())),
        };
        let (action, job, signal) = match deed {
            Deed::Take(id) if self.is_own(&client, &id) => return,
            Deed::Take(id) => ("take", Some(id), None),
            Deed::Signal(id, signal) => ("signal", Some(id), Some(signal)),
            Deed::Cancel(id) => ("cancel", Some(id), None),
            Deed::Remove(id) => ("remove", Some(id), None),
            Deed::Upgrade => ("upgrade", None, None),
        };
        let job = job.map(|id| job_name(&id));
        audit.note(&Event::Act(Act {
            action,
            result,
            reason,
            job: job.as_deref(),
            signal,
            who: self::who(client.uid, client.grant.as_deref()),
        }));
    }

    /// One that was begun.
    pub(super) fn note_no_upgrade(&self, reason: &str) {
        if let Some(audit) = &self.ground.audit {
            audit.must_note(&Event::Act(Act {
                action: "upgrade",
                result: "failed",
                reason: Some(reason),
                job: None,
                signal: None,
                who: Who::default(),
            }));
        }
    }

    /// Whether it is who started the job: over another line, say.
    fn is_own(&self, client: &Client, id: &JobId) -> bool {
        let serial = self.ids.get(id);
        let job = serial.and_then(|serial| self.jobs.get(serial));
        job.is_none_or(|job| match &job.terms.grant {
            None => client.grant.is_none(),
            grant => client.is_key_of(grant.as_ref()),
        })
    }

    /// The server ends, and these do not.
    pub(super) fn note_given_up(&self) {
        let unfinished = self.jobs.values().filter(|job| job.outcome.is_none());
        let starting = self.starting.values().filter(|it| it.audited);
        let terms = unfinished.map(|job| &job.terms);
        for terms in terms.chain(starting.map(|it| &it.terms)) {
            self.ground.note_end(terms, &bare(Status::Unknown));
        }
    }

    /// A command that its client may not run.
    pub(super) fn note_refused(&self, client: &Client, command: &Command, refusal: &Refusal) {
        let Some(audit) = &self.ground.audit else {
            return;
        };
        let job = job_name(&command.job);
        audit.note(&Event::Refused(Refused {
            job: &job,
            reason: &refusal.text,
            who: who(client.uid, client.grant.as_deref()),
            command: audit.refused_command(&command.program),
        }));
    }
}

/// What is done by who does not hold a job.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    Take(JobId),
    Signal(JobId, u8),
    Cancel(JobId),
    Remove(JobId),
    Upgrade,
}

impl Deed {
    /// None where something is only looked at.
    pub(super) fn of(ask: &Ask) -> Option<Self> {
        match ask {
            Ask::List(..) => None,
            Ask::Signal(id, _, signal) => Some(Self::Signal(**id, *signal)),
            Ask::Cancel(id, ..) => Some(Self::Cancel(**id)),
            Ask::Remove(id) => Some(Self::Remove(**id)),
            Ask::Upgrade(_) => Some(Self::Upgrade),
        }
    }
}

fn who_owns(terms: &Terms) -> Who<'_> {
    who(terms.owner.uid, terms.grant.as_deref())
}

/// As the audit names somebody.
pub(super) fn who(uid: u32, grant: Option<&Grant>) -> Who<'_> {
    let comment = grant.map(|grant| grant.line.comment.as_bytes());
    Who {
        uid: Some(uid),
        user: None,
        key: grant.map(Grant::fingerprint),
        comment: comment.filter(|it| !it.is_empty()).map(Text::of),
        source: grant.map(|grant| grant.source),
    }
}
