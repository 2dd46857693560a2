//! Frames out: control first, then the channels in turn.

use super::channel::{Channel, State};
use super::notices::Notice;
use super::outbox::{ControlFrame, give_back};
use super::sender::Due;
use super::{Connection, Over};
use crate::config::Side;
use crate::event::{Body, Head, Transmit};
use crate::id::ChannelId;
use crate::kind::Kind;

impl Connection {
    /// The next frame to be written, in this order: answers and requests, pongs, notices, then data
    /// of the channels in turn, then goodbye. Data frames are not allocated.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if self.outbox.goodbye_is_sent() || self.over == Some(Over::LineEnded) {
            return None;
        }
        if let Some(frame) = self.outbox.pop() {
            return Some(Transmit::control(frame));
        }
        if let Some(mark) = self.outbox.pong.take() {
            return Some(Transmit::value(Kind::Pong, 0, 0, mark));
        }
        if let Some(mark) = self.outbox.ping.take() {
            return Some(Transmit::value(Kind::Ping, 0, 0, mark));
        }
        if let Some(transmit) = self.next_notice() {
            return Some(transmit);
        }
        if let Some(transmit) = self.next_of_channels() {
            return Some(transmit);
        }
        let payload = self.outbox.take_goodbye()?;
        Some(Transmit::message(Kind::Goodbye, 0, payload))
    }

    /// Puts a channel on the list of those with notices, if it has some that may be said.
    pub(super) fn wake_noticed(&mut self, id: u32) {
        let side = self.side;
        if let Some(channel) = self.channels.get_mut(&id)
            && !channel.in_noticed
            && !channel.notices.is_empty()
            && channel.may_notice(side)
        {
            channel.in_noticed = true;
            self.outbox.noticed.push_back(id);
        }
    }

    /// Puts a channel on the list of those that have something to send, if it has.
    pub(super) fn wake_sending(&mut self, id: u32) {
        if let Some(channel) = self.channels.get_mut(&id)
            && !channel.in_sending
            && channel.is_due()
        {
            channel.in_sending = true;
            self.outbox.sending.push_back(id);
        }
    }

    fn next_notice(&mut self) -> Option<Transmit> {
        while let Some(&id) = self.outbox.noticed.front() {
            if let Some(channel) = self.channels.get_mut(&id) {
                if channel.may_notice(self.side)
                    && let Some(notice) = channel.notices.take(&channel.receiver)
                {
                    return Some(Transmit::notice(id, notice));
                }
                channel.in_noticed = false;
            }
            self.outbox.noticed.pop_front();
            give_back(&mut self.outbox.noticed);
        }
        None
    }

    fn next_of_channels(&mut self) -> Option<Transmit> {
        while let Some(id) = self.outbox.sending.pop_front() {
            let Some(channel) = self.channels.get_mut(&id) else {
                give_back(&mut self.outbox.sending);
                continue;
            };
            let transmit = next_of_channel(id, channel);
            channel.in_sending = channel.is_due();
            if channel.in_sending {
                self.outbox.sending.push_back(id);
            } else {
                give_back(&mut self.outbox.sending);
            }
            if transmit.is_some() {
                return transmit;
            }
        }
        None
    }
}

fn next_of_channel(id: u32, channel: &mut Channel) -> Option<Transmit> {
    match channel.sender.take() {
        Some(Due::Data {
            stream,
            offset,
            len,
        }) => Some(Transmit {
            head: Head::with_value(
                Kind::Data,
                stream as u8,
                id,
                offset.to_be_bytes(),
                len as usize,
            ),
            body: Body::Stream {
                channel: ChannelId(id),
                stream,
                offset,
                len,
            },
        }),
        Some(Due::Eof { stream, offset }) => Some(Transmit::value(
            Kind::Eof,
            stream as u8,
            id,
            offset.to_be_bytes(),
        )),
        None if channel.sender.is_drained() => {
            let outcome = channel.outcome.take()?;
            channel.notices.clear();
            Some(Transmit::message(Kind::Ended, id, outcome))
        }
        None => None,
    }
}

impl Channel {
    /// Whether the peer takes notices about this channel now.
    fn may_notice(&self, side: Side) -> bool {
        match (side, self.state) {
            (_, State::Open) | (Side::Client, _) => true,
            (Side::Server, State::Opening) => false,
            // Until the outcome is said.
            (Side::Server, State::Ended) => self.attached && self.outcome.is_some(),
        }
    }
}

impl Transmit {
    fn control(frame: ControlFrame) -> Self {
        let len = frame.payload.len();
        Self {
            head: Head::plain(frame.kind, frame.flags, frame.stream, frame.channel, len),
            body: Body::Owned(frame.payload),
        }
    }

    fn message(kind: Kind, channel: u32, payload: alloc::vec::Vec<u8>) -> Self {
        Self {
            head: Head::plain(kind, 0, 0, channel, payload.len()),
            body: Body::Owned(payload),
        }
    }

    fn value(kind: Kind, stream: u8, channel: u32, value: [u8; 8]) -> Self {
        Self {
            head: Head::with_value(kind, stream, channel, value, 0),
            body: Body::None,
        }
    }

    fn notice(channel: u32, notice: Notice) -> Self {
        match notice {
            Notice::Empty(kind) => Self {
                head: Head::plain(kind, 0, 0, channel, 0),
                body: Body::None,
            },
            Notice::Message(kind, payload) => Self::message(kind, channel, payload),
            Notice::Offset(kind, stream, offset) => {
                Self::value(kind, stream as u8, channel, offset.to_be_bytes())
            }
        }
    }
}
