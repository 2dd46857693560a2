//! The client's commands, and the frames a server sends about a job.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::Connection;
use super::channel::{Channel, Request, State};
use super::handshake::Phase;
use crate::codec::{Check, decode, encode};
use crate::config::Side;
use crate::error::{CommandError, ErrorCode, Fault};
use crate::event::Event;
use crate::header::MORE;
use crate::id::{ChannelId, Stream};
use crate::kind::Kind;
use crate::limits;
use crate::message::{
    Applied, Attach, Attached, Close, Control, ControlKind, Exited, Holder, Missed, Query, Start,
};

impl Connection {
    /// Asks for a job on a new channel. May be called right after creation unless
    /// [`Config::auth`](crate::Config::auth) is set, then right after
    /// [`authenticate`](Self::authenticate), if it has no more than 8 KiB; one start, of at most
    /// 65,544 bytes, may go before the server's hello has come.
    ///
    /// # Errors
    /// [`CommandError`]: `NotReady` and `Busy` pass by themselves, `Channels` when one is closed.
    pub fn start(&mut self, start: &Start) -> Result<ChannelId, CommandError> {
        self.check_request()?;
        start.check().map_err(CommandError::Message)?;
        let payload = encode(start);
        let limit = self.peer_limits().start_bytes as usize;
        if payload.len() > limit {
            if self.peer.is_none() {
                return Err(CommandError::NotReady);
            }
            let bytes = payload.len();
            return Err(CommandError::TooLong { bytes, limit });
        }
        if self.phase == Phase::Deciding && payload.len() > limits::START_WITH_LOGIN_BYTES {
            return Err(CommandError::NotReady);
        }
        let mut channel = Channel::new(Request::Start {
            stdin: start.stdin,
            resent: start.resent,
        });
        channel.sender.held = start.resent.is_some();
        channel
            .sender
            .credit(Stream::Stdin, self.early_stdin(&channel.request));
        let id = self.open(channel, [start.stdout_credit, start.stderr_credit]);
        self.push_pieces(id, payload);
        Ok(ChannelId(id))
    }

    /// Asks for the streams of a job there is, on a new channel.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn attach(&mut self, attach: &Attach) -> Result<ChannelId, CommandError> {
        self.check_request()?;
        let mut channel = Channel::new(Request::Attach {
            stdout_from: attach.stdout_from,
            stderr_from: attach.stderr_from,
        });
        channel.sender.held = true;
        let id = self.open(channel, [attach.stdout_credit, attach.stderr_credit]);
        self.outbox.push(Kind::Attach, 0, id, encode(attach));
        Ok(ChannelId(id))
    }

    /// Asks about jobs, on a new channel, which the answer closes.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn query(&mut self, query: &Query) -> Result<ChannelId, CommandError> {
        self.check_request()?;
        query.check().map_err(CommandError::Message)?;
        let mut channel = Channel::new(Request::Query);
        channel.sender.held = true;
        let id = self.open(channel, [0, 0]);
        self.outbox.push(Kind::Query, 0, id, encode(query));
        Ok(ChannelId(id))
    }

    /// Sends a control and says its number. Numbers go on behind the last one that `attached` said
    /// was applied, so on a channel for a job that may run already, controls wait for it.
    ///
    /// # Errors
    /// [`CommandError::NotAttached`] in that case, `Busy`, `NoChannel`, `Message`.
    pub fn control(&mut self, channel: ChannelId, kind: ControlKind) -> Result<u64, CommandError> {
        self.check_side(Side::Client)?;
        let ChannelId(id) = channel;
        let channel = self.channels.get_mut(&id).ok_or(CommandError::NoChannel)?;
        match (channel.state, channel.request) {
            (State::Ended, _) => return Err(CommandError::NoChannel),
            (State::Open, _) | (State::Opening, Request::Start { resent: None, .. }) => {}
            (State::Opening, _) => return Err(CommandError::NotAttached),
        }
        if self.outbox.waiting_bytes() > limits::WAITING_REQUEST_BYTES {
            return Err(CommandError::Busy);
        }
        let number = channel.next_control;
        let next = number
            .checked_add(1)
            .ok_or(CommandError::Message("no control has a higher number"))?;
        let control = Control { number, kind };
        control.check().map_err(CommandError::Message)?;
        channel.next_control = next;
        if let ControlKind::Stop(stream) = kind
            && let Ok(stream) = Stream::try_from(stream)
        {
            channel.receiver.stop(stream);
        }
        self.outbox.push(Kind::Control, 0, id, encode(&control));
        Ok(number)
    }

    /// Leaves a channel; nothing more of it will be heard. What was acknowledged goes first.
    pub fn close(&mut self, channel: ChannelId, outcome_seen: bool) {
        let ChannelId(id) = channel;
        if self.side != Side::Client {
            return;
        }
        let Some(mut channel) = self.channels.remove(&id) else {
            return;
        };
        self.has_left_some |= !outcome_seen;
        for stream in channel.notices.take_acknowledged() {
            let up_to = channel.receiver.acknowledged(stream);
            self.outbox.push_acknowledge(id, stream, up_to);
        }
        let close = Close { outcome_seen };
        self.outbox.push(Kind::Close, 0, id, encode(&close));
    }

    /// The server has said hello, and let us in: so much stdin may follow a start at once.
    pub(super) fn allow_early_stdin(&mut self) {
        let ids: Vec<u32> = self.channels.keys().copied().collect();
        for id in ids {
            let Some(channel) = self.channels.get(&id) else {
                continue;
            };
            let credit = self.early_stdin(&channel.request);
            if let Some(channel) = self.channels.get_mut(&id) {
                channel.sender.credit(Stream::Stdin, credit);
            }
            self.wake_sending(id);
        }
    }

    pub(super) fn on_server_frame(
        &mut self,
        kind: Kind,
        id: u32,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Fault> {
        let Some(channel) = self.channels.get_mut(&id) else {
            return Ok(None);
        };
        channel.expect_kind(kind)?;
        let channel_id = ChannelId(id);
        let event = match kind {
            Kind::Attached => {
                let attached = decode(payload)?;
                on_attached(channel, &attached)?;
                self.wake_sending(id);
                Event::Attached {
                    channel: channel_id,
                    attached,
                }
            }
            Kind::Answer => {
                let answer = decode(payload)?;
                self.channels.remove(&id);
                Event::Answer {
                    channel: channel_id,
                    answer,
                }
            }
            Kind::Refused => {
                let refused = decode(payload)?;
                self.channels.remove(&id);
                Event::Refused {
                    channel: channel_id,
                    refused,
                }
            }
            Kind::Ended => {
                let outcome = Box::new(decode(payload)?);
                channel.state = State::Ended;
                channel.sender.held = true;
                Event::Ended {
                    channel: channel_id,
                    outcome,
                }
            }
            _ => on_news(channel, channel_id, kind, payload)?,
        };
        Ok(Some(event))
    }

    fn check_request(&self) -> Result<(), CommandError> {
        self.check_side(Side::Client)?;
        match self.phase {
            Phase::Ready | Phase::Deciding => {}
            Phase::Hello if !self.config.auth => {}
            Phase::Hello | Phase::Authenticate => return Err(CommandError::NotReady),
        }
        let limit = self.peer_limits().channels;
        if self.channels.len() >= limit as usize || self.highest == u32::MAX {
            return Err(match self.peer {
                None => CommandError::NotReady,
                Some(_) => CommandError::Channels { limit },
            });
        }
        if self.outbox.waiting_bytes() > limits::WAITING_REQUEST_BYTES {
            return Err(CommandError::Busy);
        }
        Ok(())
    }

    fn early_stdin(&self, request: &Request) -> u64 {
        match request.allows_early_stdin() && self.phase != Phase::Deciding {
            true => u64::from(self.peer_limits().early_stdin),
            false => 0,
        }
    }

    fn open(&mut self, mut channel: Channel, credit: [u64; 2]) -> u32 {
        for (stream, up_to) in [Stream::Stdout, Stream::Stderr].into_iter().zip(credit) {
            // The request itself says it.
            let _ = channel.receiver.grant(stream, up_to);
        }
        self.highest += 1;
        self.channels.insert(self.highest, Box::new(channel));
        self.highest
    }

    fn push_pieces(&mut self, id: u32, mut payload: Vec<u8>) {
        let piece = self.peer_limits().max_payload as usize;
        while payload.len() > piece {
            let rest = payload.split_off(piece);
            self.outbox.push(Kind::Start, MORE, id, payload);
            payload = rest;
        }
        self.outbox.push(Kind::Start, 0, id, payload);
    }
}

impl Channel {
    /// Whether the server may say this now.
    fn expect_kind(&self, kind: Kind) -> Result<(), Fault> {
        let answer = matches!(kind, Kind::Attached | Kind::Refused | Kind::Answer);
        let is_query = matches!(self.request, Request::Query);
        if is_query != (kind == Kind::Answer) && !(is_query && kind == Kind::Refused) {
            return Err(Fault::state("a query has an answer, and nothing else has"));
        }
        match self.state {
            State::Opening if answer || kind == Kind::Ended => Ok(()),
            State::Opening => Err(Fault::state("attached is due first")),
            State::Open if answer => Err(Fault::state("the request was answered before")),
            State::Open => Ok(()),
            State::Ended => Err(Fault::state("ended was the last word")),
        }
    }
}

fn on_attached(channel: &mut Channel, attached: &Attached) -> Result<(), Fault> {
    let none_yet = attached.new && matches!(channel.request, Request::Start { .. });
    let next_control = match attached.applied.checked_add(1) {
        Some(next) if next == 1 || !none_yet => next,
        _ => {
            let reason = format!("control {} cannot have been applied", attached.applied);
            return Err(Fault::new(ErrorCode::Limit, reason));
        }
    };
    let (stdout, stderr) = channel.request.outputs_from();
    let outputs = [
        (Stream::Stdout, stdout, attached.stdout_from),
        (Stream::Stderr, stderr, attached.stderr_from),
    ];
    for (stream, wanted, from) in outputs {
        // The highest offset stands for the end, wherever that is.
        if from < wanted && wanted != u64::MAX {
            let reason = format!("{stream} from {from}, wanted from {wanted}");
            return Err(Fault::new(ErrorCode::Offset, reason));
        }
        channel.receiver.begin(stream, from);
    }
    let from = attached.stdin_from;
    if channel.request.counts_stdin_from_0() {
        let ready = channel.sender.ready(Stream::Stdin);
        if from > ready {
            let reason = format!("stdin from {from}, there are {ready} bytes of it");
            return Err(Fault::new(ErrorCode::Offset, reason));
        }
        channel.sender.skip(Stream::Stdin, from);
    } else {
        channel.sender.begin(Stream::Stdin, from);
    }
    channel.sender.credit(Stream::Stdin, attached.stdin_credit);
    // Only the holder writes.
    channel.sender.held = !attached.holder;
    channel.next_control = channel.next_control.max(next_control);
    channel.state = State::Open;
    channel.attached = true;
    Ok(())
}

/// What a server may say any time between attached and ended.
fn on_news(
    channel: &mut Channel,
    id: ChannelId,
    kind: Kind,
    payload: &[u8],
) -> Result<Event<'static>, Fault> {
    Ok(match kind {
        Kind::Applied => Event::Applied {
            channel: id,
            number: decode::<Applied>(payload)?.number,
        },
        Kind::Exited => {
            if core::mem::replace(&mut channel.exited, true) {
                return Err(Fault::state("said before"));
            }
            Event::Exited {
                channel: id,
                exit: decode::<Exited>(payload)?.exit,
            }
        }
        Kind::Holder => {
            let Holder { holder } = decode(payload)?;
            // What another holder wrote meanwhile is not known here: attach again to write.
            channel.sender.held |= !holder;
            Event::Holder {
                channel: id,
                holder,
            }
        }
        Kind::Missed => {
            let Missed { stream, from, to } = decode(payload)?;
            let stream = Stream::try_from(stream)
                .map_err(|_| Fault::new(ErrorCode::Limit, "not an output stream"))?;
            channel.receiver.missed(stream, from, to)?;
            Event::Missed {
                channel: id,
                stream,
                from,
                to,
            }
        }
        _ => {
            if core::mem::replace(&mut channel.stdin_closed, true) {
                return Err(Fault::state("said before"));
            }
            channel.sender.held = true;
            Event::StdinClosed { channel: id }
        }
    })
}
