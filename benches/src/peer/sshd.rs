//! ssh's server on the loopback, and whole client processes that log in to it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use super::Daemon;
use super::home::Home;
use crate::patience::until;
use crate::process;

const LIMIT: Duration = Duration::from_secs(10);

/// Key exchange without a post-quantum half, which is most of what a login costs ssh by
/// its defaults.
pub(crate) const CURVE25519: [&str; 2] = ["-o", "KexAlgorithms=curve25519-sha256"];
/// The fastest cipher that ssh has on processors with AES of their own.
pub(crate) const AES128_GCM: [&str; 2] = ["-c", "aes128-gcm@openssh.com"];

/// ld.so(8).
const PRELOAD: &str = "LD_PRELOAD";
const NODELAY: &str = include_str!("../../floor/nodelay.c");

/// sshd and its keys; ended when dropped.
#[derive(Debug)]
pub(crate) struct Sshd {
    daemon: Daemon,
    port: u16,
    home: Arc<Home>,
    /// Preloaded into it and its clients.
    preloaded: Option<PathBuf>,
    /// The home of the commands it runs; host keys and known hosts.
    dir: TempDir,
}

impl Sshd {
    /// Starts sshd as the user we are, without any configuration but ours.
    ///
    /// # Errors
    /// ssh is not installed, or does not work here.
    pub(crate) fn start(home: &Arc<Home>) -> anyhow::Result<Self> {
        Sshd::preloaded(home, None)
    }

    /// The same, where neither side waits for an acknowledgement before it sends: this library is made by the
    /// C compiler.
    ///
    /// # Errors
    /// As [`Sshd::start`], or there is no C compiler.
    pub(crate) fn without_delay(home: &Arc<Home>) -> anyhow::Result<Self> {
        let library = home.path().join("nodelay.so");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O", "-x", "c", "-", "-ldl", "-o"]);
        let mut cc = cc
            .arg(&library)
            .stdin(Stdio::piped())
            .spawn()
            .context("cc")?;
        let source = cc.stdin.take().context("its stdin")?;
        std::io::Write::write_all(&mut { source }, NODELAY.as_bytes()).context("cc")?;
        anyhow::ensure!(cc.wait()?.success(), "cc does not take nodelay.c");
        Sshd::preloaded(home, Some(library))
    }

    fn preloaded(home: &Arc<Home>, library: Option<PathBuf>) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let at = |name: &str| dir.path().join(name);
        make_key(&at("host"))?;
        make_separation_directory()?;
        let port = free_port()?;
        let config = server_config(dir.path(), &home.authorized_keys(), port);
        fs::write(at("config"), config).context("cannot write")?;
        let log = fs::File::create(at("log")).context("cannot write")?;
        let mut command = Command::new(sshd_path());
        command.args(["-D", "-e", "-f"]).arg(at("config"));
        command.envs(library.as_ref().map(|library| (PRELOAD, library)));
        let mut daemon = Daemon::spawn(command.stdin(Stdio::null()).stderr(log))?;
        let accepts = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let came = until(LIMIT, || daemon.check().is_err() || accepts());
        let sshd = Sshd {
            daemon,
            port,
            home: Arc::clone(home),
            preloaded: library,
            dir,
        };
        sshd.checked(came)
    }

    fn checked(mut self, came: bool) -> anyhow::Result<Self> {
        let log = self.log();
        self.daemon
            .check()
            .with_context(|| format!("sshd: {log}"))?;
        anyhow::ensure!(came, "sshd does not accept: {log}");
        Ok(self)
    }

    /// What it has complained about.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.path().join("log")).unwrap_or_default();
        text.trim().to_owned()
    }

    /// The home of the commands it runs.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// On 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The client with our keys and no configuration of the user's, without host and
    /// command. It learns the server's key at its first connection.
    pub(crate) fn client(&self) -> Command {
        self.client_at(self.port)
    }

    fn client_at(&self, port: u16) -> Command {
        let known_hosts = self.path().join("known_hosts");
        let option = |name: &str, path: &Path| format!("{name}={}", path.display());
        let mut command = Command::new("ssh");
        command.envs(self.preloaded.as_ref().map(|library| (PRELOAD, library)));
        command
            .args(["-F", "none", "-p", &port.to_string()])
            .args(["-l", self.home.login()])
            .args(["-o", &option("IdentityFile", &self.home.key())])
            .args(["-o", &option("UserKnownHostsFile", &known_hosts)])
            .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args(["-o", "StrictHostKeyChecking=accept-new"])
            .args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]);
        command
    }

    /// A whole client process that dials, logs in, and runs `text`.
    pub(crate) fn dial(&self, options: &[&str], text: &str) -> Command {
        self.dial_at(self.port, options, text)
    }

    /// By way of another port.
    pub(crate) fn dial_at(&self, port: u16, options: &[&str], text: &str) -> Command {
        let mut command = self.client_at(port);
        command.args(options).args(["--", "127.0.0.1", text]);
        command
    }

    /// CPU time of the listener and of all that it has waited for: the processes of
    /// connections that are over, and their commands.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.daemon.cpu()
    }

    /// The processes of its connections, and itself.
    pub(crate) fn pids(&self) -> anyhow::Result<Vec<u32>> {
        process::tree(self.daemon.pid())
    }

    /// Waits until no connection is left.
    pub(crate) fn wait_for_no_connection(&self) -> anyhow::Result<()> {
        self.daemon.wait_for_no_child()
    }
}

/// More sessions and starts at once than anybody here asks for. bash reads its
/// start-up file under sshd even for a single command; with our directory as its
/// home there is none, so that it does not count against ssh.
fn server_config(dir: &Path, authorized_keys: &Path, port: u16) -> String {
    format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\n\
         PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         MaxSessions 512\nMaxStartups 512\nUseDNS no\nPrintMotd no\nLogLevel ERROR\n\
         SetEnv HOME={}\n",
        dir.join("host").display(),
        authorized_keys.display(),
        dir.display(),
    )
}

fn make_key(path: &Path) -> anyhow::Result<()> {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .context("ssh-keygen")?;
    anyhow::ensure!(status.success(), "ssh-keygen: {status}");
    Ok(())
}

/// As root sshd wants this directory, which Debian's service makes at its start.
fn make_separation_directory() -> anyhow::Result<()> {
    let path = Path::new("/run/sshd");
    if !rustix::process::geteuid().is_root() || path.exists() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o755).create(path).context("/run/sshd")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context("/run/sshd")
}

/// sshd starts itself again by this name, so it must be a whole path.
fn sshd_path() -> &'static Path {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].map(Path::new);
    places
        .into_iter()
        .find(|place| place.exists())
        .unwrap_or(places[0])
}

/// Free now; sshd cannot take port 0 and say which it got.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port")?;
    Ok(listener.local_addr().context("no port")?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dial_is_a_login_whatever_is_asked_of_it() {
        let name = "each_dial_is_a_login_whatever_is_asked_of_it";
        let home = Arc::new(Home::new().unwrap());
        let sshd = match Sshd::start(&home) {
            Ok(sshd) => sshd,
            // As an ordinary user, or without ssh, it may not work here.
            Err(error) => return crate::peer::skipped(name, &format!("{error:#}")),
        };
        let fast = [CURVE25519, AES128_GCM].concat();
        for options in [&[][..], &CURVE25519, &fast] {
            let output = sshd.dial(options, "echo hello").output().unwrap();
            assert_eq!(output.stdout, b"hello\n", "{output:?}; {}", sshd.log());
        }
        sshd.wait_for_no_connection().unwrap();
        assert!(!sshd.cpu().unwrap().is_zero());
    }
}
