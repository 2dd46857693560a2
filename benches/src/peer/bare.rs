//! The least that going on over another line can cost: a program that says how far it has come,
//! and one that sends from there. No keys, no protocol, no process held, nothing summed.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

const BUFFER_BYTES: usize = 256 * 1024;

/// Sends so many bytes to whoever dials, from the place that is asked for; it serves until the
/// process ends.
#[derive(Debug)]
pub(crate) struct Sender {
    dir: TempDir,
    bytes: u64,
}

impl Sender {
    /// # Errors
    /// There is no socket to be had.
    pub(crate) fn start(bytes: u64) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let listener = UnixListener::bind(dir.path().join("socket")).context("cannot listen")?;
        thread::spawn(move || {
            let zeros = vec![0; BUFFER_BYTES];
            for line in listener.incoming().flatten() {
                // A line that is cut is dialled again.
                let _ = send(line, &zeros, bytes);
            }
        });
        Ok(Sender { dir, bytes })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// How long it takes until all has come through this socket, which leads to ours.
    ///
    /// # Errors
    /// Nobody listens there any more.
    pub(crate) fn receive(&self, socket: &Path) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut have = 0;
        while have < self.bytes {
            let mut line = UnixStream::connect(socket).context("cannot dial")?;
            if line.write_all(&have.to_be_bytes()).is_err() {
                continue;
            }
            while let Ok(len) = line.read(&mut buffer)
                && len > 0
            {
                have += len as u64;
            }
        }
        Ok(began.elapsed())
    }
}

fn send(mut line: UnixStream, zeros: &[u8], bytes: u64) -> std::io::Result<()> {
    let mut from = [0; 8];
    line.read_exact(&mut from)?;
    let mut left = bytes.saturating_sub(u64::from_be_bytes(from));
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        left -= line.write(&zeros[..zeros.len().min(most)])? as u64;
    }
    Ok(())
}
