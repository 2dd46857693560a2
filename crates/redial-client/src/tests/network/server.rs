//! A server with a host key, which knows whom to let in and remembers what was said.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use redial_net::auth::authorized_keys::Presence;
use redial_net::auth::{HostKey, PublicKey, Statement, verify_proof};
use redial_net::proto::message::{Authenticate, Authenticated};
use redial_net::proto::{ChannelId, Config, Connection, Event, Stream};
use redial_net::tls::{self, HostSigner, SignError, TlsServer};
use redial_net::{Session, Slices, Transport, drive};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::super::fake::Fake;
use super::super::{PATIENCE, soon};
use crate::{Client, ConnectError, ConnectOptions, HostTarget, Target};

const NONCE: [u8; 32] = [9; 32];

/// How it behaves.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) authorized: Vec<PublicKey>,
    pub(super) host_key: u8,
    /// Whose key really signs.
    pub(super) signer: u8,
    /// The host key of all connections but the first, if it is another.
    pub(super) later_host_key: Option<u8>,
    /// What becomes of a line once TLS is made, if nothing is said over it.
    pub(super) after_tls: AfterTls,
    pub(super) asks: bool,
    pub(super) nonce: bool,
    /// The answer to everything, whatever is right.
    pub(super) always: Option<Authenticated>,
}

impl Rules {
    pub(super) fn authorized(authorized: Vec<PublicKey>) -> Self {
        Rules {
            authorized,
            host_key: 100,
            signer: 100,
            later_host_key: None,
            after_tls: AfterTls::Speaks,
            asks: true,
            nonce: true,
            always: None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterTls {
    Speaks,
    IsSilent,
    HangsUp,
}

pub(super) struct Server {
    port: u16,
    key: PublicKey,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    seen: Vec<String>,
    commands: usize,
    connections: usize,
    keepalive: u32,
}

struct Signer(HostKey);

impl HostSigner for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = self.0.sign_certificate_verify(message);
        signed.map_err(|error| SignError::Refused(error.to_string()))
    }
}

impl Server {
    pub(super) async fn start(authorized: Vec<PublicKey>) -> Self {
        Server::with(Rules::authorized(authorized)).await
    }

    pub(super) async fn with(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let key = HostKey::generate(&[rules.host_key; 32])
            .public_key()
            .clone();
        let log = Arc::new(Mutex::new(Log::default()));
        let remembered = Arc::clone(&log);
        tokio::spawn(async move {
            let mut rules = rules;
            loop {
                let (line, _) = listener.accept().await.unwrap();
                let line = Transport::from_tcp(line.into_std().unwrap()).unwrap();
                log.lock().unwrap().connections += 1;
                tokio::spawn(serve(line, rules.clone(), Arc::clone(&log)));
                if let Some(seed) = rules.later_host_key {
                    (rules.host_key, rules.signer) = (seed, seed);
                }
            }
        });
        Server {
            port,
            key,
            log: remembered,
        }
    }

    pub(super) fn target(&self) -> Target {
        named("127.0.0.1", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// As it is typed.
    pub(super) fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn known_name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    pub(super) async fn connect(&self, options: ConnectOptions) -> Result<Client, ConnectError> {
        soon(Client::connect(&self.target(), options)).await
    }

    /// What was said at logins.
    pub(super) fn seen(&self) -> Vec<String> {
        self.log.lock().unwrap().seen.clone()
    }

    pub(super) fn commands(&self) -> usize {
        self.log.lock().unwrap().commands
    }

    pub(super) fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }

    pub(super) fn keepalive(&self) -> u32 {
        self.log.lock().unwrap().keepalive
    }
}

pub(super) fn named(host: &str, port: u16) -> Target {
    Target::Network(HostTarget {
        user: None,
        host: host.to_owned(),
        port: Some(port),
    })
}

async fn serve(line: Transport, rules: Rules, log: Arc<Mutex<Log>>) {
    let host_key = HostKey::generate(&[rules.host_key; 32])
        .public_key()
        .clone();
    let spki = tls::HostKey::from_spki(&host_key.to_spki().unwrap()).unwrap();
    let signer = Arc::new(Signer(HostKey::generate(&[rules.signer; 32])));
    let server = TlsServer::new(spki, signer).unwrap();
    let Ok(mut stream) = server.accept(line, Instant::now() + PATIENCE).await else {
        return;
    };
    match rules.after_tls {
        AfterTls::Speaks => {}
        AfterTls::HangsUp => return,
        AfterTls::IsSilent => {
            let mut sink = Vec::new();
            let _ = stream.read_to_end(&mut sink).await;
            return;
        }
    }
    let mut config = Config::server([7; 16]);
    config.auth = rules.asks;
    config.nonce = rules.nonce.then_some(NONCE);
    let mut door = Door {
        fake: Fake::default(),
        exporter: *stream.exporter().as_bytes(),
        rules,
        host_key,
        log,
    };
    let connection = Connection::server(config, Duration::ZERO);
    // How it ended is the client's to say.
    let _ = drive(stream, connection, &mut door).await;
}

/// The fake server behind a door.
struct Door {
    fake: Fake,
    rules: Rules,
    host_key: PublicKey,
    exporter: [u8; 32],
    log: Arc<Mutex<Log>>,
}

impl Door {
    fn judge(&self, message: &Authenticate) -> Authenticated {
        let mut log = self.log.lock().unwrap();
        let user = &message.user;
        let keys = message.keys.iter();
        let keys: Vec<_> = keys
            .map(|blob| PublicKey::from_blob(blob).unwrap())
            .collect();
        let listed = |key: &PublicKey| self.rules.authorized.contains(key);
        let Some(proof) = &message.signature else {
            log.seen.push(format!("{user} asks about {}", keys.len()));
            let numbers = 0..u8::try_from(keys.len()).unwrap();
            let acceptable: Vec<u8> = numbers
                .filter(|at| listed(&keys[usize::from(*at)]))
                .collect();
            return answer(if acceptable.is_empty() { 2 } else { 1 }, acceptable);
        };
        let statement = Statement {
            user,
            key: &keys[0],
            host_key: &self.host_key,
            nonce: &NONCE,
            exporter: &self.exporter,
        };
        verify_proof(proof, &statement, Presence::DEFAULT).unwrap();
        log.seen
            .push(format!("{user} proves {}", keys[0].fingerprint()));
        answer(if listed(&keys[0]) { 0 } else { 2 }, Vec::new())
    }
}

pub(super) fn answer(result: u8, acceptable: Vec<u8>) -> Authenticated {
    Authenticated {
        result,
        acceptable: Some(acceptable),
        reason: (result == 2).then(|| "no such key".to_owned()),
    }
}

impl Session for Door {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, source: &Bytes) {
        match event {
            Event::Authenticate(message) => {
                let right = self.judge(&message);
                connection.authenticated(self.rules.always.clone().unwrap_or(right));
            }
            Event::ClientHello(hello) => {
                self.log.lock().unwrap().keepalive = hello.limits.keepalive_ms;
            }
            event => {
                if matches!(event, Event::Start { .. }) {
                    self.log.lock().unwrap().commands += 1;
                }
                self.fake.event(connection, event, source);
            }
        }
    }

    fn payload<'a>(
        &'a self,
        channel: ChannelId,
        stream: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        self.fake.payload(channel, stream, offset, len, out)
    }

    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<()> {
        self.fake.poll(cx, connection)
    }
}
