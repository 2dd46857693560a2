//! What is told to the audit, if there is one.

use std::io;

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
    Asked, AuditConfig, Auditor, Ended, Event, Refused, Started, Text, Who, login_accepted,
    login_refused,
};
use crate::outcome::{Outcome, Status};
use crate::wire::{Command, Program};

impl Ground {
    /// Begins to write it. After an upgrade, that it cannot be written is no reason not to go on with the
    /// jobs that run; others are not started then.
    pub(super) fn open_audit(
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
    /// A command as the audit has it; none without an audit.
    pub(super) fn audited(&self, program: &Program) -> Option<Asked> {
        let audit = self.ground.audit.as_ref()?;
        Some(audit.command(program))
    }

    /// A command is to start; false if too much waits to be written.
    pub(super) fn note_start(&self, terms: &Terms, start: &Start, asked: Asked) -> bool {
        let Some(audit) = &self.ground.audit else {
            return true;
        };
        let grant = terms.grant.as_ref();
        let is_forced = grant.is_some_and(|grant| grant.line.options.command.is_some());
        let (asked, command) = match is_forced {
            true => (Some(asked), audit.command(&start.command.program)),
            false => (None, asked),
        };
        let job = job_name(&terms.id);
        let event = Event::Start(Started {
            job: &job,
            who: who_owns(terms),
            command,
            asked,
            cwd: start.command.cwd.as_ref().map(|cwd| Text::of(cwd)),
            detached: terms.detached,
        });
        audit.start_of(start.serial, &event)
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
            command: audit.command(&command.program),
        }));
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
