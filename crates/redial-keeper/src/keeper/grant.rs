//! Who a client is, what its key lets it do, and whose a job is.

use std::net::IpAddr;
use std::sync::Arc;

use redial_auth::authorized_keys::{Grant as Permission, KeyLine, Policy};

use super::command::Refusal;
use super::terms::Terms;
use super::time::wall_clock;
use crate::account::User;
use crate::login::Whose;
use crate::outcome::{ControlKind, RefusedCode};
use crate::state::{GrantState, GrantUserState};

/// Of a key's comment, which its owner wrote, in names for people.
const SHOWN_COMMENT_CHARS: usize = 64;

/// A line of authorized_keys that has let a connection in, with what it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) line: KeyLine,
    /// Where the connection comes from.
    pub(super) source: IpAddr,
    fingerprint: Arc<str>,
    /// Whose key it is, where the server has several users.
    user: Option<GrantUserState>,
}

impl Grant {
    pub(super) fn new(line: KeyLine, source: IpAddr) -> Self {
        let fingerprint = line.key.fingerprint().into();
        Self {
            line,
            source,
            fingerprint,
            user: None,
        }
    }

    /// It is from the files of one of several users.
    pub(super) fn of_user(mut self, name: &str, uid: u32) -> Self {
        let name = name.to_owned();
        self.user = Some(GrantUserState { name, uid });
        self
    }

    /// With another line of the same key.
    pub(super) fn with_line(&self, line: KeyLine) -> Self {
        Self {
            user: self.user.clone(),
            ..Self::new(line, self.source)
        }
    }

    /// Whose files it is from.
    pub(super) fn whose(&self) -> Whose {
        match &self.user {
            None => Whose::Own,
            Some(user) => Whose::Named(user.name.clone()),
        }
    }

    /// That user, where there are several.
    pub(super) fn uid(&self) -> Option<u32> {
        self.user.as_ref().map(|user| user.uid)
    }

    /// Of its key.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// For another program.
    pub(super) fn save(&self) -> GrantState {
        GrantState {
            line: self.line.text.clone().into(),
            source: self.source.to_string(),
            user: self.user.clone(),
        }
    }

    /// As it was saved.
    pub(super) fn restore(state: &GrantState) -> Option<Self> {
        let mut lines = redial_auth::authorized_keys::lines(&state.line);
        let (line, None) = (lines.next()?.ok()?, lines.next()) else {
            return None;
        };
        let mut grant = Self::new(line, state.source.parse().ok()?);
        grant.user.clone_from(&state.user);
        Some(grant)
    }

    /// For people: the key and its comment.
    pub(super) fn name(&self) -> String {
        let comment: String = self
            .line
            .comment
            .chars()
            .take(SHOWN_COMMENT_CHARS)
            .flat_map(char::escape_debug)
            .collect();
        match comment.as_str() {
            "" => format!("key {}", self.fingerprint),
            comment => format!("key {} ({comment})", self.fingerprint),
        }
    }
}

/// Who is behind a capability.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) uid: u32,
    /// As whom its jobs run, where the server has several users.
    pub(super) user: Option<Arc<User>>,
    /// From the network: what its key lets it do. Of others the kernel has said who they are.
    pub(super) grant: Option<Arc<Grant>>,
}

impl Client {
    /// Known by its uid.
    pub(super) fn local(uid: u32) -> Self {
        Self {
            uid,
            user: None,
            grant: None,
        }
    }

    /// One of several users, who has come in over a Unix socket.
    pub(super) fn of_user(user: Arc<User>) -> Self {
        Self {
            uid: user.account.uid,
            user: Some(user),
            grant: None,
        }
    }

    /// The user's name, or the uid where it is not known yet.
    pub(super) fn user_name(&self) -> String {
        let uid = || format!("uid {}", self.uid);
        self.user.as_ref().map_or_else(uid, |user| user.name())
    }

    /// For outcomes: who cancelled a job.
    pub(super) fn name(&self) -> String {
        match &self.grant {
            None => format!("uid {}", self.uid),
            Some(grant) => grant.name(),
        }
    }

    /// Asked at every start, attach and control: whether its key is still good, now.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let Some(grant) = &self.grant else {
            return Ok(());
        };
        let checked = grant.line.check(Some(grant.source), wall_clock());
        checked.map_err(|problem| Refusal::new(RefusedCode::NotAllowed, problem.to_string()))
    }

    /// What redial's own options of its line say, if it has come in by one.
    pub(super) fn policy(&self) -> Option<&Policy> {
        Some(&self.grant.as_ref()?.line.options.policy)
    }

    /// Asked before a job is read or, with `take`, held.
    pub(super) fn check_may_attach(&self, terms: &Terms, take: bool) -> Result<(), Refusal> {
        if !self.reaches(&terms.owner) {
            return Err(Refusal::new(RefusedCode::NoSuchJob, "no such job"));
        }
        let pty = self.grant.as_ref().map(|grant| grant.line.options.pty);
        if take && terms.is_on_terminal && pty == Some(Permission::Refused) {
            let text = "this key may not have a terminal (no-pty, or restrict without pty)";
            return Err(Refusal::new(RefusedCode::NotAllowed, text));
        }
        Ok(())
    }

    /// Asked before anything is started, taken, ended or removed.
    pub(super) fn check_may_change(&self) -> Result<(), Refusal> {
        if !self.is_read_only() {
            return Ok(());
        }
        let text = "this key may only look (read-only)";
        Err(Refusal::new(RefusedCode::NotAllowed, text))
    }

    /// Whether it may only look.
    pub(super) fn is_read_only(&self) -> bool {
        self.policy().is_some_and(|policy| policy.read_only)
    }

    /// Whether a control may reach its jobs. Signals that a forced command's author has not
    /// thought of do not: stops, core dumps, what a program gives a meaning to.
    pub(super) fn may_send(&self, control: ControlKind) -> bool {
        let forced = self
            .grant
            .as_ref()
            .is_some_and(|grant| grant.line.options.command.is_some());
        let usual = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGKILL];
        match control {
            ControlKind::Signal(number) if forced => usual.contains(&i32::from(number)),
            _ => true,
        }
    }

    /// Whose its jobs are: the user's, and those of a restricted key that key's alone.
    pub(super) fn owner(&self) -> Owner {
        let restricted = self
            .grant
            .as_ref()
            .filter(|grant| grant.line.is_restricted());
        Owner {
            uid: self.uid,
            key: restricted.map(|grant| Arc::clone(&grant.fingerprint)),
        }
    }

    /// Whether a job of this owner is there for it: the user's own keys reach all of the user's
    /// jobs, a restricted one only its own. One that may only look has none, and sees all.
    pub(super) fn reaches(&self, owner: &Owner) -> bool {
        let own = self.owner();
        let is_users = own.key.is_none() || self.is_read_only();
        own.uid == owner.uid && (is_users || own.key == owner.key)
    }

    /// Whether this is the key that a job lives by.
    pub(super) fn is_key_of(&self, job: Option<&Arc<Grant>>) -> bool {
        let (Some(own), Some(job)) = (&self.grant, job) else {
            return false;
        };
        own.fingerprint == job.fingerprint
    }
}

/// Whose a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    /// The fingerprint of a restricted key.
    key: Option<Arc<str>>,
}

impl Owner {
    /// As it was written down.
    pub(super) fn of(uid: u32, key: Option<&str>) -> Self {
        let key = key.map(Arc::from);
        Self { uid, key }
    }

    /// The fingerprint of a restricted key.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

#[cfg(test)]
impl Owner {
    /// A user, for tests.
    pub(super) fn user(uid: u32) -> Self {
        Self { uid, key: None }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use redial_auth::{Decision, PrivateKey, authorized_keys::Now, decide};

    use super::*;

    /// A client that has come in by a line with these options.
    pub(in crate::keeper) fn client(seed: u8, options: &str) -> Client {
        let key = PrivateKey::ed25519(&[seed; 32], "").public_key().clone();
        let text = format!("{options} {} ada\x1b[2J\n", key.to_text());
        let source = IpAddr::from([192, 0, 2, 1]);
        let now = Now {
            unix_seconds: 0,
            utc_offset_seconds: 0,
        };
        let Decision::Allowed(line) = decide(text.as_bytes(), &key, Some(source), now) else {
            panic!("{text}");
        };
        Client {
            uid: 7,
            user: None,
            grant: Some(Arc::new(Grant::new(*line, source))),
        }
    }

    #[test]
    fn the_users_own_keys_reach_every_job_and_a_restricted_one_its_own() {
        let (local, own) = (Client::local(7), client(1, ""));
        let (restricted, other) = (client(2, "restrict"), client(3, "command=\"x\""));
        for client in [&local, &own] {
            for owner in [&local, &own, &restricted, &other].map(Client::owner) {
                assert!(client.reaches(&owner));
            }
        }
        assert!(restricted.reaches(&restricted.owner()));
        for owner in [&local, &own, &other].map(Client::owner) {
            assert!(!restricted.reaches(&owner));
        }
        assert!(!Client::local(8).reaches(&own.owner()));
    }

    #[test]
    fn who_may_only_look_sees_all_of_the_users_jobs() {
        let looks = client(2, "restrict,read-only");
        assert!(looks.check_may_change().is_err());
        for owner in [Client::local(7), client(1, ""), client(3, "restrict")] {
            assert!(looks.reaches(&owner.owner()));
            assert!(owner.check_may_change().is_ok());
        }
        assert!(!looks.reaches(&Client::local(8).owner()));
    }

    #[test]
    fn a_line_is_handed_over_with_all_that_it_says() {
        for options in [
            "",
            "restrict",
            "from=\"192.0.2.0/24\",command=\"x y\"",
            "allow-argv=\"a *\",env=\"A\",max-jobs=\"1\",max-time=\"1h\",read-only",
        ] {
            let grant = client(1, options).grant.unwrap();
            let restored = Grant::restore(&grant.save()).unwrap();
            assert_eq!(restored.line.options, grant.line.options, "{options}");
            assert_eq!(restored.line.key, grant.line.key);
            assert_eq!(
                (restored.source, restored.name()),
                (grant.source, grant.name())
            );
        }
    }

    #[test]
    fn an_expired_key_does_nothing_more() {
        assert!(client(1, "").check().is_ok());
        assert!(client(1, "expiry-time=\"29990101\"").check().is_ok());
        // Good when it came in, at the clock's zero.
        assert!(client(1, "expiry-time=\"20200101\"").check().is_err());
    }

    #[test]
    fn a_forced_command_gets_the_signals_that_end_it_and_no_others() {
        let forced = client(1, "command=\"x\"");
        for (signal, reaches) in [(2, true), (15, true), (9, true), (19, false), (10, false)] {
            assert_eq!(forced.may_send(ControlKind::Signal(signal)), reaches);
            assert!(client(1, "restrict").may_send(ControlKind::Signal(signal)));
        }
        assert!(forced.may_send(ControlKind::Cancel(0)));
    }

    #[test]
    fn a_comment_cannot_steer_a_terminal() {
        let name = client(1, "").name();
        assert!(name.ends_with(r"(ada\u{1b}[2J)"), "{name}");
    }
}
