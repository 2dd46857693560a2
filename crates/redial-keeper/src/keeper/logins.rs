//! Threads that look keys up and check proofs: both take too long for the keeper's own.

use std::io;
use std::net::IpAddr;
use std::process::Child;
use std::sync::Arc;
use std::thread;

use redial_auth::authorized_keys::{Presence, Problem};
use redial_auth::{Decision, HostKey, PublicKey, Refusal, Statement, decide, verify_proof};

use super::gate::Gate;
use super::grant::Grant;
use super::queue::Queue;
use super::time::wall_clock;
use super::workers::{Done, Teller};
use crate::account::Account;
use crate::login::{FetchError, Found, KeyFile, KeyReader};
use crate::tree::SpawnTickets;
use crate::wire::{Capability, Login};

/// Two, so that one hanging home directory does not stop every login of its user's at once.
const THREADS: usize = 2;
/// Logins that wait; there are no more strangers than that, and one look for each.
const MAX_WAITING: usize = super::strangers::MAX_STRANGERS + 1;
/// Keys of one offer that are looked up.
const MAX_KEYS: usize = redial_auth::limits::OFFER_KEYS;

/// Something to find out.
pub(super) enum Task {
    Login(Box<LoginTask>),
    /// Whether these still let anybody in.
    Recheck(Vec<Arc<Grant>>),
}

/// A login, with all that the keeper knows of its connection.
pub(super) struct LoginTask {
    pub(super) who: Capability,
    pub(super) login: Login,
    pub(super) nonce: [u8; 32],
    pub(super) source: IpAddr,
}

/// What a login came to.
#[derive(Debug)]
pub(super) enum Answer {
    In(Arc<Grant>),
    Prove(Vec<u8>),
    Out,
}

/// What became of a grant.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    /// As before; so it is, too, when nobody can tell.
    Good,
    /// Its line says something else now.
    Changed(Arc<Grant>),
    /// Its key is listed no more.
    Gone,
}

/// The threads' queue.
pub(super) struct Logins(Arc<Queue<Task>>);

impl Logins {
    /// Starts the threads.
    pub(super) fn new(
        host_key: &Arc<HostKey>,
        reader: &Arc<KeyReader>,
        (teller, gate, tickets): (&Teller, &Arc<Gate>, &Arc<SpawnTickets>),
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(MAX_WAITING)?);
        for _ in 0..THREADS {
            let clerk = Clerk {
                host_key: Arc::clone(host_key),
                reader: Arc::clone(reader),
                gate: Arc::clone(gate),
                tickets: Arc::clone(tickets),
            };
            let (queue, teller) = (Arc::clone(&queue), teller.clone());
            thread::Builder::new()
                .name("redial-login".to_owned())
                .spawn(move || clerk.run(&queue, &teller))?;
        }
        Ok(Self(queue))
    }

    /// False when too many wait.
    pub(super) fn push(&self, task: Task) -> bool {
        self.0.push(task)
    }
}

impl Drop for Logins {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Clerk {
    host_key: Arc<HostKey>,
    reader: Arc<KeyReader>,
    gate: Arc<Gate>,
    tickets: Arc<SpawnTickets>,
}

impl Clerk {
    fn run(self, queue: &Queue<Task>, teller: &Teller) {
        while let Some(task) = queue.pop() {
            teller.tell(match task {
                Task::Login(task) => Done::LoggedIn(task.who, self.login(&task)),
                Task::Recheck(grants) => Done::Rechecked(self.recheck(grants)),
            });
        }
    }

    fn fetch(&self) -> Result<Vec<KeyFile>, FetchError> {
        // Held until the child is reaped here: nobody else may do it.
        let _ticket = self.tickets.begin();
        let start = |spawn: &mut dyn FnMut() -> io::Result<Child>| self.gate.start(spawn);
        self.reader.fetch(start)
    }

    /// Strangers learn nothing of why: it is in the log.
    fn login(&self, task: &LoginTask) -> Answer {
        let LoginTask { login, source, .. } = task;
        let user = login.user.escape_debug();
        match Account::own() {
            Ok(account) if account.name == login.user.as_bytes() => {}
            Ok(_) => {
                tracing::info!(%user, %source, "login refused: not this server's user");
                return Answer::Out;
            }
            Err(error) => {
                tracing::error!(%error, "cannot find out who we are");
                return Answer::Out;
            }
        }
        let files = match self.fetch() {
            Ok(files) => files,
            Err(error) => {
                tracing::error!(%error, %source, "login refused");
                return Answer::Out;
            }
        };
        tell_of_refused(&files);
        match &login.signature {
            None => ask(&files, login, *source),
            Some(signature) => self.prove(&files, task, signature),
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
            return Answer::Out;
        };
        let Some(grant) = find(files, &key, *source) else {
            let key = key.fingerprint();
            tracing::info!(%user, %source, key, "login refused: the key is not authorised");
            return Answer::Out;
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
                Answer::Out
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

fn key(blob: &[u8]) -> Option<PublicKey> {
    PublicKey::from_blob(blob).ok()
}

/// Which of the keys might be proved.
fn ask(files: &[KeyFile], login: &Login, source: IpAddr) -> Answer {
    let offered = login.keys.iter().take(MAX_KEYS).zip(0_u8..);
    let good: Vec<u8> = offered
        .filter(|(blob, _)| key(blob).is_some_and(|key| find(files, &key, source).is_some()))
        .map(|(_, index)| index)
        .collect();
    if good.is_empty() {
        let (user, keys) = (login.user.escape_debug(), login.keys.len());
        tracing::info!(%user, %source, keys, "login refused: no offered key is authorised");
        return Answer::Out;
    }
    Answer::Prove(good)
}

/// The line that lets this key in, from the first file that has one.
fn find(files: &[KeyFile], key: &PublicKey, source: IpAddr) -> Option<Grant> {
    for file in files {
        let Found::Text(text) = &file.found else {
            continue;
        };
        match decide(text, key, Some(source), wall_clock()) {
            Decision::Allowed(line) => return Some(Grant::new(*line, source)),
            Decision::Refused(Refusal::Lines(reasons)) if reasons.is_empty() => {}
            Decision::Refused(reason) => {
                let file = file.path().display().to_string();
                let file = file.escape_debug();
                tracing::warn!(%file, %reason, "a line grants nothing");
            }
        }
    }
    None
}

/// An expired line is no revocation: it lets nobody in and starts nothing, and what runs, runs.
fn standing(files: &[KeyFile], grant: &Grant) -> Standing {
    for file in files {
        let Found::Text(text) = &file.found else {
            continue;
        };
        let decision = decide(text, &grant.line.key, Some(grant.source), wall_clock());
        match decision {
            Decision::Allowed(line) if says_the_same(&line, grant) => return Standing::Good,
            Decision::Allowed(line) => {
                return Standing::Changed(Arc::new(Grant::new(*line, grant.source)));
            }
            Decision::Refused(Refusal::Lines(reasons))
                if reasons
                    .iter()
                    .any(|reason| reason.problem == Problem::Expired) =>
            {
                return Standing::Good;
            }
            Decision::Refused(_) => {}
        }
    }
    Standing::Gone
}

/// It may have moved to another line.
fn says_the_same(line: &redial_auth::authorized_keys::KeyLine, grant: &Grant) -> bool {
    line.options == grant.line.options
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

#[cfg(test)]
mod tests {
    use redial_auth::PrivateKey;

    use super::*;

    fn public(seed: u8) -> PublicKey {
        PrivateKey::ed25519(&[seed; 32], "").public_key().clone()
    }

    fn file(text: &str) -> KeyFile {
        KeyFile {
            path: b"/keys".to_vec().into(),
            found: Found::Text(text.as_bytes().to_vec().into()),
        }
    }

    fn here() -> IpAddr {
        [192, 0, 2, 1].into()
    }

    #[test]
    fn the_first_file_that_lets_a_key_in_counts() {
        let key = public(1).to_text();
        let files = [
            file(&format!("from=\"10.0.0.1\" {key}\n")),
            file(&format!("command=\"second\" {key}\n")),
            file(&format!("{key}\n")),
        ];
        let grant = find(&files, &public(1), here()).unwrap();
        assert_eq!(grant.line.options.command.as_deref(), Some(&b"second"[..]));
        assert!(find(&files, &public(2), here()).is_none());
    }

    #[test]
    fn a_key_that_is_asked_about_is_named_by_its_place() {
        let files = [file(&format!(
            "{}\n{}\n",
            public(2).to_text(),
            public(4).to_text()
        ))];
        let mut login = Login {
            user: "ada".to_owned(),
            keys: (1..=5)
                .map(|seed| public(seed).blob().to_vec().into())
                .collect(),
            signature: None,
            exporter: [0; 32].into(),
        };
        login.keys[0] = b"no key".to_vec().into();
        assert!(matches!(ask(&files, &login, here()), Answer::Prove(good) if good == [1, 3]));
        login.keys.truncate(1);
        assert!(matches!(ask(&files, &login, here()), Answer::Out));
    }

    #[test]
    fn a_removed_line_is_a_revocation_and_an_expired_or_moved_one_is_none() {
        let key = public(1).to_text();
        let at_first = [file(&format!("{key}\n"))];
        let grant = find(&at_first, &public(1), here()).unwrap();
        let stands = |text: &str| standing(&[file(text)], &grant);
        assert!(matches!(
            stands(&format!("\n# moved\n{key} x\n")),
            Standing::Good
        ));
        assert!(matches!(
            stands(&format!("expiry-time=\"20200101\" {key}\n")),
            Standing::Good
        ));
        assert!(matches!(
            stands(&format!("restrict {key}\n")),
            Standing::Changed(_)
        ));
        assert!(matches!(stands("# nothing\n"), Standing::Gone));
        assert!(matches!(
            stands(&format!("bogus-option {key}\n")),
            Standing::Gone
        ));
        assert!(matches!(standing(&[], &grant), Standing::Gone));
    }
}
