//! dropbear: its server on the loopback, and whole client processes that log in to it.

use std::fs::{self, File, Permissions};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use redial_keeper::account::Account;
use tempfile::TempDir;

use super::Daemon;
use super::home::Home;
use super::sshd::free_port;
use crate::patience::until;
use crate::process;

const LIMIT: Duration = Duration::from_secs(10);

/// The server; ended when dropped.
#[derive(Debug)]
pub(crate) struct Dropbear {
    daemon: Daemon,
    dir: TempDir,
    login: String,
    port: u16,
}

impl Dropbear {
    /// It reads the keys that may log in from the user's home, and from nowhere else: it gets one of its own,
    /// in a mount namespace, which takes root.
    ///
    /// # Errors
    /// It is not installed, or does not work here.
    pub(crate) fn start(home: &Home) -> anyhow::Result<Self> {
        let is_root = rustix::process::geteuid().is_root();
        anyhow::ensure!(is_root, "not root: dropbear reads keys in the home alone");
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("home"))?;
        fs::create_dir(at("home/.ssh"))?;
        for path in ["home", "home/.ssh"] {
            fs::set_permissions(at(path), Permissions::from_mode(0o700))?;
        }
        fs::copy(home.authorized_keys(), at("home/.ssh/authorized_keys"))?;
        run(Command::new("dropbearkey")
            .args(["-t", "ed25519", "-f"])
            .arg(at("host")))?;
        run(Command::new("dropbearconvert")
            .args(["openssh", "dropbear"])
            .arg(home.key())
            .arg(at("key")))?;
        let account = Account::own().context("cannot read passwd")?;
        let real = Path::new(std::ffi::OsStr::from_bytes(&account.home));
        let port = free_port()?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-ec"])
            .arg("mount --bind \"$1\" \"$2\"; shift 2; exec dropbear -F -E \"$@\"")
            .arg("sh")
            .arg(at("home"))
            .arg(real)
            .args(["-p", &format!("127.0.0.1:{port}"), "-r"])
            .arg(at("host"))
            .arg("-P")
            .arg(at("pid"))
            .stdin(Stdio::null())
            .stderr(File::create(at("log"))?);
        let mut daemon = Daemon::spawn(&mut command)?;
        let accepts = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let came = until(LIMIT, || daemon.check().is_err() || accepts());
        let log = fs::read_to_string(at("log")).unwrap_or_default();
        daemon.check().with_context(|| format!("dropbear: {log}"))?;
        anyhow::ensure!(came, "dropbear does not accept: {log}");
        Ok(Dropbear {
            daemon,
            dir,
            login: home.login().to_owned(),
            port,
        })
    }

    /// `dbclient`, a whole process that dials, logs in, and runs `text`.
    pub(crate) fn dial(&self, text: &str) -> Command {
        self.dial_at(self.port, text)
    }

    /// By way of another port.
    pub(crate) fn dial_at(&self, port: u16, text: &str) -> Command {
        let mut command = Command::new("dbclient");
        command
            .args(["-y", "-p", &port.to_string(), "-i"])
            .arg(self.file("key"))
            .arg(format!("{}@127.0.0.1", self.login))
            .arg(text)
            // Its known hosts.
            .env("HOME", self.file("home"));
        command
    }

    /// On 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The processes of its connections, and itself.
    pub(crate) fn pids(&self) -> anyhow::Result<Vec<u32>> {
        process::tree(self.daemon.pid())
    }
}

/// It must succeed; what it says is of use then only if it does not.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{:?}", command.get_program()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{command:?}: {said}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dial_is_a_login() {
        let home = Home::new().unwrap();
        match Dropbear::start(&home) {
            Ok(dropbear) => {
                let output = dropbear.dial("echo hello").output().unwrap();
                assert_eq!(output.stdout, b"hello\n", "{output:?}");
                assert!(!dropbear.pids().unwrap().is_empty());
            }
            // As an ordinary user, or without dropbear, it does not work.
            Err(error) => crate::peer::skipped("each_dial_is_a_login", &format!("{error:#}")),
        }
    }
}
