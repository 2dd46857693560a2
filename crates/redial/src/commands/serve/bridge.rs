//! `serve --stdio`: bytes between our stdio and this user's server, both ways.
//!
//! It looks at none of them. Where no server runs, it starts one, which stays. Two that
//! start one at once end up with the same: the socket's lock lets only one live.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use redial_keeper::keeper::KeeperError;
use rustix::event::PollFlags;

use crate::sinks::wait_or_fail;

const BUFFER: usize = 256 * 1024;
/// How long a server that was just started may take until it accepts.
const START_TIMEOUT: Duration = Duration::from_secs(8);
/// Between two looks at the socket.
const STEP: Duration = Duration::from_millis(10);

/// Copies until the server's side has ended.
pub(super) fn bridge(socket: &Path) -> anyhow::Result<()> {
    let stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if is_nobody_there(&error) => start(socket)?,
        Err(error) => return Err(error).context(format!("cannot connect to {}", socket.display())),
    };
    let to_server = stream.try_clone().context("cannot copy a descriptor")?;
    let input = rustix::io::dup(rustix::stdio::stdin()).context("stdin")?;
    let output = rustix::io::dup(rustix::stdio::stdout()).context("stdout")?;
    // It is not joined: when the server has ended, what the client still says is for
    // nobody.
    thread::Builder::new()
        .name("to server".to_owned())
        .spawn(move || {
            if let Err(error) = copy(Ours(input), &to_server) {
                tracing::debug!(%error, "the client's side ended");
            }
            // Fails if the server has closed already.
            let _ = to_server.shutdown(Shutdown::Write);
        })?;
    match copy(&stream, Ours(output)) {
        // The client has gone first, which is its right.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        ended => ended.context("the line to the server"),
    }
}

fn is_nobody_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Starts a server of our own and waits until somebody accepts: it, or that of another
/// bridge which was faster.
fn start(socket: &Path) -> anyhow::Result<UnixStream> {
    let log = log_file(socket)?;
    let mut listen = std::ffi::OsString::from("unix:");
    listen.push(socket);
    let mut server = Command::new("/proc/self/exe");
    server
        .args(["serve", "--listen"])
        .arg(listen)
        .arg0("redial");
    // A session of its own would be better; a group of its own keeps Ctrl-C away.
    server.process_group(0).current_dir("/");
    server
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let mut server = server.spawn().context("cannot start a server")?;
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let ended = server.try_wait().context("cannot watch the server")?;
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if !is_nobody_there(&error) => {
                return Err(error).context(format!("cannot connect to {}", socket.display()));
            }
            // The one that lost the race ends; the winner may need a moment more.
            Err(error) if Instant::now() > deadline => {
                let how = ended.map_or_else(String::new, |status| format!(", it ended: {status}"));
                bail!(
                    "started a server, but nobody accepts on {}: {error}{how}; see {}",
                    socket.display(),
                    socket.with_extension("log").display()
                );
            }
            Err(_) => thread::sleep(STEP),
        }
    }
}

/// Where a server that nobody watches says what it has to say: beside its socket.
fn log_file(socket: &Path) -> anyhow::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    super::make_runtime_dir(socket, false)?;
    let path = socket.with_extension("log");
    let opened = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path);
    match (opened, socket.parent()) {
        (Err(error), Some(dir)) if error.kind() == io::ErrorKind::NotFound => {
            let path = dir.to_path_buf();
            Err(KeeperError::NoDirectory { path }.into())
        }
        (opened, _) => opened.with_context(|| format!("cannot open {}", path.display())),
    }
}

fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => to.write_all(&buffer[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The server has closed with something of ours unread: an end as well.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// One of our stdio's descriptors, without a buffer, blocking whatever its mode.
struct Ours(OwnedFd);

impl Ours {
    fn retry<T>(
        &self,
        until: PollFlags,
        mut call: impl FnMut(&OwnedFd) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        use std::os::fd::AsFd;
        loop {
            match call(&self.0) {
                Ok(done) => return Ok(done),
                Err(error) => wait_or_fail(self.0.as_fd(), error, until)?,
            }
        }
    }
}

impl Read for Ours {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.retry(PollFlags::IN, |fd| rustix::io::read(fd, &mut *buffer))
    }
}

impl Write for Ours {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(PollFlags::OUT, |fd| rustix::io::write(fd, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
