//! The server's commands, and the frames a client sends about a job.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::channel::{Channel, Request, State};
use super::{Assembly, Connection};
use crate::codec::{cut, decode, encode};
use crate::config::Side;
use crate::error::{ErrorCode, Fault};
use crate::event::Event;
use crate::header::{Header, MORE};
use crate::id::{ChannelId, Stream};
use crate::kind::Kind;
use crate::limits;
use crate::message::{
    Answer, AnswerKind, Attach, Attached, Cause, Close, Control, ControlKind, Exit, Outcome, Query,
    Refused, RefusedCode, Start, Status,
};

impl Connection {
    /// Answers a start or attach: the job is there. Outputs follow from the offsets given here.
    pub fn attached(&mut self, channel: ChannelId, mut attached: Attached) {
        let ChannelId(id) = channel;
        let Some(channel) = self.answerable(id) else {
            return;
        };
        if channel.state != State::Opening {
            return;
        }
        channel.sender.begin(Stream::Stdout, attached.stdout_from);
        channel.sender.begin(Stream::Stderr, attached.stderr_from);
        if channel.request.allows_early_stdin() {
            channel.receiver.go_on(Stream::Stdin, attached.stdin_from);
        } else {
            channel.receiver.begin(Stream::Stdin, attached.stdin_from);
        }
        // Said here, so that it need not be said again; and credit never goes down.
        let _ = channel.receiver.grant(Stream::Stdin, attached.stdin_credit);
        attached.stdin_credit = channel.receiver.granted(Stream::Stdin);
        channel.notices.applied_is_known(attached.applied);
        channel.state = State::Open;
        channel.attached = true;
        self.outbox.push(Kind::Attached, 0, id, encode(&attached));
        self.wake_noticed(id);
        self.wake_sending(id);
    }

    /// Answers a start or attach: no. Closes the channel. The text is cut to 1,024 bytes.
    pub fn refused(&mut self, channel: ChannelId, code: RefusedCode, text: &str) {
        let ChannelId(id) = channel;
        let opening = self
            .answerable(id)
            .is_some_and(|channel| channel.state == State::Opening);
        if opening {
            self.channels.remove(&id);
            self.refuse(id, code, text);
        }
    }

    /// Answers a query, which closes its channel. Texts and lists beyond their limits are cut.
    pub fn answered(&mut self, channel: ChannelId, mut answer: Answer) {
        let ChannelId(id) = channel;
        let is_query = self
            .answerable(id)
            .is_some_and(|channel| matches!(channel.request, Request::Query));
        if !is_query {
            return;
        }
        self.channels.remove(&id);
        if let AnswerKind::Jobs(jobs, _) = &mut answer.kind {
            for job in jobs {
                job.user = cut(core::mem::take(&mut job.user), limits::TEXT_MAX_BYTES);
                job.command = cut(core::mem::take(&mut job.command), limits::TEXT_MAX_BYTES);
                job.outcome = job.outcome.take().map(in_limits);
            }
        }
        self.outbox.push(Kind::Answer, 0, id, encode(&answer));
    }

    /// Every control up to this number is applied.
    pub fn applied(&mut self, channel: ChannelId, number: u64) {
        self.notice(channel, |channel| channel.notices.applied(number));
    }

    /// The process has exited; output may follow.
    pub fn exited(&mut self, channel: ChannelId, exit: Exit) {
        self.notice(channel, |channel| channel.notices.exited(exit));
    }

    /// The client is, or is no longer, the holder.
    pub fn holder(&mut self, channel: ChannelId, holder: bool) {
        self.notice(channel, |channel| channel.notices.holder(holder));
    }

    /// Another client is the holder now: this one is told so, and nothing else of the job that was
    /// not transmitted yet. False, and nothing is changed, if the outcome was.
    pub fn taken(&mut self, channel: ChannelId) -> bool {
        let Some(taken) = self.answerable(channel.0) else {
            return true;
        };
        if taken.state == State::Ended && taken.outcome.take().is_none() {
            return false;
        }
        if taken.state == State::Ended {
            taken.state = State::Open;
        }
        taken.sender.give_up();
        self.holder(channel, false);
        true
    }

    /// The child reads no more stdin. What is still under way is dropped.
    pub fn stdin_closed(&mut self, channel: ChannelId) {
        self.notice(channel, |channel| {
            if !core::mem::replace(&mut channel.stdin_closed, true) {
                channel.notices.stdin_closed();
            }
        });
    }

    /// The bytes of an output from `from` to `to` are gone. What of them, or before them, was not
    /// transmitted yet will not be; the client is told from where.
    pub fn missed(&mut self, channel: ChannelId, stream: Stream, from: u64, to: u64) {
        let ChannelId(id) = channel;
        if from >= to || self.receives(stream) {
            return;
        }
        self.notice(channel, |channel| {
            if channel.sender.is_over(stream) && to > channel.sender.ready(stream) {
                return;
            }
            let from = channel.sender.skip(stream, to);
            if from < to {
                channel.notices.missed(stream, from, to);
            }
        });
        self.wake_sending(id);
    }

    /// The job has ended (or never began). The outcome is transmitted behind all data made ready
    /// and the ends of the streams; nothing more can be said about the job but
    /// [`missed`](Self::missed). Texts and lists beyond their limits are cut.
    pub fn ended(&mut self, channel: ChannelId, outcome: Outcome) {
        let ChannelId(id) = channel;
        let Some(channel) = self.answerable(id) else {
            return;
        };
        if channel.state == State::Ended {
            return;
        }
        if channel.state == State::Opening {
            channel.notices.clear();
        }
        channel.state = State::Ended;
        channel.outcome = Some(encode(&in_limits(outcome)));
        self.wake_sending(id);
    }

    pub(super) fn on_request(
        &mut self,
        kind: Kind,
        header: &Header,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Fault> {
        let id = header.channel;
        if kind == Kind::Start
            && let Some(assembly) = &mut self.assembly
            && assembly.channel == id
        {
            let limit = self.config.limits.start_bytes;
            assembly.append(payload, limit)?;
            if header.flags & MORE != 0 {
                return Ok(None);
            }
            let bytes = core::mem::take(&mut assembly.bytes);
            self.assembly = None;
            if self.is_closing() {
                return Ok(None);
            }
            return self.open_start(id, &bytes).map(Some);
        }
        if id <= self.highest {
            return match self.channels.contains_key(&id) {
                true => Err(Fault::new(ErrorCode::Channel, "used before")),
                // Among others, the further pieces of a start that was refused at the first.
                false => Ok(None),
            };
        }
        if kind == Kind::Start && self.assembly.is_some() {
            return Err(Fault::state("another start is not complete"));
        }
        self.highest = id;
        if self.is_closing() {
            // It cannot be answered any more; goodbye says so.
            return Ok(None);
        }
        let taken = self.channels.len() + usize::from(self.assembly.is_some());
        if taken >= self.config.limits.channels as usize {
            self.refuse(id, RefusedCode::Channels, "too many channels");
            return Ok(None);
        }
        match kind {
            Kind::Attach => return self.open_attach(id, payload).map(Some),
            Kind::Query => return self.open_query(id, payload).map(Some),
            _ => {}
        }
        let mut assembly = Assembly {
            channel: id,
            bytes: Vec::new(),
        };
        if header.flags & MORE == 0 {
            assembly.check_room(payload, self.config.limits.start_bytes)?;
            return self.open_start(id, payload).map(Some);
        }
        assembly.append(payload, self.config.limits.start_bytes)?;
        self.assembly = Some(Box::new(assembly));
        Ok(None)
    }

    pub(super) fn on_client_frame(
        &mut self,
        kind: Kind,
        id: u32,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Fault> {
        let channel_id = ChannelId(id);
        if kind == Kind::Close {
            let Close { outcome_seen } = decode(payload)?;
            self.channels.remove(&id);
            return Ok(Some(Event::Closed {
                channel: channel_id,
                outcome_seen,
            }));
        }
        let control: Control = decode(payload)?;
        let Some(channel) = self.channels.get_mut(&id) else {
            return Ok(None);
        };
        if let ControlKind::Stop(stream) = control.kind
            && let Ok(stream) = Stream::try_from(stream)
        {
            channel.sender.stop(stream);
            self.wake_sending(id);
        }
        Ok(Some(Event::Control {
            channel: channel_id,
            control,
        }))
    }

    fn open_start(&mut self, id: u32, bytes: &[u8]) -> Result<Event<'static>, Fault> {
        let start: Box<Start> = Box::new(decode(bytes)?);
        let mut channel = Channel::new(Request::Start {
            stdin: start.stdin,
            resent: start.resent,
        });
        if channel.request.allows_early_stdin() {
            let early = u64::from(self.config.limits.early_stdin);
            // The hello has said it.
            let _ = channel.receiver.grant(Stream::Stdin, early);
        }
        channel.sender.credit(Stream::Stdout, start.stdout_credit);
        channel.sender.credit(Stream::Stderr, start.stderr_credit);
        self.channels.insert(id, Box::new(channel));
        Ok(Event::Start {
            channel: ChannelId(id),
            start,
        })
    }

    fn open_attach(&mut self, id: u32, payload: &[u8]) -> Result<Event<'static>, Fault> {
        let attach: Attach = decode(payload)?;
        let mut channel = Channel::new(Request::Attach {
            stdout_from: attach.stdout_from,
            stderr_from: attach.stderr_from,
        });
        channel.sender.credit(Stream::Stdout, attach.stdout_credit);
        channel.sender.credit(Stream::Stderr, attach.stderr_credit);
        self.channels.insert(id, Box::new(channel));
        Ok(Event::Attach {
            channel: ChannelId(id),
            attach,
        })
    }

    fn open_query(&mut self, id: u32, payload: &[u8]) -> Result<Event<'static>, Fault> {
        let query: Query = decode(payload)?;
        let channel = Channel::new(Request::Query);
        self.channels.insert(id, Box::new(channel));
        Ok(Event::Query {
            channel: ChannelId(id),
            query,
        })
    }

    fn refuse(&mut self, id: u32, code: RefusedCode, text: &str) {
        let refused = Refused {
            code: code as u16,
            text: cut(String::from(text), limits::TEXT_MAX_BYTES),
        };
        self.outbox.push(Kind::Refused, 0, id, encode(&refused));
    }

    /// The channel, if this is a server and something may be said about it.
    fn answerable(&mut self, id: u32) -> Option<&mut Channel> {
        if self.check_side(Side::Server).is_err() {
            return None;
        }
        self.channels.get_mut(&id).map(|channel| &mut **channel)
    }

    /// Notes something to be said about a channel.
    fn notice(&mut self, channel: ChannelId, note: impl FnOnce(&mut Channel)) {
        if let Some(channel) = self.answerable(channel.0) {
            let unsaid = channel.state == State::Ended && channel.outcome.is_none();
            if !unsaid {
                note(channel);
            }
        }
        self.wake_noticed(channel.0);
    }
}

impl Assembly {
    /// Refuses a piece that would make the start too long.
    fn check_room(&self, piece: &[u8], limit: u32) -> Result<(), Fault> {
        if piece.is_empty() {
            return Err(Fault::new(ErrorCode::Length, "an empty piece"));
        }
        match self.bytes.len() + piece.len() <= limit as usize {
            true => Ok(()),
            false => Err(Fault::new(ErrorCode::Limit, "the start is too long")),
        }
    }

    fn append(&mut self, piece: &[u8], limit: u32) -> Result<(), Fault> {
        self.check_room(piece, limit)?;
        self.bytes.extend_from_slice(piece);
        Ok(())
    }
}

/// The outcome, cut to its limits.
fn in_limits(mut outcome: Outcome) -> Outcome {
    outcome.holders.truncate(limits::HOLDERS_MAX);
    for (_, name) in &mut outcome.holders {
        *name = cut(core::mem::take(name), limits::HOLDER_NAME_MAX_BYTES);
    }
    if let Cause::Cancelled(by) = &mut outcome.cause {
        *by = cut(core::mem::take(by), limits::TEXT_MAX_BYTES);
    }
    if let Status::NotStarted(stage, _, path) = &mut outcome.status {
        *stage = cut(core::mem::take(stage), limits::TEXT_MAX_BYTES);
        path.truncate(limits::PATH_MAX_BYTES);
    }
    outcome
}
