//! The steps of a connection one by one, for who wants to know which of them fails.
//!
//! Nothing is asked of people here, and nothing is recorded.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use redial_net::auth::PublicKey;
use redial_net::tls::{Decision, TlsClient};
use tokio::net::lookup_host;

use super::connect::{Attempt, Came, Haste, Prepared, Recording, host_key, prepare, stays_alone};
use super::dial;
use super::error::{HostKeyError, Tried};
use super::host_keys::{Known, Verdict};
use super::identity::{Identities, Identity, Skipped};
use super::patience::{OutOfTime, Patience};
use super::progress::Progress;
use super::route::Route;
use crate::error::ConnectError;
use crate::options::ConnectOptions;
use crate::target::{HostTarget, Target};

/// A host to be looked at.
#[derive(Debug)]
pub struct Probe {
    target: Target,
    options: ConnectOptions,
    route: Route,
    known: Known,
}

/// A line to the host, which has said nothing yet.
#[derive(Debug)]
pub struct Link(dial::Link);

/// What TLS has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The key that the server has proven to hold.
    pub key: PublicKey,
    /// How keys were agreed and what encrypts, by their IANA names.
    pub ciphers: String,
    /// How long it took, without the wait for a second host of the name.
    pub took: Duration,
}

/// The keys there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Those that are tried, in this order.
    pub tried: Vec<Identity>,
    /// What is passed over, and why.
    pub skipped: Vec<Skipped>,
}

/// What came of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The key that let us in.
    pub taken: Option<Identity>,
    /// Keys that the server takes, and that need a passphrase; only if none was taken.
    pub locked: Vec<Identity>,
    /// Those that did not, and why.
    pub tried: Vec<Tried>,
}

impl Probe {
    /// Reads the settings, and the files that know hosts.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Route`], or [`ConnectError::HostKey`] for a known_hosts file that
    /// cannot be read.
    pub async fn new(host: &HostTarget, options: &ConnectOptions) -> Result<Self, ConnectError> {
        let target = Target::Network(host.clone());
        let Prepared { route, known } = prepare(&target, host, &options.network).await?;
        Ok(Probe {
            target,
            options: options.clone(),
            route,
            known,
        })
    }

    /// Where the host is and as whom to go there.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The name under which redial knows the host's key.
    pub fn known_name(&self) -> &str {
        self.known.name().as_str()
    }

    /// The host's addresses. A proxy may see others, or some where there are none here.
    ///
    /// # Errors
    ///
    /// As getaddrinfo(3) fails.
    pub async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let host = (self.route.address.as_str(), self.route.port);
        let found = self.patience().spend(lookup_host(host)).await;
        let found = found.map_err(|OutOfTime| io::ErrorKind::TimedOut)??;
        Ok(found.collect())
    }

    /// Makes a line: TCP, or the proxy's program.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Tcp`] or [`ConnectError::Program`].
    pub async fn dial(&self) -> Result<Link, ConnectError> {
        let (network, mut patience) = (&self.options.network, self.patience());
        let dialled = dial::dial(&self.target, &self.route, network, &mut patience).await;
        dialled.map(Link)
    }

    /// Makes TLS with whoever answers, looks at the key, and hangs up.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Tls`]; [`ConnectError::Nats`] if two answer to the name.
    pub async fn look(&self, link: Link) -> Result<Shown, ConnectError> {
        let dial::Link {
            transport,
            program: _program,
            called,
        } = link.0;
        // Nothing is said over it, so anybody will do.
        let anybody = TlsClient::new(|_| Decision::Accept);
        let began = Instant::now();
        let connected = anybody.connect(transport, self.patience().deadline()).await;
        let took = began.elapsed();
        stays_alone(&self.target, called.as_ref()).await?;
        let stream = connected.map_err(|source| ConnectError::Tls {
            target: self.target.clone(),
            source,
            status: None,
        })?;
        let key = PublicKey::from_blob(stream.host_key().ssh_blob());
        let key = key.map_err(|error| host_key(&self.target, HostKeyError::Key(error.to_string())));
        Ok(Shown {
            key: key?,
            ciphers: stream.ciphers(),
            took,
        })
    }

    /// What is known of a server that has this key.
    pub fn verdict(&self, key: &PublicKey) -> Verdict {
        self.known.decide(key)
    }

    /// Our keys, and where they are from.
    pub async fn identities(&self) -> Keys {
        let Identities { keys, skipped } = Identities::of(&self.route, &self.options.network).await;
        Keys {
            tried: keys,
            skipped,
        }
    }

    /// Dials and logs in with these keys, and hangs up.
    ///
    /// # Errors
    ///
    /// As [`crate::Client::connect`], unless the server just takes none of the keys.
    pub async fn log_in(&self, keys: &Keys) -> Result<Login, ConnectError> {
        let identities = Identities {
            keys: keys.tried.clone(),
            skipped: keys.skipped.clone(),
        };
        let mut progress = Progress::of(&identities, &self.options.network);
        let attempt = Attempt {
            target: &self.target,
            route: &self.route,
            known: &self.known,
            options: &self.options,
            identities: &identities,
            recording: Recording::No,
            haste: Haste::No,
        };
        let locked = match attempt.run(&mut progress).await? {
            Came::In(..) | Came::Denied => Vec::new(),
            Came::Locked(keys) => keys,
            Came::Unknown(question) => {
                return Err(host_key(&self.target, HostKeyError::from(&question)));
            }
        };
        let named = |at: usize| keys.tried[at].clone();
        Ok(Login {
            taken: progress.taken.map(named),
            locked: locked.into_iter().map(named).collect(),
            tried: progress.tried(&identities),
        })
    }

    fn patience(&self) -> Patience {
        Patience::new(self.options.connect_timeout)
    }
}

impl Link {
    /// The address at the other end, if it is TCP.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.transport.peer_addr()
    }
}
