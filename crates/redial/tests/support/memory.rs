//! What processes cost: their own memory, and the shared memory they hold.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Kilobytes of these processes: what is theirs alone (not the program, which others run too), plus the blocks of every
/// memfd they hold, each counted once.
pub(crate) fn kib(pids: &[u32]) -> u64 {
    let own: u64 = pids.iter().map(|pid| own_kib(*pid)).sum();
    let mut memfds = HashMap::new();
    for pid in pids {
        memfds.extend(memfd_kib(*pid));
    }
    own + memfds.values().sum::<u64>()
}

fn own_kib(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let field = |name: &str| -> u64 {
        let line = rollup.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    field("Pss_Anon:")
}

/// By inode.
fn memfd_kib(pid: u32) -> HashMap<u64, u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| fs::read_link(path).is_ok_and(|it| it.starts_with("/memfd:")))
        .filter_map(|path| fs::metadata(path).ok())
        .map(|file| (file.ino(), file.blocks() / 2))
        .collect()
}
