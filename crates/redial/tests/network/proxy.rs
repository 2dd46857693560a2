//! A line between client and server that is slow, is cut, or falls silent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// What becomes of the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Line {
    /// In pieces of at most so many bytes, each a little later than it could be.
    Slow { piece: usize, pause: Duration },
    /// Cut after so many bytes from the server.
    Cut { after: usize },
    /// Not closed, but nothing passes any more after so many bytes from the server.
    Silent { after: usize },
}

/// Listens on 127.0.0.1, and carries each connection there; its port. It ends with the
/// test's process.
pub(crate) fn proxy(to: SocketAddr, line: Line) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(to).unwrap());
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let up = match line {
                Line::Slow { .. } => line,
                _ => Line::Cut { after: usize::MAX },
            };
            thread::spawn(move || carry(client, server, up));
            thread::spawn(move || carry(back, forth, line));
        }
    });
    port
}

fn carry(mut from: TcpStream, mut to: TcpStream, line: Line) {
    let mut buffer = vec![0; 64 * 1024];
    let (piece, pause, mut left) = match line {
        Line::Slow { piece, pause } => (piece, pause, usize::MAX),
        Line::Cut { after } | Line::Silent { after } => (buffer.len(), Duration::ZERO, after),
    };
    while left > 0 {
        let most = piece.min(left);
        let Ok(len @ 1..) = from.read(&mut buffer[..most]) else {
            break;
        };
        // The slowness that is wanted, not a wait for anything.
        if !pause.is_zero() {
            thread::park_timeout(pause);
        }
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
        left -= len;
    }
    if left == 0 && matches!(line, Line::Silent { .. }) {
        // Read on, so that the server does not notice by a full line.
        while matches!(from.read(&mut buffer), Ok(1..)) {}
    }
    // The other side may have done it.
    let _ = to.shutdown(if left == 0 {
        Shutdown::Both
    } else {
        Shutdown::Write
    });
}
