//! One side of one connection, as a state machine.

mod channel;
mod client;
mod handshake;
mod input;
mod notices;
mod outbox;
mod receiver;
mod sender;
mod server;
mod streams;
mod timers;
mod transmit;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use self::channel::Channel;
use self::handshake::Phase;
use self::outbox::Outbox;
use self::timers::Timers;
use crate::codec::cut;
use crate::config::{Config, Peer, Side, Time};
use crate::error::{CommandError, ErrorCode, ProtocolError};
use crate::event::Event;
use crate::header::{Header, Parsed};
use crate::limits;
use crate::message::{GoodbyeCode, LimitsMessage};

/// One side of a connection (PROTOCOL.md), without socket, clock or thread.
///
/// Its methods come in four families:
///
/// - `handle_*` say what happened: bytes came, the line ended, time went by;
/// - commands (`start`, `data_ready`, `grant`, `exited`, …) say what the caller wants said;
/// - `poll_*` fetch what is to be done: [`poll_transmit`](Self::poll_transmit) until it has
///   nothing, [`poll_event`](Self::poll_event) after `handle_timeout`,
///   [`poll_timeout`](Self::poll_timeout) before waiting;
/// - getters (`is_ready`, `wants_input`, …) change nothing.
///
/// After any call of the first two families there may be something to poll. Commands for a channel
/// that is closed do nothing, as its close may have been under way.
///
/// Memory is bounded whatever the peer does: what can be asked for again and again (pongs, credits,
/// acknowledgements, …) is kept as its latest value only, and a server stops wanting input while
/// other answers wait.
#[derive(Debug)]
pub struct Connection {
    side: Side,
    config: Config,
    phase: Phase,
    /// Its own hello is said.
    greeted: bool,
    /// Times the client has been told that it is not authenticated.
    tries: u8,
    peer: Option<Box<Peer>>,
    /// The open channels.
    channels: BTreeMap<u32, Box<Channel>>,
    /// Client: it has closed a channel before the outcome.
    has_left_some: bool,
    /// The highest channel used so far.
    highest: u32,
    /// Server: the start that has come in part.
    assembly: Option<Box<Assembly>>,
    outbox: Outbox,
    timers: Timers,
    goodbye_heard: bool,
    /// The peer broke the protocol, time ran out, or the line ended.
    over: Option<Over>,
    failure: Option<ProtocolError>,
}

/// Why nothing more is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// A goodbye is still to be written.
    Failed,
    /// There is nobody to write to.
    LineEnded,
}

/// The pieces of a start so far.
#[derive(Debug)]
struct Assembly {
    channel: u32,
    bytes: Vec<u8>,
}

/// What a peer must accept before its hello says more.
const MINIMUM: LimitsMessage = LimitsMessage {
    max_payload: limits::PAYLOAD_MIN_BYTES,
    channels: 1,
    start_bytes: limits::START_MIN_BYTES,
    keepalive_ms: 0,
    early_stdin: 0,
};

impl Connection {
    /// The client's side. Its hello is ready to be transmitted, unless the server speaks first
    /// ([`Config::auth`]).
    #[must_use]
    pub fn client(config: Config, now: Time) -> Self {
        let mut client = Self::new(Side::Client, config, now);
        if !client.config.auth {
            client.greet();
        }
        client
    }

    /// The server's side. Where it speaks first ([`Config::auth`]), its hello is ready to be
    /// transmitted.
    #[must_use]
    pub fn server(config: Config, now: Time) -> Self {
        let mut server = Self::new(Side::Server, config, now);
        if server.config.auth {
            server.greet_client();
        }
        server
    }

    fn new(side: Side, mut config: Config, now: Time) -> Self {
        config.agent = cut(config.agent, limits::AGENT_MAX_BYTES);
        config.limits = in_range(config.limits);
        Self {
            side,
            phase: Phase::Hello,
            greeted: false,
            tries: 0,
            peer: None,
            channels: BTreeMap::new(),
            has_left_some: false,
            highest: 0,
            assembly: None,
            outbox: Outbox::default(),
            timers: Timers::new(now, config.handshake_timeout),
            goodbye_heard: false,
            over: None,
            failure: None,
            config,
        }
    }

    /// No more input will come; `unread` is what came and was not taken. If the peer had said
    /// goodbye, what is waiting may still be transmitted, else there is nobody to hear it. A client on
    /// a network that has left no channel open ([`Config::auth`]) waits for nothing, and hears nothing.
    ///
    /// # Errors
    /// [`ErrorCode::Dropped`] if the line ended inside a frame or without the peer's goodbye; not
    /// if an error was returned before.
    pub fn handle_end(&mut self, unread: &[u8]) -> Result<(), ProtocolError> {
        if self.over.is_none() && self.goodbye_heard && unread.is_empty() {
            if self.config.auth && self.channels.is_empty() {
                self.over = Some(Over::LineEnded);
                self.drop_everything();
            }
            return Ok(());
        }
        let earlier = self.over.replace(Over::LineEnded);
        self.drop_everything();
        if earlier.is_some() {
            return Ok(());
        }
        let reason = match Header::parse(unread, limits::PAYLOAD_MAX_BYTES as usize) {
            _ if unread.is_empty() => String::from("the line ended without goodbye"),
            Ok(Parsed::Header(header)) => format!(
                "the line ended inside a frame, {} bytes of it are missing",
                header.frame().saturating_sub(unread.len())
            ),
            Ok(Parsed::Needed(missing)) => {
                format!("the line ended inside a header, {missing} bytes of it are missing")
            }
            Err(fault) => format!("the line ended inside a frame: {}", fault.reason),
        };
        Err(ProtocolError::of_connection(ErrorCode::Dropped, reason))
    }

    /// What time brought, after [`handle_timeout`](Self::handle_timeout): [`Event::Failed`].
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.failure.take().map(Event::Failed)
    }

    /// Says goodbye behind all that may be sent now. Commands are refused from here on, what the
    /// peer says is still taken in. Said by itself when the peer's goodbye comes.
    pub fn goodbye(&mut self, code: GoodbyeCode, text: &str) {
        self.outbox.say_goodbye(code, text);
    }

    /// Which side this is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// Whether input should be read and handed in; ask before each call of
    /// [`handle_input`](Self::handle_input). False while more than 256 KiB of a server's answers
    /// wait to be written, while it owes an answer to authenticate, and after a failure.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        let room = match self.side {
            Side::Client => true,
            Side::Server => self.outbox.waiting_bytes() <= limits::WAITING_CONTROL_BYTES,
        };
        room && self.over.is_none() && !self.is_deciding()
    }

    /// Whether hellos and authentication are done.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready && !self.is_closing()
    }

    /// Whether the transport can be closed when all is written: goodbye was said, and heard if the peer
    /// kept to the protocol. Who is owed nothing need not hear it ([`Config::waits_for_goodbye`]).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match self.over {
            Some(Over::LineEnded) => true,
            Some(Over::Failed) => self.outbox.goodbye_is_sent(),
            None => self.outbox.goodbye_is_sent() && (self.goodbye_heard || self.is_owed_nothing()),
        }
    }

    /// A client that has heard how all it asked for came out.
    fn is_owed_nothing(&self) -> bool {
        let may_leave = self.side == Side::Client && !self.config.waits_for_goodbye;
        may_leave && self.channels.is_empty() && !self.has_left_some
    }

    /// Both goodbyes are said.
    fn has_parted(&self) -> bool {
        self.goodbye_heard && self.outbox.goodbye_is_sent()
    }

    /// Whether the peer's goodbye has come. Its end of the line may come with it: who looks for
    /// that before it answers need not answer.
    #[must_use]
    pub fn has_heard_goodbye(&self) -> bool {
        self.goodbye_heard
    }

    /// Whether nobody hears what is transmitted.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.over == Some(Over::LineEnded)
    }

    /// What the peer's hello said, once it has come.
    #[must_use]
    pub fn peer_hello(&self) -> Option<&Peer> {
        self.peer.as_deref()
    }

    /// How many channels are open.
    #[must_use]
    pub fn channels_open(&self) -> usize {
        self.channels.len()
    }

    /// What the peer accepts, as far as is known.
    fn peer_limits(&self) -> &LimitsMessage {
        self.peer.as_ref().map_or(&MINIMUM, |peer| &peer.limits)
    }

    fn is_closing(&self) -> bool {
        self.over.is_some() || self.outbox.goodbye_is_due_or_sent()
    }

    fn check_side(&self, side: Side) -> Result<(), CommandError> {
        if self.side != side {
            return Err(CommandError::WrongSide);
        }
        if self.is_closing() {
            return Err(CommandError::Closing);
        }
        Ok(())
    }

    /// The connection is broken: the only thing left to say is goodbye.
    fn fail(&mut self, error: &ProtocolError) {
        self.over = Some(Over::Failed);
        self.drop_everything();
        self.outbox
            .say_goodbye(error.goodbye_code(), &error.to_string());
    }

    /// Nothing more is taken in; what waits to be said goes out, and goodbye.
    fn turn_away(&mut self) {
        self.over = Some(Over::Failed);
        self.outbox
            .say_goodbye(GoodbyeCode::Unauthenticated, "not authenticated");
    }

    /// Frees what is not needed to say goodbye.
    fn drop_everything(&mut self) {
        self.channels.clear();
        self.assembly = None;
        self.outbox.drop_all_but_goodbye();
    }
}

/// Limits a peer would not refuse.
fn in_range(wanted: LimitsMessage) -> LimitsMessage {
    LimitsMessage {
        max_payload: wanted
            .max_payload
            .clamp(limits::PAYLOAD_MIN_BYTES, limits::PAYLOAD_MAX_BYTES),
        channels: wanted.channels.max(1),
        start_bytes: wanted
            .start_bytes
            .clamp(limits::START_MIN_BYTES, limits::START_MAX_BYTES),
        keepalive_ms: match wanted.keepalive_ms {
            0 => 0,
            ms => ms.max(limits::KEEPALIVE_MIN_MS),
        },
        early_stdin: wanted.early_stdin,
    }
}
