//! An Ed25519 key of ssh's as an NKEY: the name under which a NATS broker knows who connects (the
//! user NKEYs of its documentation: base32 of a byte for the kind, the 32 bytes of the key, and a
//! checksum).
//!
//! A broker is sent a signature over a text that the broker has chosen. With a key that also opens
//! other doors that would be a way to have anything signed, so only what brokers really ask for is:
//! a short word of letters and digits, which no login to ssh, no proof and no TLS handshake is.

use alloc::string::String;
use alloc::vec::Vec;

use crate::host_key::sign;
use data_encoding::BASE32_NOPAD;

use crate::{Algorithm, PrivateKey, PublicKey};

/// Before the key: a user.
const USER: u8 = 20 << 3;
/// A broker's question. nats-server asks with 15 characters.
const NONCE_BYTES: usize = 64;

/// Why a broker gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NkeyError {
    /// Not with this kind of key.
    #[error("a key of the kind {0}: an NKEY is ssh-ed25519")]
    Algorithm(Algorithm),
    /// It asks for something that no broker asks for.
    #[error("the broker asks for a signature over something that is no nonce of NATS")]
    Nonce,
}

/// The NKEY of a user that is this key, `U…`.
///
/// # Errors
/// [`NkeyError::Algorithm`].
pub fn nkey(key: &PublicKey) -> Result<String, NkeyError> {
    let spki = key.to_spki();
    let spki = spki.ok_or(NkeyError::Algorithm(key.algorithm()))?;
    let mut bytes = Vec::with_capacity(35);
    bytes.push(USER);
    bytes.extend(spki.last_chunk::<32>().copied().unwrap_or_default());
    bytes.extend(crc16(&bytes).to_le_bytes());
    Ok(BASE32_NOPAD.encode(&bytes))
}

/// Answers a broker: 64 bytes of Ed25519 signature (RFC 8032).
///
/// # Errors
/// [`NkeyError`].
pub fn sign_nonce(key: &PrivateKey, nonce: &[u8]) -> Result<Vec<u8>, NkeyError> {
    let algorithm = key.public_key().algorithm();
    if algorithm != Algorithm::Ed25519 {
        return Err(NkeyError::Algorithm(algorithm));
    }
    if !is_nonce(nonce) {
        return Err(NkeyError::Nonce);
    }
    let signature = sign(&key.signer(), nonce).ok_or(NkeyError::Nonce)?;
    Ok(signature.as_bytes().to_vec())
}

/// Whether these bytes are what a broker may ask for: base64 of some random bytes.
pub fn is_nonce(nonce: &[u8]) -> bool {
    let allowed = |c: &u8| c.is_ascii_alphanumeric() || b"+/-_=".contains(c);
    (1..=NONCE_BYTES).contains(&nonce.len()) && nonce.iter().all(allowed)
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| match crc >> 15 {
            1 => (crc << 1) ^ 0x1021,
            _ => crc << 1,
        })
    })
}

#[cfg(test)]
mod tests {
    use nkeys::{KeyPair, KeyPairType};

    use super::*;

    #[test]
    fn an_ssh_key_is_the_nkey_that_the_library_of_nats_makes_of_its_seed() {
        for byte in 0..=255 {
            let seed = [byte; 32];
            let ours = PrivateKey::ed25519(&seed, "");
            let theirs = KeyPair::new_from_raw(KeyPairType::User, seed).unwrap();
            assert_eq!(nkey(ours.public_key()).unwrap(), theirs.public_key());
            let signature = sign_nonce(&ours, b"PXoWU7zWAMt75FY").unwrap();
            theirs.verify(b"PXoWU7zWAMt75FY", &signature).unwrap();
        }
    }

    #[test]
    fn what_no_broker_asks_for_is_not_signed() {
        let key = PrivateKey::ed25519(&[7; 32], "");
        let login = [&[0, 0, 0, 32][..], &[b'a'; 32], b"\x32\0\0\0\x04root"].concat();
        let proof = b"SSHSIG\0\0\0\x06redial";
        let tls = [&[b' '; 64][..], b"TLS 1.3, server CertificateVerify\0"].concat();
        for asked in [&login[..], proof, &tls, b"", b"with spaces", &[b'a'; 65]] {
            assert_eq!(sign_nonce(&key, asked), Err(NkeyError::Nonce), "{asked:?}");
        }
        assert!(sign_nonce(&key, &[b'a'; 64]).is_ok());
    }
}
