//! What the keeper does with kept jobs.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use super::super::command::{Refusal, job_name};
use super::super::ground::Ground;
use super::super::peers::SHARE;
use super::super::poll::Serial;
use super::super::report::tell;
use super::super::start::Answer;
use super::super::time::unix_ms;
use super::super::turn::Keeper;
use super::archive::{Archive, Keeping, Kept};
use super::disk::{Asker, Disk, DiskDone};
use super::record::Record;
use super::spooling::Spool;
use super::store::{Log, Store};
use crate::outcome::{Outcome, RefusedCode};
use crate::pool::OutputView;
use crate::wire::{Capability, JobId, Reply, Snapshot, StreamState, ToFront};

/// Between two looks at whose time is over.
const EXPIRE_MS: u64 = 10_000;
/// For another server to end: its jobs have 5 s, a walk that hangs 10, it gives up what is left,
/// and says goodbye.
const ANOTHERS_END: Duration = Duration::from_secs(30);
/// Said to who asks for more than is done.
const TOO_MUCH: &str = "too much is asked for at once; try again";

/// Takes the directory, and what is in it.
pub(in crate::keeper) fn open(
    dir: &Path,
    ground: &mut Ground,
    running: &HashSet<JobId>,
) -> io::Result<Keeping> {
    let store = Store::open(dir, ANOTHERS_END)?;
    let mut archive = Archive::default();
    let unix_ms = unix_ms();
    let mut on_lost = |record: &Record, outcome: &Outcome| ground.note_lost(record, outcome);
    let records = store.load(running, &mut on_lost)?;
    for record in records {
        if let Some(kept) = Kept::new(record, ground.now, unix_ms) {
            ground.room.change(kept.record.uid, 0, kept.spool().used());
            archive.add(kept);
        }
    }
    let pool = OutputView::map(ground.output.share(false)?, ground.output.chunks())?;
    ground.disk = Some(Disk::new(store, pool, ground.workers.teller())?);
    Ok(Keeping::at(archive))
}

impl Keeper<'_> {
    /// News from the disk's threads.
    pub(in crate::keeper) fn on_disk(&mut self, done: DiskDone) {
        match done {
            DiskDone::Recorded(serial, id, Ok(log)) => self.on_recorded(serial, &id, log),
            DiskDone::Recorded(serial, _, Err(error)) => self.on_not_recorded(serial, &error),
            DiskDone::Appended(serial, writer, result) => {
                self.ground
                    .disk
                    .as_mut()
                    .into_iter()
                    .for_each(Disk::appended);
                self.with_job(serial, |job, ground| job.appended(ground, writer, result));
                self.try_all_again();
            }
            DiskDone::Finished(serial, result) => self.on_finished(serial, result),
            DiskDone::Removed(id, asker, removed) => self.on_removed(&id, asker, removed),
            DiskDone::Opened(id, answer, log) => self.on_opened(&id, answer, log),
        }
    }

    /// Removes the files of a job.
    pub(in crate::keeper) fn remove_files(&mut self, id: &JobId) {
        if let Some(disk) = &mut self.ground.disk {
            disk.remove(*id);
        }
    }

    /// Whether the front that asked is still there, and its connection.
    fn is_there(&self, who: Capability) -> bool {
        self.clients.contains_key(&who)
    }

    fn on_recorded(&mut self, serial: Serial, id: &JobId, log: Log) {
        if let Some(starting) = self.starting.get_mut(&serial) {
            starting.log = Some(log);
            return self.start_recorded(serial);
        }
        let Some(job) = self.jobs.get_mut(&serial) else {
            // It is gone, and so this must go.
            return self.remove_files(id);
        };
        if job.holder.is_some() {
            return self.keep_in_memory(serial);
        }
        let spool = Spool::new(log, job.outputs.each_ref().map(|it| it.log.oldest()));
        self.keep_in(serial, spool);
    }

    /// From now on a job's output goes to its file; those who read along, read that.
    fn keep_in(&mut self, serial: Serial, spool: Spool) {
        let Some(job) = self.jobs.get_mut(&serial) else {
            return;
        };
        // They have been told of all that came before, and go on behind it.
        job.report(&mut self.ground, &mut self.front);
        let (id, state) = (job.terms.id.into(), spool.state);
        let readers = !job.readers.is_empty();
        let reader = spool.reader();
        job.spool = Some(spool);
        if readers && let Ok(reader) = reader {
            let message = ToFront::Kept(id, state);
            let told = self.front.out.push_with(&message, vec![reader]);
            debug_assert!(told.is_ok(), "one descriptor goes along");
        }
        let echo = readers.then(|| self.ask_for_echo());
        self.with_job(serial, |job, _| {
            if let (Some(spool), Some(echo)) = (&mut job.spool, echo) {
                spool.hold(echo);
            }
        });
    }

    /// Its holder was back before there was a file. It sends from memory, and goes on to: what is
    /// in a file is taken from memory, under frames that are still to be sent from there.
    fn keep_in_memory(&mut self, serial: Serial) {
        let Some(job) = self.jobs.get(&serial) else {
            return;
        };
        let id = job.terms.id;
        self.remove_files(&id);
        self.stays_in_memory(serial);
    }

    /// Its outcome, which waited for a file to be told, waits no more.
    fn stays_in_memory(&mut self, serial: Serial) {
        self.with_job(serial, |job, ground| {
            job.is_being_kept = false;
            job.tell.ended = job.outcome.is_some();
            job.mark(ground);
        });
    }

    fn on_not_recorded(&mut self, serial: Serial, error: &io::Error) {
        if self.starting.contains_key(&serial) {
            let text = format!("the job cannot be kept, so it was not started: {error}");
            return self.cannot_start(serial, Refusal::new(RefusedCode::Failure, text));
        }
        if let Some(job) = self.jobs.get(&serial) {
            let job = job_name(&job.terms.id);
            tracing::error!(job, %error, "its output cannot go to a file; it stays in memory");
            self.stays_in_memory(serial);
        }
    }

    fn on_finished(&mut self, serial: Serial, result: Result<Box<Record>, io::Error>) {
        let now = self.ground.now;
        let error = result.as_ref().err();
        self.with_job(serial, |job, _| job.end_written(now, error));
        let Ok(mut record) = result else { return };
        let Some(job) = self.jobs.get_mut(&serial) else {
            return;
        };
        if let Some(end) = &mut record.end {
            // As it was written down, and not otherwise.
            job.outcome = Some(Box::new(end.outcome.clone()));
        }
        job.report(&mut self.ground, &mut self.front);
        let Some(job) = self.jobs.remove(&serial) else {
            return;
        };
        let remove_for = job.remove_for;
        let (terms, _) = job.release(&mut self.ground);
        self.ids.remove(&terms.id);
        if let Some(kept) = Kept::new(*record, now, unix_ms()) {
            self.keeping.archive.add(kept);
        }
        if let Some(asker) = remove_for
            && let Err(refusal) = self.remove_kept(&terms.id, asker)
            && self.is_there(asker.0)
        {
            self.refuse(asker.1, refusal);
        }
    }

    /// Jobs may run that will be kept; they are counted too.
    pub(in crate::keeper) fn keeps_as_many_as_it_may(&self, uid: u32) -> bool {
        let most = self.ground.limits.kept_jobs;
        if self.keeping.archive.len() + self.jobs.len() >= most {
            return true;
        }
        // Where there are several users, one leaves room for others.
        let jobs = self.jobs.values().filter(|job| job.terms.owner.uid == uid);
        let own = || self.keeping.archive.of(uid) + jobs.count();
        self.people.users.are_many() && own() >= (most / SHARE).max(1)
    }

    /// Its line has dropped, and it is to be kept whatever happens: its output goes to a file.
    pub(in crate::keeper) fn begin_to_keep(&mut self, serial: Serial) {
        let Some(job) = self.jobs.get(&serial) else {
            return;
        };
        let is_full = self.keeps_as_many_as_it_may(job.terms.owner.uid);
        let Some(job) = self.jobs.get_mut(&serial) else {
            return;
        };
        let Some(disk) = &self.ground.disk else {
            return;
        };
        let wanted = job.is_to_be_kept() && job.spool.is_none();
        if wanted && is_full {
            let job = job_name(&job.terms.id);
            tracing::warn!(
                job,
                "as many jobs are kept as may be; its output stays in memory"
            );
        } else if wanted && !std::mem::replace(&mut job.is_being_kept, true) {
            disk.record(serial, job.terms.record());
        }
    }

    /// Attaches to a kept job that has ended; false if there is none that this client reaches.
    pub(in crate::keeper) fn attach_to_kept(
        &mut self,
        answer: Answer,
        id: &JobId,
    ) -> Result<bool, Refusal> {
        let client = self.client(answer.who)?;
        let kept = self.keeping.archive.find(id);
        if !kept.is_some_and(|kept| client.reaches(&kept.record.owner())) {
            return Ok(false);
        }
        let disk = self.ground.disk.as_mut();
        if disk.is_some_and(|disk| disk.open(*id, answer)) {
            return Ok(true);
        }
        Err(Refusal::new(RefusedCode::Failure, TOO_MUCH))
    }

    fn on_opened(&mut self, id: &JobId, answer: Answer, log: io::Result<OwnedFd>) {
        self.ground
            .disk
            .as_mut()
            .into_iter()
            .for_each(Disk::answered);
        if !self.is_there(answer.who) {
            return;
        }
        let Some(kept) = self.keeping.archive.find(id) else {
            let refused = Refusal::new(RefusedCode::NoSuchJob, "no such job");
            return self.refuse(answer.number, refused);
        };
        let (outcome, mut spool) = (kept.end.outcome.clone(), kept.spool());
        let log = match log {
            Ok(log) => vec![log],
            Err(error) => {
                let job = job_name(id);
                tracing::error!(job, %error, "its output cannot be opened");
                // All of it counts as gone.
                spool.first = spool.len;
                [spool.oldest_stdout, spool.oldest_stderr] = spool.ends();
                Vec::new()
            }
        };
        let state = |index: usize| StreamState {
            oldest: spool.oldest()[index],
            end: spool.ends()[index],
            ended: true,
        };
        let snapshot = Snapshot {
            holder: answer.take,
            stdin_arrived: outcome.stdin.bytes,
            stdout: state(0),
            stderr: state(1),
            stdin_closed: true,
            outcome: Some(outcome),
            spool: (!log.is_empty()).then_some(spool),
            ..Snapshot::default()
        };
        let attached = ToFront::Attached(answer.number, (*id).into(), false, Box::new(snapshot));
        let told = self.front.out.push_with(&attached, log);
        debug_assert!(told.is_ok(), "one descriptor goes along");
    }

    /// Whoever held it has its outcome; of one that nobody asked to be kept, nothing is left then.
    pub(in crate::keeper) fn kept_is_read(&mut self, id: &JobId) {
        let kept = self.keeping.archive.find(id);
        if kept.is_some_and(|kept| !kept.record.detached) {
            self.forget_kept(id);
        }
    }

    /// Its record and its output go.
    pub(in crate::keeper) fn forget_kept(&mut self, id: &JobId) {
        let Some(kept) = self.keeping.archive.remove(id) else {
            return;
        };
        self.ground
            .room
            .change(kept.record.uid, kept.spool().used(), 0);
        self.remember(kept);
        self.remove_files(id);
        self.try_all_again();
    }

    /// Somebody asked for that, and waits for the answer.
    pub(in crate::keeper) fn remove_kept(
        &mut self,
        id: &JobId,
        asker: Asker,
    ) -> Result<(), Refusal> {
        let disk = self.ground.disk.as_mut();
        if disk.is_some_and(|disk| disk.remove_for(*id, asker)) {
            return Ok(());
        }
        Err(Refusal::new(RefusedCode::Failure, TOO_MUCH))
    }

    fn on_removed(&mut self, id: &JobId, asker: Option<Asker>, removed: io::Result<()>) {
        self.ground
            .disk
            .as_mut()
            .into_iter()
            .for_each(Disk::removed);
        let Some((who, number)) = asker else { return };
        self.ground
            .disk
            .as_mut()
            .into_iter()
            .for_each(Disk::answered);
        let is_there = self.is_there(who);
        if let Err(error) = removed {
            let text = format!("its files cannot be removed: {error}");
            if is_there {
                self.refuse(number, Refusal::new(RefusedCode::Failure, text));
            }
            return;
        }
        if let Some(kept) = self.keeping.archive.remove(id) {
            self.ground
                .room
                .change(kept.record.uid, kept.spool().used(), 0);
            self.remember(kept);
            self.try_all_again();
        }
        if is_there {
            let done = ToFront::Answer(number, Box::new(Reply::Done));
            tell(&mut self.front.out, &done);
        }
    }

    /// For a start that is sent again: it has run.
    fn remember(&mut self, kept: Kept) {
        let hash = u128::from_be_bytes(*kept.record.hash);
        let (id, whose) = (*kept.record.job, (kept.record.owner(), hash));
        let outcome = Box::new(kept.end.outcome);
        self.records.add(self.ground.now, id, whose, outcome, true);
    }

    /// There is room again.
    fn try_all_again(&mut self) {
        if !self.ground.room.take_wanted() {
            return;
        }
        let stalled = self
            .jobs
            .iter()
            .filter(|(_, job)| job.spool.as_ref().is_some_and(|spool| spool.is_stalled()));
        for serial in stalled.map(|(serial, _)| *serial).collect::<Vec<_>>() {
            self.with_job(serial, |job, _| {
                if let Some(spool) = &mut job.spool {
                    spool.try_again();
                }
            });
        }
    }

    /// Forgets those whose time is over.
    pub(in crate::keeper) fn expire_kept(&mut self) {
        let now = self.ground.now;
        if self.keeping.expire_at.is_some_and(|at| at <= now) {
            self.keeping.expire_at = None;
            for id in self.keeping.archive.expired(now) {
                self.forget_kept(&id);
            }
        }
        if self.keeping.expire_at.is_none() && self.keeping.archive.len() > 0 {
            self.keeping.expire_at = Some(now + EXPIRE_MS);
        }
    }

    pub(in crate::keeper) fn refuse(&mut self, number: u32, Refusal { code, text }: Refusal) {
        tell(&mut self.front.out, &ToFront::Refused(number, code, text));
    }
}
