//! The server's own key, and the one thing it signs.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ssh_key::{Signature, SigningKey};
use zeroize::Zeroizing;

use crate::private_key::{PrivateKey, PrivateKeyError};
use crate::public_key::{Algorithm, PublicKey};

/// What a TLS 1.3 server signs begins with this (RFC 8446 section 4.4.3): 64 spaces, the text, a
/// zero byte. A hash of the handshake follows.
const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";
const SPACES: usize = 64;

/// A server's private key: Ed25519. It signs the inputs of TLS 1.3 server CertificateVerify
/// messages and nothing else, whoever asks.
pub struct HostKey {
    key: PrivateKey,
}

/// Why a host key cannot be had, or does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyError {
    /// The file cannot be taken.
    #[error("{0}")]
    Key(#[from] PrivateKeyError),
    /// Of another kind than Ed25519.
    #[error("a host key of kind {0}; only Ed25519 keys are taken")]
    Kind(Algorithm),
    /// What is to be signed is no input of a TLS 1.3 server CertificateVerify.
    #[error("not what a TLS 1.3 server signs")]
    Input,
}

impl HostKey {
    /// A new key of 32 random bytes.
    pub fn generate(seed: &[u8; 32]) -> HostKey {
        let key = PrivateKey::ed25519(seed, "redial host key");
        HostKey { key }
    }

    /// A key from its file, that of redial or of sshd.
    ///
    /// # Errors
    /// When it cannot be read, is encrypted, or no Ed25519 key.
    pub fn from_text(text: &str) -> Result<HostKey, HostKeyError> {
        let key = PrivateKey::from_text(text, None)?;
        match key.public_key().algorithm() {
            Algorithm::Ed25519 => Ok(HostKey { key }),
            other => Err(HostKeyError::Kind(other)),
        }
    }

    /// The key as a file, not encrypted: for mode 0600.
    pub fn to_text(&self) -> Zeroizing<String> {
        self.key.to_text()
    }

    /// Its public half.
    pub fn public_key(&self) -> &PublicKey {
        self.key.public_key()
    }

    /// Signs a server's CertificateVerify input: 64 bytes of Ed25519 signature (RFC 8032).
    ///
    /// # Errors
    /// [`HostKeyError::Input`] for anything else, so that a front that was taken over cannot have a
    /// login to another service signed.
    pub fn sign_certificate_verify(&self, input: &[u8]) -> Result<Vec<u8>, HostKeyError> {
        if !is_certificate_verify(input) {
            return Err(HostKeyError::Input);
        }
        let signature = sign(&self.key.signer(), input).ok_or(HostKeyError::Input)?;
        Ok(signature.as_bytes().to_vec())
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({:?})", self.public_key())
    }
}

pub(crate) fn sign(key: &impl SigningKey, input: &[u8]) -> Option<Signature> {
    key.try_sign(input).ok()
}

/// Whether these bytes have the form of a TLS 1.3 server CertificateVerify input, with a hash of
/// SHA-256 or SHA-384.
pub fn is_certificate_verify(input: &[u8]) -> bool {
    let Some((spaces, rest)) = input.split_at_checked(SPACES) else {
        return false;
    };
    let hash = rest.strip_prefix(CONTEXT);
    spaces.iter().all(|byte| *byte == b' ')
        && hash.is_some_and(|hash| [32, 48].contains(&hash.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(hash: usize) -> Vec<u8> {
        [&[b' '; SPACES][..], CONTEXT, &alloc::vec![7; hash]].concat()
    }

    #[test]
    fn only_what_a_tls_server_signs_is_signed() {
        let key = HostKey::generate(&[1; 32]);
        for hash in [32, 48] {
            let signature = key.sign_certificate_verify(&input(hash)).unwrap();
            let own = sign(&key.key.signer(), &input(hash)).unwrap();
            assert_eq!(signature, own.as_bytes());
            assert_eq!(signature.len(), 64);
        }
        let client = b"TLS 1.3, client CertificateVerify\0";
        let mut others = alloc::vec![
            Vec::new(),
            input(0),
            input(31),
            input(33),
            input(64),
            input(32)[1..].to_vec(),
            [&b" "[..], &input(32)].concat(),
            [&[b' '; SPACES][..], client, &[7; 32]].concat(),
            [&b"SSHSIG"[..], &input(32)].concat(),
        ];
        for at in 0..SPACES + CONTEXT.len() {
            let mut changed = input(32);
            changed[at] ^= 1;
            others.push(changed);
        }
        for other in others {
            let signed = key.sign_certificate_verify(&other);
            assert_eq!(signed, Err(HostKeyError::Input), "{other:?}");
        }
    }

    #[test]
    fn a_host_key_that_was_written_is_read_again() {
        let key = HostKey::generate(&[1; 32]);
        let again = HostKey::from_text(&key.to_text()).unwrap();
        assert_eq!(again.public_key(), key.public_key());
        let spki = key.public_key().to_spki().unwrap();
        assert_eq!(PublicKey::from_spki(&spki).as_ref(), Ok(key.public_key()));
        assert!(PublicKey::from_spki(&spki[1..]).is_err());
    }
}
