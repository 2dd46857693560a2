//! Why there is no TLS connection, and how far it had come.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::client::Refusal;
use super::key::{HostKey, KeyError};
use super::opening::Stranger;
use super::server::SignError;

/// How far a handshake had come. In this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Hello and key agreement.
    Hello,
    /// The server's key is read.
    HostKey,
    /// The server proves that it holds the key.
    Proof,
    /// The caller decides about the proven key.
    Decision,
    /// Both sides confirm all that was said.
    Finish,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Hello => "at the hello",
            Step::HostKey => "at the server's key",
            Step::Proof => "at the server's proof of its key",
            Step::Decision => "at the decision about the server's key",
            Step::Finish => "at the end of the handshake",
        })
    }
}

/// Why a handshake failed. After each of these nothing was sent or accepted beyond it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The first bytes were no TLS; rustls has not seen them.
    #[error("the peer speaks {0}, not redial's TLS")]
    Stranger(Stranger),
    /// The peer took too long.
    #[error("TLS took longer than {} ms and stopped {step}", after.as_millis())]
    Deadline {
        /// Where it stopped.
        step: Step,
        /// The time it had.
        after: Duration,
    },
    /// The line failed, or ended.
    #[error("the line dropped {step}{}", source.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    Line {
        /// Where it stopped.
        step: Step,
        /// What the transport said; none if it just ended.
        source: Option<io::Error>,
    },
    /// The peer is TLS, but not for us: no ALPN `redial/1`.
    #[error("the peer speaks TLS, but not redial/1 in it (ALPN)")]
    Protocol,
    /// The server's key is of no kind known here.
    #[error("the server's key is no use: {0}")]
    HostKey(#[from] KeyError),
    /// The caller refused the server's key.
    #[error("the server's key is refused: {reason}")]
    Refused {
        /// The key that the server has proven to hold.
        key: Box<HostKey>,
        /// What the caller gave as reason.
        #[source]
        reason: Refusal,
    },
    /// On the server: nobody signed for the host key.
    #[error("no signature by the host key: {0}")]
    Signer(#[source] SignError),
    /// The peer broke TLS off and said so by an alert (RFC 8446 section 6.2).
    #[error("the peer refused TLS {step}: alert {alert}")]
    Alert {
        /// Where it stopped, as this side saw it.
        step: Step,
        /// The alert's name.
        alert: String,
    },
    /// The peer cannot do what we ask for, breaks the rules, or somebody changed bytes.
    #[error("TLS failed {step}: {source}")]
    Tls {
        /// Where it stopped.
        step: Step,
        /// What rustls said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// What the callbacks of a handshake leave for the one who drives it.
#[derive(Debug)]
pub(super) struct Progress(Mutex<(Step, Option<TlsError>)>);

impl Progress {
    pub(super) fn new() -> Self {
        Progress(Mutex::new((Step::Hello, None)))
    }

    pub(super) fn step(&self) -> Step {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn reach(&self, step: Step) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = step;
    }

    /// Keeps the reason that rustls's own errors have no place for.
    pub(super) fn fail(&self, error: TlsError) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1.get_or_insert(error);
    }

    /// The reason a callback gave, or else what rustls's error means.
    pub(super) fn explain(&self, error: rustls::Error) -> TlsError {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let step = inner.0;
        match (inner.1.take(), error) {
            (Some(reason), _) => reason,
            (None, rustls::Error::NoApplicationProtocol) => TlsError::Protocol,
            (None, rustls::Error::AlertReceived(alert)) => TlsError::Alert {
                step,
                alert: format!("{alert:?}"),
            },
            (None, error) => TlsError::Tls {
                step,
                source: Box::new(error),
            },
        }
    }
}
