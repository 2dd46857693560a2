//! A machine with users of its own, as far as a server on it can see: an /etc and home directories
//! that are there only for it, in a mount namespace.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::server::end_well;
use crate::support::{Redial, binary, eventually, skip};

/// Nobody else's, on any machine.
pub(crate) const FRONT: u32 = 61_900;
const FIRST: u32 = 61_001;
/// What a user of the town is.
pub(crate) struct Citizen {
    pub(crate) name: &'static str,
    pub(crate) uid: u32,
    shell: &'static str,
    /// Day of 1970 on which the account expires (shadow(5)).
    expires: &'static str,
    /// Groups besides its own.
    pub(crate) groups: u32,
}

const fn citizen(at: u32, name: &'static str, groups: u32) -> Citizen {
    Citizen {
        name,
        uid: FIRST + at,
        shell: "/bin/sh",
        expires: "",
        groups,
    }
}

pub(crate) const ADA: Citizen = citizen(0, "rd-ada", 0);
pub(crate) const BOB: Citizen = citizen(1, "rd-bob", 2);
/// In more groups than old interfaces could carry.
pub(crate) const EVE: Citizen = citizen(2, "rd-eve", 40);
/// A service, which nobody logs in as.
pub(crate) const SERVICE: Citizen = Citizen {
    shell: "/usr/sbin/nologin",
    ..citizen(3, "rd-service", 0)
};
pub(crate) const EXPIRED: Citizen = Citizen {
    expires: "1",
    ..citizen(4, "rd-expired", 0)
};
pub(crate) const KEPT_SHORT: Citizen = Citizen {
    shell: "/bin/rbash",
    ..citizen(5, "rd-rbash", 0)
};

const ALL: [Citizen; 6] = [ADA, BOB, EVE, SERVICE, EXPIRED, KEPT_SHORT];
/// Group ids of those that are nobody's own.
pub(crate) const FIRST_GROUP: u32 = 61_100;

/// Ends with the test, and may leave nothing behind.
pub(crate) struct Town {
    child: Child,
    dir: TempDir,
    pub(crate) port: u16,
    host_key: String,
}

impl Town {
    /// A server for all of them, with more arguments. None where there cannot be such a town.
    pub(crate) fn start(what: &str, args: &[&str]) -> Option<Self> {
        Self::start_by(what, &[], args)
    }

    /// The same, started by another program.
    pub(crate) fn start_by(what: &str, by: &[&str], args: &[&str]) -> Option<Self> {
        if !can_be_built() {
            skip(&format!("{what}: only root can, where it may mount"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        open_to_all(dir.path());
        build(dir.path());
        let run = dir.path().join("run");
        fs::create_dir(&run).unwrap();
        open_to_all(&run);
        let mut command = Command::new("unshare");
        // An /etc of its own; the rest of the machine is as it is.
        let enter = r#"mount -t tmpfs none "$0" && cp -a /etc/. "$0" && cp -a "$1"/. "$0" &&
            mount --bind "$0" /etc && shift && exec "$@""#;
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "--",
                "sh",
                "-c",
                enter,
            ])
            .args([dir.path().join("etc"), dir.path().join("new")])
            .args(by)
            .arg(binary())
            .args(["serve", "--multi-user", "--listen", "127.0.0.1:0"])
            .args(["--front-user", "rd-front", "--listen"])
            .arg(format!("unix:{}", run.join("s").display()))
            .arg("--state-dir")
            .arg(dir.path().join("state"))
            .arg("--host-key")
            .arg(dir.path().join("state/host_key"))
            .args(args);
        let log = File::create(dir.path().join("log")).unwrap();
        command
            .env_remove("REDIAL_LOG")
            .env_remove("REDIAL_STATE_DIR")
            .env("XDG_CONFIG_HOME", dir.path())
            .env("ROOTS_SECRET", "canary-of-root")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap();
        let mut town = Self {
            child,
            dir,
            port: 0,
            host_key: String::new(),
        };
        let found = eventually(|| {
            let log = town.log();
            let line = log.lines().find(|line| line.contains("host_key="))?;
            let word = |start| line.split(start).nth(1)?.split([' ', '"']).next();
            let port = word("address=127.0.0.1:")?.parse().ok()?;
            Some((port, word("host_key=\"")?.to_owned()))
        });
        let found: Option<(u16, String)> = found;
        (town.port, town.host_key) = found.unwrap_or_else(|| panic!("{}", town.log()));
        Some(town)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn home(&self, of: &Citizen) -> PathBuf {
        self.dir.path().join("home").join(of.name)
    }

    pub(crate) fn authorized_keys(&self, of: &Citizen) -> PathBuf {
        self.home(of).join(".ssh/authorized_keys")
    }

    /// `redial COMMAND user@here`, over the network, with that user's key.
    pub(crate) fn over_network(&self, command: &str, user: &str) -> Redial {
        let target = format!("{user}@127.0.0.1:{}", self.port);
        self.named(command, user, &target)
    }

    /// `redial COMMAND TARGET` with that user's key.
    pub(crate) fn named(&self, command: &str, user: &str, target: &str) -> Redial {
        let key = self.dir.path().join("keys").join(user);
        Redial::bare([command])
            .args(["--host-key", &self.host_key, "-i"])
            .args([key])
            .args([target])
            .env("HOME", self.dir.path())
            // The hosts it gets to know are its own: another test's server may have had that port.
            .without("XDG_CONFIG_HOME")
            .without("SSH_AUTH_SOCK")
    }

    /// The target of the Unix socket.
    pub(crate) fn socket(&self) -> String {
        format!("unix:{}", self.dir.path().join("run/s").display())
    }

    /// `redial COMMAND unix:…`, by root as that user.
    pub(crate) fn as_user(&self, command: &str, user: &str) -> Redial {
        // Root's own look-up is in its own /etc, so there it is by number: see `by_uid`.
        Redial::bare([command, "-l", user, &self.socket()]).env("HOME", self.dir.path())
    }

    /// The program itself, where everybody can execute it.
    pub(crate) fn program(&self) -> PathBuf {
        let copy = self.dir.path().join("redial");
        if !copy.exists() {
            let copied = Command::new("cp").arg(binary()).arg(&copy).status();
            assert!(copied.unwrap().success());
        }
        copy
    }

    /// `redial COMMAND unix:… ARGS`, by a process of that user's.
    pub(crate) fn by_uid(&self, command: &str, uid: u32, args: &[&str]) -> (i32, String, String) {
        self.by_uid_at(command, uid, &self.socket(), args)
    }

    /// The same, `unix:…` of another socket.
    pub(crate) fn by_uid_at(
        &self,
        command: &str,
        uid: u32,
        target: &str,
        args: &[&str],
    ) -> (i32, String, String) {
        let mut client = Command::new("setpriv");
        let id = uid.to_string();
        client
            .args(["--reuid", &id, "--regid", &id, "--clear-groups"])
            .arg(self.program())
            .args([command, target])
            .args(args)
            .current_dir("/")
            .env("HOME", "/")
            .env("XDG_CONFIG_HOME", "/dev/null")
            .stdin(Stdio::null());
        let ran = client.output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let code = ran.status.code().unwrap_or(-1);
        (code, text(&ran.stdout), text(&ran.stderr))
    }
}

fn can_be_built() -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let mut try_it = Command::new("unshare");
    try_it.args(["--mount", "--propagation", "private", "--"]);
    try_it.args(["mount", "-t", "tmpfs", "none", "/mnt"]);
    let tried = try_it.stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

fn open_to_all(dir: &Path) {
    fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
}

/// Homes, keys, and the files of /etc that name them.
fn build(dir: &Path) {
    for name in ["etc", "new", "home", "keys"] {
        fs::create_dir(dir.join(name)).unwrap();
        open_to_all(&dir.join(name));
    }
    fs::create_dir(dir.join("state")).unwrap();
    fs::set_permissions(dir.join("state"), Permissions::from_mode(0o700)).unwrap();
    let old = |name: &str| fs::read_to_string(Path::new("/etc").join(name)).unwrap_or_default();
    let (mut passwd, mut group, mut shadow) = (old("passwd"), old("group"), old("shadow"));
    passwd += &format!("rd-front:x:{FRONT}:{FRONT}::/nonexistent:/usr/sbin/nologin\n");
    group += &format!("rd-front:x:{FRONT}:\n");
    for citizen in &ALL {
        let Citizen { name, uid, .. } = citizen;
        let home = dir.join("home").join(name);
        passwd += &format!(
            "{name}:x:{uid}:{uid}::{}:{}\n",
            home.display(),
            citizen.shell
        );
        group += &format!("{name}:x:{uid}:\n");
        shadow += &format!("{name}:*:19000:0:99999:7::{}:\n", citizen.expires);
        fs::create_dir_all(home.join(".ssh")).unwrap();
        let key = dir.join("keys").join(name);
        make_key(&key);
        fs::copy(key.with_extension("pub"), home.join(".ssh/authorized_keys")).unwrap();
        for path in [
            &home,
            &home.join(".ssh"),
            &home.join(".ssh/authorized_keys"),
        ] {
            chown(path, Some(*uid), Some(*uid)).unwrap();
        }
    }
    for at in 0..EVE.groups {
        let also = if at < BOB.groups { ",rd-bob" } else { "" };
        group += &format!("rd-g{at}:x:{}:rd-eve{also}\n", FIRST_GROUP + at);
    }
    make_key(&dir.join("keys/root"));
    make_key(&dir.join("keys/rd-front"));
    make_key(&dir.join("keys/rd-nobody"));
    let shells = old("shells") + "/bin/sh\n/bin/rbash\n";
    for (name, text, mode) in [
        ("passwd", passwd, 0o644),
        ("group", group, 0o644),
        ("shadow", shadow, 0o600),
        ("shells", shells, 0o644),
    ] {
        fs::write(dir.join("new").join(name), text).unwrap();
        let mode = Permissions::from_mode(mode);
        fs::set_permissions(dir.join("new").join(name), mode).unwrap();
    }
}

fn make_key(path: &Path) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .status();
    assert!(made.unwrap().success());
}

impl Drop for Town {
    fn drop(&mut self) {
        let log = self.dir.path().join("log");
        let log = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        end_well(&mut self.child, log);
    }
}
