//! A line to a server that is far away: each byte takes its time, and nothing else is in its way.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

/// The line; it serves until the process ends.
#[derive(Debug)]
pub(crate) struct Far {
    port: u16,
}

/// Bytes, and when they arrive; none is the end.
type Sent = (Instant, Option<Vec<u8>>);

impl Far {
    /// To a port of 127.0.0.1, in so much time there and back.
    ///
    /// # Errors
    /// There is no port to be had.
    pub(crate) fn start(server: u16, round_trip: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || carry(&client, server, round_trip));
            }
        });
        Ok(Far { port })
    }

    /// On 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// As TCP does it: the client may speak after one round trip, and is half of one away.
fn carry(client: &TcpStream, server: u16, round_trip: Duration) -> std::io::Result<()> {
    let half = round_trip / 2;
    client.set_nodelay(true)?;
    thread::sleep(round_trip);
    let (up, arriving) = channel();
    let from = client.try_clone()?;
    thread::spawn(move || read(from, half, &up));
    thread::sleep(half);
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    server.set_nodelay(true)?;
    let to = server.try_clone()?;
    thread::spawn(move || write(to, &arriving));
    let (down, arriving) = channel();
    thread::spawn(move || read(server, half, &down));
    write(client.try_clone()?, &arriving);
    Ok(())
}

fn read(mut from: TcpStream, takes: Duration, to: &Sender<Sent>) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let bytes = match from.read(&mut buffer) {
            Ok(0) | Err(_) => None,
            Ok(len) => Some(buffer[..len].to_vec()),
        };
        let is_over = bytes.is_none();
        if to.send((Instant::now() + takes, bytes)).is_err() || is_over {
            return;
        }
    }
}

fn write(mut to: TcpStream, from: &Receiver<Sent>) {
    for (at, bytes) in from {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if bytes.is_none_or(|bytes| to.write_all(&bytes).is_err()) {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
