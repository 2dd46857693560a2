//! Who keeps a job's output open after the job has exited.

use std::collections::HashMap;

use super::process;

/// Holders named for one job, at most.
pub const HOLDERS_MAX: usize = 16;

/// A process that could still write to a job's pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Process id.
    pub pid: i32,
    /// Its short name (proc(5), comm): at most 15 bytes, chosen by the process.
    pub name: Vec<u8>,
}

/// The processes that hold the write end of one of a job's pipes (see [`super::pipe_inode`]), the
/// calling process left out; for each of `jobs`.
///
/// At most [`HOLDERS_MAX`] of each; only those whose descriptors we may see.
pub fn holders(jobs: &[Vec<u64>]) -> Vec<Vec<Holder>> {
    let own = std::process::id().cast_signed();
    let mut found = vec![Vec::new(); jobs.len()];
    let pipes = jobs.iter().enumerate();
    let job_of: HashMap<u64, usize> = pipes
        .flat_map(|(job, pipes)| pipes.iter().map(move |&pipe| (pipe, job)))
        .collect();
    for pid in process::pids().into_iter().filter(|pid| *pid != own) {
        for job in process::held(pid, true, |pipe| job_of.get(&pipe).copied()) {
            let holders: &mut Vec<Holder> = &mut found[job];
            if holders.len() < HOLDERS_MAX {
                holders.extend(process::name(pid).map(|name| Holder { pid, name }));
            }
        }
    }
    found
}
