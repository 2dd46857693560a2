//! A server of the test's own on the network, and a home directory with a key that it takes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::processes::{Process, descendants};
use super::server::terminate;
use super::{Redial, binary, eventually, wait};

/// Ends with the test: SIGTERM, a bounded wait, and no child may be left.
pub(crate) struct NetworkServer {
    child: Child,
    home: Home,
    dir: TempDir,
    port: u16,
    host_key: String,
}

impl NetworkServer {
    /// A server on 127.0.0.1 that takes the key of [`NetworkServer::home`].
    pub(crate) fn start() -> Self {
        NetworkServer::with("")
    }

    /// The same, with these options at the beginning of the key's line in authorized_keys.
    pub(crate) fn with(options: &str) -> Self {
        let (home, dir) = (Home::with_key(), tempfile::tempdir().unwrap());
        let line = format!("{options} {}", home.public_key());
        write_private(&authorized_keys(dir.path()), line.trim_start());
        NetworkServer::serve(home, dir, 0)
    }

    /// The same, with a settings file of the server's.
    pub(crate) fn with_settings(options: &str, settings: &str) -> Self {
        let (home, dir) = (Home::with_key(), tempfile::tempdir().unwrap());
        let line = format!("{options} {}", home.public_key());
        write_private(&authorized_keys(dir.path()), line.trim_start());
        fs::create_dir(dir.path().join("redial")).unwrap();
        fs::write(dir.path().join("redial/config.toml"), settings).unwrap();
        NetworkServer::serve(home, dir, 0)
    }

    /// A server that takes this key, a line of authorized_keys; its own home directory is empty.
    pub(crate) fn taking(line: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_private(&authorized_keys(dir.path()), line);
        NetworkServer::serve(Home::empty(), dir, 0)
    }

    fn serve(home: Home, dir: TempDir, port: u16) -> Self {
        let mut command = Command::new(binary());
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .arg("--host-key")
            .arg(dir.path().join("host_key"))
            .arg("--authorized-keys")
            .arg(authorized_keys(dir.path()));
        for variable in ["REDIAL_LOG", "REDIAL_LOG_FORMAT"] {
            command.env_remove(variable);
        }
        // Its jobs are its own, whoever else keeps some on this machine.
        command.env("REDIAL_STATE_DIR", dir.path());
        // No settings of the caller's.
        command.env("XDG_CONFIG_HOME", dir.path());
        let log = File::create(log(dir.path())).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().expect("the program under test starts");
        let mut server = NetworkServer {
            child,
            home,
            dir,
            port: 0,
            host_key: String::new(),
        };
        let listens = eventually(|| {
            let log = server.log();
            let word = |start: &str| {
                let line = log.lines().find(|line| line.contains(" listening "))?;
                let mut words = line.split_ascii_whitespace();
                words.find_map(|word| word.strip_prefix(start)).map(value)
            };
            Some((word("address=127.0.0.1:")?, word("host_key=")?))
        });
        let (port, host_key) = listens.unwrap_or_else(|| panic!("{}", server.log()));
        server.port = port.parse().unwrap();
        server.host_key = host_key;
        server
    }

    /// Ends it, and starts another with the same port, keys and home directory, but for a
    /// host key if that file was removed.
    pub(crate) fn again(self) -> Self {
        self.down().up()
    }

    /// All its processes are stopped, until what this gives is dropped.
    pub(crate) fn stopped(&self) -> Stopped {
        let mut pids: Vec<u32> = descendants(self.pid())
            .into_iter()
            .map(|it| it.pid)
            .collect();
        pids.insert(0, self.pid());
        let stopped = Stopped(pids);
        stopped.send(Signal::STOP);
        stopped
    }

    /// Kills it with all its processes, as a machine that loses its power.
    pub(crate) fn vanishes(mut self) {
        let pid = |pid: u32| Pid::from_raw(pid.cast_signed()).expect("a process id");
        // Stopped, it starts no other front.
        kill_process(pid(self.pid()), Signal::STOP).unwrap();
        for process in descendants(self.pid()) {
            // It may have ended in this moment.
            let _ = kill_process(pid(process.pid), Signal::KILL);
        }
        self.child.kill().unwrap();
        wait(&mut self.child);
    }

    /// Ends it; its port stays its own if nobody takes it.
    pub(crate) fn down(mut self) -> DownServer {
        assert_eq!(self.stop(), 0, "{}", self.log());
        // What the server has is taken out; Drop finds it ended.
        DownServer {
            home: std::mem::replace(&mut self.home, Home::empty()),
            dir: std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap()),
            port: self.port,
        }
    }

    /// The client's home directory, with a key in its `.ssh`.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The fingerprint of the server's key.
    pub(crate) fn host_key(&self) -> &str {
        &self.host_key
    }

    /// The file with the server's key.
    pub(crate) fn host_key_file(&self) -> PathBuf {
        self.dir.path().join("host_key")
    }

    /// `redial run` on it from [`NetworkServer::home`], its key pinned.
    pub(crate) fn run(&self) -> Redial {
        let redial = Redial::run(self.target()).args(["--host-key", &self.host_key]);
        self.home.at(redial)
    }

    /// `redial ARGS` from [`NetworkServer::home`].
    pub(crate) fn redial<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Redial {
        self.home.redial(args)
    }

    /// The file of those who are let in; it may be written anew with [`write_private`].
    pub(crate) fn authorized_keys(&self) -> PathBuf {
        authorized_keys(self.dir.path())
    }

    /// The client's line as it may stand there, without options.
    pub(crate) fn public_key(&self) -> String {
        self.home.public_key()
    }

    /// What the server has said so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(log(self.dir.path())).unwrap()).into_owned()
    }

    /// The keeper.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn stop(&mut self) -> i32 {
        let left: Vec<Process> = descendants(self.pid());
        terminate(self.pid());
        let code = wait(&mut self.child);
        for process in left {
            let gone = eventually(|| (!process.lives()).then_some(()));
            assert!(gone.is_some(), "the server has left {process:?}");
        }
        code
    }
}

/// Processes that are stopped.
pub(crate) struct Stopped(Vec<u32>);

impl Stopped {
    fn send(&self, signal: Signal) {
        for pid in &self.0 {
            let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
            // It may have ended in this moment.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.send(Signal::CONT);
    }
}

/// A server that has ended, and what another needs to be it.
pub(crate) struct DownServer {
    home: Home,
    dir: TempDir,
    port: u16,
}

impl DownServer {
    /// It is there again.
    pub(crate) fn up(self) -> NetworkServer {
        NetworkServer::serve(self.home, self.dir, self.port)
    }
}

impl Drop for NetworkServer {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let code = self.stop();
            if !std::thread::panicking() {
                assert_eq!(code, 0, "exit code of the server: {}", self.log());
            }
        }
    }
}

/// A home directory of the test's own, with nothing of the caller's.
pub(crate) struct Home(TempDir);

impl Home {
    /// Without anything in it.
    pub(crate) fn empty() -> Self {
        Home(tempfile::tempdir().unwrap())
    }

    /// With a key in `.ssh/id_ed25519`.
    pub(crate) fn with_key() -> Self {
        let home = Home::empty();
        let made = home.redial(["keys", "new", "--no-passphrase"]).ran();
        assert_eq!(made.code, 0, "{}", made.stderr);
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// `.ssh/id_ed25519`.
    pub(crate) fn key(&self) -> PathBuf {
        self.path().join(".ssh/id_ed25519")
    }

    /// Its public half, a line.
    pub(crate) fn public_key(&self) -> String {
        fs::read_to_string(self.key().with_extension("pub")).unwrap()
    }

    /// `redial ARGS` of a user who has this home directory.
    pub(crate) fn redial<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Redial {
        self.at(Redial::bare(args))
    }

    fn at(&self, redial: Redial) -> Redial {
        let redial = redial.env("HOME", self.path());
        let names = ["SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_STATE_HOME"];
        names.into_iter().fold(redial, Redial::without)
    }
}

/// Writes a file that only its owner may read, as keys and authorized_keys are to be:
/// whole, since a server may read it at any time.
pub(crate) fn write_private(path: &Path, text: &str) {
    let new = path.with_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    fs::rename(new, path).unwrap();
}

fn authorized_keys(dir: &Path) -> PathBuf {
    dir.join("authorized_keys")
}

fn log(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// Of a field of the log, without the quotes it may have.
fn value(text: &str) -> String {
    text.trim_matches('"').to_owned()
}
