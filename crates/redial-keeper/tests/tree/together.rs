//! Many jobs by one walk: each gets what a walk for it alone would have come to.

use std::collections::HashSet;

use redial_keeper::tree::{Reached, Tree, members_of, signal_all_of};

use crate::child::eventually;
use crate::family::{FAMILY, FAMILY_SLEEPERS, Family, alone, are_gone};

fn signalled(reached: &[Reached]) -> Vec<usize> {
    reached.iter().map(|it| it.signalled).collect()
}

/// A job that only sleeps, and another of one more sleeper, whose script is told the first and its root.
fn two(name: u32, script: impl Fn(&Family, i32) -> String) -> (Family, Family) {
    let one = Family::start(name, "exec sleep $T", None);
    eventually("one runs", || one.sleepers() == 1);
    let other = Family::start(name + 1, &script(&one, one.tree.root()), None);
    eventually("so does the other", || other.sleepers() == 1);
    (one, other)
}

#[test]
fn one_walk_finds_the_members_of_many_jobs_and_kills_them_each_counted_to_its_own() {
    let _alone = alone();
    let start = |name| Family::start(name, FAMILY, None);
    let mut families: Vec<Family> = (30..34).map(start).map(Family::grown).collect();
    let mut spared = start(34).grown();
    let others = spared.alive();
    let trees: Vec<&Tree> = families.iter().map(|it| &it.tree).collect();
    for (family, members) in families.iter().zip(members_of(&trees)) {
        assert_eq!(members.len(), FAMILY_SLEEPERS + 1, "each of them once");
        assert_eq!(members.into_iter().collect::<HashSet<_>>(), family.alive());
    }
    let (exact, signalled) = (false, FAMILY_SLEEPERS + 1);
    for reached in signal_all_of(&trees, libc::SIGKILL) {
        assert_eq!(reached, Reached { exact, signalled });
    }
    let root = spared.tree.root();
    let mut killed: Vec<&mut Family> = families.iter_mut().collect();
    are_gone(&mut killed, &[root], &"one walk for all");
    assert_eq!(spared.alive(), others, "nothing of the other is touched");
    spared.is_killed(&[]);
}

#[test]
fn who_belongs_to_two_jobs_is_found_for_both() {
    let _alone = alone();
    // A child of the other's that holds a pipe of the first.
    let (mut one, mut other) = two(35, |_, root| {
        format!("env -i sleep $T >/proc/{root}/fd/1 & wait")
    });
    let root = one.tree.root();
    let child = other
        .alive()
        .into_iter()
        .find(|pid| *pid != other.tree.root());
    let both = HashSet::from([root, child.expect("it has a child")]);
    for trees in [[&one.tree, &other.tree], [&other.tree, &one.tree]] {
        let together: Vec<HashSet<i32>> = members_of(&trees)
            .into_iter()
            .map(HashSet::from_iter)
            .collect();
        let alone = trees.map(|tree| HashSet::from_iter(tree.members()));
        assert_eq!(together, alone);
        let [of_one, of_other] = [&one, &other].map(|it| {
            trees
                .iter()
                .position(|tree| tree.root() == it.tree.root())
                .expect("it is there")
        });
        assert_eq!(together[of_one], both);
        assert_eq!(together[of_other], other.alive());
    }
    let reached = signal_all_of(&[&one.tree, &other.tree], libc::SIGKILL);
    assert_eq!(signalled(&reached), [2, 2]);
    are_gone(&mut [&mut one, &mut other], &[], &reached);
}

#[test]
fn a_process_with_the_mark_of_another_of_them_is_that_ones_alone() {
    let _alone = alone();
    let (mut one, mut other) = two(37, |one, _| {
        format!("REDIAL_JOB={} sleep $T & wait", one.mark())
    });
    let members = members_of(&[&other.tree, &one.tree]);
    assert_eq!(members[0], [other.tree.root()]);
    assert_eq!(members[1].len(), 2, "its root, and who says to be its own");
    let reached = signal_all_of(&[&other.tree, &one.tree], libc::SIGKILL);
    assert_eq!(signalled(&reached), [1, 2]);
    are_gone(&mut [&mut one, &mut other], &[], &reached);
}

#[test]
fn a_root_that_has_shed_its_mark_and_holds_anothers_pipe_is_found_for_both() {
    let _alone = alone();
    let (mut one, mut other) = two(39, |_, root| {
        format!("exec env -i sleep $T >/proc/{root}/fd/1")
    });
    let both = HashSet::from([one.tree.root(), other.tree.root()]);
    let [of_one, of_other] = &members_of(&[&one.tree, &other.tree])[..] else {
        panic!("one answer for each");
    };
    assert_eq!(of_one.iter().copied().collect::<HashSet<_>>(), both);
    let by_itself: HashSet<i32> = one.tree.members().into_iter().collect();
    assert_eq!(by_itself, both, "as by a walk of its own");
    assert_eq!(*of_other, [other.tree.root()]);
    let reached = signal_all_of(&[&one.tree, &other.tree], libc::SIGKILL);
    assert_eq!(signalled(&reached), [2, 1]);
    are_gone(&mut [&mut one, &mut other], &[], &reached);
}
