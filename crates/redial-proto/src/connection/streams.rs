//! Streams, both ways: data, ends, credits and acknowledgements.

use alloc::format;

use super::Connection;
use super::channel::{Channel, State};
use crate::config::Side;
use crate::error::{CommandError, ErrorCode, Fault};
use crate::event::Event;
use crate::id::{ChannelId, Stream};
use crate::kind::Kind;

impl Connection {
    /// `len` more bytes of a stream this side sends lie ready, behind those made ready before, and
    /// in this order among the streams of the channel. A server's outputs begin at the offsets in
    /// `attached`. A client's stdin begins at 0 on a channel opened by `start`; on one opened by
    /// `attach`, at the offset in [`Event::Attached`].
    ///
    /// # Errors
    /// [`CommandError`]: the stream has ended, or there is none, or its offset is not known yet.
    pub fn data_ready(
        &mut self,
        channel: ChannelId,
        stream: Stream,
        len: u64,
    ) -> Result<(), CommandError> {
        let ChannelId(id) = channel;
        if self.is_closing() {
            return Err(CommandError::Closing);
        }
        if self.receives(stream) {
            return Err(CommandError::NotSending);
        }
        let side = self.side;
        let channel = self.channels.get_mut(&id).ok_or(CommandError::NoChannel)?;
        let known = match side {
            Side::Server => channel.state != State::Opening,
            Side::Client if !channel.request.has_stdin() => return Err(CommandError::NotSending),
            Side::Client => {
                channel.state != State::Opening || channel.request.counts_stdin_from_0()
            }
        };
        if !known {
            return Err(CommandError::NotAttached);
        }
        if channel.state == State::Ended || !channel.sender.make_ready(stream, len) {
            return Err(CommandError::NotSending);
        }
        self.wake_sending(id);
        Ok(())
    }

    /// A stream this side sends ends behind what was made ready.
    pub fn eof(&mut self, channel: ChannelId, stream: Stream) {
        let ChannelId(id) = channel;
        if self.receives(stream) {
            return;
        }
        let side = self.side;
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        let exists = side == Side::Server || channel.request.has_stdin();
        if exists && channel.state != State::Ended {
            channel.sender.finish(stream);
            self.wake_sending(id);
        }
    }

    /// The peer may send a stream up to this offset. Said when there is room, only the latest.
    pub fn grant(&mut self, channel: ChannelId, stream: Stream, up_to: u64) {
        if !self.receives(stream) {
            return;
        }
        if let Some(channel) = self.channels.get_mut(&channel.0)
            && channel.receiver.grant(stream, up_to)
            && channel.state != State::Ended
            && !(stream == Stream::Stdin && channel.stdin_closed)
        {
            channel.notices.credit(stream);
        }
        self.wake_noticed(channel.0);
    }

    /// Everything of a stream before this offset is here for good (PROTOCOL.md section 6); what
    /// has not come yet is not counted. Said when there is room, only the latest.
    pub fn acknowledge(&mut self, channel: ChannelId, stream: Stream, up_to: u64) {
        if !self.receives(stream) {
            return;
        }
        if let Some(channel) = self.channels.get_mut(&channel.0)
            && channel.receiver.acknowledge(stream, up_to)
        {
            channel.notices.acknowledge(stream);
        }
        self.wake_noticed(channel.0);
    }

    /// Whether this side receives a stream; else it sends it.
    pub(super) fn receives(&self, stream: Stream) -> bool {
        (stream == Stream::Stdin) == (self.side == Side::Server)
    }

    pub(super) fn on_stream_frame<'a>(
        &mut self,
        kind: Kind,
        id: u32,
        stream: Stream,
        payload: &'a [u8],
    ) -> Result<Option<Event<'a>>, Fault> {
        let side = self.side;
        let Some(channel) = self.channels.get_mut(&id) else {
            return Ok(None);
        };
        if side == Side::Client && channel.state != State::Open {
            return Err(Fault::state(match channel.state {
                State::Opening => "attached is due first",
                State::Open | State::Ended => "ended was the last word",
            }));
        }
        let Some((offset, bytes)) = payload.split_first_chunk::<8>() else {
            return Err(Fault::new(ErrorCode::Length, "no offset"));
        };
        let offset = u64::from_be_bytes(*offset);
        match kind {
            Kind::Data => on_data(channel, ChannelId(id), stream, offset, bytes),
            Kind::Eof => on_eof(channel, ChannelId(id), stream, offset),
            Kind::Credit => {
                channel.sender.credit(stream, offset);
                self.wake_sending(id);
                Ok(None)
            }
            _ => on_acknowledge(channel, ChannelId(id), stream, offset),
        }
    }
}

fn on_data<'a>(
    channel: &mut Channel,
    id: ChannelId,
    stream: Stream,
    offset: u64,
    bytes: &'a [u8],
) -> Result<Option<Event<'a>>, Fault> {
    let known = channel.receiver.data(stream, offset, bytes.len())?;
    let bytes = &bytes[known..];
    if bytes.is_empty() || channel.ignores(stream) {
        return Ok(None);
    }
    Ok(Some(Event::Data {
        channel: id,
        stream,
        offset: offset + known as u64,
        bytes,
    }))
}

fn on_eof(
    channel: &mut Channel,
    id: ChannelId,
    stream: Stream,
    offset: u64,
) -> Result<Option<Event<'static>>, Fault> {
    channel.receiver.eof(stream, offset)?;
    if channel.ignores(stream) {
        return Ok(None);
    }
    Ok(Some(Event::Eof {
        channel: id,
        stream,
        offset,
    }))
}

fn on_acknowledge(
    channel: &mut Channel,
    id: ChannelId,
    stream: Stream,
    up_to: u64,
) -> Result<Option<Event<'static>>, Fault> {
    match channel.sender.acknowledge(stream, up_to) {
        Ok(true) => Ok(Some(Event::Acknowledged {
            channel: id,
            stream,
            up_to,
        })),
        Ok(false) => Ok(None),
        Err(sent) => Err(Fault::new(
            ErrorCode::Offset,
            format!("{up_to} where {sent} was sent"),
        )),
    }
}
