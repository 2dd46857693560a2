//! What terminals show, recorded where that is wanted: the file first, then the command.

use super::command::{Refusal, job_name};
use super::config::KeeperError;
use super::ground::Ground;
use super::peers::SHARE;
use super::poll::Serial;
use super::terms::Terms;
use super::time::Millis;
use super::turn::Keeper;
use super::workers::{Done, Start};
use crate::outcome::{Cause, RefusedCode};
use crate::recording::{Header, RecordConfig, Recorder, Text, Told, file_name};
use crate::state::RecordingState;

/// Where a command stands whose recording has failed.
const FAILED: &str = "the server: its terminal cannot be recorded";

/// One recording, on this side.
#[derive(Debug)]
pub(super) struct Recording {
    job: Serial,
    began: Millis,
    text: Text,
    /// How large the terminal is, and what of that is not said yet.
    size: Option<[u16; 2]>,
    resized: Option<[u16; 2]>,
}

impl Recording {
    /// It begins now.
    pub(super) fn begin(job: Serial, now: Millis) -> Self {
        Self {
            job,
            began: now,
            text: Text::default(),
            size: None,
            resized: None,
        }
    }

    pub(super) fn save(&self) -> RecordingState {
        RecordingState {
            began: self.began,
            held: self.text.held().to_vec().into(),
        }
    }

    /// As it was saved; none if nothing is recorded any more.
    pub(super) fn restore(
        job: Serial,
        (terms, size): (&Terms, [u16; 2]),
        state: RecordingState,
        ground: &Ground,
    ) -> Option<Self> {
        let recorder = ground.recorder.as_ref()?;
        let header = Header::again(&job_name(&terms.id), terms.started_ms, size).to_line();
        recorder.reopen(job, (name(terms), header), terms.owner.uid);
        Some(Self {
            job,
            began: state.began,
            text: Text::holding(state.held.into()),
            size: None,
            resized: None,
        })
    }

    /// Whether the terminal is not to be read for now.
    pub(super) fn is_behind(ground: &Ground) -> bool {
        ground.recorder.as_ref().is_some_and(Recorder::is_full)
    }

    /// The terminal has shown this.
    pub(super) fn shown(&mut self, ground: &Ground, bytes: impl IntoIterator<Item = u8>) {
        self.say_size(ground);
        if let Some(recorder) = &ground.recorder {
            let at = ground.now.saturating_sub(self.began);
            recorder.shown(self.job, at, self.text.push(bytes));
        }
    }

    /// It is so large from now on. Sizes can follow each other as fast as anybody likes: while much
    /// waits to be written, only the last one counts.
    pub(super) fn resized(&mut self, ground: &Ground, size: [u16; 2]) {
        self.resized = Some(size).filter(|_| self.size != Some(size));
        if !Self::is_behind(ground) {
            self.say_size(ground);
        }
    }

    fn say_size(&mut self, ground: &Ground) {
        if let (Some(size), Some(recorder)) = (self.resized.take(), &ground.recorder) {
            self.size = Some(size);
            let at = ground.now.saturating_sub(self.began);
            recorder.resized(self.job, at, size);
        }
    }

    /// It shows nothing any more.
    pub(super) fn end(mut self, ground: &Ground) {
        self.say_size(ground);
        if let Some(recorder) = &ground.recorder {
            let at = ground.now.saturating_sub(self.began);
            recorder.shown(self.job, at, self.text.rest());
            recorder.close(self.job);
        }
    }
}

impl Ground {
    pub(super) fn open_recorder(
        &mut self,
        config: Option<RecordConfig>,
        (resumed, for_many): (bool, bool),
    ) -> Result<(), KeeperError> {
        let Some(config) = config else { return Ok(()) };
        let teller = self.workers.teller().clone();
        let told = move |it| teller.tell(Done::Recorded(it));
        let share = match for_many {
            true => config.quota / SHARE as u64,
            false => config.quota,
        };
        let dir = config.dir.clone();
        let recorder = Recorder::start(config, share, resumed, told);
        self.recorder = Some(recorder.map_err(|source| KeeperError::Record { dir, source })?);
        Ok(())
    }

    /// Has a file made for what is to start, if its terminal is to be recorded.
    pub(super) fn begins_recording(&self, terms: &Terms, start: &Start) -> bool {
        let (Some(recorder), Some(pty)) = (&self.recorder, &start.command.pty) else {
            return false;
        };
        let job = job_name(&terms.id);
        let header = Header::new(&job, terms.started_ms, pty).to_line();
        recorder.open(start.serial, (name(terms), header), terms.owner.uid);
        true
    }

    /// There will be no command that it is of.
    pub(super) fn discards_recording(&self, serial: Serial) {
        if let Some(recorder) = &self.recorder {
            recorder.discard(serial);
        }
    }
}

fn name(terms: &Terms) -> String {
    file_name(terms.started_ms, terms.owner.uid, &job_name(&terms.id))
}

impl Keeper<'_> {
    pub(super) fn on_told(&mut self, told: Told) {
        match told {
            Told::Opened(serial, Ok(())) => self.on_recording(serial),
            Told::Opened(serial, Err(reason)) => {
                tracing::error!(reason, "a terminal cannot be recorded, so it is not given");
                let text = "the server cannot record the terminal, so the command does not run; \
                            its log says why";
                self.cannot_start(serial, Refusal::new(RefusedCode::Failure, text));
            }
            Told::Failed(serial, reason) => self.on_recording_failed(serial, &reason),
            Told::Room => self.read_terminals(),
        }
    }

    /// What is not recorded is not to happen.
    fn on_recording_failed(&mut self, serial: Serial, reason: &str) {
        let grace_ms = self.ground.limits.kill_after_ms;
        self.with_job(serial, |job, ground| {
            let job_id = job_name(&job.terms.id);
            tracing::error!(
                job = job_id,
                reason,
                "a recording cannot go on; its job is ended"
            );
            job.end_tree(ground.now, grace_ms, Cause::Cancelled(FAILED.to_owned()));
            // Nor is what happens until it has ended.
            job.outputs[0].cut(ground);
            job.hang_up(ground);
        });
    }

    /// Whether terminals are to be left alone: what they show would have to be written first.
    pub(super) fn pause_recordings(&mut self, pause: bool) {
        let Some(recorder) = &self.ground.recorder else {
            return;
        };
        recorder.pause(pause);
        if !pause {
            self.read_terminals();
        }
    }

    fn read_terminals(&mut self) {
        let recorded = self
            .jobs
            .iter()
            .filter(|(_, job)| job.outputs[0].is_recorded());
        for serial in recorded.map(|(serial, _)| *serial).collect::<Vec<_>>() {
            self.with_job(serial, |job, ground| job.resume(ground));
        }
    }
}
