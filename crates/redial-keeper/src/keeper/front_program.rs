//! Starting a front: this very executable, by a descriptor of it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags};

use super::config::FrontProgram;
use super::front::{FrontHandle, FrontProcess};
use crate::spawn::Identity;
use crate::wire::Link;

/// Of our environment, for a front that is another user.
const PASSED_ON: [&[u8]; 3] = [b"REDIAL_LOG", b"RUST_BACKTRACE", b"TZ"];

/// Keeps the executable open, so that a front is of our own version also when the
/// file has been replaced meanwhile.
pub(super) struct ProgramStarter {
    executable: File,
    program: FrontProgram,
    /// Who it is; else who we are.
    identity: Option<Identity>,
}

impl ProgramStarter {
    pub(super) fn new(program: FrontProgram, identity: Option<Identity>) -> io::Result<Self> {
        Ok(Self {
            executable: File::open("/proc/self/exe")?,
            program,
            identity,
        })
    }

    /// Starts a front with its end of a link as stdin.
    pub(super) fn start(&self) -> io::Result<FrontHandle> {
        let (link, theirs) = Link::pair()?;
        let mut command = command(&self.executable, &self.program, self.identity.as_ref());
        command.stdin(OwnedFd::from(theirs));
        let mut child = command.spawn()?;
        crate::spawn::oom::give_back(child.id());
        let pid = Pid::from_child(&child);
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(FrontHandle {
                link,
                process: Some(FrontProcess { child, pidfd }),
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.into())
            }
        }
    }
}

/// This very executable with its arguments, as that user if it is another; its stdin is for the caller to
/// say. It is in a process group of its own, so that a Ctrl-C at our terminal reaches only the keeper.
pub(super) fn command(
    executable: &File,
    program: &FrontProgram,
    identity: Option<&Identity>,
) -> Command {
    let mut command = Command::new(format!("/proc/self/fd/{}", executable.as_raw_fd()));
    if identity.is_some() {
        // Nothing of root's: neither what it holds nor what it would have us do.
        let log = std::env::vars_os().filter(|(name, _)| PASSED_ON.contains(&name.as_bytes()));
        let log: Vec<_> = log.collect();
        command.env_clear().envs(log).current_dir("/");
    }
    command
        .arg0("redial")
        .args(&program.args)
        // What was handed over to us is none of its business.
        .env_remove(super::upgrade::STATE_VARIABLE)
        .envs(program.env.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .process_group(0);
    if let Some(identity) = identity.cloned() {
        // SAFETY: makes system calls and reads what was laid out before, nothing else, so it
        // may follow a fork; the error is made from a number.
        unsafe { command.pre_exec(move || crate::spawn::take_identity(&identity)) };
    }
    command
}
