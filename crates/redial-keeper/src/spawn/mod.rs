//! The one way a process is started.
//!
//! clone3(2) with vfork semantics on a stack of its own, a pidfd, and raw system
//! calls until the exec: the cost grows neither with the caller's memory nor with
//! its open descriptors (`benches/spawn.rs` shows both). User, groups, directory,
//! terminal, cgroup and limits are fields of the request, applied in one place
//! and in one order. Nothing is inherited: descriptors, signal mask, dispositions
//! and environment are what the request says.
//!
//! The calling thread sleeps until the child has exec'd or failed. A directory or
//! program on a file system that hangs therefore holds up that thread: give
//! spawning threads of its own.

mod child;
mod ends;
mod image;
mod in_flight;
mod interpreter;
pub(crate) mod oom;
mod request;
mod stack;
mod sys;

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use child::{Failure, KERNEL_SIGSET_BYTES, Plan};
use ends::{Ends, Slots};
use image::Image;
pub(crate) use in_flight::InFlight;
pub use request::{
    Identity, Program, PtySize, SpawnError, SpawnRequest, SpawnStage, Spawned, Stdio3,
};
use stack::ChildStack;
use sys::CloneArgs;

/// Starts processes, one at a time; a thread that spawns has one of its own.
///
/// It reserves three descriptors, which should be low: make it before anything
/// else is opened.
pub struct Spawner {
    slots: Slots,
    stack: ChildStack,
    in_flight: Arc<InFlight>,
}

impl Spawner {
    /// Reserves descriptors and the child's stack.
    ///
    /// # Errors
    /// Out of descriptors or memory, or no /dev/null.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            slots: Slots::reserve()?,
            stack: ChildStack::new()?,
            in_flight: Arc::default(),
        })
    }

    /// What it has in hand, for who watches.
    pub(crate) fn in_flight(&self) -> Arc<InFlight> {
        Arc::clone(&self.in_flight)
    }

    /// Starts what `request` says, and returns once its exec has succeeded or failed.
    ///
    /// # Errors
    /// The stage that failed and its errno; a child that had begun has been reaped.
    pub fn spawn(&mut self, request: &SpawnRequest) -> Result<Spawned, SpawnError> {
        let image = Image::new(request)?;
        let ends = Ends::open(request).map_err(|error| pipe_failed(&error))?;
        let filled = self
            .slots
            .fill(&ends.theirs)
            .map_err(|error| pipe_failed(&error))?;
        let mut plan = Plan {
            request,
            image: &image,
            slots: filled.numbers(),
            nofile: ORIGINAL_NOFILE.get().copied(),
            oom: oom::text(),
            failure: None,
        };
        let (pid, pidfd, was_ended) = clone_child(&self.stack, &mut plan, &self.in_flight)?;
        let failure = plan.failure;
        drop(filled);
        if was_ended {
            reap(&pidfd);
            return Err(SpawnError {
                stage: SpawnStage::Hung,
                errno: libc::ETIMEDOUT,
                path: image.cwd.text(0).to_vec(),
            });
        }
        if let Some(failure) = failure {
            reap(&pidfd);
            return Err(describe(failure, request, &image));
        }
        let [stdin, stdout, stderr] = ends.ours;
        let [_, out, err] = ends.theirs;
        // Of a terminal, one is as good as two.
        let err = err.filter(|_| !ends.is_terminal);
        let writers = [out, err].map(|end| end.filter(|_| request.keep_writers));
        Ok(Spawned {
            writers,
            pid,
            pidfd,
            stdin,
            stdout,
            stderr,
        })
    }
}

static ORIGINAL_NOFILE: OnceLock<[u64; 2]> = OnceLock::new();

/// Raises our limit on descriptors to the hard one and remembers what it was:
/// children get that, for programs that use select(2) break above 1,024.
///
/// Returns the limit now in force.
///
/// # Errors
/// The limit could not be read or set.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a live local.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    ORIGINAL_NOFILE.get_or_init(|| [limit.rlim_cur, limit.rlim_max]);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

/// This thread becomes `identity`, and proves that there is no way back: for a process with one
/// thread, since the others would stay who they are. After a fork as well.
///
/// # Errors
/// What the kernel says, or EPERM where it could be undone. Then nothing more may be done as who
/// this was to be.
pub(crate) fn take_identity(identity: &Identity) -> io::Result<()> {
    child::take_identity(identity).map_err(|failure| io::Error::from_raw_os_error(failure.errno))
}

// In libc as `c_int`, which they do not fit.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const SHARED_UNTIL_EXEC: i32 =
    libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD;

fn clone_child(
    stack: &ChildStack,
    plan: &mut Plan<'_>,
    in_flight: &InFlight,
) -> Result<(i32, OwnedFd, bool), SpawnError> {
    let mut args = CloneArgs {
        flags: SHARED_UNTIL_EXEC as u64 | CLONE_CLEAR_SIGHAND,
        pidfd: in_flight.begin() as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.lowest(),
        stack_size: stack.size(),
        ..CloneArgs::default()
    };
    let cgroup = plan.request.cgroup.as_ref();
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // A signal handler of ours must not run in the child, on its small stack.
    let mask = change_signal_mask(&[u8::MAX; KERNEL_SIGSET_BYTES]);
    // SAFETY: the stack is this spawner's alone and CLONE_VFORK is set; the plan
    // outlives the call; `enter` makes raw system calls only.
    let result =
        unsafe { sys::clone3(&args, child::enter, core::ptr::from_mut(plan).cast::<u8>()) };
    change_signal_mask(&mask);
    let (pidfd, was_ended) = in_flight.finish();
    match result {
        // SAFETY: the kernel has put a new descriptor there, which nobody else owns.
        Ok(pid) => Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }, was_ended)),
        Err(errno) => {
            let exhausted = matches!(errno, libc::EAGAIN | libc::ENOMEM | libc::EMFILE);
            let refused = cgroup.is_some() && !exhausted;
            let stage = if refused {
                SpawnStage::Cgroup
            } else {
                SpawnStage::Clone
            };
            Err(SpawnError {
                stage,
                errno,
                path: Vec::new(),
            })
        }
    }
}

/// Sets this thread's signal mask and returns the one before. Not by libc, which
/// would leave out the two signals it keeps for itself.
fn change_signal_mask(mask: &[u8; KERNEL_SIGSET_BYTES]) -> [u8; KERNEL_SIGSET_BYTES] {
    let mut before = [0; KERNEL_SIGSET_BYTES];
    let (new, old) = (mask.as_ptr() as usize, before.as_mut_ptr() as usize);
    let args = [
        libc::SIG_SETMASK as usize,
        new,
        old,
        KERNEL_SIGSET_BYTES,
        0,
        0,
    ];
    // SAFETY: both sets are live and of the kernel's size. It cannot fail then.
    let _ = unsafe { sys::call(libc::SYS_rt_sigprocmask, args) };
    before
}

/// The child has called exit already, so this does not wait for long.
fn reap(pidfd: &OwnedFd) {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let ended = || waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    while matches!(ended(), Err(rustix::io::Errno::INTR)) {}
}

fn describe(failure: Failure, request: &SpawnRequest, image: &Image) -> SpawnError {
    let (stage, path) = match failure.stage {
        SpawnStage::Cwd if request.cwd.is_none() => (SpawnStage::Home, image.cwd.text(0).to_vec()),
        SpawnStage::Cwd => (SpawnStage::Cwd, image.cwd.text(0).to_vec()),
        SpawnStage::Exec if failure.candidate == usize::MAX => {
            match interpreter::missing(request, image) {
                Some(interpreter) => (SpawnStage::Interpreter, interpreter),
                // Not one of several was there: say what was asked for.
                None if image.candidates.len() > 1 => {
                    (SpawnStage::Exec, image.argv.text(0).to_vec())
                }
                None => (SpawnStage::Exec, image.candidates.text(0).to_vec()),
            }
        }
        SpawnStage::Exec => (
            SpawnStage::Exec,
            image.candidates.text(failure.candidate).to_vec(),
        ),
        stage => (stage, Vec::new()),
    };
    SpawnError {
        stage,
        errno: failure.errno,
        path,
    }
}

fn pipe_failed(error: &io::Error) -> SpawnError {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    SpawnError {
        stage: SpawnStage::Pipe,
        errno,
        path: Vec::new(),
    }
}
