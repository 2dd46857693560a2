//! The least that a command over the network can cost: a small process dials, and who
//! hears it spawns `true`. No keys, no protocol.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::Context;

use super::direct::Direct;

/// What is said when `true` has succeeded.
const DONE: &str = "done";

/// A listener in a thread of the measuring process; gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Floor {
    port: u16,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Floor {
    /// Listens.
    ///
    /// # Errors
    /// There is no port, or nothing can be spawned.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port")?;
        let port = listener.local_addr().context("no port")?.port();
        let mut direct = Direct::new()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let said = match direct.once() {
                    Ok(()) => DONE.to_owned(),
                    Err(error) => format!("{error:#}"),
                };
                // Who is told nothing fails, and that ends the measurement.
                let _ = stream.and_then(|mut stream| stream.write_all(said.as_bytes()));
            }
        });
        Ok(Floor {
            port,
            stopped,
            thread: Some(thread),
        })
    }

    /// The process that dials: ourselves, as [`dial`].
    ///
    /// # Errors
    /// Where our program lies is not known.
    pub(crate) fn run(&self) -> anyhow::Result<Command> {
        let ours = std::env::current_exe().context("our own program")?;
        let mut command = Command::new(ours);
        command.args(["dial", &self.port.to_string()]);
        Ok(command)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // It wakes the thread; if nobody listens, that is over already.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        // A panic there has been printed, and this may be a panic too.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Dials a [`Floor`], and waits until its `true` has succeeded.
///
/// # Errors
/// Nobody listens, or it has not.
pub(crate) fn dial(port: u16) -> anyhow::Result<()> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    let mut said = String::new();
    stream
        .and_then(|mut stream| stream.read_to_string(&mut said))
        .context("cannot hear")?;
    anyhow::ensure!(said == DONE, "true failed there: {said:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dial_spawns_and_nobody_is_heard_any_more_when_it_is_dropped() {
        let floor = Floor::start().unwrap();
        let port = floor.port;
        dial(port).unwrap();
        dial(port).unwrap();
        drop(floor);
        dial(port).unwrap_err();
    }
}
