//! A look at /proc: who lives.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process, told from a later one of the same id by when it started.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) state: char,
    pub(crate) arguments: String,
    started: u64,
}

impl Process {
    /// The process of this id.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, spaces and parentheses too (proc_pid_stat(5)).
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(Process {
            pid,
            state: fields[0].chars().next()?,
            parent: fields[1].parse().ok()?,
            started: fields[19].parse().ok()?,
            arguments: String::from_utf8_lossy(&arguments).replace('\0', " "),
        })
    }

    /// Whether both are the same process, whatever it does now.
    pub(crate) fn is(&self, other: &Process) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }

    /// Whether it is still there, and no zombie.
    pub(crate) fn lives(&self) -> bool {
        Process::of(self.pid).is_some_and(|now| now.is(self) && now.state != 'Z')
    }

    /// Kills it, if it is still there: what a test has to leave must not stay.
    pub(crate) fn end(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
            && self.lives()
        {
            // Gone meanwhile is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Every process there is.
pub(crate) fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::of).collect()
}

/// The children of `pid`, their children, and so on.
pub(crate) fn descendants(pid: u32) -> Vec<Process> {
    let (all, mut found, mut parents) = (all(), Vec::new(), vec![pid]);
    while let Some(parent) = parents.pop() {
        for process in all.iter().filter(|process| process.parent == parent) {
            parents.push(process.pid);
            found.push(process.clone());
        }
    }
    found
}

/// Those that live and work in this directory.
pub(crate) fn in_dir(dir: &std::path::Path) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let there = entries.filter(|entry| {
        let cwd = fs::read_link(entry.path().join("cwd"));
        cwd.is_ok_and(|cwd| cwd == dir)
    });
    let pids = there.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::of).collect()
}

/// Those that live and have `mark` in their arguments, but for redial itself.
pub(crate) fn marked(mark: &str) -> Vec<Process> {
    let is_it = |process: &Process| {
        process.arguments.contains(mark)
            && !process.arguments.contains("redial")
            && process.state != 'Z'
    };
    all().into_iter().filter(is_it).collect()
}

/// Whether all of them go, soon.
pub(crate) fn none_left(mark: &str) -> bool {
    super::eventually(|| marked(mark).is_empty().then_some(())).is_some()
}

/// A number for `sleep` that no other test has: it marks the processes of this one.
pub(crate) fn mark() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (pid, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("{}.{pid:07}{next:03}", 7_000)
}

/// How many descriptors it has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
