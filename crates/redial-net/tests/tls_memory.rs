//! What an idle TLS connection keeps. Alone in its program: it reads the whole process's
//! memory.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

use std::sync::Arc;
use std::time::Duration;

use redial_net::Transport;
use redial_net::tls::{Decision, HostKey, HostSigner, SignError, TlsClient, TlsServer};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::SigningKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// Four descriptors each, at most; 1,024 is an ordinary limit.
const CONNECTIONS: usize = 200;

/// Both ends together: half of it is an end's, roughly.
/// Fresh ones take 10 KB; the rest is what the allocator leaves between.
const MAX_BYTES_A_PAIR: usize = 40 * 1024;

struct Signer(Arc<dyn SigningKey>);

impl HostSigner for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signer = self.0.choose_scheme(&[SignatureScheme::ED25519]).unwrap();
        Ok(signer.sign(message).unwrap())
    }
}

#[tokio::test]
async fn an_idle_connection_keeps_little_even_after_it_has_moved_much() {
    let head = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let pkcs8 = [&head[..], &[1; 32]].concat();
    let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8)).unwrap();
    let public = HostKey::from_spki(&key.public_key().unwrap()).unwrap();
    let server = TlsServer::new(public, Arc::new(Signer(key))).unwrap();
    let client = TlsClient::new(|_| Decision::Accept);
    let mut kept = Vec::new();
    let mut before = 0;
    for at in 0..CONNECTIONS + 8 {
        if at == 8 {
            before = resident_bytes();
        }
        let (ours, theirs) = Transport::pair().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let (ours, theirs) = tokio::join!(
            client.connect(ours, deadline),
            server.accept(theirs, deadline)
        );
        let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
        let much = vec![7; 1 << 20];
        let mut got = vec![0; much.len()];
        let write = async {
            ours.write_all(&much).await.unwrap();
            ours.write_all(b"ping").await.unwrap();
            ours.flush().await.unwrap();
        };
        let (_, read) = tokio::join!(write, theirs.read_exact(&mut got));
        read.unwrap();
        theirs.read_exact(&mut [0; 4]).await.unwrap();
        // Waits, as an idle connection does.
        ours.write_all(b"ping").await.unwrap();
        ours.flush().await.unwrap();
        theirs.read_exact(&mut [0; 4]).await.unwrap();
        let idle = tokio::time::timeout(Duration::from_millis(1), theirs.read(&mut [0; 1])).await;
        assert!(idle.is_err());
        kept.push((ours, theirs));
    }
    let each = resident_bytes().saturating_sub(before) / CONNECTIONS;
    eprintln!("{each} bytes for both ends of an idle TLS connection");
    assert!(each < MAX_BYTES_A_PAIR, "{each}");
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: usize = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}
