//! A thread that starts commands.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::{Cgroups, Done, Start, Started, Teller, lock};
use crate::account::{Account, environment};
use crate::keeper::gate::Gate;
use crate::keeper::queue::Queue;
use crate::keeper::time::now;
use crate::spawn::{self, PtySize, SpawnError, SpawnRequest, SpawnStage, Spawner, Stdio3};
use crate::tree::{self, JobCgroup, SpawnTickets, Tree, Unlimited};
use crate::wire::{Command, Program, Resources};

const NO_CGROUPS: &str =
    "this server cannot limit memory, cpu or pids: it has no cgroup v2 to itself";
/// Of a login, whatever the keeper's own is (login.defs(5)).
const LOGIN_UMASK: u32 = 0o022;

/// Starts what is queued, until the queue is closed.
pub(super) struct Starter {
    pub(super) spawner: Spawner,
    pub(super) account: Option<Arc<Account>>,
    pub(super) tickets: Arc<SpawnTickets>,
    pub(super) cgroups: Cgroups,
    pub(super) gate: Arc<Gate>,
}

impl Starter {
    pub(super) fn run(mut self, queue: &Queue<Start>, teller: &Teller) {
        while let Some((lane, start)) = queue.pop() {
            let serial = start.serial;
            let ticket = self.tickets.begin();
            let result = self.start(start).map(Box::new);
            // A child that failed was reaped by the spawner itself.
            let ticket = result.is_ok().then_some(ticket);
            queue.done(lane);
            teller.tell(Done::Started(serial, result, ticket));
        }
    }

    fn start(&mut self, start: Start) -> Result<Started, SpawnError> {
        let began = Instant::now();
        let account = match &start.user {
            Some(user) => Arc::clone(&user.account),
            None => self.account()?,
        };
        let (uid, mark) = (account.uid, start.mark);
        let resources = start.command.resources;
        let mut request = request(start.command, Arc::clone(&account), &mark);
        if let Some(user) = &start.user {
            request.identity = Some(user.identity());
            request.umask = Some(LOGIN_UMASK);
        }
        let limits = resources.filter(Resources::need_cgroup);
        let mut cgroup = self.acquire(limits.as_ref())?;
        request.cgroup = cgroup.as_ref().map(JobCgroup::fd);
        let gate = Arc::clone(&self.gate);
        let mut result = gate.start(|| self.spawner.spawn(&request));
        if result
            .as_ref()
            .is_err_and(|error| error.stage == SpawnStage::Cgroup && limits.is_none())
        {
            self.release(cgroup.take());
            request.cgroup = None;
            result = gate.start(|| self.spawner.spawn(&request));
        }
        let process = match result {
            Ok(process) => process,
            Err(error) => {
                self.release(cgroup);
                return Err(error);
            }
        };
        // Those of a terminal are one, and everybody's: nobody is told by them.
        let is_pipe = request.pty.is_none();
        let inode = |end: &Option<OwnedFd>| {
            let end = end.as_ref().filter(|_| is_pipe);
            end.and_then(|it| tree::pipe_inode(it).ok())
        };
        let outputs: Vec<u64> = [&process.stdout, &process.stderr]
            .into_iter()
            .filter_map(inode)
            .collect();
        let pipes = outputs
            .iter()
            .copied()
            .chain(inode(&process.stdin))
            .collect();
        let tree = Tree::new(process.pid, uid, mark).with_pipes(pipes);
        let tree = match cgroup {
            Some(cgroup) => tree.with_cgroup(cgroup),
            None => tree,
        };
        Ok(Started {
            process,
            tree,
            outputs,
            at: now(),
            took_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            account,
        })
    }

    /// Our own account, looked up here because that may ask files or the network.
    fn account(&mut self) -> Result<Arc<Account>, SpawnError> {
        if let Some(account) = &self.account {
            return Ok(Arc::clone(account));
        }
        let account = Account::own().map_err(|error| SpawnError {
            stage: SpawnStage::Identity,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            path: Vec::new(),
        })?;
        Ok(Arc::clone(self.account.insert(Arc::new(account))))
    }

    /// A cgroup where one can be had. Without, ending a job is best effort; but what is to limit it
    /// has to be there.
    fn acquire(&self, limits: Option<&Resources>) -> Result<Option<JobCgroup>, SpawnError> {
        let cgroups = self.cgroups.as_ref();
        let Some(limits) = limits else {
            return Ok(cgroups.and_then(|cgroups| lock(cgroups).acquire().ok()));
        };
        let limited = match cgroups {
            Some(cgroups) => lock(cgroups).acquire_limited(limits),
            None => Err(Unlimited(NO_CGROUPS.to_owned())),
        };
        limited.map(Some).map_err(|Unlimited(why)| SpawnError {
            stage: SpawnStage::Unlimited,
            errno: libc::EOPNOTSUPP,
            path: why.into_bytes(),
        })
    }

    fn release(&self, cgroup: Option<JobCgroup>) {
        if let (Some(cgroups), Some(cgroup)) = (&self.cgroups, cgroup) {
            lock(cgroups).release(cgroup);
        }
    }
}

fn request(command: Command, account: Arc<Account>, mark: &[u8]) -> SpawnRequest {
    let program = match command.program {
        Program::Argv(argv) => spawn::Program::Argv(argv.into_iter().map(Vec::from).collect()),
        Program::Shell(text) => spawn::Program::Shell(text.into()),
        Program::Login => spawn::Program::Login,
    };
    let asked: Vec<(Vec<u8>, Vec<u8>)> = command
        .env
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let term = command.pty.as_ref().map(|pty| &pty.term[..]);
    let env = environment(&account, mark, term, &asked);
    let mut request = SpawnRequest::new(program, account);
    request.env = env;
    request.cwd = command.cwd.map(Vec::from);
    request.keep_writers = true;
    request.nice = command.resources.and_then(|it| it.nice).map(i32::from);
    request.pty = command.pty.map(|pty| PtySize {
        columns: pty.columns,
        rows: pty.rows,
        x_pixels: pty.x_pixels,
        y_pixels: pty.y_pixels,
    });
    request.stdin = if command.stdin {
        Stdio3::Pipe
    } else {
        Stdio3::Null
    };
    request
}
