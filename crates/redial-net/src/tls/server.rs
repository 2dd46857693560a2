//! The side that is dialled: shows its host key, and has somebody else sign for it.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, UnbufferedServerConnection,
};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{ServerConfig, SignatureAlgorithm, SignatureScheme, version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::ALPN;
use super::error::{Progress, Step, TlsError};
use super::exporter::Catch;
use super::handshake::{Handshake, established};
use super::key::{HostKey, KeyAlgorithm};
use super::opening::Side;
use super::provider::provider;
use super::records::{Core, Records};
use super::stream::TlsStream;

/// Why nobody signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Too many signatures were asked for; a later connection may have one.
    #[error("too many handshakes at once")]
    Busy,
    /// Whoever holds the key will not, or is gone.
    #[error("{0}")]
    Refused(String),
}

/// Holds a private host key, or knows who does.
///
/// Called in the middle of a handshake, on the thread that drives it: the answer must
/// come within milliseconds, and one who is over his rate says [`SignError::Busy`] at
/// once instead of waiting.
pub trait HostSigner: Send + Sync {
    /// Signs `message` as [`KeyAlgorithm`] says: Ed25519 the 64 bytes of RFC 8032, ECDSA
    /// P-256 over SHA-256 a DER `SEQUENCE` of r and s, RSA as PSS with SHA-256 and a salt
    /// of 32 bytes. The message is what [`super::CERTIFICATE_VERIFY_CONTEXT`] describes,
    /// 130 or 146 bytes; sign nothing else.
    ///
    /// # Errors
    ///
    /// [`SignError`]; the handshake ends.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Accepts clients, for one host key.
#[derive(Clone)]
pub struct TlsServer {
    key: HostKey,
    signer: Arc<dyn HostSigner>,
    config: ServerConfig,
}

impl TlsServer {
    /// A server that shows `key`, whose private half `signer` can use.
    ///
    /// # Errors
    ///
    /// [`TlsError::Tls`] when the cryptography in this build cannot serve TLS 1.3.
    pub fn new(key: HostKey, signer: Arc<dyn HostSigner>) -> Result<Self, TlsError> {
        let nobody = Arc::new(Nobody);
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| Progress::new().explain(error))?
            .with_no_client_auth()
            .with_cert_resolver(nobody);
        config.alpn_protocols = vec![ALPN.to_vec()];
        // No ticket, no store, no early data: nobody gets in because he was in before.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        // Ours, to whoever is there: nothing but what every stranger may know.
        config.send_half_rtt_data = true;
        Ok(TlsServer {
            key,
            signer,
            config,
        })
    }

    /// The key that clients see.
    pub fn host_key(&self) -> &HostKey {
        &self.key
    }

    /// Makes TLS over a line that a client opened.
    ///
    /// What is no TLS is dropped at its first bytes. No signature is asked for before the
    /// client has named our protocol.
    ///
    /// # Errors
    ///
    /// [`TlsError`], which names the step; at `deadline` at the latest.
    pub async fn accept<T>(&self, transport: T, deadline: Instant) -> Result<TlsStream<T>, TlsError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        self.accept_saying(transport, &[], deadline).await
    }

    /// As [`Self::accept`]; what this side says `first` goes out with its part of the handshake
    /// (RFC 8446 section 2, "0.5-RTT"), before the client has confirmed anything: it must be no secret,
    /// and short.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn accept_saying<T>(
        &self,
        transport: T,
        first: &[u8],
        deadline: Instant,
    ) -> Result<TlsStream<T>, TlsError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let progress = Arc::new(Progress::new());
        let catch = Arc::new(Catch::default());
        let mut config = self.config.clone();
        config.key_log = catch.clone();
        config.cert_resolver = Arc::new(Shown(Holder {
            key: self.key.clone(),
            signer: self.signer.clone(),
            progress: progress.clone(),
        }));
        let core = UnbufferedServerConnection::new(config.into())
            .map_err(|error| progress.explain(error))?;
        let handshake = Handshake {
            transport,
            records: Records::new(Core::Server(core.into())),
            side: Side::Server,
            keeps_last: false,
            first,
            progress: progress.clone(),
        };
        established(
            handshake.run(deadline).await?,
            self.key.clone(),
            &catch,
            &progress,
        )
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsServer").field(&self.key).finish()
    }
}

/// The key of one connection, and the way to who signs for it.
#[derive(Clone)]
struct Holder {
    key: HostKey,
    signer: Arc<dyn HostSigner>,
    progress: Arc<Progress>,
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Holder").field(&self.key).finish()
    }
}

/// Stands where a connection's own resolver goes; shows nothing to anybody.
#[derive(Debug)]
struct Nobody;

impl ResolvesServerCert for Nobody {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Shown(Holder);

impl ResolvesServerCert for Shown {
    /// rustls turns away other protocols' names, but lets pass who names none.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Holder { key, progress, .. } = &self.0;
        if !hello
            .alpn()
            .is_some_and(|mut names| names.any(|name| name == ALPN))
        {
            progress.fail(TlsError::Protocol);
            return None;
        }
        let spki = CertificateDer::from(key.spki().to_vec());
        let holder = Arc::new(self.0.clone());
        Some(Arc::new(CertifiedKey::new(vec![spki], holder)))
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

impl SigningKey for Holder {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&self.key.algorithm().scheme())
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.key.spki()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.key.algorithm() {
            KeyAlgorithm::Ed25519 => SignatureAlgorithm::ED25519,
            KeyAlgorithm::EcdsaP256 => SignatureAlgorithm::ECDSA,
            KeyAlgorithm::Rsa => SignatureAlgorithm::RSA,
        }
    }
}

impl Signer for Holder {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        self.progress.reach(Step::Proof);
        match self.signer.sign(message) {
            Ok(signature) => {
                self.progress.reach(Step::Finish);
                Ok(signature)
            }
            Err(error) => {
                self.progress.fail(TlsError::Signer(error));
                Err(rustls::Error::General("no signature".to_owned()))
            }
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.key.algorithm().scheme()
    }
}
