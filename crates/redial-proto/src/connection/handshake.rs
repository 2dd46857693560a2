//! Hellos, authentication, pings and goodbyes: all that concerns the connection itself.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Connection;
use crate::codec::{Check, PreAuth, decode, encode};
use crate::config::{Peer, Side};
use crate::error::{CommandError, ErrorCode, Fault};
use crate::event::{Body, Event, Transmit};
use crate::kind::Kind;
use crate::limits::{self, VERSION};
use crate::message::{Authenticate, Authenticated, ClientHello, Goodbye, GoodbyeCode, ServerHello};

/// How far the handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The peer's hello is due.
    Hello,
    /// Authenticate is due (client: the caller's).
    Authenticate,
    /// Authenticated is due (server: the caller's).
    Deciding,
    /// Done.
    Ready,
}

impl Phase {
    /// Whether a side may be sent this kind now.
    pub(super) fn admits(self, side: Side, kind: Kind) -> Result<(), Fault> {
        let good = match (self, side) {
            (Self::Hello, Side::Server) => kind == Kind::Hello,
            (Self::Authenticate, Side::Server) => kind == Kind::Authenticate,
            (Self::Deciding, Side::Server) => false,
            (Self::Hello, Side::Client) => matches!(kind, Kind::Hello | Kind::Goodbye),
            (Self::Authenticate, Side::Client) => kind == Kind::Goodbye,
            (Self::Deciding, Side::Client) => matches!(kind, Kind::Authenticated | Kind::Goodbye),
            (Self::Ready, _) => {
                !matches!(kind, Kind::Hello | Kind::Authenticate | Kind::Authenticated)
            }
        };
        if good {
            return Ok(());
        }
        Err(Fault::state(match self {
            Self::Hello => "hello is due first",
            Self::Authenticate => "authenticate is due first",
            Self::Deciding => "authenticated is due first",
            Self::Ready => "the handshake is done",
        }))
    }
}

impl Connection {
    /// Client: says who the user is. The answer is [`Event::Authenticated`]. Requests may follow at once:
    /// the server looks at them when it has let the user in, and at none of them if it does not.
    ///
    /// # Errors
    /// [`CommandError::NotReady`] unless the server's hello asked for it, or its last answer to go
    /// on, and nothing was asked for behind the last one; or what is wrong with the message.
    pub fn authenticate(&mut self, authenticate: &Authenticate) -> Result<(), CommandError> {
        self.check_side(Side::Client)?;
        if self.phase != Phase::Authenticate || self.highest > 0 {
            return Err(CommandError::NotReady);
        }
        authenticate.check().map_err(CommandError::Message)?;
        let payload = encode(authenticate);
        let limit = limits::HELLO_MAX_BYTES as usize;
        if payload.len() > limit {
            let bytes = payload.len();
            return Err(CommandError::TooLong { bytes, limit });
        }
        self.greet();
        self.outbox.push(Kind::Authenticate, 0, 0, payload);
        self.phase = Phase::Deciding;
        Ok(())
    }

    /// Server: answers [`Event::Authenticate`]. After the third answer that is not 0, goodbye
    /// follows. Texts and keys beyond their limits are cut.
    pub fn authenticated(&mut self, mut answer: Authenticated) {
        if self.check_side(Side::Server).is_err() || self.phase != Phase::Deciding {
            return;
        }
        answer.reason = answer
            .reason
            .map(|reason| crate::codec::cut(reason, limits::TEXT_MAX_BYTES));
        if let Some(acceptable) = &mut answer.acceptable {
            acceptable.truncate(limits::KEYS_MAX);
        }
        self.outbox.push(Kind::Authenticated, 0, 0, encode(&answer));
        if answer.result == 0 {
            self.phase = Phase::Ready;
            return;
        }
        self.phase = Phase::Authenticate;
        self.tries += 1;
        if self.tries >= limits::AUTHENTICATE_TRIES {
            self.goodbye(GoodbyeCode::Unauthenticated, "not authenticated");
        }
    }

    /// Server: whether the caller owes an answer to authenticate. Nothing that comes behind that is
    /// looked at before.
    pub(super) fn is_deciding(&self) -> bool {
        self.side == Side::Server && self.phase == Phase::Deciding && !self.is_closing()
    }

    /// Client: says hello, if it has not. Where the server speaks first
    /// ([`Config::auth`](crate::Config::auth)), hello waits for [`authenticate`](Self::authenticate),
    /// to go with it: who takes long to make a proof says it before.
    pub fn greet(&mut self) {
        if self.check_side(Side::Client).is_err() || core::mem::replace(&mut self.greeted, true) {
            return;
        }
        let hello = ClientHello {
            min_version: VERSION,
            max_version: VERSION,
            features: Vec::new(),
            limits: self.config.limits,
            agent: self.config.agent.clone(),
        };
        self.outbox.push(Kind::Hello, 0, 0, encode(&hello));
    }

    /// Server that speaks first: the frame of its hello, for a transport that carries it with its
    /// own handshake. Nothing, where it was transmitted.
    #[must_use]
    pub fn take_greeting(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.side == Side::Server
            && self.phase == Phase::Hello
            && let Some(Transmit { head, body }) = self.poll_transmit()
        {
            bytes.extend_from_slice(head.as_ref());
            if let Body::Owned(payload) = body {
                bytes.extend_from_slice(&payload);
            }
        }
        bytes
    }

    /// Server: says hello, if it has not.
    pub(super) fn greet_client(&mut self) {
        if core::mem::replace(&mut self.greeted, true) {
            return;
        }
        let hello = ServerHello {
            version: VERSION,
            features: Vec::new(),
            limits: self.config.limits,
            agent: self.config.agent.clone(),
            instance: self.config.instance.into(),
            auth: self.config.auth,
            nonce: self.config.nonce.map(Into::into),
        };
        self.outbox.push(Kind::Hello, 0, 0, encode(&hello));
    }

    pub(super) fn on_connection_frame(
        &mut self,
        kind: Kind,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, Fault> {
        match kind {
            Kind::Hello => match self.side {
                Side::Server => self.on_stranger(PreAuth::hello(payload)?).map(Some),
                Side::Client => self.on_server_hello(decode(payload)?).map(Some),
            },
            // It was the last try.
            Kind::Authenticate if self.is_closing() => Ok(None),
            Kind::Authenticate => self.on_stranger(PreAuth::authenticate(payload)?).map(Some),
            Kind::Authenticated => Ok(Some(self.on_authenticated(decode(payload)?))),
            Kind::Ping => {
                self.outbox.pong = payload.try_into().ok();
                Ok(None)
            }
            Kind::Goodbye => {
                let goodbye: Goodbye = decode(payload)?;
                self.goodbye_heard = true;
                self.goodbye(GoodbyeCode::Done, "");
                Ok(Some(Event::Goodbye(goodbye)))
            }
            // A pong has said all by coming.
            _ => Ok(None),
        }
    }

    /// The two things a server hears before it knows who is there.
    fn on_stranger(&mut self, said: PreAuth) -> Result<Event<'static>, Fault> {
        let hello = match said {
            PreAuth::Hello(hello) => hello,
            PreAuth::Authenticate(authenticate) => {
                self.phase = Phase::Deciding;
                return Ok(Event::Authenticate(authenticate));
            }
        };
        if !(hello.min_version..=hello.max_version).contains(&VERSION) {
            return Err(Fault::new(
                ErrorCode::Version,
                "this server speaks version 1 only",
            ));
        }
        self.greet_client();
        self.peer = Some(Box::new(Peer {
            version: VERSION,
            features: Vec::new(),
            limits: hello.limits,
            agent: hello.agent.clone(),
            instance: None,
        }));
        self.phase = match self.config.auth {
            true => Phase::Authenticate,
            false => Phase::Ready,
        };
        Ok(Event::ClientHello(hello))
    }

    fn on_server_hello(&mut self, hello: ServerHello) -> Result<Event<'static>, Fault> {
        if hello.version != VERSION {
            return Err(Fault::new(
                ErrorCode::Version,
                "the server chose a version that was not offered",
            ));
        }
        // Who speaks first names all it has, without having heard what we have.
        if !hello.features.is_empty() && !self.config.auth {
            return Err(Fault::state("a feature that was not offered"));
        }
        if hello.auth && self.highest > 0 {
            return Err(Fault::state(
                "authentication is asked for where requests were sent without it",
            ));
        }
        self.peer = Some(Box::new(Peer {
            version: hello.version,
            features: Vec::new(),
            limits: hello.limits,
            agent: hello.agent.clone(),
            instance: Some(hello.instance.into()),
        }));
        self.phase = match hello.auth {
            true => Phase::Authenticate,
            false => Phase::Ready,
        };
        if !hello.auth {
            self.greet();
        }
        self.allow_early_stdin();
        Ok(Event::ServerHello(hello))
    }

    fn on_authenticated(&mut self, answer: Authenticated) -> Event<'static> {
        if answer.result == 0 {
            self.phase = Phase::Ready;
            self.allow_early_stdin();
        } else {
            self.phase = Phase::Authenticate;
        }
        Event::Authenticated(answer)
    }
}
