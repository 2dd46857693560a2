//! A job on a connection, and how it goes on over another one.

use std::sync::Arc;
use std::time::Duration;

use redial_net::proto::message::{Attach, Attached, Resent, Start};
use redial_net::proto::{ChannelId, CommandError, Connection, Stream};
use tokio::sync::oneshot;

use crate::error::{Lost, StartError};
use crate::job::{JobCell, JobState, Output, StdinQueue};
use crate::shared::Request;

/// A job on this connection.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) cell: Arc<JobCell>,
    /// Who waits for the answer to the start.
    answer: Option<oneshot::Sender<Result<(), StartError>>>,
    /// Until it was answered: it may have to be sent again.
    start: Option<Box<Start>>,
    /// How it was attached to, if another has started it.
    attach: Option<Box<Attach>>,
    /// Until that was answered.
    attaching: bool,
    sent: Sent,
    pub(super) stdin: StdinQueue,
    stdin_ended: bool,
    granted: [u64; 2],
    /// It is asked for again, and not answered yet: the server says where its streams go on.
    pub(super) resuming: bool,
    /// When it was last reached over another line.
    resumed_at: Option<Duration>,
    /// How often it was asked for on lines that dropped before the answer: so many of our own
    /// words may still come late.
    unanswered: u32,
    /// It is asked for because another connection had it.
    taken_back: bool,
    /// It was first asked for where the server has looked at nothing.
    unread: bool,
}

/// What was said on a line that has dropped arrives within this time, if at all.
const LATE: Duration = Duration::from_secs(5);

/// When a start was first sent, and to which instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    at: Duration,
    to: [u8; 16],
}

impl Sent {
    /// Now, to this instance.
    pub(super) fn now(to: [u8; 16]) -> Self {
        Self { at: uptime(), to }
    }

    /// As an earlier client has said it.
    fn before(resent: &Resent) -> Self {
        let ago = Duration::from_millis(resent.ago_ms);
        Self {
            at: uptime().saturating_sub(ago),
            to: resent.instance.into(),
        }
    }

    fn ago_ms(&self) -> u64 {
        let ago = uptime().saturating_sub(self.at).as_millis();
        u64::try_from(ago).unwrap_or(u64::MAX)
    }
}

/// On a clock that counts sleep, as the server's does that remembers jobs.
fn uptime() -> Duration {
    #[cfg(feature = "simulation")]
    if let Some(uptime) = crate::simulation::uptime() {
        return uptime;
    }
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    // It is never negative.
    Duration::try_from(now).unwrap_or_default()
}

impl Running {
    /// A job that has just been asked for.
    pub(super) fn new(
        cell: Arc<JobCell>,
        answer: oneshot::Sender<Result<(), StartError>>,
        request: Request,
        sent: Sent,
    ) -> Self {
        let (start, attach, granted) = match request {
            Request::Start(start) => {
                let granted = [start.stdout_credit, start.stderr_credit];
                (Some(start), None, granted)
            }
            Request::Attach(attach) => {
                let granted = [attach.stdout_credit, attach.stderr_credit];
                (None, Some(attach), granted)
            }
        };
        let before = start.as_ref().and_then(|start| start.resent.as_ref());
        Running {
            cell,
            answer: Some(answer),
            granted,
            sent: before.map_or(sent, Sent::before),
            resuming: before.is_some(),
            attaching: attach.is_some(),
            start,
            attach,
            stdin: StdinQueue::default(),
            stdin_ended: false,
            resumed_at: None,
            unanswered: 0,
            taken_back: false,
            unread: false,
        }
    }

    /// Whether the server is yet to say where its streams go on.
    pub(super) fn is_waiting(&self) -> bool {
        self.resuming || self.attaching
    }

    /// Whether it was taken by words of our own that came late, as far as can be known; true
    /// once for each.
    pub(super) fn is_taken_by_late_words(&mut self) -> bool {
        self.taken_back = self.unanswered > 0 && self.was_just_resumed();
        self.unanswered -= u32::from(self.taken_back);
        self.taken_back
    }

    fn was_just_resumed(&self) -> bool {
        self.resumed_at
            .is_some_and(|at| uptime().saturating_sub(at) < LATE)
    }

    /// Asks for it on a new connection: by its start, as long as nobody knows whether that has
    /// arrived, else by its name.
    pub(super) fn ask_again(
        &mut self,
        window: u64,
        connection: &mut Connection,
    ) -> Result<ChannelId, CommandError> {
        let (from, credit) = {
            let mut state = self.cell.lock();
            let from = Output::BOTH.map(|output| state.arrived(output));
            (
                from,
                Output::BOTH.map(|output| state.report(output) + window),
            )
        };
        if self.attaching
            && let Some(attach) = &self.attach
        {
            return connection.attach(attach);
        }
        let channel = match &mut self.start {
            Some(start) => {
                start.resent = Some(Resent {
                    ago_ms: self.sent.ago_ms(),
                    instance: self.sent.to.into(),
                    stdout_from: from[0],
                    stderr_from: from[1],
                });
                [start.stdout_credit, start.stderr_credit] = credit;
                connection.start(start)?
            }
            None => connection.attach(&Attach {
                job: (*self.cell.id.as_bytes()).into(),
                take: self.attach.as_ref().is_none_or(|attach| attach.take),
                stdout_from: from[0],
                stderr_from: from[1],
                stdout_credit: credit[0],
                stderr_credit: credit[1],
                outcome_only: self.attach.as_ref().and_then(|attach| attach.outcome_only),
                last: None,
            })?,
        };
        self.granted = credit;
        self.count_unanswered();
        self.resuming = true;
        if self.start.is_some() {
            self.offer_stdin(0, channel, connection);
        }
        Ok(channel)
    }

    /// It was asked for again: what became of the last time?
    fn count_unanswered(&mut self) {
        if self.resumed_at.is_some() && !self.was_just_resumed() {
            self.unanswered = 0;
        }
        if self.resuming || self.start.is_some() {
            self.unanswered = self.unanswered.saturating_add(1);
        }
    }

    /// The server has the job, and says where its streams go on.
    ///
    /// # Errors
    /// What it says cannot be.
    pub(super) fn attached(
        &mut self,
        attached: &Attached,
        window: u64,
        channel: ChannelId,
        connection: &mut Connection,
    ) -> Result<(), Lost> {
        let by_name = self.start.take().is_none();
        if std::mem::take(&mut self.attaching) {
            let stdin_from = attached.holder.then_some(attached.stdin_from);
            self.stdin = StdinQueue::starting_at(attached.stdin_from);
            let from = [attached.stdout_from, attached.stderr_from];
            self.cell.begin(from, stdin_from);
            self.granted = from.map(|from| from.saturating_add(window));
            for output in Output::BOTH {
                let up_to = self.granted[output.index()];
                self.grant(output, up_to, channel, connection);
            }
            return Ok(());
        }
        if !std::mem::take(&mut self.resuming) {
            return Ok(());
        }
        if self.taken_back {
            self.taken_back = false;
        } else {
            self.resumed_at = Some(uptime());
        }
        if by_name {
            if !self.stdin.holds(attached.stdin_from) {
                return Err(Lost::because(
                    "the server wants a part of stdin that it had acknowledged",
                ));
            }
            self.offer_stdin(attached.stdin_from, channel, connection);
        }
        self.stdin_arrived(attached.stdin_from);
        Ok(())
    }

    /// The server keeps stdin up to here: there is room for more.
    pub(super) fn stdin_arrived(&mut self, up_to: u64) {
        self.stdin.release(up_to);
        let mut state = self.cell.lock();
        let written = state.stdin.written;
        let acknowledged = &mut state.stdin.acknowledged;
        *acknowledged = up_to.min(written).max(*acknowledged);
        drop(state);
        self.cell.stdin_moved.notify_waiters();
    }

    /// Makes ready what is kept of stdin from this offset on.
    fn offer_stdin(&mut self, from: u64, channel: ChannelId, connection: &mut Connection) {
        let closed = self.cell.lock().stdin.closed;
        let len = self.stdin.end().saturating_sub(from);
        // The child may have closed it; then nothing of it is wanted.
        if closed || connection.data_ready(channel, Stream::Stdin, len).is_err() {
            return;
        }
        if self.stdin_ended {
            connection.eof(channel, Stream::Stdin);
        }
    }

    /// Tells whoever waits for the start's answer; false if nobody does any more.
    pub(super) fn answer(&mut self, answer: Result<(), StartError>) -> bool {
        let Some(waiting) = self.answer.take() else {
            return false;
        };
        // Whoever asked may have gone; the job's own state says so.
        let _ = waiting.send(answer);
        true
    }

    /// Its line has ended; whether the server has looked at nothing that was asked for there.
    pub(super) fn line_ended(&mut self, unread: bool) {
        // An earlier line may have brought it there.
        let is_first = |start: &Start| start.resent.is_none();
        self.unread = unread && self.start.as_deref().is_some_and(is_first);
    }

    /// Nothing more will be heard of it.
    pub(super) fn lose(&mut self, lost: &Lost) {
        let (job, reason) = (self.cell.id, lost.clone());
        self.cell.lose(lost);
        if self.unread {
            // Who waits is told that it was not sent, which is as good.
            self.answer = None;
            return;
        }
        self.answer(Err(StartError::Lost { job, reason }));
    }

    pub(super) fn send_stdin(
        &mut self,
        state: &mut JobState,
        channel: ChannelId,
        to: &mut Connection,
    ) {
        if state.stdin.closed || self.stdin_ended {
            state.stdin.incoming.clear();
            return;
        }
        for bytes in std::mem::take(&mut state.stdin.incoming) {
            let len = bytes.len() as u64;
            state.stdin.sum(&bytes);
            self.stdin.push(bytes);
            // If the child has closed it in this very moment, nobody wants it; if the line has
            // ended, the next one is offered what is kept.
            let _ = to.data_ready(channel, Stream::Stdin, len);
        }
        if state.stdin.open && state.stdin.finished {
            self.stdin_ended = true;
            to.eof(channel, Stream::Stdin);
        }
    }

    /// Gives credit up to here.
    pub(super) fn grant(
        &mut self,
        output: Output,
        up_to: u64,
        channel: ChannelId,
        to: &mut Connection,
    ) {
        let granted = &mut self.granted[output.index()];
        *granted = up_to.max(*granted);
        to.grant(channel, output.stream(), *granted);
    }

    /// Acknowledges, and gives credit in steps of at least a quarter of the window.
    pub(super) fn report(
        &mut self,
        output: Output,
        taken: u64,
        window: u64,
        channel: ChannelId,
        to: &mut Connection,
    ) {
        to.acknowledge(channel, output.stream(), taken);
        let granted = &mut self.granted[output.index()];
        if taken + window >= *granted + window / 4 {
            *granted = taken + window;
            to.grant(channel, output.stream(), *granted);
        }
    }
}

/// What passes by itself. That the connection is closing, its end will say.
pub(super) fn has_to_wait(error: &CommandError) -> bool {
    use CommandError::{Busy, Channels, Closing, NotReady};
    matches!(error, Busy | NotReady | Closing | Channels { .. })
}
