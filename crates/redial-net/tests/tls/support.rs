//! Keys, servers and clients that tests dial with.

use std::sync::Arc;
use std::time::Duration;

use redial_net::Transport;
use redial_net::tls::{
    CERTIFICATE_VERIFY_CONTEXT, Decision, HostKey, HostSigner, SignError, TlsClient, TlsServer,
    TlsStream,
};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// No test here waits as long; a hang is a failure, not a hung build.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn soon() -> Instant {
    Instant::now() + PATIENCE
}

/// A host key whose private half lies here.
pub(crate) struct Key {
    pub(crate) public: HostKey,
    pub(crate) private: Arc<dyn SigningKey>,
}

impl Key {
    pub(crate) fn from_pkcs8(der: Vec<u8>) -> Arc<Self> {
        let private = any_supported_type(&PrivateKeyDer::Pkcs8(der.into())).unwrap();
        let public = HostKey::from_spki(&private.public_key().unwrap()).unwrap();
        Arc::new(Key { public, private })
    }

    /// An Ed25519 key (RFC 8410 section 7: the seed behind a fixed beginning).
    pub(crate) fn ed25519(seed: u8) -> Arc<Self> {
        let head = [
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ];
        Key::from_pkcs8([&head[..], &[seed; 32]].concat())
    }
}

impl HostSigner for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let hash = message
            .strip_prefix(&[b' '; 64])
            .and_then(|rest| rest.strip_prefix(CERTIFICATE_VERIFY_CONTEXT))
            .and_then(|rest| rest.strip_prefix(&[0]))
            .expect("only a server's CertificateVerify is ever to be signed");
        assert!(matches!(hash.len(), 32 | 48), "a hash and nothing else");
        let schemes = [
            SignatureScheme::ED25519,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PSS_SHA256,
        ];
        let signer = self.private.choose_scheme(&schemes).unwrap();
        Ok(signer.sign(message).unwrap())
    }
}

/// Another key's signatures, or none at all.
pub(crate) struct Impostor(pub(crate) Result<Arc<Key>, SignError>);

impl HostSigner for Impostor {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0.clone()?.sign(message)
    }
}

pub(crate) fn server(key: &Arc<Key>) -> TlsServer {
    TlsServer::new(key.public.clone(), key.clone()).unwrap()
}

/// Why [`trusting`] refuses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is another key")]
pub(crate) struct AnotherKey;

/// A client that trusts this key alone.
pub(crate) fn trusting(key: &HostKey) -> TlsClient {
    let key = key.clone();
    TlsClient::new(move |shown| {
        if *shown == key {
            Decision::Accept
        } else {
            Decision::Refuse(Box::new(AnotherKey))
        }
    })
}

/// Both ends of a TLS connection over a line.
pub(crate) async fn connected<A, B>((ours, theirs): (A, B)) -> (TlsStream<A>, TlsStream<B>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let key = Key::ed25519(1);
    let (client, server) = (trusting(&key.public), server(&key));
    let (client, server) =
        tokio::join!(client.connect(ours, soon()), server.accept(theirs, soon()));
    (client.unwrap(), server.unwrap())
}

/// Both ends of a TCP connection over the loopback.
pub(crate) fn tcp_pair() -> (Transport, Transport) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    (
        Transport::from_tcp(ours).unwrap(),
        Transport::from_tcp(theirs).unwrap(),
    )
}
