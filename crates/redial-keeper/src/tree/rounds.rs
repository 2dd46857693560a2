//! Signals to whole trees by walks through /proc, in rounds: until a walk finds nobody new.
//!
//! For any number of trees at once; a walk is what takes time, and one serves them all.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::process::{self, Process};
use super::walk::{Key, Member, TreeId, Walk};

/// Walks of one signal. Each stops what the one before missed.
const ROUNDS_MAX: usize = 64;
/// Walks in a row that find nobody new, before a busy machine (where somebody always
/// comes and goes) is believed to hold nobody else.
const QUIET_WALKS: usize = 16;
/// A fork storm that we cannot outrun must not keep us for ever; but where so much runs that one
/// walk takes long, there is time for some.
const TIME: Duration = Duration::from_secs(2);
const TIME_MAX: Duration = Duration::from_secs(8);
const WALKS_MIN: u32 = 8;

/// Processes that have had their signal, and as whose.
pub(super) type Done = HashSet<(Key, TreeId)>;
type Found = Vec<(TreeId, Process)>;

/// Until when there are walks.
struct Limit {
    began: Instant,
    time: Option<Duration>,
}

impl Limit {
    fn begin() -> Self {
        let (began, time) = (Instant::now(), None);
        Self { began, time }
    }

    /// Asked after each walk.
    fn is_over(&mut self) -> bool {
        let passed = self.began.elapsed();
        let time = self
            .time
            .get_or_insert_with(|| (passed * WALKS_MIN).clamp(TIME, TIME_MAX));
        passed > *time
    }
}

fn is_new(done: &mut Done, member: &Member) -> bool {
    done.insert((member.process.key(), member.tree))
}

/// Sends it to all of `found`; those that had it are counted by tree.
fn signal_found(found: &Found, signal: i32, counts: &mut [usize]) {
    for (tree, process) in found {
        if process::signal(process, signal).is_ok() {
            counts[*tree] += 1;
        }
    }
}

/// Stops, then kills, until a walk finds nobody who is not `done`.
pub(super) fn kill(walk: &mut Walk<'_>, mut done: Done, counts: &mut [usize]) {
    let mut limit = Limit::begin();
    for _ in 0..ROUNDS_MAX {
        // What is stopped forks no more and keeps its children, so the trees stand
        // still and whole before the first of them dies.
        let found = stop(walk, &mut done, &mut limit);
        signal_found(&found, libc::SIGKILL, counts);
        if found.is_empty() {
            return;
        }
        if limit.is_over() {
            break;
        }
    }
    // A group may have been stopped with processes in it that no walk has shown.
    let mut missed = Found::new();
    walk.members(&mut |member| {
        missed.extend(is_new(&mut done, &member).then_some((member.tree, member.process)))
    });
    signal_found(&missed, libc::SIGKILL, counts);
}

/// Stops members until walks find none that is not in `done`; returns the new ones.
fn stop(walk: &mut Walk<'_>, done: &mut Done, limit: &mut Limit) -> Found {
    let mut stopped = Found::new();
    let mut quiet = 0;
    for _ in 0..ROUNDS_MAX {
        let mut is_quiet = true;
        let mut groups = HashSet::new();
        let is_steady = walk.members(&mut |member| {
            if is_new(done, &member) {
                is_quiet = false;
                if member.owns_group && groups.insert(member.process.group) {
                    stop_group(member.process.group);
                }
                // Gone, or not ours to signal: either way there is no more to try.
                if process::signal(&member.process, libc::SIGSTOP).is_ok() {
                    stopped.push((member.tree, member.process));
                }
            }
        });
        quiet = if is_quiet { quiet + 1 } else { 0 };
        let is_over = quiet > 0 && (is_steady || quiet >= QUIET_WALKS);
        if limit.is_over() || is_over {
            break;
        }
    }
    stopped
}

/// Stops a group in which a member was seen a moment ago: who forks and exits is gone
/// before a pidfd is opened, but not even a fork slips through a signal to its group
/// (fork(2) starts over). The kernel hands numbers out in turn, so the group's cannot
/// have come round to another in that moment.
fn stop_group(group: i32) {
    // SAFETY: takes numbers only.
    let _ = unsafe { libc::kill(-group, libc::SIGSTOP) };
}

/// Signals members, the oldest first: a script must not see its commands die and go
/// on to the next before it gets the signal itself.
pub(super) fn signal(walk: &mut Walk<'_>, signal: i32, mut done: Done, counts: &mut [usize]) {
    let mut limit = Limit::begin();
    for _ in 0..ROUNDS_MAX {
        let mut found = Found::new();
        walk.members(&mut |member| {
            found.extend(is_new(&mut done, &member).then_some((member.tree, member.process)))
        });
        found.sort_by_key(|(_, member)| (member.started, member.pid));
        signal_found(&found, signal, counts);
        if limit.is_over() || found.is_empty() {
            break;
        }
    }
}
