//! socat: a program's output over a Unix socket, and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use super::Daemon;
use crate::patience::wait_for;

const START_LIMIT: Duration = Duration::from_secs(10);
/// Larger blocks than its own 8 KiB: what makes it fast.
const BLOCK: &str = "262144";

/// A listener that runs one command for each connection.
#[derive(Debug)]
pub(crate) struct Socat {
    daemon: Daemon,
    dir: TempDir,
}

/// What the command's output is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    SocketPair,
    Pipes,
}

impl Socat {
    /// Starts the listener; `command` has no quotes or colons.
    ///
    /// # Errors
    /// socat is not installed, or does not listen.
    pub(crate) fn start(command: &str, between: Between) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let socket = socket_in(dir.path());
        let option = match between {
            Between::SocketPair => "",
            Between::Pipes => ",pipes",
        };
        let mut daemon = Daemon::spawn(
            Command::new("socat")
                .args(["-U", "-b", BLOCK])
                .arg(format!("UNIX-LISTEN:{},fork", socket.display()))
                .arg(format!("EXEC:{command}{option}"))
                .stdin(Stdio::null())
                // It complains about readers that go; what matters is checked.
                .stderr(Stdio::null()),
        )?;
        let listens = || daemon.check().is_err() || is_listening(&socket);
        wait_for("socat listens", START_LIMIT, listens)?;
        daemon.check().context("socat")?;
        Ok(Socat { daemon, dir })
    }

    /// The client: the output to stdout.
    pub(crate) fn run(&self) -> Command {
        let mut command = Command::new("socat");
        let socket = socket_in(self.dir.path());
        command
            .args(["-u", "-b", BLOCK])
            .arg(format!("UNIX-CONNECT:{}", socket.display()))
            .arg("STDOUT");
        command
    }

    /// CPU time of the listener and of all that it has waited for, the commands
    /// among them.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.daemon.cpu()
    }

    /// Waits until no connection is left.
    pub(crate) fn wait_for_no_connection(&self) -> anyhow::Result<()> {
        self.daemon.wait_for_no_child()
    }
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("socket")
}

/// Asked of the kernel: a connection would run the command.
fn is_listening(socket: &Path) -> bool {
    // The flag is __SO_ACCEPTCON, set by listen(2).
    const LISTENING: &str = "00010000";
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let path = socket.display().to_string();
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(3) == Some(&LISTENING) && fields.last() == Some(&path.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_the_output_of_a_command_of_its_own() {
        if !crate::peer::many::is_there("socat") {
            crate::peer::skipped(
                "each_client_gets_the_output_of_a_command_of_its_own",
                "no socat",
            );
            return;
        }
        for between in [Between::SocketPair, Between::Pipes] {
            let socat = Socat::start("echo hello", between).unwrap();
            for _ in 0..2 {
                let output = socat.run().output().unwrap();
                assert_eq!(output.stdout, b"hello\n", "{between:?}: {output:?}");
            }
            socat.wait_for_no_connection().unwrap();
        }
    }
}
