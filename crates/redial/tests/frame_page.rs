//! docs/frames.md does what it says, with bytes that a real PostgreSQL said, and with a live one
//! where there is one.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use support::processes::Process;
use support::{binary, eventually, skip};
use tempfile::TempDir;

const PAGE: &str = include_str!("../../../docs/frames.md");
const CLIENT: &[u8] = include_bytes!("captures/postgres-client.bin");
const SERVER: &[u8] = include_bytes!("captures/postgres-server.bin");
/// What the page speaks to PostgreSQL with; both ways.
const SPEAK: &str = "P='--header >i --includes-header --escape'";

/// A directory with the captures, and `redial` on the `PATH`.
struct Desk {
    dir: TempDir,
    path: String,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("postgres-client.bin"), CLIENT).unwrap();
        fs::write(dir.path().join("postgres-server.bin"), SERVER).unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(binary(), bin.join("redial")).unwrap();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", bin.display());
        Desk { dir, path }
    }

    /// What the shell prints, stderr after stdout.
    fn shell(&self, line: &str) -> String {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(line).env("PATH", &self.path);
        let output = shell.current_dir(self.dir.path()).stdin(Stdio::null());
        let output = output.output().unwrap();
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8(both).unwrap()
    }
}

#[test]
fn every_command_of_the_page_prints_what_the_page_shows() {
    let desk = Desk::new();
    let mut run = 0;
    for block in PAGE.split("```console\n").skip(1) {
        let (block, _) = block.split_once("\n```").unwrap();
        for typed in block.strip_prefix("$ ").unwrap().split("\n$ ") {
            let (line, shown) = typed.split_once('\n').unwrap_or((typed, ""));
            assert_eq!(desk.shell(line).trim_end_matches('\n'), shown, "{line}");
            run += 1;
        }
    }
    assert!(run > 10, "the page has its commands");
}

#[test]
fn what_psql_said_is_decoded_and_encoded_again_to_the_byte() {
    let desk = Desk::new();
    // Only the client's first message has no type before its length.
    for (messages, prefix) in [("head -c 71", 0), ("tail -c +72", 1)] {
        let options = format!("$P --prefix-bytes {prefix}");
        let same = desk.shell(&format!(
            "{SPEAK}; {messages} postgres-client.bin > said
             redial frame decode {options} < said | redial frame encode {options} | cmp - said && echo same"
        ));
        assert_eq!(same, "same\n", "{messages}");
    }
}

#[test]
fn socat_carries_our_frames_to_a_server_and_its_frames_back() {
    let name = "socat_carries_our_frames_to_a_server_and_its_frames_back";
    if Command::new("socat").arg("-V").output().is_err() {
        return skip(&format!("{name}: no socat"));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Says what PostgreSQL said to the same words.
    let server = thread::spawn(move || {
        let (mut line, _) = listener.accept().unwrap();
        let mut heard = vec![0; CLIENT.len()];
        line.read_exact(&mut heard).unwrap();
        line.write_all(SERVER).unwrap();
        heard
    });
    let printed = Desk::new().shell(&format!(
        "{SPEAK}
        {{ head -c 71 postgres-client.bin | redial frame decode $P | redial frame encode $P
           tail -c +72 postgres-client.bin | redial frame decode $P --prefix-bytes 1 |
             redial frame encode $P --prefix-bytes 1
        }} | socat -t 20 - TCP:127.0.0.1:{port} | redial frame decode $P --prefix-bytes 1"
    ));
    assert_eq!(server.join().unwrap(), CLIENT);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 27, "{printed}");
    assert_eq!(lines[0], "R\\0\\0\\0\\0");
    assert_eq!(lines[22], "D\\0\\x02\\0\\0\\0\\x012\\0\\0\\0\\x06电话");
    assert_eq!(lines[26], "ZI");
}

#[test]
fn a_live_postgresql_answers_what_the_page_asks() {
    let name = "a_live_postgresql_answers_what_the_page_asks";
    let Some(programs) = postgresql() else {
        return skip(&format!("{name}: no PostgreSQL server is installed"));
    };
    let live = match Live::start(&programs) {
        Ok(live) => live,
        Err(why) => return skip(&format!("{name}: {why}")),
    };
    let example = PAGE.split("```sh\n").nth(1).unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example = example.replace("TCP:localhost:5432", &live.address());
    assert!(example.contains("UNIX-CONNECT"), "the page names no server");
    let printed = Desk::new().shell(&example);
    assert!(
        printed.contains("\nD\\0\\x01\\0\\0\\0\\x0242\n"),
        "{printed}"
    );
    assert!(printed.ends_with("CSELECT 1\\0\nZI\n"), "{printed}");
}

/// The directory of a server's programs, where Debian puts it or on the `PATH`.
fn postgresql() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    found.find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// A server of the test's own on a Unix socket, that trusts everybody who reaches it.
struct Live {
    child: Child,
    dir: TempDir,
}

impl Live {
    fn start(programs: &Path) -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            // PostgreSQL does not run as root.
            std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = dir.path().join("data");
        let mut initdb = as_nobody(&programs.join("initdb"), dir.path());
        initdb.args(["-U", "me", "-A", "trust", "--locale=C", "-N", "-D"]);
        let made = initdb.arg(&data).output().map_err(|e| e.to_string())?;
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr).replace('\n', " ");
            return Err(format!("initdb: {why}"));
        }
        let mut postgres = as_nobody(&programs.join("postgres"), dir.path());
        postgres.args(["-c", "listen_addresses=", "-F", "-k"]);
        postgres.arg(dir.path()).arg("-D").arg(&data);
        let child = postgres.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|error| error.to_string())?;
        let mut live = Live { child, dir };
        // Its eighth line says how far the server is (PostgreSQL's pidfile.h).
        let state = data.join("postmaster.pid");
        let listens = eventually(|| {
            let ended = live.child.try_wait().unwrap();
            let state = fs::read_to_string(&state).unwrap_or_default();
            let ready = state.lines().nth(7).is_some_and(|it| it.trim() == "ready");
            ended.map(|_| false).or(ready.then_some(true))
        });
        match listens {
            Some(true) => Ok(live),
            _ => Err("the server does not start".to_owned()),
        }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join(".s.PGSQL.5432")
    }

    fn address(&self) -> String {
        format!("UNIX-CONNECT:{}", self.socket().display())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let left = support::processes::descendants(self.child.id());
        // SIGINT is PostgreSQL's fast shutdown.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        support::wait(&mut self.child);
        let gone = || left.iter().all(|process: &Process| !process.lives());
        assert!(thread::panicking() || eventually(|| gone().then_some(())).is_some());
    }
}

const NOBODY: u32 = 65_534;

fn as_nobody(program: &Path, dir: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}
