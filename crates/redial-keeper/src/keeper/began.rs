//! Starts that have come to something: a process, or none.

use super::admission::revoked;
use super::command::Refusal;
use super::job::Job;
use super::kept::Spool;
use super::poll::Serial;
use super::recording::Recording;
use super::records::bare;
use super::start::Starting;
use super::turn::Keeper;
use super::workers::Started;
use crate::outcome::{Cause, RefusedCode, Status};
use crate::spawn::{SpawnError, SpawnStage};

/// Of the path of a failed start, for the outcome.
const MAX_PATH_BYTES: usize = 4_096;

impl Keeper<'_> {
    /// The process is there, or could not be started.
    pub(super) fn on_started(&mut self, serial: Serial, result: Result<Box<Started>, SpawnError>) {
        if let Err(error) = &result
            && error.stage == SpawnStage::Unlimited
        {
            let text = String::from_utf8_lossy(&error.path);
            return self.cannot_start(serial, Refusal::new(RefusedCode::Unsupported, text));
        }
        let Some(starting) = self.starting.remove(&serial) else {
            return;
        };
        self.waiting_bytes -= starting.bytes;
        match result {
            Ok(started) => self.on_process(serial, starting, *started),
            Err(error) => self.on_failure(serial, starting, error),
        }
    }

    fn on_process(&mut self, serial: Serial, starting: Starting, started: Started) {
        let Starting {
            terms,
            share,
            answers,
            grace_ms,
            log,
            is_recorded,
            ..
        } = starting;
        let is_revoked = terms.is_revoked;
        self.ground.counts.started(started.took_us);
        let mut job = Job::new(&mut self.ground, serial, terms, share, started);
        if is_recorded {
            job.outputs[0].record(Recording::begin(serial, self.ground.now));
        }
        job.spool = log.map(|log| Spool::new(log, [0, 0]));
        self.jobs.insert(serial, job);
        for answer in answers {
            self.attach_to_job(serial, answer, answer.is_start);
        }
        let grace = self.phase.grace_ms(self.ground.limits.kill_after_ms);
        let is_late = self.phase.is_leaving();
        self.with_job(serial, |job, ground| {
            job.watch(ground);
            if job.holder.is_none() {
                job.let_drop(ground.now, grace_ms);
            }
            if is_revoked {
                job.end_tree(ground.now, 0, revoked());
            }
            if let Some(grace_ms) = grace {
                job.end_tree(ground.now, grace_ms, Cause::ServerEnded);
            }
            if is_late {
                job.ending.kill_group();
            }
        });
        if self
            .jobs
            .get(&serial)
            .is_some_and(|job| job.holder.is_none())
        {
            self.begin_to_keep(serial);
        }
    }

    fn on_failure(&mut self, serial: Serial, starting: Starting, error: SpawnError) {
        let Starting {
            terms,
            share,
            answers,
            audited,
            log,
            is_recorded,
            ..
        } = starting;
        if is_recorded {
            self.ground.discards_recording(serial);
        }
        share.give_back(&mut self.ground);
        self.ids.remove(&terms.id);
        // Whoever asked is told; there is nothing to be kept.
        if log.is_some() {
            self.remove_files(&terms.id);
        }
        let SpawnError {
            stage,
            errno,
            mut path,
        } = error;
        path.truncate(MAX_PATH_BYTES);
        let mut outcome = bare(Status::NotStarted(stage.to_string(), errno, path.into()));
        // Nothing was ever there, so nothing is missing.
        for digest in [&mut outcome.stdin, &mut outcome.stdout, &mut outcome.stderr] {
            digest.complete = true;
        }
        self.ground.counts.ended(&outcome);
        if audited {
            self.ground.note_end(&terms, &outcome);
        }
        for answer in answers {
            self.answer_with_outcome(answer, terms.id, outcome.clone(), answer.is_start);
        }
        let whose = (terms.owner, terms.hash);
        self.records
            .add(self.ground.now, terms.id, whose, Box::new(outcome), false);
    }
}
