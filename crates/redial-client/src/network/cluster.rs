//! The NATS cluster that hosts are called through: one connection for all lines.

use std::fmt;

use bytes::Bytes;
use redial_net::Transport;
use redial_net::auth::PublicKey;
use redial_net::nats::{Broker, BrokerError, BrokerOptions, CallError, Name, Rival};
use tokio::runtime::{Handle, Id};
use tokio::sync::Mutex;

/// Why there is no line to a host by way of NATS.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// The host cannot be called.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Two hosts have one name.
    #[error(
        "two hosts answer to {name}, with the keys {} and {}; nothing was sent to either: start one \
         of them with another --name",
        keys[0], keys[1]
    )]
    Two {
        /// Their name.
        name: Name,
        /// The fingerprints of their keys; twice the same if one is a copy of the other.
        keys: [String; 2],
    },
}

impl NatsError {
    /// Whether another call, later, may be answered.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            NatsError::Call(CallError::Broker(error)) => match error {
                BrokerError::Connect { .. } | BrokerError::Refused(_) => true,
                BrokerError::NoUrl
                | BrokerError::Url(_)
                | BrokerError::File { .. }
                | BrokerError::Old { .. } => false,
            },
            NatsError::Call(CallError::Nobody(_) | CallError::Busy(_) | CallError::Socket(_)) => {
                true
            }
            NatsError::Call(CallError::Strange(_)) | NatsError::Two { .. } => false,
        }
    }
}

/// See the module. It is connected to when the first host is called.
#[derive(Default)]
pub(crate) struct Cluster {
    options: BrokerOptions,
    /// And the runtime that it lives in.
    broker: Mutex<Option<(Id, Broker)>>,
}

impl Cluster {
    pub(crate) fn new(options: BrokerOptions) -> Self {
        Cluster {
            options,
            broker: Mutex::default(),
        }
    }

    /// Calls a host.
    pub(crate) async fn call(&self, name: &Name) -> Result<(Transport, Called), NatsError> {
        let broker = self.broker().await.map_err(CallError::from)?;
        let (transport, rival) = broker.dial(name).await?;
        let name = name.clone();
        Ok((transport, Called { name, rival }))
    }

    async fn broker(&self) -> Result<Broker, BrokerError> {
        let here = Handle::current().id();
        let mut known = self.broker.lock().await;
        if let Some((home, broker)) = &*known
            && *home == here
            && !broker.is_given_up()
        {
            return Ok(broker.clone());
        }
        let broker = Broker::connect(&self.options).await?;
        *known = Some((here, broker.clone()));
        Ok(broker)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A host that was called.
#[derive(Debug)]
pub(crate) struct Called {
    name: Name,
    rival: Rival,
}

impl Called {
    /// Nobody else has answered to its name until now.
    ///
    /// # Errors
    ///
    /// [`NatsError::Two`].
    pub(crate) fn is_alone(&self) -> Result<(), NatsError> {
        self.judge(self.rival.seen())
    }

    /// The same, but a host that is slower than the first is given its time: for who trusts a key that
    /// nobody has known.
    ///
    /// # Errors
    ///
    /// [`NatsError::Two`].
    pub(crate) async fn stays_alone(&self) -> Result<(), NatsError> {
        self.judge(self.rival.await_quiet().await)
    }

    fn judge(&self, seen: Option<[Bytes; 2]>) -> Result<(), NatsError> {
        let Some(keys) = seen else {
            return Ok(());
        };
        let fingerprint = |blob: &[u8]| match PublicKey::from_blob(blob) {
            Ok(key) => key.fingerprint(),
            Err(_) => "(none that is taken)".to_owned(),
        };
        Err(NatsError::Two {
            name: self.name.clone(),
            keys: keys.map(|blob| fingerprint(&blob)),
        })
    }
}
