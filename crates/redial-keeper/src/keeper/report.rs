//! What the front is told about a job.
//!
//! Nothing is queued: what is to be told is found by comparing where the job
//! stands with what was told. So a front that does not listen costs no memory.

use super::front::Front;
use super::ground::Ground;
use super::job::Job;
use super::kept::Spool;
use crate::wire::{Capability, Chunk, Outbox, Piece, Snapshot, ToFront, WireError};

impl Job {
    /// Tells the front all that is new, if one of its connections reads this job.
    pub(super) fn report(&mut self, ground: &mut Ground, front: &mut Front) {
        self.is_dirty = false;
        let was_full = self.journal.is_full();
        let news = self.take_news();
        // An output that ends is mostly followed by the exit within microseconds.
        let may_wait = |message: &ToFront| matches!(message, ToFront::OutputEnd(..));
        let patient = news.iter().all(may_wait);
        let news = news.iter().filter(|_| !self.readers.is_empty());
        if patient {
            front.patiently(|out| news.for_each(|message| tell(out, message)));
        } else {
            news.for_each(|message| tell(&mut front.out, message));
        }
        if was_full {
            self.resume(ground);
            if self.journal.has_news() {
                self.mark(ground);
            }
        }
    }

    /// Everything that was not told yet, in order; after this it counts as told.
    fn take_news(&mut self) -> Vec<ToFront> {
        let job = self.terms.id.into();
        let mut news = Vec::with_capacity(5);
        if let Some(spool) = &mut self.spool {
            if spool.told != spool.state {
                spool.told = spool.state;
                news.push(ToFront::Spooled(job, spool.state));
            }
        } else if self.journal.has_news() {
            let chunks = self
                .outputs
                .iter_mut()
                .flat_map(|output| output.log.take_new_chunks())
                .collect();
            news.push(ToFront::Output(job, chunks, self.journal.take_news()));
        }
        self.take_stdin_news(&mut news);
        let tell = std::mem::take(&mut self.tell);
        if tell.applied {
            news.push(ToFront::Applied(job, self.applied));
        }
        if let Some(exit) = self.exit().filter(|_| tell.exited) {
            news.push(ToFront::Exited(job, exit));
        }
        let is_kept = self.spool.is_some();
        for (output, stream) in self.outputs.iter_mut().zip([1, 2]) {
            let is_told = !is_kept || output.log.oldest() == output.log.end();
            if output.has_ended() && is_told && !output.end_told {
                output.end_told = true;
                news.push(ToFront::OutputEnd(job, stream, output.log.end()));
            }
        }
        if let Some(outcome) = self.outcome.as_ref().filter(|_| tell.ended) {
            news.push(ToFront::Ended(job, outcome.clone()));
        }
        news
    }

    fn take_stdin_news(&mut self, news: &mut Vec<ToFront>) {
        let job = self.terms.id.into();
        let Some(input) = &mut self.input else { return };
        if input.told_taken < input.log.taken() {
            input.told_taken = input.log.taken();
            news.push(ToFront::StdinTaken(job, input.told_taken));
        }
        // Behind what was taken: the slot of a new chunk may be that of an old one.
        news.extend(
            input
                .log
                .take_new_chunks()
                .into_iter()
                .map(|chunk| ToFront::StdinChunk(job, chunk)),
        );
        if input.closed_early && !input.closed_told {
            input.closed_told = true;
            news.push(ToFront::StdinClosed(job));
        }
    }

    /// Where the job stands, for `who`. All of it counts as told: readers who are
    /// there already have to be told what is new before.
    pub(super) fn snapshot(&mut self, who: Capability) -> Snapshot {
        drop(self.take_news());
        let pieces: Vec<Piece> = match self.spool {
            Some(_) => Vec::new(),
            None => self.journal.pieces(),
        };
        let outputs = self.outputs.iter().filter(|_| self.spool.is_none());
        let mut chunks: Vec<Chunk> = outputs.flat_map(|output| output.log.chunks()).collect();
        chunks.extend(self.input.iter().flat_map(|input| input.log.chunks()));
        let mut outputs = self
            .outputs
            .each_ref()
            .map(|it| it.log.state(it.has_ended()));
        let spool = self.spool.as_ref().map(|spool| spool.state);
        for (index, output) in outputs.iter_mut().enumerate() {
            if let Some(spool) = &spool {
                // The end stays that of the stream: who had it from memory is ahead of the file.
                output.ended &= output.end == spool.ends()[index];
                output.oldest = spool.oldest()[index];
            }
        }
        let [stdout, stderr] = outputs;
        Snapshot {
            pid: self.pid.unsigned_abs(),
            exact: self.ending.is_exact(),
            holder: self.holder == Some(who),
            stdin_arrived: self.input.as_ref().map_or(0, |input| input.log.arrived()),
            applied: self.applied,
            stdout,
            stderr,
            chunks,
            pieces,
            terminal: self.terms.is_on_terminal,
            stdin_closed: self.input.as_ref().is_none_or(|input| input.is_closed()),
            exit: self.exit(),
            // Of a kept job, when that is written down.
            outcome: self
                .outcome
                .as_deref()
                .filter(|_| {
                    self.spool.as_ref().is_none_or(Spool::is_over)
                        && !(self.is_being_kept && self.spool.is_none())
                })
                .cloned(),
            spool,
        }
    }
}

/// Puts a message into the outbox. All of them fit a packet: lists are bounded.
pub(super) fn tell(out: &mut Outbox<ToFront>, message: &ToFront) {
    if let Err(error @ (WireError::TooLong(_) | WireError::TooManyDescriptors(_))) =
        out.push(message)
    {
        tracing::error!(%error, "a message to the front was left out");
    }
}
