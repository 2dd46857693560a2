//! A server, the way to it, and a way to it that fails.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

use tempfile::TempDir;

use crate::client::{self, Plan, Seen};
use crate::support::cutting::{Cutting, Fault};
use crate::support::nats::{Broker, Host};
use crate::support::network::{Home, NetworkServer};
use crate::support::server::TestServer;
use crate::support::{PATIENCE, Redial};
use crate::tally::{Count, Tally};

/// Faults come after so many bytes at most, but for those in handshakes.
const WITHIN_BYTES: u64 = 1 << 20;

enum Server {
    Unix(TestServer),
    Network(NetworkServer),
    Nats(Box<Carried>),
}

/// A host that has dialled out, and who carries its lines.
struct Carried {
    host: Host,
    home: Home,
    url: String,
    broker: Mutex<Broker>,
}

/// One server, with its line.
pub(crate) struct Site {
    server: Server,
    line: Option<Cutting>,
    /// By way of the line, if there is one.
    faulty: String,
    /// Of the line's socket.
    _dir: TempDir,
}

impl Site {
    /// Over a Unix socket.
    pub(crate) fn unix(line: Option<u64>) -> Self {
        let (server, dir) = (TestServer::start(), tempfile::tempdir().unwrap());
        let (at, to) = (dir.path().join("line.sock"), server.socket());
        let line = line.map(|seed| Cutting::faulty_unix(&at, &to, WITHIN_BYTES, seed));
        Site {
            faulty: match line {
                Some(_) => format!("unix:{}", at.display()),
                None => server.target(),
            },
            server: Server::Unix(server),
            line,
            _dir: dir,
        }
    }

    /// Over TCP with TLS and a login by key.
    pub(crate) fn network(line: Option<u64>) -> Self {
        let server = NetworkServer::start();
        let to = SocketAddr::from(([127, 0, 0, 1], server.port()));
        let line = line.map(|seed| Cutting::faulty_tcp(to, WITHIN_BYTES, seed));
        let (line, port) = line.map_or((None, server.port()), |(line, port)| (Some(line), port));
        Site {
            faulty: format!("127.0.0.1:{port}"),
            server: Server::Network(server),
            line,
            _dir: tempfile::tempdir().unwrap(),
        }
    }

    /// By way of a NATS broker.
    pub(crate) fn nats() -> Self {
        let (broker, home) = (Broker::start(), Home::with_key());
        let carried = Carried {
            host: Host::start(&broker, &home, "torture"),
            home,
            url: broker.url(),
            broker: Mutex::new(broker),
        };
        Site {
            faulty: "nats:torture".to_owned(),
            server: Server::Nats(Box::new(carried)),
            line: None,
            _dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Kills the broker; another takes its place.
    pub(crate) fn kill_broker(&self) {
        let Server::Nats(carried) = &self.server else {
            return;
        };
        let mut broker = carried.broker.lock().unwrap();
        broker.dies_and_another_takes_its_place();
    }

    pub(crate) fn has_broker(&self) -> bool {
        matches!(self.server, Server::Nats(_))
    }

    pub(crate) fn keeper(&self) -> u32 {
        match &self.server {
            Server::Unix(server) => server.pid(),
            Server::Network(server) => server.pid(),
            Server::Nats(carried) => carried.host.pid(),
        }
    }

    /// HOST without the line.
    pub(crate) fn direct(&self) -> String {
        match &self.server {
            Server::Unix(server) => server.target(),
            Server::Network(server) => server.target(),
            Server::Nats(carried) => carried.host.socket(),
        }
    }

    /// HOST by way of the line.
    pub(crate) fn faulty(&self) -> &str {
        &self.faulty
    }

    /// `redial COMMAND …`, so that it is let in.
    pub(crate) fn redial(&self, command: &str) -> Redial {
        match &self.server {
            Server::Unix(_) => Redial::bare([command]),
            Server::Network(server) => server.redial([command, "--host-key", server.host_key()]),
            Server::Nats(carried) => {
                let key = carried.host.fingerprint();
                let words = [command, "--nats", &carried.url, "--host-key", &key];
                carried.home.redial(words)
            }
        }
    }

    /// Asks until there is a first line.
    pub(crate) fn ask(&self, words: &[&str], plan: Plan, tally: &Tally) -> Seen {
        self.tell(words, b"", plan, tally)
    }

    /// The same, with stdin.
    pub(crate) fn tell(&self, words: &[&str], input: &[u8], plan: Plan, tally: &Tally) -> Seen {
        let until = Instant::now() + PATIENCE;
        loop {
            let (command, rest) = words.split_first().unwrap();
            let redial = self.redial(command).args(rest);
            let seen = client::run(redial, input, plan, tally, || false);
            if !seen.is_nothing() || says_gone(&seen) || Instant::now() > until {
                return seen;
            }
            tally.reason(Count::AskedAgain, &seen.said());
        }
    }

    /// What `ps` says of its jobs.
    pub(crate) fn jobs(&self, tally: &Tally) -> Vec<serde_json::Value> {
        let seen = self.ask(&["ps", "--json", &self.direct()], Plan::default(), tally);
        assert_eq!(seen.code, 0, "{}", seen.said());
        let text = String::from_utf8(seen.outputs[0].clone()).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Adds what the line has done.
    pub(crate) fn count_faults(&self, tally: &Tally) {
        let Some(line) = &self.line else { return };
        let counts = [
            Count::Resets,
            Count::Closes,
            Count::HalfCloses,
            Count::Stalls,
        ];
        for (fault, count) in Fault::ALL.into_iter().zip(counts) {
            tally.add(count, line.count(fault));
        }
        tally.add(Count::Early, line.early());
    }
}

/// The server's answer that it has no such job.
pub(crate) fn says_gone(seen: &Seen) -> bool {
    let answers = ["no such job", "has no job"];
    answers.iter().any(|it| seen.said().contains(it))
}
