//! One job as its handles and the driver's session see it.
//!
//! Nothing here belongs to one connection but `channel`: after a break the same state
//! goes on over another.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use redial_net::proto::message::ControlKind;
use redial_net::proto::{ChannelId, StreamDigest};

use super::event::{JobEvent, Output};
use super::queue::EventQueue;
use crate::error::{JobError, StdinError};
use crate::outcome::{Cause, Digest, Outcome, Status};

/// Stdin bytes that may wait here, unacknowledged ones included.
pub(crate) const STDIN_MAX: u64 = 1 << 20;
/// Controls that may be under way. Stops a caller that signals faster than the line.
pub(crate) const CONTROLS_MAX: u64 = 64;
/// What was taken is reported to the server after so many bytes, or pieces, or when
/// nothing more waits: often enough for the smallest job log (one chunk of 64 KiB), and
/// for a log full of one-byte pieces.
const REPORT_BYTES: u64 = 64 * 1024;
const REPORT_PIECES: u32 = 64;

/// See [`super::JobCell`].
#[derive(Debug, Default)]
pub(crate) struct JobState {
    pub(crate) queue: EventQueue,
    pub(crate) reader: Option<Waker>,
    pub(super) outputs: [Received; 2],
    pub(crate) stdin: StdinDesk,
    /// Controls not handed to the connection yet.
    pub(crate) controls: VecDeque<ControlKind>,
    /// Controls handed over and not known to be applied: they may have to be sent again.
    pub(super) under_way: VecDeque<ControlKind>,
    /// Number of the last control applied.
    pub(super) applied: u64,
    /// It is known to run.
    pub(super) attached: bool,
    /// Its exit has been said.
    pub(super) exited: bool,
    /// When its line dropped, until it is reached again.
    pub(super) dropped_at: Option<Instant>,
    /// Its channel on the present connection.
    pub(crate) channel: Option<ChannelId>,
    /// It stands in the driver's notes.
    pub(crate) noted: bool,
    /// Its reader has gone.
    pub(crate) left: bool,
    /// The outcome has arrived.
    pub(crate) ended: bool,
    /// Nothing more will arrive.
    pub(crate) over: bool,
    /// See [`crate::Command::manual_acknowledge`].
    pub(crate) manual: bool,
}

/// What has arrived of one output.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Made with the first byte: most streams of most jobs are empty.
    pub(super) digest: Option<Box<StreamDigest>>,
    pub(super) arrived: u64,
    pub(super) taken: u64,
    pub(super) reported: u64,
    pub(super) pieces: u32,
    pub(super) stopped: bool,
    pub(super) ended: bool,
    /// The first of the ranges that are gone.
    pub(super) missed: Option<(u64, u64)>,
    /// Where it began, if not at its start.
    pub(super) from: u64,
    /// What had gone before it began is no loss.
    pub(super) lenient: bool,
    /// Nothing of it is wanted.
    pub(super) unwanted: bool,
}

/// What the caller has written to stdin.
#[derive(Debug, Default)]
pub(crate) struct StdinDesk {
    /// Not handed to the session yet.
    pub(crate) incoming: Vec<Bytes>,
    /// Of what was handed over; made with the first byte.
    digest: Option<Box<StreamDigest>>,
    pub(crate) written: u64,
    pub(crate) acknowledged: u64,
    /// Another has written what comes before this.
    from: u64,
    /// The caller may write.
    pub(crate) open: bool,
    /// The caller has said the end.
    pub(crate) finished: bool,
    /// The child reads no more.
    pub(crate) closed: bool,
}

impl StdinDesk {
    /// All there will ever be. It is the caller's memory already, so it is not bounded.
    pub(crate) fn give_all(&mut self, bytes: Bytes) {
        self.written = bytes.len() as u64;
        if !bytes.is_empty() {
            self.incoming.push(bytes);
        }
        self.finished = true;
    }

    /// What is written follows from here; nothing can be if it is not ours.
    pub(super) fn begin(&mut self, from: Option<u64>) {
        self.open &= from.is_some();
        let from = from.unwrap_or(0);
        self.from = from;
        self.written += from;
        self.acknowledged = from;
    }

    /// These bytes are handed over now.
    pub(crate) fn sum(&mut self, bytes: &[u8]) {
        self.digest.get_or_insert_default().update(bytes);
    }

    /// How what the command was given differs from what was sent. Less is no difference
    /// unless the server calls it complete: a command need not read to the end.
    pub(super) fn difference(&self, said: &Digest) -> Option<String> {
        if self.from > 0 || !self.open {
            // Another has written of it, or all of it.
            return None;
        }
        let digest = self.digest.as_deref();
        let sent = digest.map_or(0, StreamDigest::bytes);
        if said.bytes > sent || (said.complete && said.bytes != sent) {
            return Some(format!("{} bytes of {sent}", said.bytes));
        }
        let checksum = digest.map_or([0; 16], StreamDigest::checksum);
        (said.bytes == sent && said.checksum != checksum).then(|| "its checksum differs".to_owned())
    }
}

impl JobState {
    /// The next event, and whether the driver should be told that it was taken.
    pub(crate) fn take(&mut self) -> Option<(Result<JobEvent, JobError>, bool)> {
        let item = self.queue.pop()?;
        let report = match &item {
            Ok(JobEvent::Data {
                stream,
                offset,
                bytes,
            }) if !self.manual => self.taken(*stream, offset + bytes.len() as u64),
            // The outcome is the last word; the slot on the server can go.
            Ok(JobEvent::Ended(_)) | Err(_) => !self.manual,
            Ok(_) => self.queue.is_empty() && self.has_unreported(),
        };
        Some((item, report))
    }

    fn has_unreported(&self) -> bool {
        !self.over
            && self
                .outputs
                .iter()
                .any(|output| output.taken > output.reported)
    }

    /// Output up to here is taken; true if the server should be told now.
    pub(crate) fn taken(&mut self, stream: Output, up_to: u64) -> bool {
        let idle = self.queue.is_empty();
        let received = &mut self.outputs[stream.index()];
        received.taken = received.taken.max(up_to.min(received.arrived));
        received.pieces += 1;
        let due =
            received.taken - received.reported >= REPORT_BYTES || received.pieces >= REPORT_PIECES;
        (idle || due) && !self.over
    }

    /// Up to where this output is taken, for telling the server.
    pub(crate) fn report(&mut self, stream: Output) -> u64 {
        let received = &mut self.outputs[stream.index()];
        received.pieces = 0;
        received.reported = received.taken;
        received.taken
    }

    /// Nobody reads this output any more.
    pub(crate) fn stop(&mut self, stream: Output) {
        self.outputs[stream.index()].stopped = true;
    }

    /// Bytes of this output are gone for good.
    pub(crate) fn miss(&mut self, stream: Output, from: u64, to: u64) {
        let received = &mut self.outputs[stream.index()];
        let has_begun = received.digest.is_some();
        if received.lenient && !has_begun {
            received.begin(to);
        } else {
            received.lack(from, to);
        }
        self.queue.push(Ok(JobEvent::Missed { stream, from, to }));
    }

    /// Of a job that was reached before, and of which only the outcome is left, that alone tells of
    /// bytes that are gone: they lie behind all that has arrived, and are named like others.
    pub(super) fn miss_the_rest(&mut self, outcome: &Outcome) {
        if !self.attached || outcome.status == Status::Unknown {
            // Nobody knows from where on, or what there should be.
            return;
        }
        for stream in Output::BOTH {
            let received = &mut self.outputs[stream.index()];
            let (from, to) = (received.arrived, outcome.of(stream).bytes);
            if received.is_wanted() && from < to {
                received.lack(from, to);
                self.queue.push(Ok(JobEvent::Missed { stream, from, to }));
            }
        }
    }

    /// It is attached to like this.
    pub(crate) fn attaches(&mut self, lenient: bool, unwanted: bool) {
        for received in &mut self.outputs {
            (received.lenient, received.unwanted) = (lenient, unwanted);
        }
    }

    /// It is reached over another line, if it was not.
    pub(super) fn line_is_back(&mut self) {
        if let Some(at) = self.dropped_at.take() {
            let after = at.elapsed();
            self.queue.push(Ok(JobEvent::LineBack { after }));
        }
    }

    /// The offset from which this output is wanted.
    pub(crate) fn arrived(&self, stream: Output) -> u64 {
        self.outputs[stream.index()].arrived
    }

    /// A control was handed over.
    pub(crate) fn sent_control(&mut self) {
        let sent = self.controls.pop_front();
        self.under_way.extend(sent);
    }

    /// Every control up to this number is applied.
    pub(crate) fn applied_up_to(&mut self, number: u64) {
        while self.applied < number && self.under_way.pop_front().is_some() {
            self.applied += 1;
        }
    }

    /// Controls that are not known to be applied.
    pub(crate) fn controls_waiting(&self) -> u64 {
        (self.controls.len() + self.under_way.len()) as u64
    }

    /// Room for stdin in bytes, or why there never will be any.
    pub(crate) fn stdin_room(&self) -> Result<u64, StdinError> {
        match &self.stdin {
            desk if !desk.open || desk.finished => Err(StdinError::NoStdin),
            desk if desk.closed || self.over => Err(StdinError::Closed),
            desk => Ok(STDIN_MAX.saturating_sub(desk.written - desk.acknowledged)),
        }
    }

    pub(super) fn difference(&self, outcome: &Outcome) -> Option<(Output, String)> {
        Output::BOTH.into_iter().find_map(|stream| {
            let received = &self.outputs[stream.index()];
            let reason = received.difference(outcome.of(stream), outcome)?;
            Some((stream, reason))
        })
    }
}

impl Received {
    /// What follows begins here.
    pub(super) fn begin(&mut self, from: u64) {
        self.from = from;
        (self.arrived, self.taken, self.reported) = (from, from, from);
    }

    fn is_wanted(&self) -> bool {
        !self.stopped && !self.unwanted
    }

    /// These bytes will not come.
    fn lack(&mut self, from: u64, to: u64) {
        self.missed.get_or_insert((from, to));
        self.arrived = self.arrived.max(to);
    }

    fn difference(&self, said: &Digest, outcome: &Outcome) -> Option<String> {
        if !self.is_wanted() {
            return None;
        }
        if let Some((from, to)) = self.missed {
            return Some(format!("bytes {from} to {to} did not arrive"));
        }
        if outcome.status == Status::Unknown {
            // Nobody knows what it should be.
            return None;
        }
        if self.arrived != said.bytes {
            return Some(format!(
                "{} of {} bytes have arrived",
                self.arrived, said.bytes
            ));
        }
        if self.from > 0 {
            // The checksum is of all of it.
            return None;
        }
        let checksum = self
            .digest
            .as_ref()
            .map_or([0; 16], |digest| digest.checksum());
        if checksum != said.checksum {
            return Some("its checksum differs".to_owned());
        }
        // What somebody else's pipe may still have held is named in the outcome, and a
        // tree that was ended is no clean exit; anything else must be whole.
        let ran = !matches!(outcome.status, Status::NotStarted { .. } | Status::Unknown);
        let whole = said.complete || !outcome.holders.is_empty() || outcome.cause != Cause::Itself;
        (ran && !whole).then(|| "the server could not read it to its end".to_owned())
    }
}
