//! Peers built on rustls alone, with whatever settings a test wants, on a thread.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureScheme, version,
};

use crate::support::{Key, PATIENCE};

/// What kind of key a peer wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    RawKey,
    Certificate,
}

/// Believes everybody who has a key at all.
#[derive(Debug)]
struct Credulous(Wants);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        spki: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let spki = SubjectPublicKeyInfoDer::from(&spki[..]);
        verify_tls13_signature_with_raw_key(message, &spki, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0 == Wants::RawKey
    }
}

pub(crate) fn client(alpn: &[&[u8]], wants: Wants) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(wants)))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

pub(crate) fn server(alpn: &[&[u8]], key: &Key) -> ServerConfig {
    let spki = CertificateDer::from(key.public.spki().to_vec());
    let shown = Arc::new(CertifiedKey::new(vec![spki], key.private.clone()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown)));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

/// A client on a thread: says `hello`, waits for as much, and gives its connection back.
pub(crate) fn dial(
    config: &Arc<ClientConfig>,
    mut line: UnixStream,
) -> JoinHandle<std::io::Result<ClientConnection>> {
    let name = ServerName::try_from("redial").unwrap();
    let mut connection = ClientConnection::new(config.clone(), name).unwrap();
    line.set_read_timeout(Some(PATIENCE)).unwrap();
    std::thread::spawn(move || {
        let mut stream = rustls::Stream::new(&mut connection, &mut line);
        stream.write_all(b"hello")?;
        stream.read_exact(&mut [0; 5])?;
        Ok(connection)
    })
}

/// A server on a thread that answers what `dial` says.
pub(crate) fn answer(
    config: &Arc<ServerConfig>,
    mut line: UnixStream,
) -> JoinHandle<std::io::Result<ServerConnection>> {
    let mut connection = ServerConnection::new(config.clone()).unwrap();
    line.set_read_timeout(Some(PATIENCE)).unwrap();
    std::thread::spawn(move || {
        let mut stream = rustls::Stream::new(&mut connection, &mut line);
        let mut said = [0; 5];
        stream.read_exact(&mut said)?;
        stream.write_all(&said)?;
        Ok(connection)
    })
}
