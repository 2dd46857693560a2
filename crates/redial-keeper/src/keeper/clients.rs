//! Connections come and go, and with them who may do what.

use std::os::fd::OwnedFd;

use super::command::Refusal;
use super::config::KeeperError;
use super::grant::Client;
use super::job::{Job, Leaves};
use super::listener::Accepted;
use super::metrics::Authentication;
use super::network::Network;
use super::poll::{Interest, Serial, Token};
use super::requests::PendingCommand;
use super::turn::{Keeper, MAX_OUTBOX_BYTES};
use crate::outcome::RefusedCode;
use crate::wire::{Capability, ConnectionKind, ToFront};

/// Connections accepted in one turn.
pub(super) const MAX_ACCEPTS: usize = 16;
/// Above the limit on connections, so many more go to the front, which tells them
/// why they cannot stay; what comes beyond is closed without a word.
pub(super) const SPARE_CONNECTIONS: usize = 8;
/// Without descriptors, new connections wait this long.
const EXHAUSTED_MS: u64 = 100;

/// What the front has done that no front of ours does.
pub(super) type Broken = &'static str;

impl Keeper<'_> {
    /// Somebody waits at a socket.
    pub(super) fn on_connections(&mut self, number: u64) {
        for _ in 0..MAX_ACCEPTS {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let Some(listener) = self.listeners.get(index) else {
                return;
            };
            match listener.accept(&mut self.reserve) {
                Accepted::Connection(socket, peer) => self.meet(socket, peer),
                Accepted::Refused(uid) => {
                    self.ground.counts.authenticated(Authentication::Refused);
                    self.ground.note_peer(uid, Some("not for this user"));
                }
                Accepted::Dropped => {}
                Accepted::Nobody => return,
                Accepted::Exhausted => {
                    self.out_of_descriptors();
                    return;
                }
            }
        }
    }

    /// Nothing is accepted for a moment, or we would be woken for ever.
    pub(super) fn out_of_descriptors(&mut self) {
        self.listen_at = Some(self.ground.now + EXHAUSTED_MS);
    }

    /// Connections are accepted while there is a front to take them; else they wait
    /// in the kernel's queue.
    pub(super) fn listen_if_possible(&mut self) {
        if self.listen_at.is_some_and(|at| at <= self.ground.now) {
            self.listen_at = None;
        }
        let listens = self.front.is_ready && self.front.out.len_bytes() <= MAX_OUTBOX_BYTES;
        let possible = listens && self.phase.is_serving() && self.listen_at.is_none();
        if possible == self.listening {
            return;
        }
        let interest = if possible {
            Interest::Read
        } else {
            Interest::Hangup
        };
        for (number, listener) in (0..).zip(&self.listeners) {
            if let Err(error) = self
                .ground
                .poll
                .change(listener, Token::Listener(number), interest)
            {
                tracing::error!(%error, "cannot watch a listening socket");
            }
        }
        let callers = self.network.iter().flat_map(Network::watched);
        for (number, listener) in callers {
            let token = Token::Caller(number);
            if let Err(error) = self.ground.poll.change(listener, token, interest) {
                tracing::error!(%error, "cannot watch a listening socket");
            }
        }
        self.listening = possible;
        // Once: that a front was replaced, or that there was no descriptor, is no news of
        // where we are.
        if possible && !std::mem::replace(&mut self.announced, true) {
            if let Some(manager) = self.life.manager() {
                manager.ready();
            }
            for listener in &self.listeners {
                tracing::info!(socket = %listener.path().display(), "listening");
            }
            if let Some(network) = &self.network {
                let host_key = network.host_key.public_key().fingerprint();
                for listener in &network.listeners {
                    tracing::info!(address = %listener.address, host_key, "listening");
                }
                if network.door.is_some() {
                    tracing::info!(host_key, "lines from elsewhere are taken");
                }
            }
        }
    }

    /// Hands a connection to the front, with a capability of its own.
    pub(super) fn connect(&mut self, client: Client, kind: ConnectionKind, fds: Vec<OwnedFd>) {
        let capability = self.next_capability();
        match self
            .front
            .out
            .push_with(&ToFront::Connection(capability, kind), fds)
        {
            Ok(()) => drop(self.clients.insert(capability, client)),
            Err(error) => tracing::error!(%error, "a connection cannot be handed over"),
        }
    }

    /// One that nobody has.
    pub(super) fn next_capability(&mut self) -> Capability {
        let network = self.network.as_ref();
        let taken = |who: &Capability| {
            self.clients.contains_key(who) || network.is_some_and(|it| it.strangers.contains(*who))
        };
        let mut capability = self.last_capability;
        loop {
            capability = capability.wrapping_add(1);
            if !taken(&capability) {
                self.last_capability = capability;
                return capability;
            }
        }
    }

    pub(super) fn client(&self, who: Capability) -> Result<Client, Refusal> {
        let unknown = || Refusal::new(RefusedCode::NotAllowed, "this connection is not known");
        self.clients.get(&who).cloned().ok_or_else(unknown)
    }

    pub(super) fn leave(&mut self, serial: Serial, who: Capability, leaves: Leaves, grace_ms: u64) {
        let mut is_dropped = false;
        self.with_job(serial, |job, ground| {
            is_dropped = job.leave(who, leaves);
            if is_dropped {
                job.let_drop(ground.now, grace_ms);
            }
        });
        if is_dropped {
            self.begin_to_keep(serial);
        }
        self.let_go_if_abandoned(serial);
    }

    /// It has ended, and nobody will read it any more.
    pub(super) fn let_go_if_abandoned(&mut self, serial: Serial) {
        if self
            .jobs
            .get(&serial)
            .is_some_and(|job| job.is_abandoned && job.outcome.is_some())
        {
            self.let_go(serial, false);
        }
    }

    pub(super) fn on_closed(&mut self, who: Capability) {
        let network = self.network.as_mut();
        if let Some(stranger) = network.and_then(|it| it.strangers.remove(who)) {
            self.lost(&stranger);
        }
        if self.clients.remove(&who).is_none() {
            return;
        }
        self.pending.forget(who);
        self.starting
            .values_mut()
            .for_each(|starting| starting.leave(who));
        let reads = |job: &Job| job.readers.contains(&who) || job.holder == Some(who);
        let mut serials: Vec<Serial> = self
            .jobs
            .iter()
            .filter(|(_, job)| reads(job))
            .map(|(serial, _)| *serial)
            .collect();
        serials.sort_unstable();
        for serial in serials {
            self.leave(serial, who, Leaves::All, 0);
        }
    }

    /// The front is gone or broken. Its connections are void; what they held goes by
    /// its policy, but clients get time to dial again.
    pub(super) fn front_is_lost(&mut self, reason: Broken) -> Result<(), KeeperError> {
        if !self.front.is_there() {
            return Ok(());
        }
        if self.phase.is_serving() && !self.is_settling() {
            tracing::error!(reason, "the front is lost");
        }
        self.front.lose();
        self.ground.late.front_is_lost();
        self.upgrades.front_is_lost();
        self.pending = PendingCommand::default();
        if let Some(network) = &mut self.network {
            network.strangers.clear();
        }
        let clients: Vec<Capability> = self.clients.drain().map(|(who, _)| who).collect();
        let grace_ms = if self.private {
            0
        } else {
            self.ground.limits.front_grace_ms
        };
        for starting in self.starting.values_mut() {
            clients.iter().for_each(|who| starting.leave(*who));
            starting.grace_ms = grace_ms;
        }
        let mut serials: Vec<Serial> = self.jobs.keys().copied().collect();
        serials.sort_unstable();
        for serial in serials {
            clients
                .iter()
                .for_each(|who| self.leave(serial, *who, Leaves::All, grace_ms));
        }
        if self.private && self.phase.is_serving() {
            self.end_after_front();
        }
        Ok(())
    }

    /// A job is done with: its outcome was `read`, or its output given up.
    pub(super) fn let_go(&mut self, serial: Serial, read: bool) {
        let Some(job) = self.jobs.remove(&serial) else {
            return;
        };
        let (terms, outcome) = job.release(&mut self.ground);
        self.ids.remove(&terms.id);
        if let Some(outcome) = outcome {
            let whose = (terms.owner, terms.hash);
            self.records
                .add(self.ground.now, terms.id, whose, outcome, read);
        }
    }
}
