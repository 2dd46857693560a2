//! The thread that walks through /proc.
//!
//! What waits for it when it is free it does together: one walk serves any number of jobs, and the
//! end of hundreds takes not much longer than that of one.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::{Cgroups, Done, Errand, Teller, Walk, Walked, lock};
use crate::keeper::gate::Gate;
use crate::keeper::poll::Serial;
use crate::tree::{self, Tree};

/// Done together at most.
const TOGETHER_MAX: usize = 16 * 1_024;

type Jobs = Vec<(Serial, Arc<Tree>)>;

pub(super) fn run(queue: &Receiver<Errand>, teller: &Teller, gate: &Gate, cgroups: &Cgroups) {
    while let Ok(first) = queue.recv() {
        let (mut by_cgroup, mut through_proc) = <(Walks, Walks)>::default();
        let mut releases = Vec::new();
        let errands = iter::once(first).chain(queue.try_iter().take(TOGETHER_MAX - 1));
        for errand in errands {
            match errand {
                // A cgroup knows its members without /proc.
                Errand::Walk(serial, tree, walk)
                    if tree.is_exact() && !matches!(walk, Walk::Holders(_)) =>
                {
                    by_cgroup.add(serial, tree, walk);
                }
                Errand::Walk(serial, tree, walk) => through_proc.add(serial, tree, walk),
                Errand::Release(tree) => releases.push(tree),
            }
        }
        by_cgroup.make(None, teller);
        through_proc.make(Some(gate), teller);
        // Behind the walks: those of the same trees have given them back.
        for tree in releases {
            let cgroup = Arc::into_inner(tree).and_then(Tree::into_cgroup);
            if let (Some(cgroups), Some(cgroup)) = (cgroups, cgroup) {
                lock(cgroups).release(cgroup);
            }
        }
    }
}

/// What is to be done, by what is asked.
#[derive(Default)]
struct Walks {
    signals: BTreeMap<i32, Jobs>,
    asked: BTreeMap<i32, Jobs>,
    members: Jobs,
    holders: Vec<(Serial, Vec<u64>)>,
}

impl Walks {
    fn add(&mut self, serial: Serial, tree: Arc<Tree>, walk: Walk) {
        let jobs = match walk {
            Walk::Signal(signal) => self.signals.entry(signal).or_default(),
            Walk::Ask(signal) => self.asked.entry(signal).or_default(),
            Walk::Members => &mut self.members,
            Walk::Holders(pipes) => return self.holders.push((serial, pipes)),
        };
        jobs.push((serial, tree));
    }

    fn make(self, gate: Option<&Gate>, teller: &Teller) {
        for (signal, jobs) in self.signals {
            let walk = |trees: &[&Tree]| tree::signal_all_of(trees, signal);
            for_jobs(jobs, gate, teller, walk, |it| Walked::Signalled(signal, it));
        }
        for (signal, jobs) in self.asked {
            let walk = |trees: &[&Tree]| tree::ask_all_of(trees, signal);
            for_jobs(jobs, gate, teller, walk, |it| Walked::Signalled(signal, it));
        }
        let walked = |members: Vec<i32>| Walked::Members(members.len());
        for_jobs(self.members, gate, teller, tree::members_of, walked);
        let (serials, pipes): (Vec<_>, Vec<_>) = self.holders.into_iter().unzip();
        if !serials.is_empty() {
            let found = walk_apart(gate, || tree::holders(&pipes));
            for (serial, holders) in serials.into_iter().zip(found) {
                teller.tell(Done::Walked(serial, Walked::Holders(holders)));
            }
        }
    }
}

/// Walks for all of them, and says of each what it came to.
fn for_jobs<T>(
    jobs: Jobs,
    gate: Option<&Gate>,
    teller: &Teller,
    walk: impl FnOnce(&[&Tree]) -> Vec<T>,
    walked: impl Fn(T) -> Walked,
) {
    if jobs.is_empty() {
        return;
    }
    let trees: Vec<&Tree> = jobs.iter().map(|(_, tree)| &**tree).collect();
    let results = walk_apart(gate, || walk(&trees));
    for ((serial, tree), result) in jobs.into_iter().zip(results) {
        // Before the keeper hears of it: it reaps when the tree is its alone.
        drop(tree);
        teller.tell(Done::Walked(serial, walked(result)));
    }
}

/// While nothing is being started, where there is a gate.
fn walk_apart<T>(gate: Option<&Gate>, walk: impl FnOnce() -> T) -> T {
    match gate {
        Some(gate) => gate.walk(walk),
        None => walk(),
    }
}
