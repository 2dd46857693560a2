//! Those who run one command on many hosts: redial, and what goes through ssh. All hosts are one machine
//! with many names, for each of them the same.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

use super::home::Home;
use super::network::NetworkServer;
use super::sshd::{CURVE25519, Sshd};
use crate::process;

/// Hosts at once, for everybody.
pub(crate) const FAN_OUT: usize = 64;

/// asyncssh's own way: one process, one connection a host.
const ASYNCSSH: &str = r#"
import asyncio, sys, asyncssh
port, user, key, known, count, fanout = int(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5]), int(sys.argv[6])
async def one(gate):
    async with gate:
        async with asyncssh.connect('127.0.0.1', port, username=user, client_keys=[key], known_hosts=known,
                                    agent_path=None, config=None) as line:
            return (await line.run('true')).exit_status
async def all_of_them():
    gate = asyncio.Semaphore(fanout)
    ends = await asyncio.gather(*(one(gate) for _ in range(count)))
    sys.exit(any(ends))
asyncio.run(all_of_them())
"#;

/// What a run cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Of the client and all that it has started.
    pub(crate) cpu: Duration,
}

/// redial's part: names in a hosts.toml, one server behind them.
pub(crate) struct Names {
    server: NetworkServer,
    home: Arc<Home>,
    /// So many names are in an inventory, and in a known_hosts, of their own.
    inventories: Vec<usize>,
}

impl Names {
    /// # Errors
    /// The server does not start, or a file cannot be written.
    pub(crate) fn start(home: &Arc<Home>, inventories: &[usize]) -> anyhow::Result<Self> {
        let server = NetworkServer::start(home, &["--max-connections", "1024"])?;
        let mut inventories = inventories.to_vec();
        inventories.sort_unstable();
        inventories.dedup();
        let names = Names {
            server,
            home: Arc::clone(home),
            inventories,
        };
        let port = names.server.port();
        for &count in &names.inventories {
            let config = names.config(count).join("redial");
            fs::create_dir_all(&config)?;
            let hosts = (1..=count).map(|host| {
                format!("[hosts.n{host:05}]\naddress = \"127.0.0.1\"\nport = {port}\n")
            });
            fs::write(config.join("hosts.toml"), hosts.collect::<String>())?;
            // Each name is met once.
            let mut first = names.run_of(count, count, &["--accept-new", "-q"], &["true"]);
            anyhow::ensure!(first.status()?.success(), "a first run on {count} hosts");
        }
        Ok(names)
    }

    fn config(&self, inventory: usize) -> PathBuf {
        self.home.path().join(format!(".config-{inventory}"))
    }

    /// `redial run` on so many, which are all of their inventory if there is one of that size.
    pub(crate) fn run(&self, count: usize, flags: &[&str], command: &[&str]) -> Command {
        let larger = self.inventories.iter().find(|it| **it >= count);
        self.run_of(*larger.unwrap_or(&count), count, flags, command)
    }

    /// `redial run` on the first so many of an inventory.
    pub(crate) fn run_of(
        &self,
        inventory: usize,
        count: usize,
        flags: &[&str],
        command: &[&str],
    ) -> Command {
        let mut run = self.server.client();
        run.env("XDG_CONFIG_HOME", self.config(inventory))
            .args(["run", "-f", &FAN_OUT.to_string()])
            .args(flags)
            .args(["-w", &format!("n[00001-{count:05}]"), "--"])
            .args(command);
        run
    }

    pub(crate) fn server(&self) -> &NetworkServer {
        &self.server
    }
}

/// ssh's part: a configuration that makes many names one sshd.
pub(crate) struct Through {
    sshd: Sshd,
    home: Arc<Home>,
    dir: TempDir,
}

impl Through {
    /// # Errors
    /// There is no sshd, or it does not work here.
    pub(crate) fn start(home: &Arc<Home>) -> anyhow::Result<Self> {
        let through = Through {
            sshd: Sshd::start(home)?,
            home: Arc::clone(home),
            dir: tempfile::tempdir()?,
        };
        // It learns the host's key.
        super::run_true(&mut through.sshd.dial(&CURVE25519, "true"))?;
        let known = through.sshd.path().join("known_hosts");
        let config = format!(
            "Host n*\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  UserKnownHostsFile {}\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  BatchMode yes\n  LogLevel ERROR\n",
            through.sshd.port(),
            home.login(),
            home.key().display(),
            known.display(),
        );
        fs::write(through.file("config"), &config)?;
        let warm = format!(
            "{config}  ControlMaster auto\n  ControlPath {}/%n\n  ControlPersist 300\n",
            through.dir.path().display()
        );
        fs::write(through.file("warm"), warm)?;
        fs::write(through.file("many.py"), ASYNCSSH)?;
        Ok(through)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn names(&self, count: usize) -> String {
        (1..=count).map(|host| format!("n{host:05}\n")).collect()
    }

    fn options(&self, config: &str) -> String {
        format!("-F {}", self.file(config).display())
    }

    pub(crate) fn pdsh(&self, count: usize, config: &str) -> Command {
        let mut command = Command::new("pdsh");
        command
            .args(["-S", "-R", "ssh", "-f", &FAN_OUT.to_string()])
            .args(["-w", &format!("n[00001-{count:05}]"), "true"])
            .env("PDSH_SSH_ARGS_APPEND", self.options(config));
        command
    }

    pub(crate) fn clush(&self, count: usize, config: &str) -> Command {
        let mut command = Command::new("clush");
        command
            .args(["-S", "-n", "-f", &FAN_OUT.to_string()])
            .args(["-o", &self.options(config)])
            .args(["-w", &format!("n[00001-{count:05}]"), "true"]);
        command
    }

    /// # Errors
    /// Its list of hosts cannot be written.
    pub(crate) fn parallel_ssh(&self, count: usize, config: &str) -> anyhow::Result<Command> {
        fs::write(self.file("hosts"), self.names(count))?;
        let mut command = Command::new("parallel-ssh");
        command
            .args(["-p", &FAN_OUT.to_string(), "-t", "0"])
            .arg("-h")
            .arg(self.file("hosts"))
            .args(["-x", &self.options(config), "true"]);
        Ok(command)
    }

    /// # Errors
    /// Its inventory cannot be written.
    pub(crate) fn ansible(&self, count: usize) -> anyhow::Result<Command> {
        fs::write(self.file("inventory"), self.names(count))?;
        let mut command = Command::new("ansible");
        command
            .args(["all", "-m", "raw", "-a", "true", "-f", &FAN_OUT.to_string()])
            .arg("-i")
            .arg(self.file("inventory"))
            .env("ANSIBLE_SSH_ARGS", self.options("config"));
        Ok(command)
    }

    pub(crate) fn asyncssh(&self, count: usize) -> Command {
        let mut command = Command::new("/usr/bin/python3");
        command
            .arg(self.file("many.py"))
            .arg(self.sshd.port().to_string())
            .arg(self.home.login())
            .arg(self.home.key())
            .arg(self.sshd.path().join("known_hosts"))
            .args([count.to_string(), FAN_OUT.to_string()]);
        command
    }
}

/// Whether a program is there; or, of Python, a module.
pub(crate) fn is_there(program: &str) -> bool {
    let mut command = match program {
        "asyncssh" => {
            let mut python = Command::new("/usr/bin/python3");
            python.args(["-c", "import asyncssh"]);
            python
        }
        program => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("command -v {program}")]);
            shell
        }
    };
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs it to its end, which must be a good one.
///
/// # Errors
/// It is not.
pub(crate) fn cost(mut command: Command) -> anyhow::Result<Cost> {
    let own = std::process::id();
    let before = process::stat(own)?.cpu_of_children;
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output();
    let wall = began.elapsed();
    let output = output.with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    anyhow::ensure!(
        output.status.success(),
        "{command:?}: {}: {said}",
        output.status
    );
    let cpu = process::stat(own)?.cpu_of_children.saturating_sub(before);
    Ok(Cost { wall, cpu })
}

/// Runs it, and says how much memory it had at most: looked at again and again.
///
/// # Errors
/// It ends badly.
pub(crate) fn peak(mut command: Command) -> anyhow::Result<(Duration, u64)> {
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) * 1024);
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)), // bounded by the command's end
        }
    };
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    Ok((began.elapsed(), peak))
}
