//! Limits of a job's cgroup: which there can be here, and how they are set (the kernel's
//! admin-guide/cgroup-v2; cgroups(7)).
//!
//! A controller has to be handed down from our own cgroup to the jobs'. The kernel does that only
//! where no process lives beside those it is handed down to. So on the first need, and only if all
//! that lives there is ours, we move one directory down. Where others live there (a shell's
//! session), or nothing was delegated to us, there are no limits, and who asks for one is told so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::process;
use crate::wire::Resources;

/// Where the server itself moves to.
const OWN: &str = "redial-server";
/// What time is shared out by (cpu.max), in microseconds.
const PERIOD_US: u64 = 100_000;
/// Children of ours may come while we move.
const ROUNDS: usize = 8;

const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

/// Why a limit cannot be kept here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unlimited(pub(crate) String);

/// Controllers that jobs' cgroups have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handed {
    names: Vec<&'static str>,
    /// Why the others are not there.
    reason: String,
}

impl Handed {
    /// Hands down what there is from `parent`, our own cgroup, to the cgroups in `jobs`, which is in it.
    pub(super) fn down(parent: &Path, jobs: &Path) -> Self {
        let failed = |reason: String| Self {
            names: Vec::new(),
            reason,
        };
        let available = match words(&parent.join("cgroup.controllers")) {
            Ok(words) => words,
            Err(error) => return failed(format!("{}: {error}", parent.display())),
        };
        let wanted = CONTROLLERS.iter().filter(|name| has(&available, name));
        let wanted: Vec<&'static str> = wanted.copied().collect();
        if wanted.is_empty() {
            let parent = parent.display();
            return failed(format!(
                "no controller is delegated to the server's cgroup {parent} (systemd: Delegate=yes; a \
                 host that mounts cgroup v1 for them has none to give)"
            ));
        }
        if let Err(error) = enable(parent, &wanted) {
            let moved = match error.raw_os_error() {
                Some(libc::EBUSY) => move_down(parent).and_then(|()| enable(parent, &wanted)),
                _ => Err(error),
            };
            if let Err(error) = moved {
                let parent = parent.display();
                return failed(format!("cgroup {parent} hands no controller down: {error}"));
            }
        }
        if let Err(error) = enable(jobs, &wanted) {
            return failed(format!("{}: {error}", jobs.display()));
        }
        Self {
            reason: format!("not delegated to the server's cgroup {}", parent.display()),
            names: wanted,
        }
    }

    /// Sets the limits of a job's cgroup in which nothing lives yet. All, or an error.
    pub(super) fn limit(&self, directory: &Path, limits: &Resources) -> Result<(), Unlimited> {
        let set = |controller: &str, file: &str, value: String| {
            if !self.names.contains(&controller) {
                let text = format!("this server cannot limit {controller}: {}", self.reason);
                return Err(Unlimited(text));
            }
            fs::write(directory.join(file), value).map_err(|error| {
                Unlimited(format!("cannot set {file} of the job's cgroup: {error}"))
            })
        };
        if let Some(bytes) = limits.memory {
            set("memory", "memory.max", bytes.to_string())?;
            // It ends as a whole: what is left of half a job is of no use to anybody.
            set("memory", "memory.oom.group", "1".to_owned())?;
            // Not there without swap.
            if directory.join("memory.swap.max").exists() {
                set("memory", "memory.swap.max", "0".to_owned())?;
            }
        }
        if let Some(milli) = limits.cpu_milli {
            let quota = u64::from(milli) * PERIOD_US / 1_000;
            set("cpu", "cpu.max", format!("{quota} {PERIOD_US}"))?;
        }
        if let Some(count) = limits.pids {
            set("pids", "pids.max", count.to_string())?;
        }
        Ok(())
    }
}

/// Moves back what was moved, so that our own cgroup can be removed by who made it.
pub(super) fn move_back(parent: &Path) {
    let own = parent.join(OWN);
    if !own.exists() {
        return;
    }
    for name in CONTROLLERS {
        let _ = fs::write(parent.join("cgroup.subtree_control"), format!("-{name}"));
    }
    for pid in pids(&own).unwrap_or_default() {
        let _ = fs::write(parent.join("cgroup.procs"), pid.to_string());
    }
    let _ = fs::remove_dir(own);
}

/// Our own cgroup, where we may have moved down from.
pub(super) fn without_own(directory: PathBuf) -> PathBuf {
    match directory.parent() {
        Some(parent) if directory.ends_with(OWN) => parent.to_owned(),
        _ => directory,
    }
}

fn enable(directory: &Path, names: &[&str]) -> io::Result<()> {
    let path = directory.join("cgroup.subtree_control");
    let enabled = words(&path)?;
    // One at a time: what one of them lacks is not the others' affair, but an error is.
    for name in names.iter().filter(|name| !has(&enabled, name)) {
        fs::write(&path, format!("+{name}"))?;
    }
    Ok(())
}

/// All of us, and only if there is nobody else.
fn move_down(parent: &Path) -> io::Result<()> {
    let us = std::process::id().cast_signed();
    let is_ours = |pid: i32| pid == us || process::read(pid).is_none_or(|it| it.parent == us);
    let own = parent.join(OWN);
    if !pids(parent)?.iter().all(|pid| is_ours(*pid)) {
        return Err(io::Error::other(
            "other processes than the server's live in it",
        ));
    }
    match fs::create_dir(&own) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for _ in 0..ROUNDS {
        let there = pids(parent)?;
        if there.is_empty() {
            return Ok(());
        }
        for pid in there.into_iter().filter(|pid| is_ours(*pid)) {
            match fs::write(own.join("cgroup.procs"), pid.to_string()) {
                // Gone in the meantime.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                moved => moved?,
            }
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

/// Processes that the kernel ended in this cgroup for want of memory.
pub(super) fn oom_kills(directory: &Path) -> u64 {
    let events = fs::read_to_string(directory.join("memory.events")).unwrap_or_default();
    let mut lines = events.lines();
    let count = lines.find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
    count.unwrap_or(0)
}

fn pids(directory: &Path) -> io::Result<Vec<i32>> {
    let text = fs::read_to_string(directory.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn words(path: &Path) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn has(words: &[String], name: &str) -> bool {
    words.iter().any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(names: &[&'static str]) -> Handed {
        Handed {
            names: names.to_vec(),
            reason: "not here".to_owned(),
        }
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Resources {
            memory: Some(64 << 20),
            cpu_milli: Some(1_500),
            pids: Some(50),
            nice: None,
        };
        handed(&CONTROLLERS).limit(dir.path(), &limits).unwrap();
        for (file, text) in [
            ("memory.max", "67108864"),
            ("memory.oom.group", "1"),
            ("cpu.max", "150000 100000"),
            ("pids.max", "50"),
        ] {
            assert_eq!(fs::read_to_string(dir.path().join(file)).unwrap(), text);
        }
        assert!(!dir.path().join("memory.swap.max").exists());
    }

    #[test]
    fn a_limit_that_cannot_be_kept_is_an_error_that_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let pids = Resources {
            pids: Some(50),
            ..Resources::default()
        };
        let Unlimited(why) = handed(&["memory"]).limit(dir.path(), &pids).unwrap_err();
        assert_eq!(why, "this server cannot limit pids: not here");
        assert!(!dir.path().join("pids.max").exists());
        let missing = handed(&["pids"]).limit(&dir.path().join("gone"), &pids);
        assert!(missing.unwrap_err().0.contains("pids.max"));
    }

    #[test]
    fn what_the_kernel_has_ended_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(oom_kills(dir.path()), 0);
        let text = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1\n";
        fs::write(dir.path().join("memory.events"), text).unwrap();
        assert_eq!(oom_kills(dir.path()), 3);
    }

    #[test]
    fn a_cgroup_without_controllers_says_so() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), "cpuset io\n").unwrap();
        let handed = Handed::down(dir.path(), dir.path());
        assert!(handed.names.is_empty());
        assert!(handed.reason.contains("Delegate=yes"), "{}", handed.reason);
    }
}
