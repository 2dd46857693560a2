//! Which implementations of cryptography are used (measured: ARCHITECTURE.md, "Choices").

use std::sync::{Arc, LazyLock};

use rustls::CipherSuite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::SignatureScheme;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, ring};
use webpki::ring::{ECDSA_P256_SHA256, RSA_PSS_2048_8192_SHA256_LEGACY_KEY};

// The one that is there anyway, and takes a sixth less time.
#[cfg(feature = "post-quantum")]
use webpki::aws_lc_rs::ED25519;
#[cfg(not(feature = "post-quantum"))]
use webpki::ring::ED25519;

/// Ciphers in our order: of the strong ones the fastest first.
const CIPHERS: [rustls::CipherSuite; 3] = [
    TLS13_AES_128_GCM_SHA256,
    TLS13_CHACHA20_POLY1305_SHA256,
    TLS13_AES_256_GCM_SHA384,
];

/// What a server may sign with, in our order.
pub(super) const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::RSA_PSS_SHA256,
];

/// How these are verified.
static VERIFIED: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        ED25519,
        ECDSA_P256_SHA256,
        RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    ],
    mapping: &[
        (SCHEMES[0], &[ED25519]),
        (SCHEMES[1], &[ECDSA_P256_SHA256]),
        (SCHEMES[2], &[RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
    ],
};

/// The provider of both sides. Never installed as the process's default: what is not
/// named cannot be chosen by accident.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = ring::default_provider();
        provider.kx_groups = key_exchanges();
        provider.signature_verification_algorithms = VERIFIED;
        let mut suites = std::mem::take(&mut provider.cipher_suites);
        suites.retain(|suite| CIPHERS.contains(&suite.suite()));
        suites.sort_by_key(|suite| CIPHERS.iter().position(|own| *own == suite.suite()));
        provider.cipher_suites = suites;
        Arc::new(provider)
    });
    PROVIDER.clone()
}

/// The first is the one a client sends a share for.
fn key_exchanges() -> Vec<&'static dyn SupportedKxGroup> {
    vec![
        #[cfg(feature = "post-quantum")]
        rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768,
        ring::kx_group::X25519,
        ring::kx_group::SECP256R1,
    ]
}
