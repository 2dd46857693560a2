//! A program whose stdio is the line: `exec:` targets, and `local:`.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use crate::transport::Transport;

/// What the program's stdin and stdout are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// One Unix socket pair for both: faster, for our own server. It is in a process group
    /// of its own, so that Ctrl-C on the terminal does not reach it.
    Socket,
    /// Two pipes, as every program expects. It stays in our process group, so that it can
    /// ask on the terminal; whoever starts it keeps Ctrl-C from it.
    Pipes,
}

/// The program at the other end of a [`Transport`]. It should end by itself when the line
/// ends. Dropped before, one over [`Over::Pipes`] gets SIGTERM; none is left as a zombie
/// while the runtime lives.
#[derive(Debug)]
pub struct Program {
    child: tokio::process::Child,
    over: Over,
}

/// Starts `command`. Its stderr is what the caller set, by default ours.
///
/// # Errors
///
/// As pipe(2), socketpair(2) or the spawn fail.
pub fn program(mut command: Command, over: Over) -> io::Result<(Transport, Program)> {
    match over {
        Over::Socket => {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            let stdout = OwnedFd::from(theirs.try_clone()?);
            command.stdin(OwnedFd::from(theirs)).stdout(stdout);
            command.process_group(0);
            let child = tokio::process::Command::from(command).spawn()?;
            Ok((Transport::from_socket(ours)?, Program { child, over }))
        }
        Over::Pipes => {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let child = tokio::process::Command::from(command).spawn()?;
            let mut program = Program { child, over };
            let ends = (program.child.stdin.take(), program.child.stdout.take());
            let (Some(stdin), Some(stdout)) = ends else {
                return Err(io::Error::other(
                    "the program was started without its pipes",
                ));
            };
            let transport = Transport::from_stdio(stdout.into_owned_fd()?, stdin.into_owned_fd()?)?;
            Ok((transport, program))
        }
    }
}

impl Program {
    /// Waits for its end. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As waitpid(2) fails.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Waits for its end for so long; then says `None`, and one over [`Over::Pipes`] gets
    /// SIGTERM.
    pub async fn wait_or_terminate(&mut self, grace: Duration) -> Option<io::Result<ExitStatus>> {
        let ended = timeout(grace, self.wait()).await.ok();
        if ended.is_none() {
            self.terminate();
        }
        ended
    }

    fn terminate(&self) {
        // Our own server ends with its line, its jobs by their policy.
        if self.over == Over::Socket {
            return;
        }
        // There is an id only while it is not reaped, so it is nobody else's.
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have ended in this moment, or be another user's (sudo).
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.terminate();
    }
}
