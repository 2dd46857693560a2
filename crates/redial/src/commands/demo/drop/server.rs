//! A server of our own, in a directory of its own; both are gone at the end.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::time::sleep;

/// How long it may take until it can be reached, or until there is another front.
const READY: Duration = Duration::from_secs(20);
/// From TERM to KILL. It has ended the job by then, and waits for somebody to read the rest of
/// what that printed.
const END: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(2);

/// The keeper, and where it can be reached. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Server {
    keeper: Child,
    dir: Dir,
}

impl Server {
    /// One that can soon be reached.
    ///
    /// # Errors
    /// No directory, or no process.
    pub(super) fn start() -> anyhow::Result<Self> {
        let dir = Dir::new().context("cannot make a temporary directory")?;
        let mut listen = std::ffi::OsString::from("unix:");
        listen.push(dir.path("server.sock"));
        let log = File::create(dir.path("log")).context("cannot make its log")?;
        // This very program, even if its file was replaced in the meantime.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("redial")
            .args(["--config", "/dev/null", "serve", "--listen"])
            .arg(listen)
            // Ctrl-C is for us; then we end it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"REDIAL_") {
                command.env_remove(name);
            }
        }
        let keeper = command.spawn().context("cannot start a server")?;
        Ok(Server { keeper, dir })
    }

    /// Until it can be reached.
    ///
    /// # Errors
    /// It ends at once, with its last words.
    pub(super) async fn wait_until_reached(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + READY;
        while UnixStream::connect(self.socket()).is_err() {
            let ended = self.keeper.try_wait().context("the server")?;
            if ended.is_some() || Instant::now() > until {
                let log = fs::read_to_string(self.dir.path("log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or("it said nothing").to_owned();
                anyhow::bail!("the server did not come up: {last}");
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path("server.sock")
    }

    /// Where a line to it can be listened on.
    pub(super) fn line(&self) -> PathBuf {
        self.dir.path("line.sock")
    }

    /// The front, whichever it is.
    pub(super) fn front(&self) -> Front {
        Front {
            keeper: self.keeper.id(),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if let Some(keeper) = Pid::from_raw(self.keeper.id().cast_signed()) {
            kill_process(keeper, Signal::TERM)?;
        }
        let until = Instant::now() + END;
        while self.keeper.try_wait()?.is_none() {
            if Instant::now() > until {
                self.keeper.kill()?;
                self.keeper.wait()?;
                break;
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it has ended already, there is nothing to end.
        let _ = self.end();
    }
}

/// The front of a keeper.
#[derive(Debug, Clone, Copy)]
pub(super) struct Front {
    keeper: u32,
}

impl Front {
    /// Kills it, as nothing can be caught or held against; which process that was.
    ///
    /// # Errors
    /// There is none, for long.
    pub(super) async fn kill(self) -> io::Result<u32> {
        let until = Instant::now() + READY;
        while Instant::now() < until {
            if let Some(number) = self.find()?
                && let Some(pid) = Pid::from_raw(number.cast_signed())
                && let Ok(front) = pidfd_open(pid, PidfdFlags::empty())
                // Still the one that was found: a number may be another's by now.
                && self.is_at(number)
                && pidfd_send_signal(&front, Signal::KILL).is_ok()
            {
                return Ok(number);
            }
            sleep(POLL).await;
        }
        Err(io::Error::other("the server has no front"))
    }

    fn find(self) -> io::Result<Option<u32>> {
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|name| name.parse().ok());
            if let Some(pid) = pid.filter(|pid| self.is_at(*pid)) {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    }

    /// Whether it is this process: a child of the keeper, called to be a front.
    fn is_at(self, pid: u32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name may hold anything, parentheses too (proc_pid_stat(5)).
        let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
        let mut fields = behind.split_whitespace();
        let (state, parent) = (fields.next(), fields.next());
        if state == Some("Z") || parent != Some(self.keeper.to_string().as_str()) {
            return false;
        }
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments
            .split(|byte| *byte == 0)
            .any(|word| word == b"--front")
    }
}

/// A directory that is nobody else's.
#[derive(Debug)]
struct Dir(PathBuf);

impl Dir {
    fn new() -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let name = format!("redial-demo-{:016x}", u64::from_ne_bytes(random));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Dir(path))
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What cannot be removed stays; there is nobody to tell who could do more.
        let _ = fs::remove_dir_all(&self.0);
    }
}
