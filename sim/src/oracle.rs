//! What must hold of a job when all is over.

use redial_client::{Cause, JobError, OnDrop, StartError, Status};
use redial_keeper::outcome::Exit;
use std::time::Duration;

use crate::child::Life;
use crate::plan::JobPlan;
use crate::tally::Tally;
use crate::user::{FIRST_SIGNAL, Fate, Verdict};

/// `StartError::Refused`'s code for no room in the log pool (PROTOCOL.md, codes).
const NO_ROOM: u16 = 4;
const NO_ROOM_TEXT: &str = "no room for the job's";
/// A policy that is shorter than this may strike before another line is there.
const PATIENT: Duration = Duration::from_secs(60);

/// All that is known of one job.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) plan: &'a JobPlan,
    pub(crate) verdict: &'a Verdict,
    /// The processes that were started under its id.
    pub(crate) lives: &'a [Life],
    /// Some line of this run has dropped.
    pub(crate) had_faults: bool,
    /// The keeper remembers next to nothing.
    pub(crate) forgetful: bool,
}

type Checked = Result<(), String>;

fn check(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

impl Case<'_> {
    /// Judges it, and counts it.
    pub(crate) fn judge(&self, tally: &mut Tally) -> Checked {
        tally.jobs += 1;
        tally.output_bytes += self.verdict.received.iter().sum::<u64>();
        check(self.lives.len() <= 1, || {
            format!("was run {} times", self.lives.len())
        })?;
        if let Some(life) = self.lives.first() {
            tally.stdin_bytes += life.read;
            tally.signals += life.signals.len() as u64;
            self.check_signals(life)?;
        }
        match &self.verdict.fate {
            Fate::Ended(outcome) => {
                let life = self.lives.first().ok_or("ended, and never ran")?;
                self.check_exit(&outcome.status, life)?;
                if outcome.cause == Cause::LineDropped {
                    tally.struck += 1;
                    return self.may_be_struck("ended by its drop policy");
                }
                tally.exact += 1;
                self.check_cause(&outcome.cause)?;
                self.check_streams(outcome, life)
            }
            Fate::Failed(JobError::Incomplete { outcome, .. }) => {
                tally.struck += 1;
                tally.incomplete += 1;
                self.may_be_struck(&format!("incomplete: {outcome:?}"))
            }
            Fate::NotStarted(StartError::Refused { code: NO_ROOM, .. }) => {
                tally.refused += 1;
                check(self.lives.is_empty(), || "refused, and ran".to_owned())
            }
            // That it had been sent before, and was not run then either, its client cannot know.
            Fate::NotStarted(StartError::Lost { reason, .. })
                if reason.to_string().contains(NO_ROOM_TEXT) =>
            {
                tally.refused += 1;
                check(self.lives.is_empty(), || "refused, and ran".to_owned())
            }
            Fate::NotStarted(StartError::Lost { .. }) | Fate::Failed(JobError::Lost { .. })
                if self.forgetful && self.had_faults =>
            {
                tally.unknown += 1;
                Ok(())
            }
            Fate::Left => {
                tally.left += 1;
                check(self.plan.leaves.is_some(), || {
                    "left, and was not to".to_owned()
                })
            }
            Fate::Failed(error) => Err(format!("failed: {error}")),
            Fate::NotStarted(error) => Err(format!("not started: {error}")),
        }
    }

    fn may_be_struck(&self, how: &str) -> Checked {
        let strict = match self.plan.on_drop {
            OnDrop::Kill => true,
            OnDrop::KeepFor(time) => time < PATIENT,
            OnDrop::Keep => false,
        };
        let allowed = strict && self.had_faults;
        check(allowed, || format!("{how}, by {:?}", self.plan.on_drop))
    }

    fn check_exit(&self, status: &Status, life: &Life) -> Checked {
        let same = match (status, life.exit) {
            (Status::Exited(code), Some(Exit::Code(was))) => *code == was,
            (Status::Signaled { signal, .. }, Some(Exit::Signal(was, _))) => *signal == was,
            _ => false,
        };
        check(same, || {
            format!("said to be {status:?}, was {:?}", life.exit)
        })
    }

    fn check_cause(&self, cause: &Cause) -> Checked {
        let due = match cause {
            Cause::Itself => true,
            Cause::Cancelled(_) => self.plan.cancel,
            _ => false,
        };
        check(due, || format!("ended by {cause:?}"))
    }

    /// Each once, in order, and the child that waited for them has had them all.
    fn check_signals(&self, life: &Life) -> Checked {
        let ours = life.signals.iter().filter(|it| **it >= FIRST_SIGNAL.into());
        let ours: Vec<i32> = ours.copied().collect();
        let due: Vec<i32> = (FIRST_SIGNAL..).map(i32::from).take(ours.len()).collect();
        check(ours == due, || format!("signals came as {ours:?}"))?;
        let sent = usize::from(self.verdict.signals);
        check(ours.len() <= sent, || {
            format!("{} of {sent} signals came", ours.len())
        })
    }

    fn check_streams(&self, outcome: &redial_client::Outcome, life: &Life) -> Checked {
        for (which, said) in [&outcome.stdout, &outcome.stderr].into_iter().enumerate() {
            if self.verdict.stopped[which] {
                continue;
            }
            let (received, written) = (self.verdict.received[which], life.written[which]);
            let end = self.verdict.ends[which];
            // Of one that its policy has struck behind its end, the outcome alone is known.
            let bare = self.may_be_struck("").is_ok();
            let whole = received == written && said.bytes == written;
            let ends = end == Some(written) || (end.is_none() && bare);
            check(whole && ends && (said.complete || bare), || {
                format!(
                    "stream {}: {written} bytes were written, {received} came, the end at {end:?}, \
                     {said:?}",
                    which + 1
                )
            })?;
        }
        let Some(sent) = self.plan.stdin else {
            return Ok(());
        };
        let said = &outcome.stdin;
        check(said.bytes >= life.read && said.bytes <= sent, || {
            format!("of {sent} bytes of stdin {} were read, {said:?}", life.read)
        })?;
        let all = life.read == sent && said.bytes == sent && said.complete;
        check(!life.read_all || all, || {
            format!("of {sent} bytes of stdin {} were all there was", life.read)
        })
    }
}
