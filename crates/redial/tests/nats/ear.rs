//! Somebody who may listen to everything.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::JoinHandle;

use super::support::nats::Broker;

/// Somebody who may listen to everything.
pub(crate) struct Ear {
    stream: TcpStream,
    heard: JoinHandle<Vec<u8>>,
}

/// Listens from now on.
pub(crate) fn eavesdrop(broker: &Broker) -> Ear {
    let mut stream = TcpStream::connect(("127.0.0.1", broker.port)).unwrap();
    // A pong says that the broker has taken the rest.
    stream
        .write_all(b"CONNECT {\"verbose\":false}\r\nSUB > 1\r\nPING\r\n")
        .unwrap();
    let mut ours = stream.try_clone().unwrap();
    let mut all = Vec::new();
    let mut piece = [0; 65_536];
    while !all.windows(6).any(|part| part == b"PONG\r\n") {
        let len = ours.read(&mut piece).unwrap();
        all.extend_from_slice(&piece[..len]);
    }
    let heard = std::thread::spawn(move || {
        // Cut off from outside at the end.
        let _ = ours.read_to_end(&mut all);
        all
    });
    Ear { stream, heard }
}

impl Ear {
    /// All that it has heard.
    pub(crate) fn stop(mut self) -> Vec<u8> {
        // What was said before comes first.
        let _ = self.stream.write_all(b"PING\r\n");
        let _ = self.stream.shutdown(Shutdown::Write);
        self.heard.join().unwrap()
    }
}
