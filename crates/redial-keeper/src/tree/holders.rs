//! Who keeps a job's output open after the job has exited.

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

/// The processes that hold the write end of one of `pipes` (see
/// [`super::pipe_inode`]), the calling process and `excluded` left out.
///
/// At most [`HOLDERS_MAX`]; only those whose descriptors we may see.
pub fn holders(pipes: &[u64], excluded: &[i32]) -> Vec<Holder> {
    let own = std::process::id().cast_signed();
    process::pids()
        .into_iter()
        .filter(|pid| *pid != own && !excluded.contains(pid))
        .filter(|pid| process::holds(*pid, pipes, true))
        .filter_map(|pid| {
            Some(Holder {
                pid,
                name: process::name(pid)?,
            })
        })
        .take(HOLDERS_MAX)
        .collect()
}
