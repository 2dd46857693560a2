//! A server of the test's own, on a socket in a directory of its own.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::processes::{Process, descendants};
use super::{Redial, binary, eventually, wait};

/// Ends with the test: SIGTERM, a bounded wait, and no child may be left.
pub(crate) struct TestServer {
    child: Child,
    dir: TempDir,
    args: Vec<String>,
}

impl TestServer {
    /// A server that accepts.
    pub(crate) fn start() -> Self {
        TestServer::with(&[])
    }

    /// A server that accepts, with more arguments.
    pub(crate) fn with(args: &[&str]) -> Self {
        let dir = dir_for_socket();
        let child = serve(&binary(), &dir, args);
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        let server = TestServer { child, dir, args };
        server.accepts();
        server
    }

    /// A server that accepts, of this program.
    pub(crate) fn of(program: &Path) -> Self {
        let dir = dir_for_socket();
        let child = serve(program, &dir, &[]);
        let args = Vec::new();
        let server = TestServer { child, dir, args };
        server.accepts();
        server
    }

    /// A server that accepts, started by another program that is given it as its last arguments;
    /// its jobs are kept in this directory.
    pub(crate) fn inside(mut command: Command, dir: TempDir, state: &Path) -> Self {
        command.arg(binary());
        let child = serve_by(command, &dir, &[], state);
        let args = Vec::new();
        let server = TestServer { child, dir, args };
        server.accepts();
        server
    }

    /// Where it keeps its state, if it was started [inside](Self::inside) something.
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Another in its place, with the same arguments and directories, when it has ended.
    pub(crate) fn begin_again(&mut self) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.child = serve(&binary(), &self.dir, &args);
        self.accepts();
    }

    fn accepts(&self) {
        let accepts = eventually(|| UnixStream::connect(self.socket()).ok());
        accepts.expect("the server accepts");
    }

    /// Kills keeper and front at once, and leaves all else as it is.
    pub(crate) fn kill_all(&mut self) {
        let pid = |pid: u32| Pid::from_raw(pid.cast_signed()).expect("a process id");
        // Stopped, it starts no other front.
        kill_process(pid(self.pid()), Signal::STOP).unwrap();
        kill_front(self.pid());
        self.child.kill().unwrap();
        wait(&mut self.child);
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        socket_in(self.dir.path())
    }

    /// `unix:` and its socket.
    pub(crate) fn target(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Where it keeps its jobs.
    pub(crate) fn kept(&self) -> PathBuf {
        self.dir.path().join("jobs")
    }

    /// `exec:`, by way of the bridge.
    pub(crate) fn bridged(&self) -> String {
        bridge(&self.socket())
    }

    /// `redial run` on it.
    pub(crate) fn run(&self) -> Redial {
        Redial::run(self.target())
    }

    /// The keeper.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as Drop does; its exit code.
    pub(crate) fn stop(&mut self) -> i32 {
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

impl Drop for TestServer {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let code = self.stop();
            if !std::thread::panicking() {
                assert_eq!(code, 0, "exit code of the server");
            }
        }
    }
}

fn serve(program: &Path, dir: &TempDir, args: &[&str]) -> Child {
    serve_by(Command::new(program), dir, args, dir.path())
}

fn serve_by(mut command: Command, dir: &TempDir, args: &[&str], state: &Path) -> Child {
    let mut listen = OsString::from("unix:");
    listen.push(socket_in(dir.path()));
    command.args(["serve", "--listen"]).arg(listen).args(args);
    command
        .env_remove("REDIAL_LOG")
        .env("REDIAL_STATE_DIR", state)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.spawn().expect("the program under test starts")
}

/// A directory where [`socket_in`] can be listened on.
pub(crate) fn dir_for_socket() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let run = socket_in(dir.path());
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(run.parent().unwrap()).unwrap();
    dir
}

/// Where [`TestServer`] has its socket.
pub(crate) fn socket_in(dir: &Path) -> PathBuf {
    dir.join("run/redial.sock")
}

/// `exec:` with a bridge to this socket.
pub(crate) fn bridge(socket: &Path) -> String {
    let (binary, socket) = (binary(), socket.display());
    format!(
        "exec:{} serve --stdio --listen unix:{socket}",
        binary.display()
    )
}

/// Kills the front of the keeper `pid`, as nothing can be caught or held against.
pub(crate) fn kill_front(pid: u32) {
    let front = Pid::from_raw(front(pid).cast_signed()).expect("a process id");
    // It may have ended in this moment.
    let _ = kill_process(front, Signal::KILL);
}

/// The front of the keeper `pid`, once there is one.
pub(crate) fn front(pid: u32) -> u32 {
    let is_front = |process: &Process| process.arguments.contains("--front");
    let front = eventually(|| descendants(pid).into_iter().find(is_front));
    front.expect("a front").pid
}

/// Ends a server as its administrator would, if it still runs: it ends well, and leaves nothing.
pub(crate) fn end_well(child: &mut Child, log: impl Fn() -> String) {
    if child.try_wait().is_ok_and(|ended| ended.is_some()) {
        return;
    }
    let left = descendants(child.id());
    terminate(child.id());
    let code = wait(child);
    if std::thread::panicking() {
        eprintln!("{}", log());
        return;
    }
    assert_eq!(code, 0, "exit code of the server: {}", log());
    for process in left {
        let gone = eventually(|| (!process.lives()).then_some(()));
        assert!(gone.is_some(), "the server has left {process:?}");
    }
}

/// SIGTERM.
pub(crate) fn terminate(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a process id");
    kill_process(pid, Signal::TERM).unwrap();
}
