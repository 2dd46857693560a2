//! A program whose stdio is the line: `exec:` targets, and `local:`.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

use crate::transport::Transport;

/// What the program's stdin and stdout are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// One Unix socket pair for both: faster, for our own server.
    Socket,
    /// Two pipes, as every program expects.
    Pipes,
}

/// The program at the other end of a [`Transport`]. It ends by itself when the line
/// ends; dropping this neither kills it nor leaves a zombie.
#[derive(Debug)]
pub struct Program(tokio::process::Child);

/// Starts `command` in a process group of its own, so that Ctrl-C on the terminal
/// reaches the remote command through the protocol and does not cut the line.
/// Its stderr is what the caller set, by default ours.
///
/// # Errors
///
/// As pipe(2), socketpair(2) or the spawn fail.
pub fn program(mut command: Command, over: Over) -> io::Result<(Transport, Program)> {
    command.process_group(0);
    match over {
        Over::Socket => {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            let stdout = OwnedFd::from(theirs.try_clone()?);
            command.stdin(OwnedFd::from(theirs)).stdout(stdout);
            let child = tokio::process::Command::from(command).spawn()?;
            Ok((Transport::from_socket(ours)?, Program(child)))
        }
        Over::Pipes => {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = tokio::process::Command::from(command).spawn()?;
            let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(io::Error::other(
                    "the program was started without its pipes",
                ));
            };
            let transport = Transport::from_stdio(stdout.into_owned_fd()?, stdin.into_owned_fd()?)?;
            Ok((transport, Program(child)))
        }
    }
}

impl Program {
    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// As waitpid(2) fails.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }
}
