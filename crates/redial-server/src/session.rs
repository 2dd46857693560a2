//! One connection of a client, as the front sees it: what the client asks, told to
//! the keeper. The way back is in [`answers`].

mod answers;
mod login;
mod outputs;
mod stdin;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use redial_keeper::outcome::ControlKind;
use redial_keeper::pool::{OutputView, StdinView};
use redial_keeper::wire::{Capability, ToKeeper};
use redial_net::proto::message::{Attach, Control, GoodbyeCode, Query, RefusedCode, Start};
use redial_net::proto::{ChannelId, Connection, Event, Stream};
use redial_net::{Session, Slices};

use crate::channel::Channel;
use crate::front::Pools;
use crate::hub::Hub;
use crate::notice::{Mailbox, Request};
use crate::source::Source;
use crate::translate;

/// Piece of an encoded command, in bytes: a packet less what is around it.
const COMMAND_PIECE_BYTES: usize = 60 * 1024;

/// Controls kept for a job that is being started. More are sent by no honest client.
const EARLY_CONTROLS_MAX: usize = 64;

/// A connection's part in the protocol.
#[derive(Debug)]
pub(crate) struct FrontSession {
    capability: Capability,
    hub: Rc<RefCell<Hub>>,
    mailbox: Rc<RefCell<Mailbox>>,
    output: Rc<OutputView>,
    stdin: Rc<StdinView>,
    channels: HashMap<ChannelId, Channel>,
    /// Channels about which the keeper has something to hear.
    dirty: Vec<ChannelId>,
    said_goodbye: bool,
    shutting_down: bool,
    /// One connection too many: only told so.
    turned_away: bool,
    /// What binds a login to this connection's TLS; of connections from the network.
    exporter: Option<[u8; 32]>,
}

impl FrontSession {
    /// Of one whom the kernel vouches for.
    pub(crate) fn new(capability: Capability, hub: Rc<RefCell<Hub>>, pools: Pools) -> Self {
        let turned_away = hub.borrow().is_full();
        Self::with(capability, hub, pools, turned_away)
    }

    /// Of one who has to log in; whether there is room for it is seen then.
    pub(crate) fn of_stranger(
        capability: Capability,
        hub: Rc<RefCell<Hub>>,
        pools: Pools,
        exporter: [u8; 32],
    ) -> Self {
        FrontSession {
            exporter: Some(exporter),
            ..Self::with(capability, hub, pools, false)
        }
    }

    fn with(
        capability: Capability,
        hub: Rc<RefCell<Hub>>,
        Pools { output, stdin }: Pools,
        turned_away: bool,
    ) -> Self {
        let mailbox = hub.borrow_mut().open(capability);
        FrontSession {
            capability,
            hub,
            mailbox,
            output,
            stdin,
            channels: HashMap::new(),
            dirty: Vec::new(),
            said_goodbye: false,
            shutting_down: false,
            turned_away,
            exporter: None,
        }
    }

    fn start(&mut self, connection: &mut Connection, channel: ChannelId, start: Start) {
        let (from, resent) = match &start.resent {
            Some(resent) => ([resent.stdout_from, resent.stderr_from], true),
            None => ([0, 0], false),
        };
        let (job, has_stdin): (_, bool) = (start.job.into(), start.stdin);
        let Some(command) = translate::command(start) else {
            let text = "a start has either argv or shell text";
            connection.refused(channel, RefusedCode::Malformed, text);
            return;
        };
        let encoded = command.to_bytes();
        tracing::debug!(channel = channel.0, resent, "start");
        let mut hub = self.hub.borrow_mut();
        let number = hub.request(self.asked(channel, from));
        let mut pieces = encoded.chunks(COMMAND_PIECE_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            let piece = piece.to_vec().into();
            hub.tell(&if pieces.peek().is_some() {
                ToKeeper::StartPiece(self.capability, piece)
            } else {
                ToKeeper::Start(self.capability, number, piece)
            });
        }
        drop(hub);
        let mut new = Channel::new(job);
        new.has_stdin = has_stdin;
        self.open(channel, new, from);
    }

    fn attach(&mut self, channel: ChannelId, attach: Attach) {
        let from = [attach.stdout_from, attach.stderr_from];
        let outcome_only = attach.outcome_only == Some(true);
        let mut hub = self.hub.borrow_mut();
        let number = hub.request(Request {
            last: attach.last,
            outcome_only,
            ..self.asked(channel, from)
        });
        if !attach.take && !outcome_only {
            hub.looks_at(number, attach.job.into());
        }
        hub.tell(&ToKeeper::Attach(
            self.capability,
            number,
            attach.job,
            attach.take,
        ));
        drop(hub);
        let mut new = Channel::new(attach.job.into());
        new.holds = attach.take;
        new.last = attach.last;
        if outcome_only {
            new.source = Source::Nothing;
        }
        self.open(channel, new, from);
    }

    fn asked(&self, channel: ChannelId, wanted: [u64; 2]) -> Request {
        Request {
            capability: self.capability,
            channel,
            wanted,
            last: None,
            outcome_only: false,
        }
    }

    fn query(&mut self, channel: ChannelId, query: Query) {
        let mut hub = self.hub.borrow_mut();
        let number = hub.request(self.asked(channel, [0, 0]));
        let ask = Box::new(translate::ask(query.kind));
        hub.tell(&ToKeeper::Query(self.capability, number, ask));
    }

    fn open(&mut self, channel: ChannelId, mut new: Channel, from: [u64; 2]) {
        new.wanted = from;
        self.channels.insert(channel, new);
    }

    fn control(&mut self, connection: &mut Connection, channel: ChannelId, control: Control) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        if state.attached {
            self.tell_control(channel, control);
        } else if state.early_controls.len() < EARLY_CONTROLS_MAX {
            state.early_controls.push(control);
        } else {
            let text = "too many controls before the job is attached";
            self.say_goodbye(connection, GoodbyeCode::Protocol, text);
        }
    }

    /// The keeper has answered: it takes controls now.
    fn open_for_controls(&mut self, channel: ChannelId) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        state.attached = true;
        let (controls, eof) = (std::mem::take(&mut state.early_controls), state.early_eof);
        for control in controls {
            self.tell_control(channel, control);
        }
        if let Some(offset) = eof {
            self.end_stdin(channel, offset);
        }
    }

    fn tell_control(&mut self, channel: ChannelId, control: Control) {
        if let Some(state) = self.channels.get_mut(&channel) {
            if let redial_net::proto::message::ControlKind::Stop(stream) = control.kind
                && let Ok(stream @ (Stream::Stdout | Stream::Stderr)) = Stream::try_from(stream)
            {
                state.forget(stream);
            }
            let kind: ControlKind = translate::control(control.kind);
            let job = state.job.into();
            let message = ToKeeper::Control(self.capability, job, control.number, kind);
            self.hub.borrow_mut().tell(&message);
        }
    }

    fn touch(&mut self, channel: ChannelId) {
        if let Some(state) = self.channels.get_mut(&channel)
            && !std::mem::replace(&mut state.dirty, true)
        {
            self.dirty.push(channel);
        }
    }

    fn acknowledged(&mut self, channel: ChannelId, stream: Stream, up_to: u64) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        let Some(place) = stream.index().checked_sub(1) else {
            return;
        };
        state.acknowledged[place] = up_to;
        state.release(stream, up_to);
        self.touch(channel);
    }

    fn close(&mut self, channel: ChannelId, outcome_seen: bool) {
        let Some(state) = self.channels.remove(&channel) else {
            return;
        };
        let mut hub = self.hub.borrow_mut();
        hub.forget(self.capability, channel, &state.job);
        hub.tell(&ToKeeper::Leave(
            self.capability,
            state.job.into(),
            outcome_seen,
            state.holds,
        ));
    }

    /// Tells the keeper what has come together since the last turn.
    fn tell_keeper(&mut self) {
        let mut hub = self.hub.borrow_mut();
        for channel in std::mem::take(&mut self.dirty) {
            let Some(state) = self.channels.get_mut(&channel) else {
                continue;
            };
            let [stdout, stderr] = state.acknowledged;
            let job = state.job.into();
            let acknowledges = matches!(state.source, Source::Pool) && state.holds;
            state.dirty = acknowledges && hub.is_looked_at(&state.job);
            if state.dirty {
                self.dirty.push(channel);
            } else if acknowledges {
                hub.tell(&ToKeeper::Acknowledge(self.capability, job, stdout, stderr));
            }
            if state.stdin_told < state.stdin_written {
                state.stdin_told = state.stdin_written;
                hub.tell(&ToKeeper::Stdin(self.capability, job, state.stdin_written));
            }
        }
    }
}

impl Session for FrontSession {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, _: &Bytes) {
        match event {
            Event::Start { channel, start } => self.start(connection, channel, *start),
            Event::Attach { channel, attach } => self.attach(channel, attach),
            Event::Query { channel, query } => self.query(channel, query),
            Event::Control { channel, control } => self.control(connection, channel, control),
            Event::Closed {
                channel,
                outcome_seen,
            } => self.close(channel, outcome_seen),
            Event::Data {
                channel,
                offset,
                bytes,
                ..
            } => self.take_stdin(channel, offset, bytes),
            Event::Eof {
                channel, offset, ..
            } => self.end_stdin(channel, offset),
            Event::Acknowledged {
                channel,
                stream,
                up_to,
            } => {
                self.acknowledged(channel, stream, up_to);
                self.say_left_out(connection, channel, false);
                self.give(connection, channel);
                self.load(channel);
            }
            Event::Goodbye(goodbye) => {
                tracing::debug!(code = goodbye.code, "the client says goodbye");
                let mut channels: Vec<_> = self.channels.keys().copied().collect();
                channels.sort_unstable();
                for channel in channels {
                    self.close(channel, false);
                }
                self.say_goodbye(connection, GoodbyeCode::Done, "");
            }
            Event::ClientHello(hello) => {
                tracing::debug!(agent = %hello.agent.escape_debug(), "hello");
                if self.exporter.is_some() {
                    // Goes with the login, which mostly comes with it.
                    let secured = ToKeeper::Secured(self.capability);
                    self.hub.borrow_mut().tell(&secured);
                }
            }
            Event::Authenticate(authenticate) => self.authenticate(connection, authenticate),
            // The others are the client's.
            _ => {}
        }
    }

    fn payload<'a>(
        &'a self,
        channel: ChannelId,
        stream: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        self.channels
            .get(&channel)
            .is_some_and(|state| state.output(stream, offset, len, &self.output, out))
    }

    fn has_given_up(&self, channel: ChannelId) -> bool {
        let state = self.channels.get(&channel);
        state.is_some_and(|state| state.is_taken)
    }

    fn wants_input(&self) -> bool {
        self.hub.borrow().has_room()
    }

    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<()> {
        self.mailbox.borrow_mut().register(cx.waker());
        loop {
            let Some(notice) = self.mailbox.borrow_mut().take() else {
                break;
            };
            self.notice(connection, notice);
        }
        self.tell_keeper();
        let mut hub = self.hub.borrow_mut();
        // A keeper that is gone ends the front; the link's own task sees it.
        let _ = hub.flush();
        hub.wake_when_told(cx.waker());
        drop(hub);
        if self.turned_away {
            let text = "the server has as many connections as it takes; try again later";
            self.say_goodbye(connection, GoodbyeCode::TooManyConnections, text);
        }
        if self.shutting_down && self.channels.is_empty() {
            self.say_goodbye(
                connection,
                GoodbyeCode::ShuttingDown,
                "the server is shutting down",
            );
        }
        Poll::Pending
    }
}

impl FrontSession {
    fn say_goodbye(&mut self, connection: &mut Connection, code: GoodbyeCode, text: &str) {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            connection.goodbye(code, text);
        }
    }
}
