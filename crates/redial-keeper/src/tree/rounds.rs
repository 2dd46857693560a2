//! Signals to whole trees by walks through /proc, in rounds: until a walk finds nobody new.
//!
//! For any number of trees at once; a walk is what takes time, and one serves them all.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::process::{self, Process};
use super::walk::{Key, Member, TreeId, Walk};

/// Walks of one signal. Each stops what the one before missed.
const ROUNDS_MAX: usize = 64;
/// Walks in a row that find nobody new, before a busy machine (where somebody always
/// comes and goes) is believed to hold nobody else.
const QUIET_WALKS: usize = 16;
/// A fork storm that we cannot outrun must not keep us for ever.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Processes that have had their signal, and as whose.
pub(super) type Done = HashSet<(Key, TreeId)>;
type Found = Vec<(TreeId, Process)>;

fn is_new(done: &mut Done, member: &Member) -> bool {
    done.insert((member.process.key(), member.tree))
}

/// A signal to each process once, however many trees it belongs to.
struct Sender {
    signal: i32,
    /// Whether it arrived.
    sent: HashMap<Key, bool>,
}

impl Sender {
    fn new(signal: i32) -> Self {
        let sent = HashMap::new();
        Self { signal, sent }
    }

    fn send(&mut self, process: &Process) -> bool {
        let send = || process::signal(process, self.signal).is_ok();
        *self.sent.entry(process.key()).or_insert_with(send)
    }

    /// To all of `found`; those that had it are counted by tree.
    fn send_all(&mut self, found: &Found, counts: &mut [usize]) {
        for (tree, process) in found {
            counts[*tree] += usize::from(self.send(process));
        }
    }
}

/// Stops, then kills, until a walk finds nobody who is not `done`.
pub(super) fn kill(walk: &mut Walk<'_>, mut done: Done, counts: &mut [usize]) {
    let deadline = Instant::now() + TIME_MAX;
    let (mut stop_signal, mut kill_signal) =
        (Sender::new(libc::SIGSTOP), Sender::new(libc::SIGKILL));
    for _ in 0..ROUNDS_MAX {
        // What is stopped forks no more and keeps its children, so the trees stand
        // still and whole before the first of them dies.
        let found = stop(walk, &mut stop_signal, &mut done, deadline);
        kill_signal.send_all(&found, counts);
        if found.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            break;
        }
    }
    // A group may have been stopped with processes in it that no walk has shown.
    let mut missed = Found::new();
    walk.members(&mut |member| {
        missed.extend(is_new(&mut done, &member).then_some((member.tree, member.process)))
    });
    kill_signal.send_all(&missed, counts);
}

/// Stops members until walks find none that is not in `done`; returns the new ones.
fn stop(walk: &mut Walk<'_>, signal: &mut Sender, done: &mut Done, deadline: Instant) -> Found {
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
                if signal.send(&member.process) {
                    stopped.push((member.tree, member.process));
                }
            }
        });
        quiet = if is_quiet { quiet + 1 } else { 0 };
        let is_over = quiet > 0 && (is_steady || quiet >= QUIET_WALKS);
        if is_over || Instant::now() > deadline {
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
    let deadline = Instant::now() + TIME_MAX;
    let mut sender = Sender::new(signal);
    for _ in 0..ROUNDS_MAX {
        let mut found = Found::new();
        walk.members(&mut |member| {
            found.extend(is_new(&mut done, &member).then_some((member.tree, member.process)))
        });
        found.sort_by_key(|(_, member)| (member.started, member.pid));
        sender.send_all(&found, counts);
        if found.is_empty() || Instant::now() > deadline {
            break;
        }
    }
}
