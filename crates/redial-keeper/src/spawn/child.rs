//! What the child does between clone and exec.
//!
//! It runs in the parent's memory on a stack of its own, while the thread that
//! made it sleeps: no allocation, no lock, no panic, no libc; only raw system
//! calls, reads of what the parent laid out, and one write: the failure.

use core::ffi::c_int;

use super::image::Image;
use super::sys::call;
use super::{Identity, SpawnRequest, SpawnStage};

/// First descriptor that is not stdin, stdout or stderr.
const FIRST_OTHER: usize = 3;
const SIGNAL_MAX: c_int = 64;
/// Bytes of the kernel's own signal set, not of libc's.
pub(super) const KERNEL_SIGSET_BYTES: usize = 8;

/// All the child needs, laid out by the parent.
pub(super) struct Plan<'a> {
    pub(super) request: &'a SpawnRequest,
    pub(super) image: &'a Image,
    /// Where stdin, stdout and stderr wait in the shared descriptor table.
    pub(super) slots: [c_int; 3],
    /// The soft and hard limit on descriptors from before the keeper raised it.
    pub(super) nofile: Option<[u64; 2]>,
    /// What is written to /proc/self/oom_score_adj, where the keeper has changed its own.
    pub(super) oom: Option<[u8; 8]>,
    pub(super) failure: Option<Failure>,
}

/// Written by the child when it cannot go on.
#[derive(Clone, Copy)]
pub(super) struct Failure {
    pub(super) stage: SpawnStage,
    pub(super) errno: c_int,
    /// Which of the candidate paths, for `SpawnStage::Exec`.
    pub(super) candidate: usize,
}

/// The child's first and only function; `plan` is a `*mut Plan`.
pub(super) extern "C" fn enter(plan: *mut u8) -> ! {
    // SAFETY: the parent passes a `Plan` that it alone owns, and sleeps until we
    // have exec'd or ended, so this is the only reference to it.
    let plan = unsafe { &mut *plan.cast::<Plan<'_>>() };
    let Err(failure) = become_program(plan);
    plan.failure = Some(failure);
    loop {
        // SAFETY: takes no pointer and does not come back.
        let _ = unsafe { call(libc::SYS_exit_group, [127, 0, 0, 0, 0, 0]) };
    }
}

pub(super) type Step = Result<(), Failure>;

fn become_program(plan: &Plan<'_>) -> Result<core::convert::Infallible, Failure> {
    reset_signals()?;
    take_descriptors(&plan.slots)?;
    new_session(plan.request.pty.is_some())?;
    set_limits(plan)?;
    if let Some(identity) = &plan.request.identity {
        take_identity(identity)?;
    }
    // SAFETY: an array of one C string and the null that ends it.
    let cwd = unsafe { *plan.image.cwd.as_ptr() } as usize;
    // After the identity, so that the target user's permissions decide.
    at(SpawnStage::Cwd, libc::SYS_chdir, [cwd, 0, 0, 0, 0, 0])?;
    let mask = [0_u8; KERNEL_SIGSET_BYTES];
    let how = libc::SIG_SETMASK as usize;
    let set = mask.as_ptr() as usize;
    at(
        SpawnStage::Signals,
        libc::SYS_rt_sigprocmask,
        [how, set, 0, KERNEL_SIGSET_BYTES, 0, 0],
    )?;
    exec(plan.image)
}

/// `CLONE_CLEAR_SIGHAND` leaves ignored signals ignored, and Rust ignores SIGPIPE.
fn reset_signals() -> Step {
    // The kernel's `struct sigaction`: handler, flags, restorer, mask; all zero
    // is SIG_DFL with nothing else.
    let default = [0_u64; 4];
    for signal in 1..=SIGNAL_MAX {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        let action = default.as_ptr() as usize;
        let args = [signal as usize, action, 0, KERNEL_SIGSET_BYTES, 0, 0];
        at(SpawnStage::Signals, libc::SYS_rt_sigaction, args)?;
    }
    Ok(())
}

/// From the table shared with the keeper to one of our own with three entries.
///
/// The first `close_range` copies only what lies below its range, so the cost
/// does not grow with what the keeper has open.
fn take_descriptors(slots: &[c_int; 3]) -> Step {
    let stage = SpawnStage::Descriptors;
    let mut above = FIRST_OTHER;
    for &slot in slots {
        above = above.max((slot as usize).wrapping_add(1));
    }
    let last = u32::MAX as usize;
    let unshare = libc::CLOSE_RANGE_UNSHARE as usize;
    at(
        stage,
        libc::SYS_close_range,
        [above, last, unshare, 0, 0, 0],
    )?;
    for (&slot, target) in slots.iter().zip(0_usize..) {
        at(stage, libc::SYS_dup3, [slot as usize, target, 0, 0, 0, 0])?;
    }
    at(
        stage,
        libc::SYS_close_range,
        [FIRST_OTHER, last, 0, 0, 0, 0],
    )
}

fn new_session(controlling_terminal: bool) -> Step {
    at(SpawnStage::Session, libc::SYS_setsid, [0; 6])?;
    if controlling_terminal {
        at(
            SpawnStage::Terminal,
            libc::SYS_ioctl,
            [0, libc::TIOCSCTTY as usize, 0, 0, 0, 0],
        )?;
    }
    Ok(())
}

/// While still privileged: raising a limit may need it.
fn set_limits(plan: &Plan<'_>) -> Step {
    if let Some(umask) = plan.request.umask {
        at(
            SpawnStage::Limits,
            libc::SYS_umask,
            [umask as usize, 0, 0, 0, 0, 0],
        )?;
    }
    if let Some(nice) = plan.request.nice {
        let args = [libc::PRIO_PROCESS as usize, 0, nice as usize, 0, 0, 0];
        at(SpawnStage::Limits, libc::SYS_setpriority, args)?;
    }
    if let Some(limit) = &plan.nofile {
        set_limit(libc::RLIMIT_NOFILE as usize, limit)?;
    }
    if let Some(text) = &plan.oom {
        write_oom(text)?;
    }
    for &(resource, soft, hard) in &plan.request.limits {
        set_limit(resource as usize, &[soft, hard])?;
    }
    Ok(())
}

fn write_oom(text: &[u8; 8]) -> Step {
    let path = c"/proc/self/oom_score_adj".as_ptr() as usize;
    let flags = (libc::O_WRONLY | libc::O_CLOEXEC) as usize;
    // AT_FDCWD is negative: as the kernel's calls have it, extended.
    let here = libc::AT_FDCWD as isize as usize;
    let stage = SpawnStage::Limits;
    let fd = value(stage, libc::SYS_openat, [here, path, flags, 0, 0, 0])?;
    let bytes = text.as_ptr() as usize;
    let written = at(stage, libc::SYS_write, [fd, bytes, text.len(), 0, 0, 0]);
    at(stage, libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
    written
}

fn set_limit(resource: usize, limit: &[u64; 2]) -> Step {
    let limit = limit.as_ptr() as usize;
    at(
        SpawnStage::Limits,
        libc::SYS_prlimit64,
        [0, resource, limit, 0, 0, 0],
    )
}

/// Groups, then group, then user: each needs the privilege that the last gives up.
pub(super) fn take_identity(identity: &Identity) -> Step {
    let stage = SpawnStage::Identity;
    let (uid, gid) = (identity.uid as usize, identity.gid as usize);
    let groups = identity.groups.as_ptr() as usize;
    at(
        stage,
        libc::SYS_setgroups,
        [identity.groups.len(), groups, 0, 0, 0, 0],
    )?;
    at(stage, libc::SYS_setresgid, [gid, gid, gid, 0, 0, 0])?;
    at(stage, libc::SYS_setresuid, [uid, uid, uid, 0, 0, 0])?;
    has_identity(libc::SYS_getresuid, identity.uid)?;
    has_identity(libc::SYS_getresgid, identity.gid)?;
    if identity.uid != 0 {
        // The proof: what was given up cannot be had back.
        must_fail(libc::SYS_setresuid)?;
        if identity.gid != 0 {
            must_fail(libc::SYS_setresgid)?;
        }
    }
    new_keyring()
}

/// Keys that root's session holds, or another user's, are not for who comes next: what a session
/// keyring holds is had by all processes of it, whoever they have become (session-keyring(7)).
fn new_keyring() -> Step {
    /// keyctl(2): an anonymous one, in place of the session's.
    const JOIN_SESSION_KEYRING: usize = 1;
    match at(
        SpawnStage::Identity,
        libc::SYS_keyctl,
        [JOIN_SESSION_KEYRING, 0, 0, 0, 0, 0],
    ) {
        // No keyrings in this kernel, or none for us nor for anybody that we start (a container).
        Err(Failure {
            errno: libc::ENOSYS | libc::EPERM,
            ..
        }) => Ok(()),
        joined => joined,
    }
}

fn has_identity(number: libc::c_long, wanted: u32) -> Step {
    let mut ids = [!wanted; 3];
    let [real, effective, saved] = &mut ids;
    let address = |id: &mut u32| core::ptr::from_mut(id) as usize;
    let args = [address(real), address(effective), address(saved), 0, 0, 0];
    at(SpawnStage::Identity, number, args)?;
    let same = ids.iter().all(|id| *id == wanted);
    if same { Ok(()) } else { Err(identity_kept()) }
}

fn must_fail(number: libc::c_long) -> Step {
    // SAFETY: takes numbers only; success is treated as the failure it is.
    match unsafe { call(number, [0; 6]) } {
        Ok(_) => Err(identity_kept()),
        Err(_) => Ok(()),
    }
}

fn identity_kept() -> Failure {
    Failure {
        stage: SpawnStage::Identity,
        errno: libc::EPERM,
        candidate: 0,
    }
}

/// execvp(3)'s search over the prepared candidates, without its shell fallback.
fn exec(image: &Image) -> Result<core::convert::Infallible, Failure> {
    let (argv, envp) = (image.argv.as_ptr() as usize, image.envp.as_ptr() as usize);
    let mut next = image.candidates.as_ptr();
    let mut worst = Failure {
        stage: SpawnStage::Exec,
        errno: libc::ENOENT,
        candidate: usize::MAX,
    };
    let mut candidate = 0_usize;
    loop {
        // SAFETY: the array ends with a null pointer, and we stop there.
        let path = unsafe { *next };
        if path.is_null() {
            return Err(worst);
        }
        // SAFETY: null-terminated arrays of C strings; on success it does not return.
        let result = unsafe { call(libc::SYS_execve, [path as usize, argv, envp, 0, 0, 0]) };
        match result {
            Err(libc::EACCES) => {
                worst = Failure {
                    errno: libc::EACCES,
                    candidate,
                    ..worst
                }
            }
            Err(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT) => {}
            Err(errno) => {
                return Err(Failure {
                    errno,
                    candidate,
                    ..worst
                });
            }
            Ok(_) => return Err(worst),
        }
        // SAFETY: not past the null pointer that ends the array.
        next = unsafe { next.add(1) };
        candidate = candidate.wrapping_add(1);
    }
}

#[inline(always)]
fn at(stage: SpawnStage, number: libc::c_long, args: [usize; 6]) -> Step {
    match value(stage, number, args) {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    }
}

#[inline(always)]
fn value(stage: SpawnStage, number: libc::c_long, args: [usize; 6]) -> Result<usize, Failure> {
    // SAFETY: every caller above passes the arguments its call wants, pointing
    // into the plan or its own frame.
    match unsafe { call(number, args) } {
        Ok(value) => Ok(value),
        Err(errno) => Err(Failure {
            stage,
            errno,
            candidate: 0,
        }),
    }
}
