//! The side that dials: the server's key is proven, then decided about, or all ends.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme, version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::ALPN;
use super::error::{Progress, Step, TlsError};
use super::exporter::Catch;
use super::handshake::{Handshake, established};
use super::key::HostKey;
use super::opening::Side;
use super::provider::{SCHEMES, provider};
use super::records::{Core, Records};
use super::stream::TlsStream;

/// Why the caller refuses a server's key; its own type, found again by `downcast_ref`.
pub type Refusal = Box<dyn Error + Send + Sync>;

/// What the caller says of a server's key.
#[derive(Debug)]
pub enum Decision {
    /// This is the server that was meant.
    Accept,
    /// It is not, or nobody can tell.
    Refuse(Refusal),
}

/// Dials servers by the keys that its caller accepts.
///
/// The decision is asked for once a connection, after the server has proven that it holds
/// the key and before this side has said that it is content. It must answer at once:
/// whoever has to ask a person refuses, asks, and dials again.
pub struct TlsClient {
    decide: Arc<dyn Fn(&HostKey) -> Decision + Send + Sync>,
    finishes_with_first_write: bool,
}

impl TlsClient {
    /// A client that accepts the servers for which `decide` says so.
    pub fn new(decide: impl Fn(&HostKey) -> Decision + Send + Sync + 'static) -> Self {
        TlsClient {
            decide: Arc::new(decide),
            finishes_with_first_write: false,
        }
    }

    /// The last message of the handshake goes with the first bytes that are written, which is one
    /// wake-up of the server instead of two. For who writes soon: until then the server waits.
    pub fn finishes_with_first_write(mut self) -> Self {
        self.finishes_with_first_write = true;
        self
    }

    /// Makes TLS over a line to a server.
    ///
    /// # Errors
    ///
    /// [`TlsError`], which names the step; at `deadline` at the latest.
    pub async fn connect<T>(
        &self,
        transport: T,
        deadline: Instant,
    ) -> Result<TlsStream<T>, TlsError>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let progress = Arc::new(Progress::new());
        let catch = Arc::new(Catch::default());
        let verifier = Arc::new(Verifier {
            provider: provider(),
            decide: self.decide.clone(),
            progress: progress.clone(),
        });
        let config = config(verifier, catch.clone()).map_err(|error| progress.explain(error))?;
        // Raw keys have no names and SNI is off: this is sent nowhere and checked nowhere.
        let nobody = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
        let core = UnbufferedClientConnection::new(config.into(), nobody)
            .map_err(|error| progress.explain(error))?;
        let handshake = Handshake {
            transport,
            records: Records::new(Core::Client(core.into())),
            side: Side::Client,
            keeps_last: self.finishes_with_first_write,
            first: &[],
            progress: progress.clone(),
        };
        let shaken = handshake.run(deadline).await?;
        let shown = shaken
            .1
            .state()
            .peer_certificates()
            .and_then(|shown| shown.first());
        let host_key = HostKey::from_spki(shown.map(|spki| &spki[..]).unwrap_or_default())?;
        let stream = established(shaken, host_key, &catch, &progress)?;
        Ok(stream.holding(self.finishes_with_first_write))
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsClient(..)")
    }
}

fn config(verifier: Arc<Verifier>, catch: Arc<Catch>) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.key_log = catch;
    Ok(config)
}

/// Checks the server of one connection. Every way out of it that is not `Ok` ends the
/// handshake.
struct Verifier {
    provider: Arc<CryptoProvider>,
    decide: Arc<dyn Fn(&HostKey) -> Decision + Send + Sync>,
    progress: Arc<Progress>,
}

impl Verifier {
    fn fail(&self, error: TlsError, alert: CertificateError) -> rustls::Error {
        self.progress.fail(error);
        alert.into()
    }

    fn key(&self, spki: &CertificateDer<'_>) -> Result<HostKey, rustls::Error> {
        HostKey::from_spki(spki)
            .map_err(|error| self.fail(error.into(), CertificateError::BadEncoding))
    }
}

impl ServerCertVerifier for Verifier {
    /// With raw keys the "certificate" is the SPKI alone (RFC 7250 section 3).
    fn verify_server_cert(
        &self,
        spki: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.progress.reach(Step::HostKey);
        if !others.is_empty() {
            return Err(CertificateError::BadEncoding.into());
        }
        self.key(spki)?;
        self.progress.reach(Step::Proof);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::BadSignature.into())
    }

    /// The proof, and after it the decision: nobody is asked about a key that is not proven.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = self.key(spki)?;
        if signed.scheme != key.algorithm().scheme() {
            return Err(CertificateError::BadSignature.into());
        }
        let valid = verify_tls13_signature_with_raw_key(
            message,
            &SubjectPublicKeyInfoDer::from(key.spki()),
            signed,
            &self.provider.signature_verification_algorithms,
        )?;
        self.progress.reach(Step::Decision);
        match (self.decide)(&key) {
            Decision::Accept => {
                self.progress.reach(Step::Finish);
                Ok(valid)
            }
            Decision::Refuse(reason) => {
                let key = Box::new(key);
                let alert = CertificateError::ApplicationVerificationFailure;
                Err(self.fail(TlsError::Refused { key, reason }, alert))
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}
