//! An sshd of the test's own, on a free port of the loopback, for the user who runs the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where Debian has it; a relative path it would not take.
const SSHD: &str = "/usr/sbin/sshd";
/// The server's local time, so that local and UTC differ.
pub(crate) const TZ: &str = "JST-9";
pub(crate) const UTC_OFFSET_SECONDS: i32 = 9 * 3600;

/// Ended when dropped.
pub(crate) struct Sshd {
    child: Child,
    pub(crate) port: u16,
    pub(crate) user: String,
    log: PathBuf,
}

impl Sshd {
    /// Starts it. Says why it cannot be had here.
    pub(crate) fn start(
        dir: &Path,
        host_key: &Path,
        authorized_keys: &Path,
    ) -> Result<Sshd, String> {
        if !Path::new(SSHD).exists() {
            return Err("no openssh-server".to_owned());
        }
        let user = output("id", &["-un"]);
        if user == "root" && !Path::new("/run/sshd").exists() {
            fs::create_dir("/run/sshd").map_err(|error| format!("/run/sshd: {error}"))?;
        }
        for _ in 0..3 {
            let port = free_port();
            let config = dir.join(format!("sshd_config-{port}"));
            let text = config_text(port, host_key, authorized_keys);
            fs::write(&config, text).unwrap();
            let log = dir.join(format!("sshd.log-{port}"));
            let child = Command::new(SSHD)
                .args(["-D", "-f"])
                .arg(&config)
                .arg("-E")
                .arg(&log)
                .env("TZ", TZ)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| format!("{SSHD}: {error}"))?;
            let mut sshd = Sshd {
                child,
                port,
                user: user.clone(),
                log,
            };
            if sshd.is_up() {
                return Ok(sshd);
            }
        }
        Err("sshd does not start here".to_owned())
    }

    /// `ssh` to it, with nothing of the caller's own settings.
    pub(crate) fn ssh(&self) -> Command {
        let mut ssh = super::program("ssh");
        ssh.args(["-F", "none", "-p", &self.port.to_string(), "-l", &self.user]);
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "GlobalKnownHostsFile=/dev/null",
            "UpdateHostKeys=no",
            "ConnectTimeout=20",
            // Half the time of a login is the default's.
            "KexAlgorithms=curve25519-sha256",
        ] {
            ssh.args(["-o", option]);
        }
        ssh
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn is_up(&mut self) -> bool {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(20) {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10)); // bounded poll
        }
        false
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config_text(port: u16, host_key: &Path, authorized_keys: &Path) -> String {
    let mut text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
         StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitUserEnvironment yes\nMaxStartups 500\n\
         LoginGraceTime 60\nPrintMotd no\nPrintLastLog no\nLogLevel DEBUG\n",
        host_key.display(),
        authorized_keys.display()
    );
    if TcpListener::bind("[::1]:0").is_ok() {
        text.push_str("ListenAddress ::1\n");
    }
    if version() >= (9, 8) {
        text.push_str("PerSourcePenalties no\n");
    }
    text
}

/// OpenSSH's version, from what `ssh -V` says: `OpenSSH_9.2p1 Debian-…`.
pub(crate) fn version() -> (u32, u32) {
    let said = Command::new("ssh").arg("-V").output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said).into_owned();
    let number = said.strip_prefix("OpenSSH_").unwrap_or_default();
    let number = number.split('p').next().unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
