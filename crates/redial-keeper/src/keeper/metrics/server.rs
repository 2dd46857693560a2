//! The thread that answers a monitor: HTTP/1.0, one answer whatever was asked.

use std::fs::Permissions;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::MetricsTo;
use crate::keeper::config::KeeperError;
use crate::keeper::workers::{Done, Teller, spawn_thread};

/// For the monitor to say something, and to have read the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// For the keeper to make the text.
const LOOP_TIME: Duration = Duration::from_secs(2);
/// Of what is asked, thrown away at once.
const ASKED_BYTES: usize = 8 * 1024;
/// Reads of what comes behind that, at most.
const MORE_READS: usize = 64;
/// After an accept that failed: out of descriptors, say.
const PAUSE: Duration = Duration::from_millis(100);

/// Where it is served; a socket's file goes with this.
#[derive(Debug, Default)]
pub(in crate::keeper) struct Served(Option<PathBuf>);

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// One connection of either kind.
trait Connection: Read + Write {
    fn end(&self) -> io::Result<()>;
}

impl Connection for std::os::unix::net::UnixStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Connection for std::net::TcpStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// Listens, and starts the thread.
///
/// # Errors
/// It cannot be listened there.
pub(in crate::keeper) fn open(to: &MetricsTo, teller: &Teller) -> Result<Served, KeeperError> {
    let failed = |source| KeeperError::Metrics {
        to: to.clone(),
        source,
    };
    let (listener, served) = bind(to).map_err(failed)?;
    let teller = teller.clone();
    spawn_thread("metrics", move || serve(&listener, &teller)).map_err(failed)?;
    tracing::info!(at = %to, "metrics");
    Ok(served)
}

fn bind(to: &MetricsTo) -> io::Result<(Listener, Served)> {
    match to {
        MetricsTo::Unix(path) => {
            let listener = bind_unix(path)?;
            Ok((Listener::Unix(listener), Served(Some(path.clone()))))
        }
        MetricsTo::Loopback(address) if address.ip().is_loopback() => {
            Ok((Listener::Tcp(TcpListener::bind(address)?), Served(None)))
        }
        MetricsTo::Loopback(_) => Err(io::Error::other("it is no loopback address")),
    }
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    // Nobody holds this one by a lock: who was there before is replaced, if it is a socket.
    if std::fs::symlink_metadata(path).is_ok_and(|about| about.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Ends with the program.
fn serve(listener: &Listener, teller: &Teller) {
    loop {
        let answered = match listener {
            Listener::Unix(listener) => listener.accept().and_then(|(stream, _)| {
                set_times(&stream)?;
                answer(stream, teller)
            }),
            Listener::Tcp(listener) => listener.accept().and_then(|(stream, _)| {
                set_times(&stream)?;
                answer(stream, teller)
            }),
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "a monitor was not answered");
            let is_accept = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
            if is_accept {
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// By socket option: the same for both kinds (socket(7)).
fn set_times(stream: impl AsFd) -> io::Result<()> {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    set_socket_timeout(&stream, Timeout::Recv, Some(PATIENCE))?;
    set_socket_timeout(&stream, Timeout::Send, Some(PATIENCE))?;
    Ok(())
}

fn answer(mut stream: impl Connection, teller: &Teller) -> io::Result<()> {
    let mut asked = vec![0; ASKED_BYTES];
    if stream.read(&mut asked)? == 0 {
        return Ok(());
    }
    let (want, wanted) = mpsc::sync_channel(1);
    teller.tell(Done::Scraped(want));
    let answer = match wanted.recv_timeout(LOOP_TIME) {
        Ok(text) => format!(
            "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        ),
        Err(_) => "HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_owned(),
    };
    stream.write_all(answer.as_bytes())?;
    stream.end()?;
    // What is not read when it is closed would take the answer with it (tcp(7)).
    for _ in 0..MORE_READS {
        if stream.read(&mut asked)? == 0 {
            break;
        }
    }
    Ok(())
}
