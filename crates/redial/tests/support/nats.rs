//! A broker, and hosts that have dialled out to it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::network::{Home, write_private};
use super::processes::descendants;
use super::server::{end_well, terminate};
use super::{Redial, binary, eventually};

/// nats-server on a port of its own.
pub(crate) struct Broker {
    child: Child,
    dir: TempDir,
    by: Vec<String>,
    pub(crate) port: u16,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Broker::with("127.0.0.1:-1", "", &[])
    }

    /// One that listens there, has this in its configuration too, and is started by these words.
    pub(crate) fn with(listen: &str, config: &str, by: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let by: Vec<String> = by.iter().map(|&word| word.to_owned()).collect();
        let (child, port) = start(dir.path(), &by, listen, config);
        Broker {
            child,
            dir,
            by,
            port,
        }
    }

    /// Three that are one cluster; each knows of the others.
    pub(crate) fn cluster() -> [Self; 3] {
        let first = Broker::with("127.0.0.1:-1", &routes(None), &[]);
        let seed = first.route_port();
        let [second, third] = [(); 2].map(|()| {
            let config = routes(Some(seed));
            Broker::with("127.0.0.1:-1", &config, &[])
        });
        [first, second, third]
    }

    /// Where other brokers connect.
    fn route_port(&self) -> u16 {
        let ports = ports_file(self.dir.path(), &self.child);
        let port = eventually(|| port_after(&ports, "\"cluster\":[\"nats://127.0.0.1:"));
        port.expect("nats-server says the port of its cluster")
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

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// kill -9.
    pub(crate) fn dies(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// kill -9, and one that knows nothing of what the first has done.
    pub(crate) fn dies_and_another_takes_its_place(&mut self) {
        self.dies();
        let listen = format!("127.0.0.1:{}", self.port);
        (self.child, _) = start(self.dir.path(), &self.by, &listen, "");
    }
}

fn routes(seed: Option<u16>) -> String {
    let seed = seed.map(|port| format!("\"nats://127.0.0.1:{port}\""));
    format!(
        "cluster {{ name: test, listen: \"127.0.0.1:-1\", routes: [{}] }}",
        seed.unwrap_or_default()
    )
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(dir: &Path, by: &[String], listen: &str, config: &str) -> (Child, u16) {
    let file = dir.join("nats.conf");
    let text = format!("listen: {listen:?}\nports_file_dir: {dir:?}\n{config}\n");
    fs::write(&file, text).unwrap();
    let server = "nats-server".to_owned();
    let mut words = by.iter().chain([&server]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg("-c").arg(&file);
    let log = File::create(dir.join("log")).unwrap();
    let child = command.stdout(Stdio::null()).stderr(log).spawn();
    let child = child.expect("nats-server (Debian's package of that name) can be started");
    let ports = ports_file(dir, &child);
    let port = eventually(|| port_after(&ports, "{\"nats\":[\"nats://"));
    let port = port.unwrap_or_else(|| {
        let log = fs::read_to_string(dir.join("log"));
        panic!("nats-server does not say its port: {log:?}")
    });
    (child, port)
}

fn ports_file(dir: &Path, child: &Child) -> PathBuf {
    dir.join(format!("nats-server_{}.ports", child.id()))
}

/// `{"nats":["nats://127.0.0.1:34567"],"cluster":["nats://127.0.0.1:34568"]}`
fn port_after(ports: &Path, before: &str) -> Option<u16> {
    let text = fs::read_to_string(ports).ok()?;
    let (_, rest) = text.split_once(before)?;
    let (url, _) = rest.split_once('"')?;
    url.rsplit(':').next()?.parse().ok()
}

/// The agent's log has it as soon as the host can be called.
const CALLED: &str = "called through NATS by this name";

/// A machine that has dialled out.
pub(crate) struct Host {
    child: Child,
    dir: TempDir,
    name: String,
    url: String,
    is_gone: bool,
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
        let host = Host::begin(&[], &broker.url(), home, name, flags);
        host.is_there();
        host
    }

    /// Started by these words, at the broker of this URL; it may not be there yet.
    pub(crate) fn begin(by: &[&str], url: &str, home: &Home, name: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |file: &str| dir.path().join(file);
        write_private(&at("authorized_keys"), &home.public_key());
        let own = binary().into_os_string();
        let mut words = by.iter().map(OsString::from).chain([own]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        command.args(["serve", "--nats", url, "--name", name, "--listen"]);
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
        Host {
            child: command.spawn().expect("the program under test starts"),
            dir,
            name: name.to_owned(),
            url: url.to_owned(),
            is_gone: false,
        }
    }

    /// Waits until it can be called.
    pub(crate) fn is_there(&self) {
        let is_there = |log: &str| log.contains(CALLED) && log.contains(" listening ");
        let there = eventually(|| is_there(&self.log()).then_some(()));
        there.unwrap_or_else(|| panic!("{}", self.log()));
    }

    /// The keeper; not for one that is started by another program.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// HOST of who is on its machine.
    pub(crate) fn socket(&self) -> String {
        format!("unix:{}", self.dir.path().join("sock").display())
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// How often somebody has proved a key.
    pub(crate) fn logins(&self) -> usize {
        self.log().matches(" login capability=").count()
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

    /// kill -9 of all of it.
    pub(crate) fn vanishes(&mut self) {
        let all = descendants(self.child.id());
        self.child.kill().unwrap();
        all.iter().for_each(|process| process.end());
        self.child.wait().unwrap();
        self.is_gone = true;
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
        if self.is_gone {
            return;
        }
        terminate(self.child.id());
        let log = self.log();
        end_well(&mut self.child, || log.clone());
    }
}
