//! What runs on this machine, read from `/proc`, and its end.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Pid, Signal, kill_process};

/// One live process; zombies are not listed.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) uid: u32,
    pub(crate) name: String,
}

/// Whether `pid` exists and is no zombie.
#[cfg(test)]
pub(crate) fn is_alive(pid: u32) -> bool {
    read(pid).is_some()
}

/// All live processes of one user.
pub(crate) fn of_user(uid: u32) -> Vec<Process> {
    let mut all = all();
    all.retain(|process| process.uid == uid);
    all
}

/// Kills a process and those that descend from it by parentage.
pub(crate) fn kill_tree(root: u32) {
    let all = all();
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(all.iter().filter(|p| p.parent == parent).map(|p| p.pid));
        next += 1;
    }
    tree.into_iter().for_each(kill);
}

/// Kills one process; that it is gone already is no error.
pub(crate) fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .collect()
}

fn read(pid: u32) -> Option<Process> {
    let uid = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let (parent, name) = parse_stat(&String::from_utf8_lossy(&stat))?;
    Some(Process {
        pid,
        parent,
        uid,
        name,
    })
}

/// Parent and name from a `stat` line, proc_pid_stat(5); nothing for a zombie.
/// The name stands in brackets and may hold brackets itself.
fn parse_stat(stat: &str) -> Option<(u32, String)> {
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = after.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    Some((fields.next()?.parse().ok()?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_read_whole() {
        let parsed = parse_stat("12 (a) (b c) S 7 12 12 0");
        assert_eq!(parsed, Some((7, "a) (b c".to_owned())));
    }

    #[test]
    fn a_zombie_is_not_alive() {
        assert_eq!(parse_stat("12 (gone) Z 7 12 12 0"), None);
    }

    #[test]
    fn this_process_is_found_under_its_user() {
        let me = std::process::id();
        let uid = fs::metadata("/proc/self").unwrap().uid();
        assert!(of_user(uid).iter().any(|process| process.pid == me));
    }
}
