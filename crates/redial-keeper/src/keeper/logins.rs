//! Threads that look keys up and check proofs: both take too long for the keeper's own.

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Child;
use std::sync::{Arc, Weak};
use std::thread;

use redial_auth::authorized_keys::Presence;
use redial_auth::{HostKey, Statement, verify_proof};

use super::desk::Desk;
use super::gate::Gate;
use super::grant::Grant;
use super::standing::{Standing, acceptable, find, key, standing};
use super::workers::{Done, Teller};
use crate::account::Account;
use crate::audit::{Auditor, Text, Who, login_accepted, login_refused};
use crate::login::{FetchError, Found, KeyFile, KeyReader};
use crate::tree::SpawnTickets;
use crate::wire::{Capability, Login};

/// Two, so that one hanging home directory does not stop every login at once.
const THREADS: usize = 2;
/// Logins that wait. Each stranger has one at most; those of strangers that have gone meanwhile
/// are passed over. Stops a flood of logins from taking memory.
const MAX_WAITING: usize = 2 * super::strangers::MAX_STRANGERS;
/// A login, with all that the keeper knows of its connection.
#[derive(Debug)]
pub(super) struct LoginTask {
    pub(super) who: Capability,
    pub(super) login: Login,
    pub(super) nonce: [u8; 32],
    pub(super) source: IpAddr,
    /// Dead when nobody waits for the answer any more.
    pub(super) waits: Weak<()>,
}

/// What a login came to.
#[derive(Debug)]
pub(super) enum Answer {
    In(Arc<Grant>),
    Prove(Vec<u8>),
    /// Why, for the audit.
    Out(String),
    /// It could not be looked at, which is no fault of its client's.
    Failed,
}

/// The threads' desks.
pub(super) struct Logins {
    logins: Arc<Desk<LoginTask>>,
    /// On a desk and a thread of its own: no flood of logins delays a revocation.
    rechecks: Arc<Desk<Vec<Arc<Grant>>>>,
}

impl Logins {
    /// Starts the threads.
    pub(super) fn new(
        host_key: &Arc<HostKey>,
        reader: &Arc<KeyReader>,
        (teller, gate, tickets): (&Teller, &Arc<Gate>, &Arc<SpawnTickets>),
        audit: Option<&Auditor>,
    ) -> io::Result<Self> {
        // Once: it may ask the network, which may hang, and it does not change.
        let user = Account::own()?.name;
        let clerk = Clerk {
            user: user.into(),
            host_key: Arc::clone(host_key),
            reader: Arc::clone(reader),
            gate: Arc::clone(gate),
            tickets: Arc::clone(tickets),
            audit: audit.cloned(),
        };
        let logins = Arc::new(Desk::new(MAX_WAITING));
        let rechecks = Arc::new(Desk::new(1));
        for _ in 0..THREADS {
            let (clerk, desk, teller) = (clerk.clone(), Arc::clone(&logins), teller.clone());
            start("redial-login", move || clerk.serve_logins(&desk, &teller))?;
        }
        let (desk, teller) = (Arc::clone(&rechecks), teller.clone());
        start("redial-recheck", move || {
            clerk.serve_rechecks(&desk, &teller)
        })?;
        Ok(Self { logins, rechecks })
    }

    /// False when too many wait.
    pub(super) fn log_in(&self, task: LoginTask) -> bool {
        self.logins.push(task)
    }

    /// Looks whether these still let anybody in. False when that is being done.
    pub(super) fn recheck(&self, grants: Vec<Arc<Grant>>) -> bool {
        self.rechecks.push(grants)
    }
}

impl Drop for Logins {
    fn drop(&mut self) {
        self.logins.close();
        self.rechecks.close();
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}

/// What a stranger has sent must not end the thread that looks at it, whatever it is.
fn unharmed<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.inspect_err(|_| tracing::error!("a login could not be looked at: a panic"))
        .ok()
}

#[derive(Clone)]
struct Clerk {
    user: Arc<[u8]>,
    host_key: Arc<HostKey>,
    reader: Arc<KeyReader>,
    gate: Arc<Gate>,
    tickets: Arc<SpawnTickets>,
    audit: Option<Auditor>,
}

impl Clerk {
    fn serve_logins(&self, desk: &Desk<LoginTask>, teller: &Teller) {
        while let Some(tasks) = desk.take_all() {
            let waits = |task: &LoginTask| task.waits.strong_count() > 0;
            if !tasks.iter().any(waits) {
                continue;
            }
            // Begun after all of them had come, so that it is as fresh as each could ask for.
            let files = self.fetch();
            if let Ok(files) = &files {
                tell_of_refused(files);
            }
            for task in tasks.into_iter().filter(waits) {
                let answer = unharmed(|| self.answer(&files, &task));
                self.note(&task, answer.as_ref());
                teller.tell(Done::LoggedIn(task.who, answer.unwrap_or(Answer::Failed)));
            }
        }
    }

    /// A question about keys is no login yet.
    fn note(&self, task: &LoginTask, answer: Option<&Answer>) {
        let (Some(audit), login) = (&self.audit, &task.login) else {
            return;
        };
        let grant = match answer {
            Some(Answer::In(grant)) => Some(grant),
            _ => None,
        };
        // One key is claimed where a proof is tried; else several are asked about.
        let claimed = login.keys.first().filter(|_| login.signature.is_some());
        let claimed = claimed
            .and_then(|blob| key(blob))
            .map(|key| key.fingerprint());
        let user = Some(Text::of(login.user.as_bytes()));
        let who = Who {
            user,
            key: claimed.as_deref(),
            comment: grant.map(|grant| Text::of(grant.line.comment.as_bytes())),
            source: Some(task.source),
            ..Who::default()
        };
        match answer {
            Some(Answer::Prove(_)) => {}
            Some(Answer::In(_)) => audit.note(&login_accepted(who)),
            Some(Answer::Out(reason)) => audit.note(&login_refused(who, reason)),
            Some(Answer::Failed) | None => {
                audit.note(&login_refused(who, "it could not be looked at"));
            }
        }
    }

    fn serve_rechecks(&self, desk: &Desk<Vec<Arc<Grant>>>, teller: &Teller) {
        while let Some(tasks) = desk.take_all() {
            let grants = tasks.into_iter().flatten().collect();
            let looked = unharmed(|| self.recheck(grants));
            teller.tell(Done::Rechecked(looked.unwrap_or_default()));
        }
    }

    fn fetch(&self) -> Result<Vec<KeyFile>, FetchError> {
        // Held until the child is reaped here: nobody else may do it.
        let _ticket = self.tickets.begin();
        let start = |spawn: &mut dyn FnMut() -> io::Result<Child>| self.gate.start(spawn);
        self.reader.fetch(start)
    }

    /// Strangers learn nothing of why: it is in the log.
    fn answer(&self, files: &Result<Vec<KeyFile>, FetchError>, task: &LoginTask) -> Answer {
        let LoginTask { login, source, .. } = task;
        let files = match files {
            Ok(files) => files,
            Err(error) => {
                tracing::error!(%error, %source, "a login cannot be looked at");
                return Answer::Failed;
            }
        };
        if login.user.as_bytes() != &*self.user {
            let user = login.user.escape_debug();
            tracing::info!(%user, %source, "login refused: not this server's user");
            return Answer::Out("not this server's user".to_owned());
        }
        match &login.signature {
            None => ask(files, login, *source),
            Some(signature) => self.prove(files, task, signature),
        }
    }

    fn prove(&self, files: &[KeyFile], task: &LoginTask, signature: &[u8]) -> Answer {
        let LoginTask {
            login,
            nonce,
            source,
            ..
        } = task;
        let user = login.user.escape_debug();
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
            host_key: self.host_key.public_key(),
            nonce,
            exporter: &login.exporter,
        };
        let presence: Presence = grant.line.options.presence;
        match verify_proof(signature, &statement, presence) {
            Ok(()) => Answer::In(Arc::new(grant)),
            Err(error) => {
                let key = key.fingerprint();
                tracing::warn!(%user, %source, key, %error, "login refused: no proof of the key");
                Answer::Out("no proof of the key".to_owned())
            }
        }
    }

    fn recheck(&self, grants: Vec<Arc<Grant>>) -> Vec<(Arc<Grant>, Standing)> {
        let files = match self.fetch() {
            Ok(files) => files,
            Err(error) => {
                // That nobody can tell is no revocation.
                tracing::warn!(%error, "cannot look whether keys still stand");
                return Vec::new();
            }
        };
        grants
            .into_iter()
            .map(|grant| {
                let standing = standing(&files, &grant);
                (grant, standing)
            })
            .collect()
    }
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
