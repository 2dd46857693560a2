//! Whose process is it? Membership of a job's tree by what /proc shows.
//!
//! Four kinds of evidence: the parent is a member; the session is the job's; the
//! environment carries the job's mark; one of the job's pipes is open. The last
//! two a process can bring about for others (a pipe may be passed to a daemon), so
//! they count only for processes of the job's own user, who could have signalled
//! them anyway. A process that carries another job's mark is never ours.

use std::collections::{HashMap, HashSet};

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

/// Walks /proc, once or in rounds; rounds remember what they have ruled out.
pub(super) struct Walk<'a> {
    seed: &'a Seed,
    own_pid: i32,
    own_session: i32,
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
            sessions,
            silent,
            others,
        }
    }

    /// The members that are alive, in no order.
    pub(super) fn members(&mut self) -> Vec<Process> {
        let all = process::all();
        let present: HashSet<i32> = all.iter().map(|process| process.pid).collect();
        // When the root has been reaped, its number may have been given to another;
        // its session is known to be the job's only while nobody has that number.
        if !self.seed.root_reaped || !present.contains(&self.seed.root) {
            self.sessions.insert(self.seed.root);
        }
        let mut candidates: Vec<Process> = all
            .into_iter()
            .filter(|process| self.may_be_ours(process))
            .collect();
        let mut members: HashMap<i32, Process> = HashMap::new();
        let mut found = Vec::new();
        candidates.retain(|process| {
            let evidence = self.evidence(process);
            if let Evidence::Ours { .. } = evidence {
                found.push((*process, evidence));
            }
            evidence == Evidence::Silent
        });
        for (process, evidence) in found {
            let by_pipe = evidence == Evidence::Ours { by_pipe: true };
            self.take(process, by_pipe, &present, &mut members);
        }
        // Children of members, until a pass finds no more.
        loop {
            let before = candidates.len();
            candidates.retain(|process| {
                let ours = members.contains_key(&process.parent)
                    || self.sessions.contains(&process.session);
                if ours {
                    self.take(*process, false, &present, &mut members);
                }
                !ours
            });
            if candidates.len() == before {
                break;
            }
        }
        members
            .into_values()
            .filter(|process| !process.is_zombie)
            .collect()
    }

    /// Whether the group that this member is in consists of members only.
    pub(super) fn owns_group(&self, member: &Process) -> bool {
        member.group > 1 && self.sessions.contains(&member.session)
    }

    fn may_be_ours(&self, process: &Process) -> bool {
        process.pid > 1
            && process.pid != self.own_pid
            && !self.seed.excluded.contains(&process.pid)
            && !self.others.contains(&(process.pid, process.started))
    }

    fn evidence(&mut self, process: &Process) -> Evidence {
        if process.pid == self.seed.root && !self.seed.root_reaped {
            return Evidence::Ours { by_pipe: false };
        }
        let key = (process.pid, process.started);
        if self.silent.contains(&key) || process::owner(process.pid) != Some(self.seed.uid) {
            return Evidence::Silent;
        }
        match process::mark(process.pid, &self.seed.mark) {
            Mark::Ours => return Evidence::Ours { by_pipe: false },
            Mark::Another => {
                self.others.insert(key);
                return Evidence::Another;
            }
            Mark::None => {}
        }
        let has_pipes = !self.seed.pipes.is_empty();
        if has_pipes && process::holds(process.pid, &self.seed.pipes, false) {
            return Evidence::Ours { by_pipe: true };
        }
        self.silent.insert(key);
        Evidence::Silent
    }

    /// A member's session is the job's too, unless it is led by a stranger: who was
    /// only passed a pipe may sit in the user's own login session.
    fn take(
        &mut self,
        process: Process,
        by_pipe: bool,
        present: &HashSet<i32>,
        members: &mut HashMap<i32, Process>,
    ) {
        members.insert(process.pid, process);
        let session = process.session;
        let led_by_member = members.contains_key(&session);
        let leader_gone = !by_pipe && !present.contains(&session);
        if session > 1 && session != self.own_session && (led_by_member || leader_gone) {
            self.sessions.insert(session);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    Ours { by_pipe: bool },
    Another,
    Silent,
}
