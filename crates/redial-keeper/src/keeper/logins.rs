//! Threads that look up who somebody is, keys, and proofs: all take too long for the keeper's own.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::thread;

use redial_auth::HostKey;

use super::clerk::Clerk;
use super::desk::Desk;
use super::grant::Grant;
use super::lanes::Lanes;
use super::users::Users;
use super::workers::Workers;
use crate::account::User;
use crate::audit::Auditor;
use crate::login::{KeyReader, Whose};
use crate::wire::{Capability, ConnectionKind, Login};

/// Two, so that what one login waits for does not stop every other.
const THREADS: usize = 2;
/// Where each user has a home directory that may hang.
const THREADS_FOR_MANY: usize = 8;
/// Logins that wait. Each stranger has one at most; those of strangers that have gone meanwhile
/// are passed over. Stops a flood of logins from taking memory.
const MAX_WAITING: usize = 2 * super::strangers::MAX_STRANGERS;

/// Something to be looked up.
#[derive(Debug)]
pub(super) enum Task {
    Login(LoginTask),
    Peer(PeerTask),
}

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

/// Somebody on a Unix socket of a server with several users.
#[derive(Debug)]
pub(super) struct PeerTask {
    pub(super) uid: u32,
    pub(super) kind: ConnectionKind,
    pub(super) socket: OwnedFd,
}

/// What a login came to.
#[derive(Debug)]
pub(super) enum Answer {
    In(Arc<Grant>, Option<Arc<User>>),
    Prove(Vec<u8>),
    /// Why, for the audit.
    Out(String),
    /// It could not be looked at, which is no fault of its client's.
    Failed,
}

/// Who somebody on a Unix socket is; none where there is one user only. Else why it is nobody, and
/// whether that is its own fault.
pub(super) type Known = Result<Option<Arc<User>>, Stranger>;

/// Why nobody is known to be who they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stranger {
    Out(String),
    /// It could not be found out.
    Failed,
}

/// The threads' desks.
pub(super) struct Logins {
    users: Arc<Users>,
    lanes: Arc<Lanes<Whose, Task>>,
    /// On a desk and a thread of its own: no flood of logins delays a revocation.
    rechecks: Arc<Desk<Vec<Arc<Grant>>>>,
}

impl Logins {
    /// Starts the threads.
    pub(super) fn new(
        users: &Arc<Users>,
        host_key: Option<&Arc<HostKey>>,
        reader: KeyReader,
        (workers, audit): (&Workers, Option<&Auditor>),
    ) -> io::Result<Self> {
        let clerk = Clerk::new(users, host_key, reader, (workers, audit))?;
        let lanes = Arc::new(Lanes::new(MAX_WAITING));
        let rechecks = Arc::new(Desk::new(1));
        let threads = match users.are_many() {
            true => THREADS_FOR_MANY,
            false => THREADS,
        };
        for _ in 0..threads {
            let (clerk, lanes) = (clerk.clone(), Arc::clone(&lanes));
            start("redial-login", move || clerk.serve_logins(&lanes))?;
        }
        let desk = Arc::clone(&rechecks);
        start("redial-recheck", move || clerk.serve_rechecks(&desk))?;
        Ok(Self {
            users: Arc::clone(users),
            lanes,
            rechecks,
        })
    }

    /// False when too many wait.
    pub(super) fn log_in(&self, task: LoginTask) -> bool {
        let whose = self.users.whose(&task.login.user);
        self.lanes.push(whose, Task::Login(task)).is_ok()
    }

    /// Finds out who has connected; gives up when too many wait.
    pub(super) fn look_up(&self, task: PeerTask) -> bool {
        self.lanes
            .push(Whose::Uid(task.uid), Task::Peer(task))
            .is_ok()
    }

    /// Looks whether these still let anybody in. False when that is being done.
    pub(super) fn recheck(&self, grants: Vec<Arc<Grant>>) -> bool {
        self.rechecks.push(grants)
    }
}

impl Drop for Logins {
    fn drop(&mut self) {
        self.lanes.close();
        self.rechecks.close();
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}
