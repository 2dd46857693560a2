//! A proxy before a server's Unix socket that cuts its line after so many bytes, again and again.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context;
use tempfile::TempDir;

/// The proxy; it serves until the process ends.
#[derive(Debug)]
pub(crate) struct Cutter {
    dir: TempDir,
    cuts: Arc<AtomicU64>,
}

impl Cutter {
    /// Cuts a line when the server has sent so many bytes over it; never, if that is 0.
    ///
    /// # Errors
    /// There is no socket to be had.
    pub(crate) fn start(server: &Path, every: u64) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let listener = UnixListener::bind(dir.path().join("socket")).context("cannot listen")?;
        let cuts = Arc::new(AtomicU64::new(0));
        let (server, counted) = (server.to_owned(), Arc::clone(&cuts));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&server) else {
                    continue;
                };
                let counted = Arc::clone(&counted);
                // A line that fails by itself is dialled again, like one that is cut.
                let _ = serve(&client, &server, every, &counted);
            }
        });
        Ok(Cutter { dir, cuts })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

fn serve(
    client: &UnixStream,
    server: &UnixStream,
    every: u64,
    cuts: &Arc<AtomicU64>,
) -> std::io::Result<()> {
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || carry(from, to, u64::MAX));
    let (from, to) = (server.try_clone()?, client.try_clone()?);
    let (limit, cuts) = (if every == 0 { u64::MAX } else { every }, Arc::clone(cuts));
    thread::spawn(move || {
        if carry(from, to, limit) == limit {
            cuts.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// Carries at most so many bytes, and then cuts both ways. Says how many.
fn carry(mut from: UnixStream, mut to: UnixStream, limit: u64) -> u64 {
    let mut buffer = vec![0; 256 * 1024];
    let mut carried = 0;
    while carried < limit {
        let most = usize::try_from(limit - carried).unwrap_or(usize::MAX);
        let len = buffer.len().min(most);
        match from.read(&mut buffer[..len]) {
            Ok(0) | Err(_) => break,
            Ok(len) if to.write_all(&buffer[..len]).is_err() => break,
            Ok(len) => carried += len as u64,
        }
    }
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
    carried
}
