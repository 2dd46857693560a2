//! The thread that walks through /proc.
//!
//! What waits for it when it is free it does together, for the jobs of one user at a time: one walk serves
//! any number of jobs, and the end of hundreds takes not much longer than that of one; but a fork storm
//! keeps nobody else's waiting longer than it would alone.

use std::iter;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::{Cgroups, Done, Errand, Teller, Walk, Walked, lock};
use crate::keeper::gate::Gate;
use crate::keeper::poll::Serial;
use crate::tree::{self, Tree};

/// Taken up together at most.
const TOGETHER_MAX: usize = 16 * 1_024;

pub(super) fn run(queue: &Receiver<Errand>, teller: &Teller, gate: &Gate, cgroups: &Cgroups) {
    while let Ok(first) = queue.recv() {
        let mut walks: Vec<Together> = Vec::new();
        let mut releases = Vec::new();
        let errands = iter::once(first).chain(queue.try_iter().take(TOGETHER_MAX - 1));
        for errand in errands {
            match errand {
                // A cgroup knows its members without /proc.
                Errand::Walk(serial, tree, walk)
                    if !matches!(walk, Walk::Holders(_)) && tree.is_all_in_cgroup() =>
                {
                    Together::begin(serial, tree, walk).make(None, teller);
                }
                Errand::Walk(serial, tree, walk) => join(&mut walks, serial, tree, walk),
                Errand::Release(tree) => releases.extend(release(tree, cgroups)),
            }
        }
        for together in walks {
            together.make(Some(gate), teller);
        }
        // These trees were walked for.
        for tree in releases {
            release(tree, cgroups);
        }
    }
}

/// Gives it back if nobody else has the tree.
fn release(tree: Arc<Tree>, cgroups: &Cgroups) -> Option<Arc<Tree>> {
    match Arc::try_unwrap(tree) {
        Ok(tree) => {
            if let (Some(cgroups), Some(cgroup)) = (cgroups, tree.into_cgroup()) {
                lock(cgroups).release(cgroup);
            }
            None
        }
        Err(tree) => Some(tree),
    }
}

/// With the first of its kind, in the order in which the kinds came.
fn join(walks: &mut Vec<Together>, serial: Serial, tree: Arc<Tree>, walk: Walk) {
    match walks.iter_mut().find(|it| it.takes(&tree, &walk)) {
        Some(together) => together.add(serial, tree, walk),
        None => walks.push(Together::begin(serial, tree, walk)),
    }
}

/// Walks that are one: of one kind, for jobs of one user.
struct Together {
    kind: Kind,
    uid: u32,
    jobs: Vec<(Serial, Arc<Tree>)>,
    /// Of holders: the pipes of each of the jobs.
    pipes: Vec<Vec<u64>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signal(i32),
    Ask(i32),
    Members,
    Holders,
}

impl Kind {
    fn of(walk: &Walk) -> Self {
        match walk {
            Walk::Signal(signal) => Self::Signal(*signal),
            Walk::Ask(signal) => Self::Ask(*signal),
            Walk::Members => Self::Members,
            Walk::Holders(_) => Self::Holders,
        }
    }
}

impl Together {
    fn begin(serial: Serial, tree: Arc<Tree>, walk: Walk) -> Self {
        let (jobs, pipes) = Default::default();
        let (kind, uid) = (Kind::of(&walk), tree.uid());
        let mut together = Self {
            kind,
            uid,
            jobs,
            pipes,
        };
        together.add(serial, tree, walk);
        together
    }

    fn takes(&self, tree: &Tree, walk: &Walk) -> bool {
        (self.kind, self.uid) == (Kind::of(walk), tree.uid())
    }

    fn add(&mut self, serial: Serial, tree: Arc<Tree>, walk: Walk) {
        self.jobs.push((serial, tree));
        if let Walk::Holders(pipes) = walk {
            self.pipes.push(pipes);
        }
    }

    /// Walks, while nothing is being started if there is a gate, and says of each job what it came to.
    fn make(self, gate: Option<&Gate>, teller: &Teller) {
        let trees: Vec<&Tree> = self.jobs.iter().map(|(_, tree)| &**tree).collect();
        let walk = || self.kind.walk(&trees, &self.pipes);
        let walked = match gate {
            Some(gate) => gate.walk(walk),
            None => walk(),
        };
        for ((serial, tree), walked) in self.jobs.into_iter().zip(walked) {
            // Before the keeper hears of it: it reaps when the tree is its alone.
            drop(tree);
            teller.tell(Done::Walked(serial, walked));
        }
    }
}

impl Kind {
    fn walk(self, trees: &[&Tree], pipes: &[Vec<u64>]) -> Vec<Walked> {
        let signalled = |signal| move |reached| Walked::Signalled(signal, reached);
        match self {
            Self::Signal(signal) => each(tree::signal_all_of(trees, signal), signalled(signal)),
            Self::Ask(signal) => each(tree::ask_all_of(trees, signal), signalled(signal)),
            Self::Members => each(tree::members_of(trees), |it| Walked::Members(it.len())),
            Self::Holders => each(tree::holders(pipes), Walked::Holders),
        }
    }
}

fn each<T>(results: Vec<T>, walked: impl Fn(T) -> Walked) -> Vec<Walked> {
    results.into_iter().map(walked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_joined_by_kind_and_user_in_the_order_in_which_it_came() {
        let (ada, bob) = (1_000, 1_001);
        let mut walks = Vec::new();
        let waiting = [
            (1, ada, Walk::Signal(libc::SIGTERM)),
            (2, bob, Walk::Signal(libc::SIGKILL)),
            (3, ada, Walk::Signal(libc::SIGKILL)),
            (4, ada, Walk::Signal(libc::SIGTERM)),
            (5, ada, Walk::Holders(vec![7, 8])),
            (6, bob, Walk::Ask(libc::SIGKILL)),
            (7, ada, Walk::Members),
            (8, ada, Walk::Holders(vec![9])),
        ];
        for (serial, uid, walk) in waiting {
            let tree = Arc::new(Tree::new(2, uid, Vec::new()));
            join(&mut walks, serial, tree, walk);
        }
        let serials = |it: &Together| it.jobs.iter().map(|(serial, _)| *serial).collect();
        let joined: Vec<Vec<Serial>> = walks.iter().map(serials).collect();
        let expected: [&[Serial]; 6] = [&[1, 4], &[2], &[3], &[5, 8], &[6], &[7]];
        assert_eq!(joined, expected);
        assert_eq!(walks[3].pipes, [vec![7, 8], vec![9]]);
    }
}
