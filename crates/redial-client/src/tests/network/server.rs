//! A server with a host key, which knows whom to let in and remembers what was said.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use redial_net::auth::authorized_keys::Presence;
use redial_net::auth::{HostKey, PublicKey, Statement, verify_proof};
use redial_net::proto::message::{Authenticate, Authenticated, GoodbyeCode};
use redial_net::proto::{ChannelId, Config, Connection, Event, Stream};
use redial_net::tls::{self, HostSigner, SignError, TlsServer};
use redial_net::{Session, Slices, Transport, drive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
    pub(super) at_login: AtLogin,
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
            at_login: AtLogin::Answers,
        }
    }
}

/// What it does when somebody logs in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AtLogin {
    Answers,
    /// The first line drops instead.
    DropsFirst,
    /// It says goodbye instead.
    Leaves,
    IsSilent,
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
    /// Those of them that were asked for before.
    resent: usize,
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
                if rules.at_login == AtLogin::DropsFirst {
                    rules.at_login = AtLogin::Answers;
                }
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

    pub(super) fn resent(&self) -> usize {
        self.log.lock().unwrap().resent
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
    let mut config = Config::server([7; 16]);
    config.auth = true;
    config.nonce = rules.nonce.then_some(NONCE);
    let mut connection = Connection::server(config, Duration::ZERO);
    let mut greeting = connection.take_greeting();
    let until = Instant::now() + PATIENCE;
    match rules.after_tls {
        AfterTls::Speaks => {}
        AfterTls::HangsUp => return drop(server.accept(HangingUp(line, false), until).await),
        AfterTls::IsSilent => return drop(server.accept(line, until).await),
    }
    if !rules.asks {
        let auth = greeting.windows(2).position(|it| it == [0x05, 0xf5]);
        greeting[auth.unwrap() + 1] = 0xf4;
    }
    let accepted = server.accept_saying(line, &greeting, until).await;
    let Ok(stream) = accepted else { return };
    let mut door = Door {
        fake: Fake::default(),
        exporter: *stream.exporter().as_bytes(),
        rules,
        host_key,
        log,
        has_dropped: false,
    };
    // How it ended is the client's to say.
    let _ = drive(stream, connection, &mut door).await;
}

/// A line that ends for who reads from it a second time.
struct HangingUp(Transport, bool);

impl AsyncRead for HangingUp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.1 {
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.0).poll_read(cx, buffer);
        self.1 = read.is_ready();
        read
    }
}

impl AsyncWrite for HangingUp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The fake server behind a door.
struct Door {
    fake: Fake,
    rules: Rules,
    host_key: PublicKey,
    exporter: [u8; 32],
    log: Arc<Mutex<Log>>,
    has_dropped: bool,
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
                match self.rules.at_login {
                    AtLogin::Answers => {
                        connection.authenticated(self.rules.always.clone().unwrap_or(right));
                    }
                    AtLogin::DropsFirst => self.has_dropped = true,
                    AtLogin::Leaves => connection.goodbye(GoodbyeCode::ShuttingDown, ""),
                    AtLogin::IsSilent => {}
                }
            }
            Event::ClientHello(hello) => {
                self.log.lock().unwrap().keepalive = hello.limits.keepalive_ms;
            }
            event => {
                if let Event::Start { start, .. } = &event {
                    let mut log = self.log.lock().unwrap();
                    log.commands += 1;
                    log.resent += usize::from(start.resent.is_some());
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
        if self.has_dropped {
            return Poll::Ready(());
        }
        self.fake.poll(cx, connection)
    }
}
