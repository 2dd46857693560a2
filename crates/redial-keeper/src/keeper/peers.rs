//! Who comes in over a Unix socket, where a server has several users: looked up before the front is
//! given the connection, and as the kernel says, not the front.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::clients::SPARE_CONNECTIONS;
use super::command::Refusal;
use super::grant::Client;
use super::listener::Peer;
use super::logins::{Known, PeerTask, Stranger};
use super::metrics::Authentication;
use super::turn::Keeper;
use crate::account::User;
use crate::outcome::RefusedCode;
use crate::wire::ConnectionKind;

/// One user of several has no more than one part in so many of the connections, and of the jobs.
pub(super) const SHARE: usize = 2;

impl Keeper<'_> {
    /// Somebody has connected.
    pub(super) fn meet(&mut self, socket: OwnedFd, peer: Peer) {
        let uid = peer.uid;
        let kind = ConnectionKind::Unix(uid, peer.gid, peer.pid);
        let users = &self.people.users;
        // Root that has no jobs here may still look at those there are, and upgrade the server.
        if !users.are_many() || users.refuses_uid(uid).is_some() {
            return self.let_peer_in(Client::local(uid), kind, socket);
        }
        match self.people.known.find(uid, self.ground.now) {
            Some(Some(user)) => return self.let_peer_in(Client::of_user(user), kind, socket),
            // That was said a moment ago, and is on record.
            Some(None) => return,
            None => {}
        }
        if !self.people.known.wait(uid) {
            return;
        }
        let task = PeerTask { uid, kind, socket };
        let logins = self.people.logins.as_ref();
        if !logins.is_some_and(|it| it.look_up(task)) {
            self.people.known.has_waited(uid);
            tracing::warn!(uid, "too many wait to be looked up: a connection is closed");
        }
    }

    /// It is known who has connected, or why it is nobody.
    pub(super) fn on_met(&mut self, peer: PeerTask, known: Known) {
        self.people.known.has_waited(peer.uid);
        let now = self.ground.now;
        match known {
            Ok(Some(user)) if user.account.uid == peer.uid => {
                self.people.known.add(peer.uid, Some(&user), now);
                self.let_peer_in(Client::of_user(user), peer.kind, peer.socket);
            }
            Ok(_) | Err(Stranger::Failed) => {
                self.ground.counts.authenticated(Authentication::Failed);
                self.ground
                    .note_peer(peer.uid, Some("it could not be looked at"));
            }
            Err(Stranger::Out(why)) => {
                let before = self.people.known.find(peer.uid, now);
                self.people.known.add(peer.uid, None, now);
                self.ground.counts.authenticated(Authentication::Refused);
                if before != Some(None) {
                    tracing::info!(uid = peer.uid, "a connection is refused: {why}");
                    self.ground.note_peer(peer.uid, Some(&why));
                }
            }
        }
    }

    fn let_peer_in(&mut self, client: Client, kind: ConnectionKind, socket: OwnedFd) {
        let max = self.ground.limits.connections as usize + SPARE_CONNECTIONS;
        if self.clients.len() >= max || self.has_its_share(client.uid) {
            return;
        }
        self.ground.counts.authenticated(Authentication::Accepted);
        self.ground.note_peer(client.uid, None);
        self.connect(client, kind, vec![socket]);
    }

    /// Whether there is no room for one more connection of this user.
    pub(super) fn is_full_for(&self, uid: u32) -> bool {
        self.clients.len() >= self.ground.limits.connections as usize || self.has_its_share(uid)
    }

    fn has_its_share(&self, uid: u32) -> bool {
        let own = self.clients.values().filter(|client| client.uid == uid);
        let most = self.ground.limits.connections as usize / SHARE;
        self.people.users.are_many() && own.count() >= most.max(1)
    }

    /// As whom a command of this client's runs; none where there is one user only.
    pub(super) fn runs_as(&self, client: &Client) -> Result<Option<Arc<User>>, Refusal> {
        if !self.people.users.are_many() {
            return Ok(None);
        }
        let refused = |text: &str| Refusal::new(RefusedCode::NotAllowed, text);
        let refuses = self.people.users.refuses_uid(client.uid);
        let user = client
            .user
            .clone()
            .filter(|user| user.account.uid == client.uid);
        match (refuses, user) {
            (Some(why), _) => Err(refused(why)),
            (None, Some(user)) => Ok(Some(user)),
            (None, None) => Err(refused("nobody knows as whom this would run")),
        }
    }

    /// Jobs of one user must leave room for those of others.
    pub(super) fn check_users_share(&self, uid: u32) -> Result<(), Refusal> {
        if !self.people.users.are_many() {
            return Ok(());
        }
        let terms = self.jobs.values().map(|job| &job.terms);
        let terms = terms.chain(self.starting.values().map(|starting| &starting.terms));
        let own = terms.filter(|terms| terms.owner.uid == uid).count();
        let most = (self.ground.limits.jobs as usize / SHARE).max(1);
        if own >= most {
            let text =
                format!("{own} jobs of yours run or wait to be read; that is one user's share");
            return Err(Refusal::new(RefusedCode::Jobs, text));
        }
        let jobs = self.jobs.values().filter(|job| job.terms.owner.uid == uid);
        let held: usize = jobs
            .flat_map(|job| &job.outputs)
            .map(|it| it.log.held())
            .sum();
        if held >= self.ground.output.chunks() as usize / SHARE {
            let text = "output of yours that waits to be read takes one user's share of the memory";
            return Err(Refusal::new(RefusedCode::LogPool, text));
        }
        Ok(())
    }
}
