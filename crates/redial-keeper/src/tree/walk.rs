//! Whose process is it? Membership of a job's tree by what /proc shows.
//!
//! Four kinds of evidence: the parent is a member; the session is the job's; the
//! environment carries the job's mark; one of the job's pipes is open. The last
//! two a process can bring about for others (a pipe may be passed to a daemon), so
//! they count only for processes of the job's own user, who could have signalled
//! them anyway. A process that carries another job's mark is never ours.

use std::collections::HashSet;

use super::process::{self, Mark, Process};

/// What is known of the tree that is looked for.
#[derive(Debug, Clone)]
pub(super) struct Seed {
    pub(super) root: i32,
    pub(super) root_reaped: bool,
    pub(super) uid: u32,
    pub(super) mark: Vec<u8>,
    pub(super) pipes: Vec<u64>,
    /// The keeper's other processes: never members.
    pub(super) excluded: Vec<i32>,
}

/// A process of the job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) process: Process,
    /// Whether its session, and so its process group, is the job's alone.
    pub(super) owns_group: bool,
}

impl Member {
    pub(super) fn key(&self) -> (i32, u64) {
        (self.process.pid, self.process.started)
    }
}

/// Walks /proc, once or in rounds; rounds remember what they have ruled out.
pub(super) struct Walk<'a> {
    seed: &'a Seed,
    own_pid: i32,
    own_session: i32,
    is_steady: bool,
    /// Sessions that are the job's.
    sessions: HashSet<i32>,
    /// Processes (pid, start) whose environment and descriptors said nothing.
    silent: HashSet<(i32, u64)>,
    /// Processes (pid, start) that another job has marked.
    others: HashSet<(i32, u64)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(seed: &'a Seed) -> Self {
        let own_pid = std::process::id().cast_signed();
        let own_session = process::read(own_pid).map_or(0, |own| own.session);
        let (sessions, silent, others) = Default::default();
        Self {
            seed,
            own_pid,
            own_session,
            is_steady: true,
            sessions,
            silent,
            others,
        }
    }

    /// Tells `found` of every member that is alive, each at once when it is seen.
    /// Says whether the view was steady: nobody left between being listed and being
    /// looked at, so no member can have hidden by leaving a child in its place.
    pub(super) fn members(&mut self, found: &mut dyn FnMut(Member)) -> bool {
        let pids = process::pids();
        let present: HashSet<i32> = pids.iter().copied().collect();
        // When the root has been reaped, its number may have been given to another;
        // its session is known to be the job's only while nobody has that number.
        if !self.seed.root_reaped || !present.contains(&self.seed.root) {
            self.sessions.insert(self.seed.root);
        }
        let mut members = HashSet::new();
        let mut by_pipe = Vec::new();
        let mut silent = Vec::new();
        self.is_steady = true;
        for pid in pids {
            let Some(process) = process::read(pid) else {
                self.is_steady = false;
                continue;
            };
            if !self.may_be_ours(&process) {
                continue;
            }
            match self.evidence(&process) {
                Evidence::Another => continue,
                Evidence::Silent => silent.push(process),
                Evidence::Root | Evidence::Mark => {
                    self.take_session(&process, &present);
                    self.take(process, &mut members, found);
                }
                Evidence::Pipe => {
                    self.take(process, &mut members, found);
                    by_pipe.push(process);
                }
            }
        }
        // Who was only passed a pipe may sit in the user's own login session.
        for process in by_pipe
            .iter()
            .filter(|process| process.session == process.pid)
        {
            self.sessions.insert(process.session);
        }
        // Children of members, until a pass finds no more.
        loop {
            let before = silent.len();
            silent.retain(|process| {
                let ours =
                    members.contains(&process.parent) || self.sessions.contains(&process.session);
                if ours {
                    self.take_session(process, &present);
                    self.take(*process, &mut members, found);
                }
                !ours
            });
            if silent.len() == before {
                return self.is_steady;
            }
        }
    }

    fn may_be_ours(&self, process: &Process) -> bool {
        process.pid > 1
            && process.pid != self.own_pid
            && !self.seed.excluded.contains(&process.pid)
            && !self.others.contains(&(process.pid, process.started))
    }

    fn evidence(&mut self, process: &Process) -> Evidence {
        if process.pid == self.seed.root && !self.seed.root_reaped {
            return Evidence::Root;
        }
        let key = (process.pid, process.started);
        if self.silent.contains(&key) {
            return Evidence::Silent;
        }
        let evidence = self.look_at(process.pid);
        match evidence {
            Evidence::Another => _ = self.others.insert(key),
            Evidence::Silent => {
                self.silent.insert(key);
                // Of who is dead by now there was nothing to be seen, and it may have
                // left a child since the list was made.
                self.is_steady &= process::read(process.pid).is_some_and(|now| !now.is_zombie);
            }
            Evidence::Root | Evidence::Mark | Evidence::Pipe => {}
        }
        evidence
    }

    fn look_at(&self, pid: i32) -> Evidence {
        if process::owner(pid) != Some(self.seed.uid) {
            return Evidence::Silent;
        }
        match process::mark(pid, &self.seed.mark) {
            Mark::Ours => Evidence::Mark,
            Mark::Another => Evidence::Another,
            Mark::None if self.seed.pipes.is_empty() => Evidence::Silent,
            Mark::None if process::holds(pid, &self.seed.pipes, false) => Evidence::Pipe,
            Mark::None => Evidence::Silent,
        }
    }

    fn take(&self, process: Process, members: &mut HashSet<i32>, found: &mut dyn FnMut(Member)) {
        members.insert(process.pid);
        if !process.is_zombie {
            let owns_group = process.group > 1 && self.sessions.contains(&process.session);
            found(Member {
                process,
                owns_group,
            });
        }
    }

    /// A member's session is the job's too if the member leads it, or its leader is
    /// no more.
    fn take_session(&mut self, process: &Process, present: &HashSet<i32>) {
        let session = process.session;
        let is_led = session != process.pid && present.contains(&session);
        if session > 1 && session != self.own_session && !is_led {
            self.sessions.insert(session);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    Root,
    Mark,
    Pipe,
    Another,
    Silent,
}
