//! A server with settings of the test's own, and what is asked of the machine for it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::network::{Home, write_private};
use crate::support::processes::{Process, descendants};
use crate::support::server::end_well;
use crate::support::{Redial, binary, eventually};

/// What a server is to be like.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// More arguments of `redial serve`.
    pub(crate) args: &'a [&'a str],
    /// Variables of the server.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// What starts it, if it is not started directly: `ip netns exec NAME`.
    pub(crate) by: &'a [&'a str],
    /// Addresses to listen on, port 0; 127.0.0.1 if there is none.
    pub(crate) listen: &'a [&'a str],
}

/// Ends with the test, and may leave nothing behind.
pub(crate) struct Lab {
    child: Child,
    dir: TempDir,
    pub(crate) home: Home,
    pub(crate) port: u16,
    pub(crate) host_key: String,
}

impl Lab {
    /// A server that takes the key of its home directory.
    pub(crate) fn start(setup: &Setup<'_>) -> Self {
        let (home, dir) = (Home::with_key(), tempfile::tempdir().unwrap());
        write_private(&dir.path().join("authorized_keys"), &home.public_key());
        let own = binary().into_os_string();
        let mut words = setup.by.iter().map(OsString::from).chain([own]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("serve");
        let listen = match setup.listen {
            [] => &["127.0.0.1:0"],
            listen => listen,
        };
        for address in listen {
            command.args(["--listen", address]);
        }
        command.arg("--host-key").arg(dir.path().join("host_key"));
        command
            .arg("--authorized-keys")
            .arg(dir.path().join("authorized_keys"));
        command.args(setup.args);
        for variable in ["REDIAL_LOG", "REDIAL_LOG_FORMAT", "REDIAL_STATE_DIR"] {
            command.env_remove(variable);
        }
        command
            .env("XDG_CONFIG_HOME", dir.path())
            .envs(setup.env.iter().copied());
        let log = File::create(dir.path().join("log")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().expect("the program under test starts");
        let mut lab = Lab {
            child,
            dir,
            home,
            port: 0,
            host_key: String::new(),
        };
        let found = eventually(|| listening(&lab.log()));
        let (port, host_key) = found.unwrap_or_else(|| panic!("{}", lab.log()));
        (lab.port, lab.host_key) = (port, host_key);
        lab
    }

    /// `redial run` on an address of it, its key pinned.
    pub(crate) fn run_at(&self, address: &str) -> Redial {
        let target = format!("{address}:{}", self.port);
        let redial = self.home.redial(["run", &target]);
        redial.args(["--host-key", &self.host_key])
    }

    /// `redial run` on 127.0.0.1.
    pub(crate) fn run(&self) -> Redial {
        self.run_at("127.0.0.1")
    }

    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.dir.path().join("log")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn authorized_keys(&self) -> PathBuf {
        self.dir.path().join("authorized_keys")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The keeper; not for one that is started by another program.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Keeper, front, and what they have started.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let mut all = descendants(self.pid());
        all.extend(Process::of(self.pid()));
        all
    }
}

/// Port and host key, from the log of either form.
fn listening(log: &str) -> Option<(u16, String)> {
    let line = log
        .lines()
        .find(|line| line.contains("listening") && line.contains("host_key"))?;
    let after = |start: &str| line.split_once(start).map(|(_, rest)| rest);
    let address = after("\"address\":\"").or_else(|| after("address="))?;
    let address = address.split([' ', '"']).find(|word| !word.is_empty())?;
    let key = after("SHA256:")?;
    let key: String = key.chars().take(43).collect();
    let port = address.rsplit_once(':')?.1.parse().ok()?;
    Some((port, format!("SHA256:{key}")))
}

impl Drop for Lab {
    fn drop(&mut self) {
        let log = self.dir.path().join("log");
        let log = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        end_well(&mut self.child, log);
    }
}

/// Whether all of these programs are there; else the test `name` is skipped.
pub(crate) fn has(programs: &[&str], name: &str) -> bool {
    let missing = programs.iter().find(|program| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .stdout(Stdio::null())
            .status();
        !found.is_ok_and(|status| status.success())
    });
    if let Some(program) = missing {
        crate::support::skip(&format!("{name}: no {program}"));
    }
    missing.is_none()
}
