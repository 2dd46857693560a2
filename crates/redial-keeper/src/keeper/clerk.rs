//! What a thread does that looks somebody up: has the user's files read, and decides by them.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redial_auth::authorized_keys::Presence;
use redial_auth::{HostKey, Statement, verify_proof};

use super::desk::Desk;
use super::gate::Gate;
use super::grant::Grant;
use super::lanes::Lanes;
use super::logins::{Answer, Known, LoginTask, PeerTask, Stranger, Task};
use super::standing::{Standing, acceptable, find, key, standing};
use super::users::Users;
use super::workers::{Done, Teller, Workers};
use crate::account::{Account, Barred, User};
use crate::audit::{Auditor, Text, Who as Audited, login_accepted, login_refused};
use crate::login::{FetchError, Found, KeyFile, KeyReader, Report, Who, Whose};
use crate::tree::SpawnTickets;
use crate::wire::Login;

/// A user whose files have hung is not waited for again before this.
const HANGS: Duration = Duration::from_secs(10);
/// When a user's readers have failed for so long, its keys count as removed.
const BROKEN: Duration = Duration::from_secs(15);
/// So many are looked up at once to find out whether their keys still stand.
const RECHECKS_AT_ONCE: usize = 4;

/// One for all threads that look up.
#[derive(Clone)]
pub(super) struct Clerk {
    /// Our own name, where we are the only user.
    own: Arc<[u8]>,
    users: Arc<Users>,
    host_key: Option<Arc<HostKey>>,
    reader: Arc<KeyReader>,
    gate: Arc<Gate>,
    tickets: Arc<SpawnTickets>,
    teller: Teller,
    audit: Option<Auditor>,
    /// Whose files hang, and until when that is taken for granted.
    hangs: Arc<Mutex<HashMap<Whose, Instant>>>,
    /// Whose readers fail, and since when.
    broken: Arc<Mutex<HashMap<Whose, Instant>>>,
}

impl Clerk {
    pub(super) fn new(
        users: &Arc<Users>,
        host_key: Option<&Arc<HostKey>>,
        reader: KeyReader,
        (workers, audit): (&Workers, Option<&Auditor>),
    ) -> io::Result<Self> {
        let (teller, gate, tickets) = workers.for_others();
        Ok(Self {
            // Once: it may ask the network, which may hang, and it does not change.
            own: Account::own()?.name.into(),
            users: Arc::clone(users),
            host_key: host_key.cloned(),
            reader: Arc::new(reader),
            gate,
            tickets,
            teller,
            audit: audit.cloned(),
            hangs: Arc::default(),
            broken: Arc::default(),
        })
    }

    pub(super) fn serve_logins(&self, lanes: &Lanes<Whose, Task>) {
        while let Some(mut lane) = lanes.take() {
            let waits = |task: &Task| match task {
                Task::Login(task) => task.waits.strong_count() > 0,
                Task::Peer(_) => true,
            };
            let mut work = std::mem::take(&mut lane.work);
            work.retain(waits);
            if work.is_empty() {
                continue;
            }
            // Begun after all of them had come, so that it is as fresh as each could ask for.
            let report = self.fetch(&lane.subject);
            if let Ok(report) = &report {
                tell_of_refused(&report.files);
            }
            let known = self.known(&report);
            for task in work {
                match task {
                    Task::Login(task) => self.log_in(&known, &report, task),
                    Task::Peer(task) => self.meet(&known, task),
                }
            }
        }
    }

    /// Who the files are of, by what the child has said.
    fn known(&self, report: &Result<Report, FetchError>) -> Known {
        let out = |why: String| Err(Stranger::Out(why));
        let who = match report {
            Ok(report) => &report.who,
            Err(error) => {
                tracing::error!(%error, "a user cannot be looked up");
                return Err(Stranger::Failed);
            }
        };
        match who {
            Who::Own if !self.users.are_many() => Ok(None),
            Who::User(entry) if self.users.are_many() => {
                let user = User::from(entry.clone());
                match self.users.refuses(&user) {
                    Some(why) => out(why.to_owned()),
                    None => Ok(Some(Arc::new(user))),
                }
            }
            Who::Unknown => out("no such user".to_owned()),
            Who::Barred(why) => out(why.to_string()),
            Who::Own | Who::User(_) => Err(Stranger::Failed),
        }
    }

    fn log_in(&self, known: &Known, report: &Result<Report, FetchError>, task: LoginTask) {
        let answer = unharmed(|| match (known, report) {
            (Err(Stranger::Failed), _) | (_, Err(_)) => Answer::Failed,
            (Err(Stranger::Out(why)), _) => {
                let (user, source) = (task.login.user.escape_debug(), task.source);
                let why = why.escape_debug();
                tracing::info!(%user, %source, "login refused: {why}");
                Answer::Out(why.to_string())
            }
            (Ok(user), Ok(report)) => self.answer(&report.files, user.as_ref(), &task),
        });
        self.note(&task, answer.as_ref());
        let answer = answer.unwrap_or(Answer::Failed);
        self.teller.tell(Done::LoggedIn(task.who, answer));
    }

    fn meet(&self, known: &Known, task: PeerTask) {
        self.teller.tell(Done::Met(task, known.clone()));
    }

    /// A question about keys is no login yet.
    fn note(&self, task: &LoginTask, answer: Option<&Answer>) {
        let (Some(audit), login) = (&self.audit, &task.login) else {
            return;
        };
        let grant = match answer {
            Some(Answer::In(grant, _)) => Some(grant),
            _ => None,
        };
        // One key is claimed where a proof is tried; else several are asked about.
        let claimed = login.keys.first().filter(|_| login.signature.is_some());
        let claimed = claimed
            .and_then(|blob| key(blob))
            .map(|key| key.fingerprint());
        let user = Some(Text::of(login.user.as_bytes()));
        let who = Audited {
            user,
            key: claimed.as_deref(),
            comment: grant.map(|grant| Text::of(grant.line.comment.as_bytes())),
            source: Some(task.source),
            ..Audited::default()
        };
        match answer {
            Some(Answer::Prove(_)) => {}
            Some(Answer::In(..)) => audit.note(&login_accepted(who)),
            Some(Answer::Out(reason)) => audit.note(&login_refused(who, reason)),
            Some(Answer::Failed) | None => {
                audit.note(&login_refused(who, "it could not be looked at"));
            }
        }
    }

    fn fetch(&self, whose: &Whose) -> Result<Report, FetchError> {
        let now = Instant::now();
        let mut hangs = self.hangs.lock().unwrap_or_else(PoisonError::into_inner);
        hangs.retain(|_, until| *until > now);
        if hangs.contains_key(whose) {
            return Err(FetchError::Time);
        }
        drop(hangs);
        // Held until the child is reaped here: nobody else may do it.
        let _ticket = self.tickets.begin();
        let start = |spawn: &mut dyn FnMut() -> io::Result<Child>| self.gate.start(spawn);
        let fetched = self.reader.fetch(whose, start);
        if matches!(fetched, Err(FetchError::Time)) && self.users.are_many() {
            let mut hangs = self.hangs.lock().unwrap_or_else(PoisonError::into_inner);
            hangs.insert(whose.clone(), Instant::now() + HANGS);
        }
        fetched
    }

    /// Strangers learn nothing of why: it is in the log.
    fn answer(&self, files: &[KeyFile], user: Option<&Arc<User>>, task: &LoginTask) -> Answer {
        let LoginTask { login, source, .. } = task;
        if user.is_none() && login.user.as_bytes() != &*self.own {
            let user = login.user.escape_debug();
            tracing::info!(%user, %source, "login refused: not this server's user");
            return Answer::Out("not this server's user".to_owned());
        }
        match &login.signature {
            None => ask(files, login, *source),
            Some(signature) => self.prove(files, user, task, signature),
        }
    }

    fn prove(
        &self,
        files: &[KeyFile],
        as_user: Option<&Arc<User>>,
        task: &LoginTask,
        signature: &[u8],
    ) -> Answer {
        let (login, source) = (&task.login, &task.source);
        let user = login.user.escape_debug();
        let Some(host_key) = &self.host_key else {
            return Answer::Failed;
        };
        let Some(key) = login.keys.first().and_then(|blob| key(blob)) else {
            tracing::info!(%user, %source, "login refused: no key that is taken");
            return Answer::Out("no key that is taken".to_owned());
        };
        let grant = match find(files, &key, *source) {
            Ok(grant) => grant,
            Err(why) => {
                let key = key.fingerprint();
                tracing::info!(%user, %source, key, "login refused: the key is not authorised");
                let why = why.map_or(String::new(), |why| format!(": {why}"));
                return Answer::Out(format!("the key is not authorised{why}"));
            }
        };
        let statement = Statement {
            user: &login.user,
            key: &grant.line.key,
            host_key: host_key.public_key(),
            nonce: &task.nonce,
            exporter: &login.exporter,
        };
        let presence: Presence = grant.line.options.presence;
        match verify_proof(signature, &statement, presence) {
            Ok(()) => {
                let grant = match as_user {
                    Some(as_user) => grant.of_user(&login.user, as_user.account.uid),
                    None => grant,
                };
                Answer::In(Arc::new(grant), as_user.cloned())
            }
            Err(error) => {
                let key = key.fingerprint();
                tracing::warn!(%user, %source, key, %error, "login refused: no proof of the key");
                Answer::Out("no proof of the key".to_owned())
            }
        }
    }

    pub(super) fn serve_rechecks(&self, desk: &Desk<Vec<Arc<Grant>>>) {
        while let Some(tasks) = desk.take_all() {
            let mut by_user: HashMap<Whose, Vec<Arc<Grant>>> = HashMap::new();
            for grant in tasks.into_iter().flatten() {
                by_user.entry(grant.whose()).or_default().push(grant);
            }
            let work = Mutex::new(by_user.into_iter());
            let found = Mutex::new(Vec::new());
            let next = || work.lock().unwrap_or_else(PoisonError::into_inner).next();
            std::thread::scope(|scope| {
                let look = || {
                    while let Some((whose, grants)) = next() {
                        let looked = unharmed(|| self.recheck(&whose, grants));
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        found.extend(looked.unwrap_or_default());
                    }
                };
                let more = if self.users.are_many() {
                    RECHECKS_AT_ONCE
                } else {
                    1
                };
                for _ in 1..more {
                    scope.spawn(look);
                }
                look();
            });
            let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
            self.teller.tell(Done::Rechecked(found));
        }
    }

    fn recheck(&self, whose: &Whose, grants: Vec<Arc<Grant>>) -> Vec<(Arc<Grant>, Standing)> {
        let fetched = self.fetch(whose);
        let is_too_long = self.is_broken_for_long(whose, &fetched);
        let report = match fetched {
            Ok(report) => report,
            Err(error) if is_too_long => {
                tracing::error!(%error, ?whose, "keys that cannot be looked at for long count as removed");
                let gone = |grant| (grant, Standing::Gone);
                return grants.into_iter().map(gone).collect();
            }
            Err(error) => {
                // That nobody can tell is no revocation.
                tracing::warn!(%error, "cannot look whether keys still stand");
                return Vec::new();
            }
        };
        let stands = |grant: &Grant| match (&report.who, grant.uid()) {
            (Who::Own, None) => standing(&report.files, grant),
            (Who::User(entry), Some(uid)) if entry.uid() == uid => standing(&report.files, grant),
            // Nobody logs in for now; who is in stays, as with login(1).
            (Who::Barred(Barred::NoLogin), _) => Standing::Good,
            _ => Standing::Gone,
        };
        grants
            .into_iter()
            .map(|grant| {
                let standing = stands(&grant);
                (grant, standing)
            })
            .collect()
    }
}

impl Clerk {
    /// A reader runs as its user, who may kill it. That holds a revocation up, but not for ever; a
    /// home directory that hangs is something else.
    fn is_broken_for_long(&self, whose: &Whose, fetched: &Result<Report, FetchError>) -> bool {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Err(FetchError::Broken(_)) if self.users.are_many() => {
                let since = *broken.entry(whose.clone()).or_insert_with(Instant::now);
                since.elapsed() > BROKEN
            }
            _ => {
                broken.remove(whose);
                false
            }
        }
    }
}

/// What a stranger has sent must not end the thread that looks at it, whatever it is.
fn unharmed<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.inspect_err(|_| tracing::error!("a login could not be looked at: a panic"))
        .ok()
}

fn tell_of_refused(files: &[KeyFile]) {
    for file in files {
        if let Found::Refused(reason) = &file.found {
            let path = file.path().display().to_string();
            let (file, reason) = (path.escape_debug(), reason.escape_debug());
            tracing::warn!(%file, %reason, "a file of keys does not count");
        }
    }
}

fn ask(files: &[KeyFile], login: &Login, source: IpAddr) -> Answer {
    let good = acceptable(files, login, source);
    if good.is_empty() {
        let (user, keys) = (login.user.escape_debug(), login.keys.len());
        tracing::info!(%user, %source, keys, "login refused: no offered key is authorised");
        return Answer::Out("no offered key is authorised".to_owned());
    }
    Answer::Prove(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer_too() {
        assert!(unharmed::<()>(|| panic!("what a stranger has sent")).is_none());
    }
}
