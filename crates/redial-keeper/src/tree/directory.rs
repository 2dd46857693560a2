//! A cgroup as a directory: what is in it, and how it goes.

use std::io;
use std::path::{Path, PathBuf};

use super::cgroup::CGROUPS_MAX;

/// A job may make cgroups in its own, as deep and as many as it likes.
pub(super) const DEPTH_MAX: usize = 8;
/// One of the kernel's files, or the processes of one cgroup, is read this far.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The processes in it and below.
pub(super) fn collect_pids(directory: &Path, depth: usize, pids: &mut Vec<i32>) -> io::Result<()> {
    let procs = read_file(&directory.join("cgroup.procs"))?;
    let lines = procs.split(|&byte| byte == b'\n');
    pids.extend(lines.filter_map(|line| std::str::from_utf8(line).ok()?.parse::<i32>().ok()));
    for child in children(directory)?.into_iter().filter(|_| depth > 0) {
        // Gone in the meantime: then nobody is in it.
        let _ = collect_pids(&child, depth - 1, pids);
    }
    Ok(())
}

/// rmdir from the leaves up.
pub(super) fn remove(directory: &Path, depth: usize) -> io::Result<()> {
    for child in children(directory)?.into_iter().filter(|_| depth > 0) {
        remove(&child, depth - 1)?;
    }
    std::fs::remove_dir(directory)
}

/// What is in it.
pub(super) fn children(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?
        .take(CGROUPS_MAX * 2)
        .filter_map(Result::ok);
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(directories.map(|entry| entry.path()).collect())
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
