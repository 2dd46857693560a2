//! An sshd of the test's own on the loopback, to compare with.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use redial_keeper::account::Account;

use crate::keys::keygen;
use crate::support::eventually;
use crate::support::processes::descendants;

/// Where Debian has it; a relative path it would not take.
const SSHD: &str = "/usr/sbin/sshd";

/// Ended when dropped.
pub(crate) struct Sshd {
    child: Child,
    port: u16,
    log: PathBuf,
}

/// The user who runs the test.
pub(crate) fn user() -> String {
    String::from_utf8(Account::own().unwrap().name).unwrap()
}

impl Sshd {
    /// Starts it with its files in `dir`. Says why it cannot be had here.
    pub(crate) fn start(dir: &Path, authorized_keys: &Path, strict: bool) -> Result<Self, String> {
        if !Path::new(SSHD).exists() {
            return Err("no openssh-server".to_owned());
        }
        if user() == "root" && !Path::new("/run/sshd").exists() {
            fs::create_dir("/run/sshd").map_err(|error| format!("/run/sshd: {error}"))?;
        }
        let (host_key, log) = (dir.join("sshd_key"), dir.join("sshd_log"));
        keygen(&host_key, &["ed25519"], "");
        for _ in 0..3 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let config = dir.join("sshd_config");
            fs::write(&config, settings(port, &host_key, authorized_keys, strict)).unwrap();
            let child = Command::new(SSHD)
                .args(["-D", "-f"])
                .arg(&config)
                .arg("-E")
                .arg(&log)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| format!("{SSHD}: {error}"))?;
            let log = log.clone();
            let mut sshd = Sshd { child, port, log };
            let up = eventually(|| match sshd.child.try_wait().unwrap() {
                Some(_) => Some(false),
                None => TcpStream::connect(("127.0.0.1", port)).ok().map(|_| true),
            });
            if up == Some(true) {
                return Ok(sshd);
            }
        }
        Err("sshd does not start here".to_owned())
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What a command prints, if this key from this address is let in.
    pub(crate) fn run(&self, who: &str, key: &Path, source: &str, text: &str) -> Option<String> {
        let mut ssh = Command::new("ssh");
        ssh.env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        ssh.args(["-T", "-F", "none", "-b", source, "-l", who]);
        ssh.args(["-p", &self.port.to_string(), "-i"]).arg(key);
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "PreferredAuthentications=publickey",
            "ConnectTimeout=20",
        ] {
            ssh.args(["-o", option]);
        }
        let ran = ssh.args(["127.0.0.1", text]).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        if said.contains("Permission denied") {
            return None;
        }
        assert_ne!(ran.status.code(), Some(255), "{said}{}", self.log());
        // A shell's own start may have said something before it.
        let printed = String::from_utf8(ran.stdout).unwrap();
        printed.lines().last().map(str::to_owned)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Its sessions end by themselves; without it there might be nobody to reap them.
        let id = self.child.id();
        eventually(|| descendants(id).is_empty().then_some(()));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(port: u16, host_key: &Path, authorized_keys: &Path, strict: bool) -> String {
    let (host_key, keys) = (host_key.display(), authorized_keys.display());
    let strict = if strict { "yes" } else { "no" };
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {keys}\n\
         PidFile none\nStrictModes {strict}\nUsePAM no\nPermitRootLogin yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitUserEnvironment yes\nMaxStartups 500\nPrintMotd no\nPrintLastLog no\n"
    )
}
