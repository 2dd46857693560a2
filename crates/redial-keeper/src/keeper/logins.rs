//! Threads that look keys up and check proofs: both take too long for the keeper's own.

use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Child;
use std::sync::{Arc, Weak};
use std::thread;

use redial_auth::authorized_keys::{KeyLine, Presence, Problem};
use redial_auth::{Decision, HostKey, PublicKey, Refusal, Statement, decide, verify_proof};

use super::desk::Desk;
use super::gate::Gate;
use super::grant::Grant;
use super::time::wall_clock;
use super::workers::{Done, Teller};
use crate::account::Account;
use crate::login::{FetchError, Found, KeyFile, KeyReader};
use crate::tree::SpawnTickets;
use crate::wire::{Capability, Login};

/// Two, so that one hanging home directory does not stop every login at once.
const THREADS: usize = 2;
/// Logins that wait. Each stranger has one at most; those of strangers that have gone meanwhile
/// are passed over. Stops a flood of logins from taking memory.
const MAX_WAITING: usize = 2 * super::strangers::MAX_STRANGERS;
/// Keys of one offer that are looked up.
const MAX_KEYS: usize = redial_auth::limits::OFFER_KEYS;

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
    Out,
    /// It could not be looked at, which is no fault of its client's.
    Failed,
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
    ) -> io::Result<Self> {
        // Once: it may ask the network, which may hang, and it does not change.
        let user = Account::own()?.name;
        let clerk = Clerk {
            user: user.into(),
            host_key: Arc::clone(host_key),
            reader: Arc::clone(reader),
            gate: Arc::clone(gate),
            tickets: Arc::clone(tickets),
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
                teller.tell(Done::LoggedIn(task.who, answer.unwrap_or(Answer::Failed)));
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
            return Answer::Out;
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

/// What the files say of a key that has let somebody in. Only a file that was read says anything:
/// while one cannot be, nothing is taken from anybody.
///
/// An expired line is no revocation: what runs, runs. But it is that line that counts from now on,
/// and it starts nothing more.
fn standing(files: &[KeyFile], grant: &Grant) -> Standing {
    let now = wall_clock();
    let mut expired = None;
    for file in files {
        let text = match &file.found {
            Found::Text(text) => text,
            Found::Missing => continue,
            Found::Refused(_) => return Standing::Good,
        };
        let lines = redial_auth::authorized_keys::lines(text).flatten();
        for line in lines.filter(|line| line.key == grant.line.key) {
            match line.check(Some(grant.source), now) {
                Ok(()) => return as_now(line, grant),
                Err(Problem::Expired) => expired = expired.or(Some(line)),
                Err(_) => {}
            }
        }
    }
    expired.map_or(Standing::Gone, |line| as_now(line, grant))
}

fn as_now(line: KeyLine, grant: &Grant) -> Standing {
    if says_the_same(&line, grant) {
        Standing::Good
    } else {
        Standing::Changed(Arc::new(Grant::new(line, grant.source)))
    }
}

/// It may have moved to another line.
fn says_the_same(line: &KeyLine, grant: &Grant) -> bool {
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
    fn a_removed_line_is_a_revocation_and_a_moved_one_is_none() {
        let key = public(1).to_text();
        let at_first = [file(&format!("{key}\n"))];
        let grant = find(&at_first, &public(1), here()).unwrap();
        let stands = |text: &str| standing(&[file(text)], &grant);
        assert!(matches!(
            stands(&format!("\n# moved\n{key} x\n")),
            Standing::Good
        ));
        assert!(matches!(
            stands(&format!("restrict {key}\n")),
            Standing::Changed(_)
        ));
        for gone in ["# nothing\n".to_owned(), format!("bogus-option {key}\n")] {
            assert!(matches!(stands(&gone), Standing::Gone));
        }
        assert!(matches!(standing(&[], &grant), Standing::Gone));
    }

    #[test]
    fn an_expired_line_is_what_counts_when_it_is_all_there_is() {
        let key = public(1).to_text();
        let grant = find(&[file(&format!("{key}\n"))], &public(1), here()).unwrap();
        let old = format!("expiry-time=\"20200101\",command=\"x\" {key}\n");
        let Standing::Changed(now) = standing(&[file(&old)], &grant) else {
            panic!("the old line is the only one");
        };
        assert!(now.line.options.expiry.is_some() && now.line.options.command.is_some());
        // With another that is good, it has no say.
        let both = standing(&[file(&(old + &key + "\n"))], &grant);
        assert!(matches!(both, Standing::Good));
    }

    #[test]
    fn a_file_that_cannot_be_read_takes_nothing_from_anybody() {
        let key = public(1).to_text();
        let grant = find(&[file(&format!("{key}\n"))], &public(1), here()).unwrap();
        let mut unreadable = file("");
        unreadable.found = Found::Refused("its mode is 0666".to_owned());
        assert!(matches!(standing(&[unreadable], &grant), Standing::Good));
    }

    #[test]
    fn a_panic_is_an_answer_too() {
        assert!(unharmed::<()>(|| panic!("what a stranger has sent")).is_none());
    }
}
