//! A line of our own between client and server: it carries bytes at a pace, and every so often
//! it is cut, or the front at its far end is killed.

use std::future::pending;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::plan::{Fault, Plan};
use super::server::Front;

/// Carried on each connection before its first fault: so each gets through its handshake, and
/// brings some of the output.
const AT_LEAST: u64 = 128 * 1024;
/// How long that is waited for.
const ARRIVAL: Duration = Duration::from_secs(2);
const BUFFER_BYTES: usize = 64 * 1024;
/// What timers can tell apart.
const TICK: Duration = Duration::from_millis(1);
/// A timer that was late by so much at most is made up for.
const LATE: Duration = Duration::from_millis(20);

/// What was done to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// It was cut.
    Cut,
    /// The front, this process, was killed.
    Kill(u32),
}

/// Carries one connection after the other.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Where the server listens.
    pub(super) server: &'a Path,
    pub(super) front: Front,
    pub(super) plan: Plan,
    pub(super) pace: Pace,
    /// Is told before anybody else can notice.
    pub(super) made: UnboundedSender<Made>,
    /// Bytes of the output that have arrived.
    pub(super) arrived: watch::Receiver<u64>,
    /// Bytes from the server, over all connections.
    pub(super) carried: u64,
}

impl Line<'_> {
    /// Goes on until it fails: the server cannot be reached, or the front not be found. A
    /// connection that ends is no failure.
    pub(super) async fn run(mut self, listener: UnixListener) -> io::Error {
        loop {
            if let Err(error) = self.carry_one(&listener).await {
                return error;
            }
        }
    }

    async fn carry_one(&mut self, listener: &UnixListener) -> io::Result<()> {
        let (client, _) = listener.accept().await?;
        let server = UnixStream::connect(self.server).await?;
        self.carry(client, server).await
    }

    /// Both ends are closed when it returns.
    async fn carry(&mut self, mut client: UnixStream, mut server: UnixStream) -> io::Result<()> {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            () = up(from_client, to_server) => Ok(()),
            ended = self.down(from_server, to_client) => ended,
        }
    }

    /// From the server to the client, up to the next fault.
    async fn down(&mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let (mut here, mut killed) = (0, false);
        let before = *self.arrived.borrow();
        loop {
            let Ok(len @ 1..) = from.read(&mut buffer).await else {
                return Ok(());
            };
            let mut piece = &buffer[..len];
            while !piece.is_empty() {
                // What a front had sent before it was killed still arrives.
                let next = self.plan.next().filter(|_| !killed);
                let room = next.map_or(u64::MAX, |(at, _)| {
                    at.saturating_sub(self.carried)
                        .max(AT_LEAST.saturating_sub(here))
                });
                let room = usize::try_from(room).unwrap_or(usize::MAX);
                let (now, later) = piece.split_at(piece.len().min(room));
                if to.write_all(now).await.is_err() {
                    return Ok(());
                }
                self.carried += now.len() as u64;
                here += now.len() as u64;
                self.pace.after(now.len()).await;
                piece = later;
                if now.len() < room {
                    continue;
                }
                if next.is_some() {
                    // Else two faults in a row would look like one.
                    let arrival = self.arrived.wait_for(|arrived| *arrived > before);
                    let _ = timeout(ARRIVAL, arrival).await;
                }
                match next {
                    Some((_, Fault::Cut)) => {
                        self.tell(Made::Cut);
                        return Ok(());
                    }
                    Some((_, Fault::Kill)) => {
                        let pid = self.front.kill().await?;
                        self.tell(Made::Kill(pid));
                        killed = true;
                    }
                    None => {}
                }
            }
        }
    }

    fn tell(&mut self, made: Made) {
        self.plan.made();
        // If nobody listens, it is over.
        let _ = self.made.send(made);
    }
}

/// From the client to the server. Its end is passed on, and does not end the other direction.
async fn up(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) {
    let copied = tokio::io::copy(&mut from, &mut to).await;
    if copied.is_ok() && to.shutdown().await.is_ok() {
        pending().await
    }
}

/// So many bytes a second; no more to make up for a pause.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u64,
    free: Instant,
}

impl Pace {
    pub(super) fn new(rate: u64) -> Self {
        Pace {
            rate,
            free: Instant::now(),
        }
    }

    async fn after(&mut self, bytes: usize) {
        let took = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        let now = Instant::now();
        self.free = self.free.max(now.checked_sub(LATE).unwrap_or(now)) + took;
        if self.free > now + TICK {
            sleep_until(self.free).await;
        }
    }
}
