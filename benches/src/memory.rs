//! The memory of a server: what its processes have to themselves, and what lies in
//! the shared memory they hold.

use std::collections::HashMap;
use std::fs;
use std::ops::Sub;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::patience;
use crate::process::proc_path;

/// Bytes at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Memory {
    /// Proportional set size without shared memory: pages shared with other
    /// processes count by their share (/proc/PID/smaps_rollup, Pss − Pss_Shmem).
    pub(crate) private: u64,
    /// Blocks of every memfd that one of the processes holds, each counted once.
    pub(crate) shared: u64,
}

impl Memory {
    /// Of all these processes together.
    ///
    /// # Errors
    /// One is gone or not ours, or maps a memfd that none holds open, whose blocks
    /// could not be counted.
    pub(crate) fn of(pids: &[u32]) -> anyhow::Result<Memory> {
        let mut private = 0;
        let mut memfds = HashMap::new();
        for &pid in pids {
            private += private_of(pid)?;
            memfds.extend(memfds_of(pid)?);
        }
        for &pid in pids {
            let unheld = mapped_memfds(pid)?
                .into_iter()
                .find(|inode| !memfds.contains_key(inode));
            if let Some(inode) = unheld {
                anyhow::bail!("process {pid} maps memfd {inode}, which no descriptor leads to");
            }
        }
        Ok(Memory {
            private,
            shared: memfds.values().sum(),
        })
    }

    /// As [`Memory::of`], once it has stopped falling or `limit` has passed: freed
    /// memory goes back a while after its use.
    ///
    /// # Errors
    /// As [`Memory::of`].
    pub(crate) fn settled(pids: &[u32], limit: Duration) -> anyhow::Result<Memory> {
        // As long as a keeper takes to find that nobody wants it.
        const STILL: usize = 220;
        let mut lowest = Memory::of(pids)?;
        let mut same = 0;
        patience::until(limit, || {
            let now = Memory::of(pids).unwrap_or_default();
            match now.total() < lowest.total() {
                true => (lowest, same) = (now, 0),
                false => same += 1,
            }
            same == STILL
        });
        Memory::of(pids)
    }

    pub(crate) fn total(&self) -> u64 {
        self.private + self.shared
    }

    /// Whichever is more.
    pub(crate) fn max(self, other: Memory) -> Memory {
        match self.total() >= other.total() {
            true => self,
            false => other,
        }
    }
}

impl Sub for Memory {
    type Output = i64;

    /// By how much this is more than `before`.
    fn sub(self, before: Memory) -> i64 {
        self.total().cast_signed() - before.total().cast_signed()
    }
}

/// In KiB, as people read it.
pub(crate) fn kib(bytes: u64) -> String {
    format!("{:.0} KiB", bytes as f64 / 1024.0)
}

/// In MiB, as people read it.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0))
}

fn private_of(pid: u32) -> anyhow::Result<u64> {
    let path = proc_path(pid, "smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    rollup(&text).with_context(|| format!("{}: {text:?}", path.display()))
}

fn rollup(text: &str) -> Option<u64> {
    let kib = |name: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name))?;
        value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    Some((kib("Pss:")?.saturating_sub(kib("Pss_Shmem:")?)) * 1024)
}

/// Inode and bytes of each memfd among a process's descriptors.
fn memfds_of(pid: u32) -> anyhow::Result<Vec<(u64, u64)>> {
    let path = proc_path(pid, "fd");
    let mut found = Vec::new();
    for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
        let link = entry.with_context(|| path.display().to_string())?.path();
        // Descriptors come and go while we look.
        let Ok(target) = fs::read_link(&link) else {
            continue;
        };
        if is_memfd(&target)
            && let Ok(file) = fs::metadata(&link)
        {
            // The kernel's unit here, whatever the file system's block is (stat(2)).
            found.push((file.ino(), file.blocks() * 512));
        }
    }
    Ok(found)
}

/// Its name behind that may hold slashes, so it is no path to be taken apart.
fn is_memfd(target: &Path) -> bool {
    target.as_os_str().as_bytes().starts_with(b"/memfd:")
}

/// Inodes of the memfds a process has mapped (proc_pid_maps(5)).
fn mapped_memfds(pid: u32) -> anyhow::Result<Vec<u64>> {
    let path = proc_path(pid, "maps");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mapped = text.lines().filter(|line| line.contains("/memfd:"));
    Ok(mapped
        .filter_map(|line| line.split_whitespace().nth(4)?.parse().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_taken_out_of_the_set_size() {
        let text = "55e5-7ffd ---p 0 00:00 0 [rollup]\nRss:  1604 kB\nPss:   341 kB\n\
                    Pss_Anon: 112 kB\nPss_Shmem:  41 kB\n";
        assert_eq!(rollup(text), Some(300 * 1024));
        assert_eq!(rollup("Pss: 341 kB\n"), None);
    }

    #[test]
    fn our_own_memory_can_be_read() {
        let memory = Memory::of(&[std::process::id()]).unwrap();
        assert!(memory.private > 100 * 1024, "{memory:?}");
    }
}
