//! Who comes in from the network: strangers, logins, and keys that are revoked.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::clients::{Broken, MAX_ACCEPTS};
use super::grant::{Client, Grant};
use super::logins::{Answer, LoginTask};
use super::metrics::Authentication;
use super::network::Caller;
use super::report::tell;
use super::standing::Standing;
use super::strangers::Stranger;
use super::turn::{Keeper, MAX_OUTBOX_BYTES};
use crate::account::User;
use crate::outcome::Cause;
use crate::wire::{Capability, ConnectionKind, Dismissal, Login, TcpPeer, ToFront, Verdict};

/// Answers of "no" on one connection, until it is closed (PROTOCOL.md section 3).
const MAX_TRIES: u8 = 3;
/// The front keeps the time of handshakes; this much later the keeper does it.
const LATE_MS: u64 = 1_000;
/// Between two looks at whether keys still stand.
const RECHECK_MS: u64 = 1_500;
/// And to the second look at one that was gone.
const SUSPECT_MS: u64 = 1_000;
/// A look takes one part in so many of the time.
const RECHECK_SHARE: u64 = 10;
/// But the next is never further off: one user's files must not put off what is another's.
const RECHECK_MOST_MS: u64 = 5_000;
/// A look that takes longer is worth a word.
const SLOW_RECHECK_MS: u64 = 10_000;
/// A revoked key's jobs get TERM, and after this KILL.
const REVOKED_KILL_MS: u64 = 1_000;

impl Keeper<'_> {
    /// Somebody waits at a socket on the network.
    pub(super) fn on_callers(&mut self, number: u64) {
        for _ in 0..MAX_ACCEPTS {
            if self.front.out.len_bytes() > MAX_OUTBOX_BYTES {
                // Its time comes when the front listens again (`listen_if_possible`).
                return;
            }
            let Some(network) = &self.network else {
                return;
            };
            match network.accept(number, &mut self.reserve) {
                Caller::Connection(socket, address) => {
                    self.admit(socket, address, ConnectionKind::Tcp);
                }
                Caller::Carried(socket) => {
                    let unknown = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
                    self.admit(socket, unknown, ConnectionKind::Carried);
                }
                Caller::Dropped => {}
                Caller::Nobody => return,
                Caller::Exhausted => {
                    self.out_of_descriptors();
                    return;
                }
            }
        }
    }

    fn admit(&mut self, socket: OwnedFd, address: SocketAddr, kind: fn(TcpPeer) -> ConnectionKind) {
        let now = self.ground.now;
        let who = self.next_capability();
        let Some(network) = &mut self.network else {
            return;
        };
        let Ok(nonce) = super::set_up::random::<32>() else {
            tracing::error!("no random bytes for a connection");
            return;
        };
        let stranger = Stranger::new(address, nonce, now);
        if network.penalties.refuses(stranger.source(), now) {
            tracing::debug!(%address, "refused: too many failed logins from there");
            return;
        }
        let mapped = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let kind = kind(TcpPeer {
            address: mapped.octets().into(),
            port: address.port(),
            nonce: nonce.into(),
        });
        let connection = ToFront::Connection(who, kind);
        if let Err(error) = self.front.out.push_with(&connection, vec![socket]) {
            tracing::error!(%error, "a connection cannot be handed over");
            return;
        }
        if let Some((goes, stranger)) = network.strangers.add(who, stranger) {
            self.lost(&stranger);
            self.dismiss(goes, Dismissal::Stranger);
        }
    }

    /// A stranger is gone and has not come in: if that is its own fault, its source pays.
    pub(super) fn lost(&mut self, stranger: &Stranger) {
        // Where nobody knows who it was, others would pay.
        let pays = stranger.has_failed && !stranger.address.ip().is_unspecified();
        let Some(network) = self.network.as_mut().filter(|_| pays) else {
            return;
        };
        let begins = network.penalties.add(stranger.source(), self.ground.now);
        if let Some(for_ms) = begins {
            self.ground
                .note_penalty(stranger.address.ip(), for_ms / 1_000);
        }
    }

    fn dismiss(&mut self, who: Capability, why: Dismissal) {
        tell(&mut self.front.out, &ToFront::Dismissed(who, why));
    }

    pub(super) fn on_secured(&mut self, who: Capability) {
        if let Some(network) = &mut self.network {
            network.strangers.secured(who);
        }
    }

    /// A stranger says who it is. Nobody else can.
    pub(super) fn on_login(&mut self, who: Capability, login: Login) -> Result<(), Broken> {
        let now = self.ground.now;
        let Some(network) = &mut self.network else {
            return Err("it lets somebody log in where nobody can");
        };
        let Some(stranger) = network.strangers.find(who) else {
            // It may have been dismissed meanwhile.
            return Ok(());
        };
        if std::mem::replace(&mut stranger.busy, true) {
            return Err("it has sent a login before the last was answered");
        }
        let good_for_ms = self.ground.limits.handshake_ms.into();
        let task = stranger.nonce(now, good_for_ms).map(|nonce| LoginTask {
            who,
            login,
            nonce,
            source: stranger.address.ip(),
            waits: stranger.waits(),
        });
        let logins = self.people.logins.as_ref();
        let taken = task.is_some_and(|task| logins.is_some_and(|it| it.log_in(task)));
        if !taken {
            self.on_logged_in(who, Answer::Failed);
        }
        Ok(())
    }

    /// The login was looked at.
    pub(super) fn on_logged_in(&mut self, who: Capability, answer: Answer) {
        let Some(network) = &mut self.network else {
            return;
        };
        let Some(stranger) = network.strangers.find(who) else {
            return;
        };
        let counted = match &answer {
            Answer::In(..) => Some(Authentication::Accepted),
            Answer::Out(_) => Some(Authentication::Refused),
            Answer::Failed => Some(Authentication::Failed),
            Answer::Prove(_) => None,
        };
        let counts = &mut self.ground.counts;
        counted
            .into_iter()
            .for_each(|how| counts.authenticated(how));
        stranger.busy = false;
        stranger.tries += 1;
        let verdict = match answer {
            Answer::In(grant, user) => return self.let_in(who, grant, user),
            Answer::Prove(keys) => Verdict::Prove(keys),
            Answer::Failed => Verdict::Failed,
            Answer::Out(_) => {
                stranger.has_failed = true;
                Verdict::Out
            }
        };
        if stranger.tries >= MAX_TRIES
            && let Some(stranger) = network.strangers.remove(who)
        {
            // The protocol says goodbye by itself after this; the capability is void now.
            self.lost(&stranger);
        }
        tell(&mut self.front.out, &ToFront::Verdict(who, verdict));
    }

    fn let_in(&mut self, who: Capability, grant: Arc<Grant>, user: Option<Arc<User>>) {
        let Some(network) = &mut self.network else {
            return;
        };
        let Some(stranger) = network.strangers.remove(who) else {
            return;
        };
        network
            .recheck_at
            .get_or_insert(self.ground.now + RECHECK_MS);
        let own = || rustix::process::geteuid().as_raw();
        let uid = user.as_ref().map_or_else(own, |user| user.account.uid);
        if self.is_full_for(uid) {
            self.dismiss(who, Dismissal::Full);
            return;
        }
        let from = stranger.address;
        tracing::info!(capability = who, uid, by = grant.name(), %from, line = grant.line.number, "login");
        let client = Client {
            uid,
            user,
            grant: Some(grant),
        };
        self.clients.insert(who, client);
        tell(&mut self.front.out, &ToFront::Verdict(who, Verdict::In));
    }

    /// Strangers whose time is over, and keys that may have been revoked.
    pub(super) fn keep_network(&mut self) {
        let (now, after) = (self.ground.now, self.late_after());
        let Some(network) = &mut self.network else {
            return;
        };
        let late = network.strangers.take_late(now, after);
        let due = network.recheck_at.is_some_and(|at| at <= now);
        let look = due && network.rechecking.is_none();
        if let Some(since) = network.rechecking
            && since + SLOW_RECHECK_MS <= now
        {
            tracing::error!("whether keys still stand cannot be found out: removed ones may go on");
            network.rechecking = Some(now);
        }
        for (who, stranger) in late {
            self.lost(&stranger);
            self.dismiss(who, Dismissal::Stranger);
        }
        if look {
            self.recheck();
        }
    }

    fn late_after(&self) -> u64 {
        u64::from(self.ground.limits.handshake_ms) + LATE_MS
    }

    /// When [`Keeper::keep_network`] has something to do next.
    pub(super) fn network_due(&self) -> Option<u64> {
        let network = self.network.as_ref()?;
        let late = network.strangers.due(self.late_after());
        let recheck = match network.rechecking {
            Some(since) => Some(since + SLOW_RECHECK_MS),
            None => network.recheck_at,
        };
        late.into_iter().chain(recheck).min()
    }

    /// Every grant that somebody, or something that runs, lives by.
    fn grants(&self) -> Vec<Arc<Grant>> {
        let clients = self.clients.values().map(|client| &client.grant);
        let jobs = self.jobs.values().filter(|job| job.outcome.is_none());
        let starting = self.starting.values().map(|it| &it.terms);
        let terms = jobs.map(|job| &job.terms).chain(starting);
        let living = terms.filter(|terms| !terms.is_revoked);
        let mut grants: Vec<Arc<Grant>> = Vec::new();
        for grant in clients.chain(living.map(|terms| &terms.grant)).flatten() {
            if !grants.iter().any(|known| Arc::ptr_eq(known, grant)) {
                grants.push(Arc::clone(grant));
            }
        }
        grants
    }

    /// Jobs of another program live by keys as well.
    pub(super) fn recheck_soon(&mut self) {
        let (now, lives) = (self.ground.now, !self.grants().is_empty());
        if let Some(network) = self.network.as_mut().filter(|_| lives) {
            network.recheck_at.get_or_insert(now);
        }
    }

    fn recheck(&mut self) {
        let grants = self.grants();
        let now = self.ground.now;
        let Some(network) = &mut self.network else {
            return;
        };
        network.recheck_at = (!grants.is_empty()).then_some(now + RECHECK_MS);
        let logins = self.people.logins.as_ref();
        if !grants.is_empty() && logins.is_some_and(|logins| logins.recheck(grants)) {
            network.rechecking = Some(now);
        }
    }

    pub(super) fn on_rechecked(&mut self, grants: Vec<(Arc<Grant>, Standing)>) {
        let now = self.ground.now;
        let Some(network) = &mut self.network else {
            return;
        };
        // Many users' files take longer: then not all of the time goes into that.
        let took = network.rechecking.take().map_or(0, |since| now - since);
        let before = std::mem::take(&mut network.suspects);
        let mut suspects = Vec::new();
        for (grant, standing) in grants {
            match standing {
                Standing::Good => {}
                Standing::Changed(new) => self.change(&grant, &new),
                Standing::Gone if before.iter().any(|it| Arc::ptr_eq(it, &grant)) => {
                    self.revoke(&grant);
                }
                Standing::Gone => suspects.push(grant),
            }
        }
        if let Some(network) = &mut self.network {
            let after = if suspects.is_empty() {
                RECHECK_MS
            } else {
                SUSPECT_MS
            };
            let after = after.max((took * RECHECK_SHARE).min(RECHECK_MOST_MS));
            network.recheck_at = Some(now + after);
            network.suspects = suspects;
        }
    }

    fn change(&mut self, old: &Arc<Grant>, new: &Arc<Grant>) {
        tracing::info!(by = old.name(), "the key's line has changed");
        let is_old = |grant: &Arc<Grant>| Arc::ptr_eq(grant, old);
        for client in self.clients.values_mut() {
            if client.grant.as_ref().is_some_and(is_old) {
                client.grant = Some(Arc::clone(new));
            }
        }
        // A job is what it was started as; but it is by the new line that it is asked for.
        let jobs = self.jobs.values_mut().map(|job| &mut job.terms);
        let starting = self.starting.values_mut().map(|it| &mut it.terms);
        for terms in jobs.chain(starting) {
            if terms.grant.as_ref().is_some_and(is_old) {
                terms.grant = Some(Arc::clone(new));
            }
        }
    }

    /// A key that is listed no more ends its connections and its jobs.
    fn revoke(&mut self, grant: &Arc<Grant>) {
        let is_it = |it: &Option<Arc<Grant>>| it.as_ref().is_some_and(|it| Arc::ptr_eq(it, grant));
        tracing::warn!(by = grant.name(), "the key is revoked");
        for starting in self.starting.values_mut() {
            if is_it(&starting.terms.grant) {
                starting.terms.is_revoked = true;
            }
        }
        let jobs = self
            .jobs
            .values()
            .filter(|job| is_it(&job.terms.grant) && !job.terms.is_revoked)
            .map(|job| job.serial)
            .collect::<Vec<_>>();
        for serial in jobs {
            self.with_job(serial, |job, ground| {
                job.terms.is_revoked = true;
                job.end_tree(ground.now, REVOKED_KILL_MS, revoked());
            });
        }
        // Behind that: their lines' ends are not why the jobs end.
        let clients: Vec<Capability> = self
            .clients
            .iter()
            .filter(|(_, client)| is_it(&client.grant))
            .map(|(who, _)| *who)
            .collect();
        for who in clients {
            self.on_closed(who);
            self.dismiss(who, Dismissal::Revoked);
        }
    }
}

/// Why a revoked key's jobs end.
pub(super) fn revoked() -> Cause {
    Cause::Cancelled("the server: the key that started it is revoked".to_owned())
}
