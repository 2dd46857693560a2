//! ssh over an open master connection, to a server of its own on the loopback.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::Daemon;
use super::home::Home;
use super::sshd::Sshd;
use crate::patience::until;

const START_LIMIT: Duration = Duration::from_secs(10);

/// sshd, and a master connection to it.
#[derive(Debug)]
pub(crate) struct Ssh {
    // Dropped in this order: the client first.
    _master: Daemon,
    sshd: Sshd,
}

impl Ssh {
    /// Starts sshd, and connects a master to it.
    ///
    /// # Errors
    /// ssh is not installed, or does not work here.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let sshd = Sshd::start(&Arc::new(Home::new()?))?;
        let control = sshd.path().join("control");
        let master = master(client(&sshd), &control);
        let master = master.with_context(|| format!("ssh: {}", sshd.log()))?;
        Ok(Ssh {
            _master: master,
            sshd,
        })
    }

    /// A whole client process that runs `text` over the open connection.
    pub(crate) fn run(&self, text: &str) -> Command {
        let mut command = client(&self.sshd);
        command.args(["-o", "ControlMaster=no", "--", "127.0.0.1", text]);
        command
    }
}

fn client(sshd: &Sshd) -> Command {
    let mut command = sshd.client();
    let control = sshd.path().join("control");
    command.args(["-o", &format!("ControlPath={}", control.display())]);
    command
}

fn master(mut client: Command, control: &Path) -> anyhow::Result<Daemon> {
    client
        .args(["-o", "ControlMaster=yes", "-N", "127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut master = Daemon::spawn(&mut client)?;
    let came = until(START_LIMIT, || master.check().is_err() || control.exists());
    master.check()?;
    anyhow::ensure!(came, "no master connection");
    Ok(master)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_run_over_the_master_connection() {
        let name = "commands_run_over_the_master_connection";
        match Ssh::start() {
            Ok(ssh) => {
                let output = ssh
                    .run("echo hello; ls ~/control; exit 3")
                    .output()
                    .unwrap();
                let expected = format!("hello\n{}/control\n", ssh.sshd.path().display());
                assert_eq!(output.stdout, expected.as_bytes(), "{output:?}");
                assert_eq!(output.status.code(), Some(3));
            }
            // As an ordinary user, or without ssh, it may not work here.
            Err(error) => crate::peer::skipped(name, &format!("{error:#}")),
        }
    }
}
