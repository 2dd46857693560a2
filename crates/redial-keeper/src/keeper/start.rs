//! Starts: at most once, however often one is sent.

use super::command::{self, Refusal, job_name};
use super::grant::Client;
use super::ground::Ground;
use super::kept::Log;
use super::permit;
use super::poll::Serial;
use super::terms::{Share, Terms};
use super::turn::Keeper;
use super::workers::Start;
use crate::audit::Asked;
use crate::outcome::RefusedCode;
use crate::wire::{Capability, Command, JobId, Program};

/// Waiting answers for one start; more are sent by no client of ours.
const MAX_ANSWERS: usize = 64;

/// To whom, and how, a start or attach is to be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) who: Capability,
    /// The front's own number.
    pub(super) number: u32,
    /// Becomes the holder.
    pub(super) take: bool,
    /// The very request that starts the job.
    pub(super) is_start: bool,
}

/// A job whose process is being started.
pub(super) struct Starting {
    pub(super) terms: Terms,
    pub(super) share: Share,
    pub(super) answers: Vec<Answer>,
    pub(super) bytes: usize,
    /// Time to dial again, if its connection goes before the process is there.
    pub(super) grace_ms: u64,
    /// To be started when it is written down that it will be.
    waiting: Option<Start>,
    /// In the audit.
    pub(super) audited: bool,
    /// What its terminal shows is recorded.
    pub(super) is_recorded: bool,
    /// Where its output will go, if it is kept.
    pub(super) log: Option<Log>,
}

impl Starting {
    /// One more waits for the answer.
    pub(super) fn add(&mut self, answer: Answer) -> Result<(), Refusal> {
        if self.answers.len() >= MAX_ANSWERS {
            let text = "too many wait for this job to start";
            return Err(Refusal::new(RefusedCode::Failure, text));
        }
        self.answers.push(answer);
        Ok(())
    }

    /// One less.
    pub(super) fn leave(&mut self, who: Capability) {
        self.answers.retain(|answer| answer.who != who);
    }
}

impl Keeper<'_> {
    /// Starts a command, or attaches to what it started before.
    pub(super) fn start(
        &mut self,
        who: Capability,
        number: u32,
        bytes: &[u8],
    ) -> Result<(), Refusal> {
        let client = self.client(who)?;
        if !self.phase.is_serving() {
            return Err(shuts_down());
        }
        let mut command = command::parse(bytes, self.private)?;
        // Of what was asked for: a line that forces another command may change meanwhile.
        let hash = command::hash(&command);
        let asked = self.asked_of(&client, &command.program);
        let user = self.runs_as(&client);
        let user = user.inspect_err(|it| self.note_refused(&client, &command, it))?;
        let permitted = permit::apply(&client, &mut command);
        permitted.inspect_err(|refusal| self.note_refused(&client, &command, refusal))?;
        let terms = self.terms(&client, &command, hash);
        if let Some(same) = self.is_same_as_known(&terms) {
            if !same {
                let text = "this job id was given to another command";
                return Err(Refusal::new(RefusedCode::OtherCommand, text));
            }
            // One that was not marked as sent again may have been under way on a line that has
            // dropped since, while its client goes on over another.
            let take = command.resent.is_some() || !self.is_held(&terms.id);
            return self.attach(
                Answer {
                    who,
                    number,
                    take,
                    is_start: false,
                },
                &terms.id,
            );
        }
        if let Some(resent) = &command.resent
            && self
                .records
                .may_have_run(self.ground.now, resent, &self.instance)
        {
            let text = "the job may have run before; its outcome is not known any more";
            return Err(Refusal::new(RefusedCode::Unknown, text));
        }
        let room = self.check_keys_jobs(&client);
        room.inspect_err(|refusal| self.note_refused(&client, &command, refusal))?;
        self.check_users_share(client.uid)?;
        self.check_room(bytes.len())?;
        if terms.detached {
            self.check_can_keep(client.uid)?;
        }
        let answer = Answer {
            who,
            number,
            take: true,
            is_start: true,
        };
        let start = Start {
            serial: self.next_serial,
            mark: job_name(&terms.id).into_bytes(),
            command,
            user,
        };
        self.hand_over(terms, start, asked, (answer, bytes.len()))
    }

    fn is_held(&self, id: &JobId) -> bool {
        let job = self.ids.get(id).and_then(|serial| self.jobs.get(serial));
        job.is_some_and(|job| job.holder.is_some())
    }

    /// Whether the id is known, and if so, with this command.
    fn is_same_as_known(&self, terms: &Terms) -> Option<bool> {
        let known = match self.ids.get(&terms.id) {
            Some(serial) => {
                let job = self.jobs.get(serial).map(|job| &job.terms);
                let known = job.or_else(|| self.starting.get(serial).map(|it| &it.terms))?;
                (&known.owner, known.hash)
            }
            None => match self.keeping.archive.find(&terms.id) {
                Some(kept) => {
                    let hash = u128::from_be_bytes(*kept.record.hash);
                    return Some((kept.record.owner(), hash) == (terms.owner.clone(), terms.hash));
                }
                None => {
                    let record = self.records.find(&terms.id)?;
                    (&record.owner, record.hash)
                }
            },
        };
        Some(known == (&terms.owner, terms.hash))
    }

    /// The key may have a number of its own (`max-jobs=`). One that has ended counts as long as its
    /// output waits to be read: it takes a place of everybody's.
    fn check_keys_jobs(&self, client: &Client) -> Result<(), Refusal> {
        let Some(most) = client.policy().and_then(|policy| policy.max_jobs) else {
            return Ok(());
        };
        let terms = self.jobs.values().map(|job| &job.terms);
        let terms = terms.chain(self.starting.values().map(|starting| &starting.terms));
        let own = terms.filter(|terms| client.is_key_of(terms.grant.as_ref()));
        if own.count() >= most as usize {
            let text = format!("this key has {most} jobs, which is its limit (max-jobs)");
            return Err(Refusal::new(RefusedCode::NotAllowed, text));
        }
        Ok(())
    }

    fn check_room(&self, bytes: usize) -> Result<(), Refusal> {
        let limits = &self.ground.limits;
        if self.jobs.len() + self.starting.len() >= limits.jobs as usize {
            let text = format!(
                "{} jobs run or wait to be read; that is the limit",
                limits.jobs
            );
            return Err(Refusal::new(RefusedCode::Jobs, text));
        }
        if self.waiting_bytes + bytes > limits.waiting_bytes {
            let text = "too many commands wait to be started";
            return Err(Refusal::new(RefusedCode::Jobs, text));
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        terms: Terms,
        start: Start,
        asked: Option<Asked>,
        (answer, bytes): (Answer, usize),
    ) -> Result<(), Refusal> {
        let Ground { output, stdin, .. } = &mut self.ground;
        let share = Share::take(output, stdin, start.command.stdin).map_err(|what| {
            let text =
                format!("no room for the job's {what}; try again when other jobs have ended");
            Refusal::new(RefusedCode::LogPool, text)
        })?;
        let serial = start.serial;
        tracing::debug!(
            job = job_name(&terms.id),
            uid = terms.owner.uid,
            program = program_name(&start.command),
            "start"
        );
        let waiting = match self.first_step(&terms, start, asked) {
            Ok(waiting) => waiting,
            Err(refusal) => {
                share.give_back(&mut self.ground);
                return Err(refusal);
            }
        };
        self.overlook_children();
        self.next_serial += 1;
        self.waiting_bytes += bytes;
        self.ids.insert(terms.id, serial);
        let starting = Starting {
            terms,
            share,
            answers: vec![answer],
            bytes,
            grace_ms: 0,
            waiting,
            audited: false,
            is_recorded: false,
            log: None,
        };
        self.starting.insert(serial, starting);
        Ok(())
    }

    /// What comes before the process, if something does: a line in the audit, then the file for what
    /// its terminal shows, then a record. An
    /// error if too much waits for that already.
    fn first_step(
        &mut self,
        terms: &Terms,
        start: Start,
        asked: Option<Asked>,
    ) -> Result<Option<Start>, Refusal> {
        if self.ground.audit.is_some() {
            let text = "more is to be written to the audit than its disk takes; try again";
            let written = self.note_start(terms, &start, asked);
            return match written {
                true => Ok(Some(start)),
                false => Err(Refusal::new(RefusedCode::Jobs, text)),
            };
        }
        if self.ground.begins_recording(terms, &start) {
            return Ok(Some(start));
        }
        match &self.ground.disk {
            Some(disk) if terms.detached => {
                disk.record(start.serial, terms.record());
                Ok(Some(start))
            }
            _ if self.ground.workers.start(start) => Ok(None),
            _ => Err(too_many_wait()),
        }
    }

    /// The audit has it: so what comes next.
    pub(super) fn on_audited(&mut self, serial: Serial, written: Result<(), String>) {
        let Some(starting) = self.starting.get_mut(&serial) else {
            return;
        };
        if written.is_err() {
            // Where it is, and what is wrong with it, is in the log, not a client's to know.
            let text = "the server's audit cannot be written, so the command does not run; its log says why";
            return self.cannot_start(serial, Refusal::new(RefusedCode::Failure, text));
        }
        starting.audited = true;
        let is_recorded = starting
            .waiting
            .as_ref()
            .is_some_and(|start| self.ground.begins_recording(&starting.terms, start));
        if !is_recorded {
            self.on_written(serial);
        }
    }

    /// What its terminal shows will be recorded.
    pub(super) fn on_recording(&mut self, serial: Serial) {
        match self.starting.get_mut(&serial) {
            Some(starting) => {
                starting.is_recorded = true;
                self.on_written(serial);
            }
            None => self.ground.discards_recording(serial),
        }
    }

    /// The audit and the recording have it: so what comes next.
    fn on_written(&mut self, serial: Serial) {
        let Some(starting) = self.starting.get(&serial) else {
            return;
        };
        match &self.ground.disk {
            Some(disk) if starting.terms.detached => disk.record(serial, starting.terms.record()),
            _ => self.start_recorded(serial),
        }
    }

    fn check_can_keep(&self, uid: u32) -> Result<(), Refusal> {
        if let Some(reason) = &self.keeping.cannot {
            return Err(Refusal::new(RefusedCode::Unsupported, reason.clone()));
        }
        if self.keeps_as_many_as_it_may(uid) {
            let max = self.ground.limits.kept_jobs;
            let text = match self.people.users.are_many() {
                true => format!(
                    "{max} jobs are kept, or half of that for you; that is the limit (remove some: \
                     redial rm)"
                ),
                false => format!("{max} jobs are kept; that is the limit (remove some: redial rm)"),
            };
            return Err(Refusal::new(RefusedCode::Jobs, text));
        }
        Ok(())
    }

    /// It is written down that the job starts: so now it does.
    pub(super) fn start_recorded(&mut self, serial: Serial) {
        let Some(starting) = self.starting.get_mut(&serial) else {
            return;
        };
        let is_revoked = starting.terms.is_revoked;
        let Some(start) = starting.waiting.take() else {
            return;
        };
        // That may have taken a while, and the key's line may be another by now.
        let grant = starting.terms.grant.as_deref();
        let permitted = grant.map_or(Ok(()), |grant| permit::still(grant, &start.command));
        if let Err(refusal) = permitted {
            self.cannot_start(serial, refusal);
        } else if is_revoked {
            let text = "the key was revoked while the job was written down; it was not started";
            self.cannot_start(serial, Refusal::new(RefusedCode::NotAllowed, text));
        } else if !self.phase.is_serving() {
            self.cannot_start(serial, shuts_down());
        } else if !self.ground.workers.start(start) {
            self.cannot_start(serial, too_many_wait());
        }
    }

    /// It will not be started, and nothing of it is left.
    pub(super) fn cannot_start(&mut self, serial: Serial, refusal: Refusal) {
        let Some(starting) = self.starting.remove(&serial) else {
            return;
        };
        self.waiting_bytes -= starting.bytes;
        if starting.is_recorded {
            self.ground.discards_recording(serial);
        }
        if starting.audited {
            self.ground.note_not_started(&starting.terms, &refusal.text);
        }
        starting.share.give_back(&mut self.ground);
        let id = starting.terms.id;
        self.ids.remove(&id);
        for answer in starting.answers {
            self.refuse(answer.number, refusal.clone());
        }
        if starting.log.is_some() {
            self.remove_files(&id);
        }
    }
}

fn shuts_down() -> Refusal {
    Refusal::new(RefusedCode::ShuttingDown, "the server is shutting down")
}

fn too_many_wait() -> Refusal {
    Refusal::new(RefusedCode::Jobs, "too many commands wait to be started")
}

/// For the log: arguments may be secrets, the program's name is not.
fn program_name(command: &Command) -> String {
    match &command.program {
        Program::Argv(argv) => {
            let name = argv.first().map(|name| &name[..name.len().min(256)]);
            String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
        }
        Program::Shell(_) => "(shell)".to_owned(),
        Program::Login => "(login shell)".to_owned(),
    }
}
