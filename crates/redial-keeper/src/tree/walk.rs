//! Whose process is it? Membership of jobs' trees by what /proc shows.
//!
//! Four kinds of evidence: the parent is a member; the session is the job's; the
//! environment carries the job's mark; one of the job's pipes is open. The last
//! two a process can bring about for others (a pipe may be passed to a daemon), so
//! they count only for processes of the job's own user, who could have signalled
//! them anyway. A process that carries another job's mark is never ours.
//!
//! One walk looks for any number of jobs: each process is read once, however many ask. What
//! it finds for each is what a walk for that one alone would have found.

use std::collections::{HashMap, HashSet};

use super::process::{self, Process};

/// What is known of a tree that is looked for.
#[derive(Debug, Clone)]
pub(super) struct Seed {
    pub(super) root: i32,
    pub(super) root_reaped: bool,
    pub(super) uid: u32,
    pub(super) mark: Vec<u8>,
    pub(super) pipes: Vec<u64>,
}

/// A tree, by its place among the seeds.
pub(super) type TreeId = usize;
/// A process for good: pid and start.
pub(super) type Key = (i32, u64);

/// A process of a job. One of two jobs comes twice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) tree: TreeId,
    pub(super) process: Process,
    /// Whether its session, and so its process group, is the job's alone.
    pub(super) owns_group: bool,
}

/// Where among the processes of a walk are those of a parent, or of a session.
type Places = HashMap<i32, Vec<usize>>;

/// Who belongs to a tree because of somebody else.
enum Relatives {
    Children(i32, TreeId),
    Session(i32, TreeId),
}

/// Walks /proc, once or in rounds; rounds remember what they have ruled out.
pub(super) struct Walk<'a> {
    seeds: Vec<&'a Seed>,
    /// Where in `seeds`: roots that are not reaped, marks, pipes, users.
    roots: HashMap<i32, TreeId>,
    marks: HashMap<&'a [u8], TreeId>,
    pipes: HashMap<u64, TreeId>,
    uids: HashSet<u32>,
    own_pid: i32,
    own_session: i32,
    is_steady: bool,
    /// Sessions that are a job's: mostly of one.
    sessions: HashMap<i32, Vec<TreeId>>,
    /// Processes that carry a mark, or show nothing. Who dies shows no mark any more, and must not
    /// be taken for a mere child then.
    known: HashMap<Key, Evidence>,
}

/// A process that a walk has seen.
struct Seen {
    process: Process,
    /// See [`Evidence::closed_to`].
    closed_to: Option<u32>,
    /// It is known to belong to these.
    owners: Vec<TreeId>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(seeds: Vec<&'a Seed>) -> Self {
        let own_pid = std::process::id().cast_signed();
        let own_session = process::read(own_pid).map_or(0, |own| own.session);
        let each = || seeds.iter().copied().enumerate();
        let roots = each()
            .filter(|(_, seed)| !seed.root_reaped)
            .map(|(tree, seed)| (seed.root, tree))
            .collect();
        let marks = each().map(|(tree, seed)| (&*seed.mark, tree)).collect();
        let pipes = each()
            .flat_map(|(tree, seed)| seed.pipes.iter().map(move |&pipe| (pipe, tree)))
            .collect();
        let uids = each().map(|(_, seed)| seed.uid).collect();
        let (sessions, known) = Default::default();
        Self {
            seeds,
            roots,
            marks,
            pipes,
            uids,
            own_pid,
            own_session,
            is_steady: true,
            sessions,
            known,
        }
    }

    /// Tells `found` of every member that is alive, each at once when it is seen.
    /// Says whether the view was steady: nobody left between being listed and being
    /// looked at, so no member can have hidden by leaving a child in its place.
    pub(super) fn members(&mut self, found: &mut dyn FnMut(Member)) -> bool {
        let pids = process::pids();
        let present: HashSet<i32> = pids.iter().copied().collect();
        for tree in 0..self.seeds.len() {
            let seed = self.seeds[tree];
            // When the root has been reaped, its number may have been given to another;
            // its session is known to be the job's only while nobody has that number.
            if !seed.root_reaped || !present.contains(&seed.root) {
                self.add_session(seed.root, tree);
            }
        }
        let mut by_pipe = Vec::new();
        let mut seen = Vec::new();
        self.is_steady = true;
        for pid in pids {
            if pid <= 1 || pid == self.own_pid {
                continue;
            }
            let Some(process) = process::read(pid) else {
                self.is_steady = false;
                continue;
            };
            let Evidence {
                jobs: mut owners,
                pipes,
                closed_to,
            } = self.evidence(&process);
            for &tree in &owners {
                self.take_session(&process, tree, &present);
            }
            for tree in pipes {
                if !owners.contains(&tree) {
                    by_pipe.push((process.session, pid, tree));
                    owners.push(tree);
                }
            }
            for &tree in &owners {
                self.take(process, tree, found);
            }
            seen.push(Seen {
                process,
                closed_to,
                owners,
            });
        }
        // Who was only passed a pipe may sit in the user's own login session.
        for (session, _, tree) in by_pipe.into_iter().filter(|it| it.0 == it.1) {
            self.add_session(session, tree);
        }
        self.take_relatives(&mut seen, &present, found);
        self.is_steady
    }

    /// Children of members, who is in their sessions, and theirs, to the last.
    fn take_relatives(
        &mut self,
        seen: &mut [Seen],
        present: &HashSet<i32>,
        found: &mut dyn FnMut(Member),
    ) {
        let (mut children, mut in_session) = <(Places, Places)>::default();
        let mut next: Vec<Relatives> = self.owned_sessions().collect();
        for (place, it) in seen.iter().enumerate() {
            let Process {
                parent,
                session,
                pid,
                ..
            } = it.process;
            children.entry(parent).or_default().push(place);
            in_session.entry(session).or_default().push(place);
            next.extend(it.owners.iter().map(|&tree| Relatives::Children(pid, tree)));
        }
        while let Some(relatives) = next.pop() {
            let (places, tree) = match relatives {
                Relatives::Children(pid, tree) => (children.get(&pid), tree),
                Relatives::Session(session, tree) => (in_session.get(&session), tree),
            };
            for &place in places.into_iter().flatten() {
                let it = &mut seen[place];
                if it.closed_to == Some(self.seeds[tree].uid) || it.owners.contains(&tree) {
                    continue;
                }
                it.owners.push(tree);
                let process = it.process;
                if self.take_session(&process, tree, present) {
                    next.push(Relatives::Session(process.session, tree));
                }
                next.push(Relatives::Children(process.pid, tree));
                self.take(process, tree, found);
            }
        }
    }

    fn owned_sessions(&self) -> impl Iterator<Item = Relatives> {
        let sessions = self.sessions.iter();
        sessions.flat_map(|(&session, trees)| {
            trees
                .iter()
                .map(move |&tree| Relatives::Session(session, tree))
        })
    }

    fn evidence(&mut self, process: &Process) -> Evidence {
        let key = process.key();
        let mut evidence = match self.known.get(&key) {
            Some(known) => known.clone(),
            None => self.look(process),
        };
        if let Some(&tree) = self.roots.get(&process.pid) {
            // It may show another job besides, as anybody may.
            evidence.jobs.retain(|job| *job != tree);
            evidence.jobs.push(tree);
        }
        evidence
    }

    /// A first look, or one at who holds pipes: those may come and go.
    fn look(&mut self, process: &Process) -> Evidence {
        let evidence = self.look_at(process.pid);
        if evidence.pipes.is_empty() {
            self.known.insert(process.key(), evidence.clone());
        }
        // Of who is dead by now there was nothing to be seen, and it may have
        // left a child since the list was made.
        let is_root = self.roots.contains_key(&process.pid);
        self.is_steady &= is_root
            || !evidence.is_silent()
            || process::read(process.pid).is_some_and(|now| !now.is_zombie);
        evidence
    }

    fn look_at(&self, pid: i32) -> Evidence {
        let owner = process::owner(pid).filter(|uid| self.uids.contains(uid));
        let Some(owner) = owner else {
            return Evidence::nothing(None);
        };
        let is_owners = |tree: &TreeId| self.seeds[*tree].uid == owner;
        if let Some(mark) = process::mark(pid) {
            let tree = self.marks.get(&*mark).copied().filter(is_owners);
            return Evidence {
                jobs: tree.into_iter().collect(),
                ..Evidence::nothing(Some(owner))
            };
        }
        if self.pipes.is_empty() {
            return Evidence::nothing(None);
        }
        let tree_of = |pipe| self.pipes.get(&pipe).copied().filter(is_owners);
        Evidence {
            pipes: process::held(pid, false, tree_of),
            ..Evidence::nothing(None)
        }
    }

    fn take(&self, process: Process, tree: TreeId, found: &mut dyn FnMut(Member)) {
        if !process.is_zombie {
            let owners = self.sessions.get(&process.session);
            let owns_group = process.group > 1 && owners.is_some_and(|it| it.contains(&tree));
            found(Member {
                tree,
                process,
                owns_group,
            });
        }
    }

    /// A member's session is the job's too if the member leads it, or its leader is
    /// no more. Says whether that is new.
    fn take_session(&mut self, process: &Process, tree: TreeId, present: &HashSet<i32>) -> bool {
        let session = process.session;
        let is_led = session != process.pid && present.contains(&session);
        let is_ours = session > 1 && session != self.own_session && !is_led;
        is_ours && self.add_session(session, tree)
    }

    fn add_session(&mut self, session: i32, tree: TreeId) -> bool {
        let owners = self.sessions.entry(session).or_default();
        let is_new = !owners.contains(&tree);
        owners.extend(is_new.then_some(tree));
        is_new
    }
}

/// What a process by itself says of whose it is.
#[derive(Clone)]
struct Evidence {
    /// It is the root of these, or has their mark.
    jobs: Vec<TreeId>,
    /// It has pipes of these open.
    pipes: Vec<TreeId>,
    /// Jobs of this user have it for what is shown only, not as a descendant: it carries a mark.
    closed_to: Option<u32>,
}

impl Evidence {
    fn nothing(closed_to: Option<u32>) -> Self {
        let (jobs, pipes) = Default::default();
        Self {
            jobs,
            pipes,
            closed_to,
        }
    }

    /// Neither a mark nor a pipe.
    fn is_silent(&self) -> bool {
        self.closed_to.is_none() && self.pipes.is_empty()
    }
}
