//! ssh over an open master connection, to a server of its own on the loopback.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use redial_keeper::account::Account;
use tempfile::TempDir;

use super::Daemon;
use crate::patience::until;

const START_LIMIT: Duration = Duration::from_secs(10);

/// sshd, its keys, and a master connection to it.
#[derive(Debug)]
pub(crate) struct Ssh {
    // Dropped in this order: the client first.
    _master: Daemon,
    _sshd: Daemon,
    login: String,
    port: u16,
    dir: TempDir,
}

impl Ssh {
    /// Starts sshd as the user we are, without any configuration but ours, and
    /// connects a master to it.
    ///
    /// # Errors
    /// ssh is not installed, or does not work here.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        for key in ["host", "user"] {
            make_key(&dir.path().join(key))?;
        }
        let at = |name: &str| dir.path().join(name);
        fs::copy(at("user.pub"), at("authorized_keys")).context("cannot copy a key")?;
        make_separation_directory()?;
        let port = free_port()?;
        fs::write(at("config"), server_config(dir.path(), port)).context("cannot write")?;
        let log = fs::File::create(at("log")).context("cannot write")?;
        let mut sshd = Daemon::spawn(
            Command::new(sshd_path())
                .args(["-D", "-e", "-f"])
                .arg(at("config"))
                .stdin(Stdio::null())
                .stderr(log),
        )?;
        let accepts = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let came = until(START_LIMIT, || sshd.check().is_err() || accepts());
        let log = || fs::read_to_string(at("log")).unwrap_or_default();
        sshd.check()
            .with_context(|| format!("sshd: {}", log().trim()))?;
        anyhow::ensure!(came, "sshd does not accept: {}", log().trim());
        let account = Account::own().context("cannot read passwd")?;
        let login = String::from_utf8_lossy(&account.name).into_owned();
        let client = client(dir.path(), port, &login);
        let master =
            master(client, &at("control")).with_context(|| format!("ssh: {}", log().trim()))?;
        Ok(Ssh {
            _master: master,
            _sshd: sshd,
            login,
            port,
            dir,
        })
    }

    /// A whole client process that runs `text` over the open connection.
    pub(crate) fn run(&self, text: &str) -> Command {
        let mut command = client(self.dir.path(), self.port, &self.login);
        command.args(["-o", "ControlMaster=no", "--", "127.0.0.1", text]);
        command
    }
}

/// What `ssh -V` says, if it is there.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("ssh").arg("-V").output().ok()?;
    Some(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// The client with our keys and no configuration of the user's.
fn client(dir: &Path, port: u16, login: &str) -> Command {
    let option = |name: &str, file: &str| format!("{name}={}", dir.join(file).display());
    let mut command = Command::new("ssh");
    command
        .args(["-F", "none", "-p", &port.to_string(), "-l", login])
        .args(["-o", &option("IdentityFile", "user")])
        .args(["-o", &option("UserKnownHostsFile", "known_hosts")])
        .args(["-o", &option("ControlPath", "control")])
        .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
        .args(["-o", "StrictHostKeyChecking=accept-new"])
        .args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]);
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

/// More sessions and starts at once than anybody here asks for. bash reads its
/// start-up file under sshd even for a single command; with our directory as its
/// home there is none, so that it does not count against ssh.
fn server_config(dir: &Path, port: u16) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\n\
         PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         MaxSessions 512\nMaxStartups 512\nUseDNS no\nPrintMotd no\nLogLevel ERROR\n\
         SetEnv HOME={}\n",
        at("host"),
        at("authorized_keys"),
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
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port")?;
    Ok(listener.local_addr().context("no port")?.port())
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
                let expected = format!("hello\n{}/control\n", ssh.dir.path().display());
                assert_eq!(output.stdout, expected.as_bytes(), "{output:?}");
                assert_eq!(output.status.code(), Some(3));
            }
            // As an ordinary user, or without ssh, it may not work here.
            Err(error) => crate::peer::skipped(name, &format!("{error:#}")),
        }
    }
}
