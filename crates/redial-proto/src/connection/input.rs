//! Frames in: what every frame is checked for, and where it goes.

use super::Connection;
use super::handshake::Phase;
use crate::config::{Side, Time};
use crate::error::{ErrorCode, Fault, ProtocolError};
use crate::event::{Event, Input};
use crate::header::{Header, MORE, OPTIONAL, Parsed};
use crate::id::Stream;
use crate::kind::{Kind, Payload, Scope, Sender};
use crate::limits::{self, HEADER_BYTES};

impl Connection {
    /// Takes at most one frame from the start of `input`. Stream data is lent, never copied.
    ///
    /// # Errors
    /// The peer broke the protocol. A goodbye that says so is ready to be transmitted, and nothing
    /// more is taken in: later input is thrown away.
    pub fn handle_input<'a>(
        &mut self,
        now: Time,
        input: &'a [u8],
    ) -> Result<Input<'a>, ProtocolError> {
        if self.over.is_some() {
            return Ok(Input {
                consumed: input.len(),
                needed: 0,
                event: None,
            });
        }
        if self.is_deciding() {
            return Ok(Input::needs(0));
        }
        self.timers.input(now, input.len());
        let taken = self.take_frame(input);
        match &taken {
            Ok(taken) => self.timers.left_over(input.len() - taken.consumed),
            Err(error) => self.fail(error),
        }
        taken
    }

    /// How many bytes at the start of `input` are frames that have come to their end: each of them
    /// [`handle_input`](Self::handle_input) takes whole, or refuses. What it does with a frame may
    /// change what is taken after it: ask again when these are handled.
    #[must_use]
    pub fn whole_frames(&self, input: &[u8]) -> usize {
        if self.over.is_some() || self.is_in_vain(input) == Ok(true) {
            return input.len();
        }
        let (limit, mut end) = (self.payload_limit(), 0);
        while !self.is_deciding()
            && let Ok(Parsed::Header(header)) = Header::parse(&input[end..], limit)
            && header.frame() <= input.len() - end
        {
            end += header.frame();
            // What comes behind it waits for the answer.
            if self.side == Side::Server && header.kind == Kind::Authenticate as u8 {
                break;
            }
        }
        end
    }

    fn take_frame<'a>(&mut self, input: &'a [u8]) -> Result<Input<'a>, ProtocolError> {
        match self.is_in_vain(input) {
            Ok(false) => {}
            Ok(true) => {
                self.turn_away();
                return Ok(Input {
                    consumed: input.len(),
                    needed: 0,
                    event: None,
                });
            }
            Err(needed) => return Ok(Input::needs(needed)),
        }
        let header = match Header::parse(input, self.payload_limit()) {
            Ok(Parsed::Header(header)) => header,
            Ok(Parsed::Needed(needed)) => return Ok(Input::needs(needed)),
            Err(fault) => return Err(ProtocolError::of_connection(fault.code, fault.reason)),
        };
        let of_frame = |fault: Fault| fault.of_frame(header.kind, header.channel);
        // Everything the header can tell is checked before the payload is waited for.
        let kind = self.admit(&header).map_err(of_frame)?;
        let Some(payload) = input.get(HEADER_BYTES..header.frame()) else {
            return Ok(Input::needs(header.frame() - input.len()));
        };
        let event = match kind {
            None => None,
            Some(kind) => self.dispatch(kind, &header, payload).map_err(of_frame)?,
        };
        Ok(Input {
            consumed: header.frame(),
            needed: 0,
            event,
        })
    }

    /// Server: whether this comes from one who has sent more than an authenticate and was not let in.
    /// Nothing of it is looked at but its kind, and however it is cut.
    ///
    /// # Errors
    /// So many bytes are missing until that can be said.
    fn is_in_vain(&self, input: &[u8]) -> Result<bool, usize> {
        let is_denied = self.phase == Phase::Authenticate && self.tries > 0;
        let is_leaving = self.phase == Phase::Deciding && self.is_closing();
        if self.side == Side::Client || !(is_denied || is_leaving) {
            return Ok(false);
        }
        match Header::parse(input, limits::PAYLOAD_MAX_BYTES as usize) {
            Ok(Parsed::Header(header)) => {
                let is_another_try = is_denied && header.kind == Kind::Authenticate as u8;
                Ok(!is_another_try)
            }
            Ok(Parsed::Needed(needed)) => Err(needed),
            Err(_) => Ok(true),
        }
    }

    /// The longest payload taken now.
    fn payload_limit(&self) -> usize {
        let limit = match (self.phase, self.side) {
            (Phase::Hello, _) | (Phase::Authenticate | Phase::Deciding, Side::Server) => {
                limits::HELLO_MAX_BYTES
            }
            _ => self.config.limits.max_payload,
        };
        limit as usize
    }

    /// Checks all that the header tells. `None`: an optional kind that is not known.
    fn admit(&self, header: &Header) -> Result<Option<Kind>, Fault> {
        if self.goodbye_heard {
            return Err(Fault::state("goodbye was the last frame"));
        }
        if header.flags & !(OPTIONAL | MORE) != 0 || header.zero != 0 {
            return Err(Fault::new(ErrorCode::Header, "a reserved bit is not 0"));
        }
        let Ok(kind) = Kind::try_from(header.kind) else {
            let stranger = self.side == Side::Server && self.phase != Phase::Ready;
            return match header.flags & OPTIONAL != 0 && !stranger {
                true => Ok(None),
                false => Err(Fault::new(ErrorCode::Kind, "not known, nor optional")),
            };
        };
        let for_us = match kind.sender() {
            Sender::Client => self.side == Side::Server,
            Sender::Server => self.side == Side::Client,
            Sender::Both => true,
        };
        if !for_us {
            return Err(Fault::new(ErrorCode::Kind, "not sent by this side"));
        }
        self.phase.admits(self.side, kind)?;
        if (kind.scope() == Scope::Connection) != (header.channel == 0) {
            return Err(Fault::new(
                ErrorCode::Channel,
                "channel 0 is for the connection, and only for it",
            ));
        }
        if header.flags & MORE != 0 && kind != Kind::Start {
            return Err(Fault::new(ErrorCode::Header, "only a start has pieces"));
        }
        self.check_stream(kind, header.stream)?;
        check_payload(kind, header)?;
        Ok(Some(kind))
    }

    /// Streams go one way: data and eof must be of one the peer sends, credit and acknowledge of
    /// one it receives.
    fn check_stream(&self, kind: Kind, stream: u8) -> Result<(), Fault> {
        let good = match (kind, Stream::try_from(stream)) {
            (Kind::Data | Kind::Eof, Ok(stream)) => self.receives(stream),
            (Kind::Credit | Kind::Acknowledge, Ok(stream)) => !self.receives(stream),
            _ => !kind.has_stream() && stream == 0,
        };
        match good {
            true => Ok(()),
            false => Err(Fault::new(
                ErrorCode::Header,
                "not a stream this side may name here",
            )),
        }
    }

    fn dispatch<'a>(
        &mut self,
        kind: Kind,
        header: &Header,
        payload: &'a [u8],
    ) -> Result<Option<Event<'a>>, Fault> {
        match kind.scope() {
            Scope::Connection => return self.on_connection_frame(kind, payload),
            Scope::New => return self.on_request(kind, header, payload),
            Scope::Open => {}
        }
        let id = header.channel;
        if self
            .assembly
            .as_ref()
            .is_some_and(|start| start.channel == id)
        {
            return Err(Fault::state("its start is not complete"));
        }
        if !self.channels.contains_key(&id) {
            return match id <= self.highest {
                // Closed or refused here while this was under way.
                true => Ok(None),
                false => Err(Fault::new(ErrorCode::Channel, "never opened")),
            };
        }
        if kind.has_stream() {
            // `admit` has checked that there is such a stream.
            let stream = Stream::try_from(header.stream).unwrap_or(Stream::Stdin);
            return self.on_stream_frame(kind, id, stream, payload);
        }
        match self.side {
            Side::Server => self.on_client_frame(kind, id, payload),
            Side::Client => self.on_server_frame(kind, id, payload),
        }
    }
}

fn check_payload(kind: Kind, header: &Header) -> Result<(), Fault> {
    let good = match kind.payload() {
        Payload::Cbor => true,
        Payload::Fixed(bytes) => header.payload == bytes as usize,
        Payload::Data => header.payload > 8,
    };
    match good {
        true => Ok(()),
        false => Err(Fault::new(ErrorCode::Length, "not the length of this kind")),
    }
}

impl Input<'_> {
    fn needs(needed: usize) -> Self {
        Self {
            consumed: 0,
            needed,
            event: None,
        }
    }
}
