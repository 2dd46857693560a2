//! A broker, hosts that have dialled out to it, and somebody who listens.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

use super::support::network::{Home, write_private};
use super::support::processes::descendants;
use super::support::server::{end_well, terminate};
use super::support::{Redial, binary, eventually};

/// nats-server on a port of its own.
pub(crate) struct Broker {
    child: Child,
    dir: TempDir,
    port: u16,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (child, port) = start(dir.path(), -1);
        Broker { child, dir, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// `redial ARGS` of a user who knows where the broker is.
    pub(crate) fn redial<S: AsRef<OsStr>>(
        &self,
        home: &Home,
        args: impl IntoIterator<Item = S>,
    ) -> Redial {
        home.redial(args).args(["--nats", &self.url()])
    }

    /// kill -9, and one that knows nothing of what the first has done.
    pub(crate) fn dies_and_another_takes_its_place(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, _) = start(self.dir.path(), self.port.into());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(dir: &Path, port: i32) -> (Child, u16) {
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
    command.arg("--ports_file_dir").arg(dir);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.expect("nats-server (Debian's package of that name) can be started");
    let ports = dir.join(format!("nats-server_{}.ports", child.id()));
    // {"nats":["nats://127.0.0.1:34567"]}
    let port = eventually(|| {
        let text = fs::read_to_string(&ports).ok()?;
        let (_, rest) = text.split_once("nats://127.0.0.1:")?;
        rest[..rest.find(|c: char| !c.is_ascii_digit())?]
            .parse()
            .ok()
    });
    (child, port.expect("nats-server says its port"))
}

/// A machine that has dialled out.
pub(crate) struct Host {
    child: Child,
    dir: TempDir,
    name: String,
    url: String,
}

impl Host {
    /// One that takes the key of this home directory, and has a host key of its own.
    pub(crate) fn start(broker: &Broker, home: &Home, name: &str) -> Self {
        Host::with(broker, home, name, &[])
    }

    /// One whose line of authorized_keys begins with these options from now on.
    pub(crate) fn allows(&self, home: &Home, options: &str) {
        let line = format!("{options} {}", home.public_key());
        write_private(&self.dir.path().join("authorized_keys"), &line);
    }

    /// The same, with more flags.
    pub(crate) fn with(broker: &Broker, home: &Home, name: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |file: &str| dir.path().join(file);
        write_private(&at("authorized_keys"), &home.public_key());
        let mut command = Command::new(binary());
        command.args(["serve", "--nats", &broker.url(), "--name", name, "--listen"]);
        command.arg(format!("unix:{}", at("sock").display()));
        command.args(flags);
        command.arg("--host-key").arg(at("host_key"));
        command.arg("--authorized-keys").arg(at("authorized_keys"));
        command
            .env_remove("REDIAL_LOG")
            .env_remove("REDIAL_LOG_FORMAT")
            .env("REDIAL_STATE_DIR", dir.path())
            .env("XDG_CONFIG_HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(at("log")).unwrap());
        let host = Host {
            child: command.spawn().expect("the program under test starts"),
            dir,
            name: name.to_owned(),
            url: broker.url(),
        };
        let is_there = |log: &str| log.contains("event: connected") && log.contains(" listening ");
        let there = eventually(|| is_there(&host.log()).then_some(()));
        there.unwrap_or_else(|| panic!("{}", host.log()));
        host
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// `redial run nats:NAME` of somebody who takes its key as it is.
    pub(crate) fn run(&self, home: &Home) -> Redial {
        let target = format!("nats:{}", self.name);
        home.redial(["run", "--nats", &self.url, "--accept-new", &target])
    }

    /// The process that speaks with the broker.
    pub(crate) fn agent(&self) -> u32 {
        let agent = eventually(|| {
            let all = descendants(self.child.id());
            let agent = all
                .iter()
                .find(|it| it.arguments.contains("--nats-agent"))?;
            Some(agent.pid)
        });
        agent.unwrap_or_else(|| panic!("{}", self.log()))
    }

    /// Of its host key.
    pub(crate) fn fingerprint(&self) -> String {
        let log = self.log();
        let at = log.find("SHA256:").expect("it says its key");
        log[at..at + "SHA256:".len() + 43].to_owned()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        terminate(self.child.id());
        let log = self.log();
        end_well(&mut self.child, || log.clone());
    }
}

/// Somebody who may listen to everything.
pub(crate) struct Ear {
    stream: TcpStream,
    heard: JoinHandle<Vec<u8>>,
}

/// Listens from now on.
pub(crate) fn eavesdrop(broker: &Broker) -> Ear {
    let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
    // A pong says that the broker has taken the rest.
    stream
        .write_all(b"CONNECT {\"verbose\":false}\r\nSUB > 1\r\nPING\r\n")
        .unwrap();
    let mut ours = stream.try_clone().unwrap();
    let mut all = Vec::new();
    let mut piece = [0; 65_536];
    while !all.windows(6).any(|part| part == b"PONG\r\n") {
        let len = ours.read(&mut piece).unwrap();
        all.extend_from_slice(&piece[..len]);
    }
    let heard = std::thread::spawn(move || {
        // Cut off from outside at the end.
        let _ = ours.read_to_end(&mut all);
        all
    });
    Ear { stream, heard }
}

impl Ear {
    /// All that it has heard.
    pub(crate) fn stop(mut self) -> Vec<u8> {
        // What was said before comes first.
        let _ = self.stream.write_all(b"PING\r\n");
        let _ = self.stream.shutdown(Shutdown::Write);
        self.heard.join().unwrap()
    }
}
