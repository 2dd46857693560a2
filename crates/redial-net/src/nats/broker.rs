//! The connection to the cluster: one for all lines of this process.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::events::Ear;
use super::identity::{self, Identity};

/// A broker that says nothing for so long is gone.
const PING: Duration = Duration::from_secs(10);
/// Time for TCP and the handshake with one broker.
const CONNECT: Duration = Duration::from_secs(5);

/// Messages that wait to be heard, of one subscription. What exceeds them is lost: honest peers never have
/// so many under way.
const WAITING: usize = 8_192;

/// Brokers that are named when none takes us.
const NAMED: usize = 3;

/// The oldest version of nats-server that was tried.
const OLDEST: (u64, u64) = (2, 9);

/// Where the cluster is, and who we are there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BrokerOptions {
    /// `nats://host:4222`, `tls://…`; any of them will do, and they name others.
    pub urls: Vec<String>,
    /// A file with a JWT and its key, as `nsc` makes them.
    pub credentials: Option<PathBuf>,
    /// A file with the seed of an NKEY, or with an Ed25519 key of ssh's.
    pub nkey: Option<PathBuf>,
    /// A file with certificates of authorities that vouch for brokers, instead of the system's.
    pub ca: Option<PathBuf>,
}

/// Why there is no connection to the cluster.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No URL at all.
    #[error("where the NATS cluster is was not said: --nats URL, or nats.urls in the settings")]
    NoUrl,
    /// That is none.
    #[error("{0:?} is no NATS URL, such as nats://broker.example.com:4222")]
    Url(String),
    /// A file with our identity cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No broker takes us.
    #[error("no NATS broker takes us ({brokers}): {reason}")]
    Connect {
        /// Where they are.
        brokers: String,
        /// Why the last of them did not.
        reason: String,
    },
    /// It lacks what we need.
    #[error(
        "the NATS broker is nats-server {version}: at least {}.{} is needed",
        OLDEST.0,
        OLDEST.1
    )]
    Old {
        /// What it says it is.
        version: String,
    },
    /// It is there, but does not take what was asked of it.
    #[error("the NATS broker: {0}")]
    Refused(String),
}

impl BrokerOptions {
    /// Whether they can be used at all, wherever the cluster is: a word about it is worth more before
    /// anything runs than from a log later.
    ///
    /// # Errors
    ///
    /// As [`Broker::connect`] for what will not be better later.
    pub fn check(&self) -> Result<(), BrokerError> {
        addresses(self)?;
        if let Identity::Credentials(file) = identity::read(self)? {
            credentials(&file)?;
        }
        self.ca
            .as_deref()
            .map_or(Ok(()), identity::check_authorities)
    }
}

fn addresses(options: &BrokerOptions) -> Result<Vec<ServerAddr>, BrokerError> {
    if options.urls.is_empty() {
        return Err(BrokerError::NoUrl);
    }
    let addresses = options.urls.iter().map(|url| {
        let address: Result<ServerAddr, _> = url.parse();
        let address = address.ok().filter(|it| !it.host().is_empty());
        // Without the password that it may have.
        let shown = url.rsplit('@').next().unwrap_or_default();
        address.ok_or_else(|| BrokerError::Url(shown.to_owned()))
    });
    addresses.collect()
}

/// As people know them, without the password that a URL may have.
fn places(addresses: &[ServerAddr]) -> String {
    let named = addresses.iter().take(NAMED);
    let mut named: Vec<_> = named
        .map(|it| match it.host() {
            address if address.contains(':') => format!("[{address}]:{}", it.port()),
            host => format!("{host}:{}", it.port()),
        })
        .collect();
    if let Some(others @ 1..) = addresses.len().checked_sub(NAMED) {
        named.push(format!("{others} more"));
    }
    named.join(", ")
}

/// The library says some things twice.
fn reason(error: &async_nats::ConnectError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    match (error.kind(), cause) {
        (ConnectErrorKind::AuthorizationViolation, _) => {
            "authorization violation: it does not know us by --nats-creds, --nats-nkey or the URL"
                .to_owned()
        }
        (ConnectErrorKind::Io, Some(cause)) => cause,
        (kind, Some(cause)) => format!("{kind}: {cause}"),
        (kind, None) => kind.to_string(),
    }
}

/// Who a URL says we are: `nats://user:password@…`, or `nats://token@…`. The library leaves that to us; who we
/// are for one broker, we are for all of the cluster.
fn of_urls(addresses: &[ServerAddr]) -> Result<ConnectOptions, BrokerError> {
    let named = addresses.iter().find_map(|it| Some((it, it.username()?)));
    let Some((address, user)) = named else {
        return Ok(ConnectOptions::new());
    };
    let plain = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        let text = text.map_err(|_| BrokerError::Url(places(std::slice::from_ref(address))));
        text.map(std::borrow::Cow::into_owned)
    };
    Ok(match address.password() {
        Some(password) => ConnectOptions::with_user_and_password(plain(user)?, plain(password)?),
        None => ConnectOptions::with_token(plain(user)?),
    })
}

fn credentials(file: &identity::Text) -> Result<ConnectOptions, BrokerError> {
    let read = ConnectOptions::new().credentials(&file.text);
    read.map_err(|error| file.wrong(error))
}

/// A connection to the cluster. It is made again by itself when it is lost; what was under way on it is
/// lost then.
#[derive(Debug, Clone)]
pub struct Broker {
    pub(super) client: Client,
    /// How often the connection was lost.
    pub(super) losses: watch::Receiver<u64>,
    /// How often a message was not heard because too many waited. A line notices that by its counts.
    overflows: watch::Receiver<u64>,
    /// What the broker says of things that we may not do.
    refusals: broadcast::Sender<String>,
}

/// See [`Broker::refusals_from_now`].
pub(super) struct Refusals {
    heard: broadcast::Receiver<String>,
    /// Of our subjects.
    ours: Vec<String>,
}

impl Refusals {
    /// The next one.
    pub(super) async fn next(&mut self) -> BrokerError {
        loop {
            match self.heard.recv().await {
                Ok(text) if self.ours.iter().any(|it| text.contains(it)) => {
                    return BrokerError::Refused(text);
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                // The connection is given up.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Broker {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`BrokerError`].
    pub async fn connect(options: &BrokerOptions) -> Result<Self, BrokerError> {
        Self::connect_with(options, false).await
    }

    /// As [`Broker::connect`], but for who stays: goes on trying until a broker is there.
    ///
    /// # Errors
    ///
    /// As there, for what will not be better later.
    pub async fn connect_patiently(options: &BrokerOptions) -> Result<Self, BrokerError> {
        Self::connect_with(options, true).await
    }

    async fn connect_with(options: &BrokerOptions, patient: bool) -> Result<Self, BrokerError> {
        let addresses = addresses(options)?;
        let brokers = places(&addresses);
        // The library takes the process's own provider of ciphers; with two in the program it has to be
        // said which. An error says that it has been.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (ear, heard) = Ear::new(brokers.clone());
        let mut connecting = match identity::read(options)? {
            Identity::None => of_urls(&addresses)?,
            Identity::Credentials(file) => credentials(&file)?,
            Identity::Nkey(key) => ConnectOptions::with_auth_callback(move |nonce| {
                let answer = key.answer(&nonce);
                async move { answer.map_err(async_nats::AuthError::new) }
            }),
        };
        connecting = connecting
            .name("redial")
            .connection_timeout(CONNECT)
            .ping_interval(PING)
            .subscription_capacity(WAITING)
            .event_callback(move |event| {
                ear.hear(&event);
                std::future::ready(())
            });
        if patient {
            connecting = connecting.retry_on_initial_connect();
        }
        if let Some(ca) = &options.ca {
            // Now, and not by trying for ever.
            identity::check_authorities(ca)?;
            connecting = connecting.add_root_certificates(ca.clone());
        }
        let client = connecting.connect(addresses).await;
        let client = client.map_err(|error| BrokerError::Connect {
            brokers,
            reason: reason(&error),
        })?;
        let broker = Broker {
            client,
            losses: heard.losses,
            overflows: heard.overflows,
            refusals: heard.refusals,
        };
        if !patient {
            broker.check()?;
        }
        Ok(broker)
    }

    /// As soon as there is a broker: that it is one that we can use.
    pub(super) async fn is_there(&self) -> Result<(), BrokerError> {
        let flushed = self.client.flush().await;
        flushed.map_err(|error| BrokerError::Refused(error.to_string()))?;
        self.check()
    }

    /// What we need is in all brokers of some age; what a version calls itself otherwise is believed.
    pub(super) fn check(&self) -> Result<(), BrokerError> {
        let info = self.client.server_info();
        let mut numbers = info.version.split('.').map_while(|it| it.parse().ok());
        let is_old = match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => (major, minor) < OLDEST,
            _ => false,
        };
        match is_old || !info.headers {
            true => Err(BrokerError::Old {
                version: info.version,
            }),
            false => Ok(()),
        }
    }

    /// To hear from now on what the broker does not allow on these subjects: it answers nothing else then.
    pub(super) fn refusals_from_now(&self, ours: Vec<String>) -> Refusals {
        Refusals {
            heard: self.refusals.subscribe(),
            ours,
        }
    }

    /// To hear from now on whether all is heard.
    pub(super) fn overflows_from_now(&self) -> watch::Receiver<u64> {
        let mut overflows = self.overflows.clone();
        overflows.mark_unchanged();
        overflows
    }

    /// Whether it is of no use any more, and never will be.
    pub fn is_given_up(&self) -> bool {
        self.losses.has_changed().is_err()
    }

    /// To hear of losses from now on.
    pub(super) fn losses_from_now(&self) -> watch::Receiver<u64> {
        let mut losses = self.losses.clone();
        losses.mark_unchanged();
        losses
    }

    /// Bytes of a message at most.
    pub(super) fn max_payload(&self) -> usize {
        self.client.server_info().max_payload
    }
}
