//! What /proc says of a process (proc_pid_stat(5), proc_pid_io(5)).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

/// Part of /proc/PID/stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, `Z` for a zombie, …
    pub(crate) state: char,
    pub(crate) parent: u32,
    /// CPU time of its own, user and system; in steps of a tick (10 ms mostly).
    pub(crate) cpu: Duration,
    /// That of the children it has waited for, and theirs.
    pub(crate) cpu_of_children: Duration,
}

/// Reads /proc/PID/stat.
///
/// # Errors
/// There is no such process.
pub(crate) fn stat(pid: u32) -> anyhow::Result<Stat> {
    let path = proc_path(pid, "stat");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let ticks = rustix::param::clock_ticks_per_second();
    parse_stat(&text, ticks).with_context(|| format!("{}: {text:?}", path.display()))
}

/// CPU time of a thread of this process.
///
/// # Errors
/// There is no such thread.
pub(crate) fn thread_cpu(thread: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/self/task/{thread}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let stat = parse_stat(&text, rustix::param::clock_ticks_per_second());
    Ok(stat.with_context(|| path)?.cpu)
}

/// The name may hold anything, so the fields are counted from its last parenthesis.
fn parse_stat(text: &str, ticks_per_second: u64) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // The first of these is field 3 of the manual.
    let field = |number: usize| fields.get(number - 3);
    let ticks = |number| field(number)?.parse::<u64>().ok();
    let time = |user, system| {
        let ticks = ticks(user)? + ticks(system)?;
        Some(Duration::from_secs(ticks) / u32::try_from(ticks_per_second).ok()?)
    };
    Some(Stat {
        state: field(3)?.chars().next()?,
        parent: field(4)?.parse().ok()?,
        cpu: time(14, 15)?,
        cpu_of_children: time(16, 17)?,
    })
}

/// Bytes the process has given to write(2) and its like; nothing where the kernel
/// does not count them.
pub(crate) fn bytes_written(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(proc_path(pid, "io")).ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix("wchar: ")?.parse().ok())
}

/// The children of a process, zombies among them.
pub(crate) fn children(parent: u32) -> anyhow::Result<Vec<(u32, Stat)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")? {
        let name = entry.context("/proc")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have gone in the meantime.
        let Ok(stat) = stat(pid) else { continue };
        if stat.parent == parent {
            found.push((pid, stat));
        }
    }
    Ok(found)
}

/// A process, its children, theirs, and so on.
///
/// # Errors
/// There is no such process.
pub(crate) fn tree(root: u32) -> anyhow::Result<Vec<u32>> {
    let mut pids = vec![root];
    let mut next = 0;
    while let Some(parent) = pids.get(next).copied() {
        pids.extend(children(parent)?.iter().map(|(pid, _)| pid));
        next += 1;
    }
    Ok(pids)
}

/// What the descriptors of a process lead to; sockets and the like have names such
/// as `socket:[7]`.
///
/// # Errors
/// There is no such process, or it is not ours.
pub(crate) fn descriptors(pid: u32) -> anyhow::Result<Vec<PathBuf>> {
    let path = proc_path(pid, "fd");
    let entries = fs::read_dir(&path).with_context(|| path.display().to_string())?;
    // Some may have been closed in the meantime.
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Ok(targets.collect())
}

/// Whether `word` is one of the arguments of a process.
pub(crate) fn has_argument(pid: u32, word: &str) -> bool {
    let arguments = fs::read(proc_path(pid, "cmdline")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0);
    arguments.any(|argument| argument == word.as_bytes())
}

/// `/proc/PID/NAME`.
pub(crate) fn proc_path(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_moves_no_field() {
        let text = "7 (a) Z 1 (b) S 42 7 7 0 -1 4194304 1 2 3 4 150 50 20 5 20 0 1 0 9";
        let expected = Stat {
            state: 'S',
            parent: 42,
            cpu: Duration::from_secs(2),
            cpu_of_children: Duration::from_millis(250),
        };
        assert_eq!(parse_stat(text, 100), Some(expected));
        assert_eq!(parse_stat("7 (a) S 42", 100), None);
    }

    #[test]
    fn our_own_process_can_be_looked_at() {
        let pid = std::process::id();
        let own = stat(pid).unwrap();
        assert!(matches!(own.state, 'R' | 'S'), "{own:?}");
        assert!(descriptors(pid).unwrap().len() >= 3);
        let siblings = children(own.parent).unwrap();
        assert!(siblings.iter().any(|(sibling, _)| *sibling == pid));
        assert!(!has_argument(pid, "no such argument"));
    }
}
