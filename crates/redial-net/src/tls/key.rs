//! A host's public key, in TLS's form and in SSH's.
//!
//! TLS carries it as SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), known_hosts and
//! fingerprints as SSH's wire format (RFC 4253 section 6.6, RFC 5656, RFC 8709). One key
//! has exactly one form of each here, so comparing bytes compares keys.

use std::fmt;

use rustls::SignatureScheme;

use super::der::{self, BIT_STRING, INTEGER, SEQUENCE};

/// `SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING … }` (RFC 8410), before the 32 bytes.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The same for an uncompressed point on P-256 (RFC 5480), before its 65 bytes.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 3, 1, 7, 3, 0x42, 0,
];

/// `AlgorithmIdentifier { rsaEncryption, NULL }` (RFC 3279), without its outer tag.
const RSA: [u8; 13] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// Shorter RSA keys can be broken, longer ones are a way to burn our time.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The longest key in either form; RSA with 8192 bits takes a little over 1 KiB.
const MAX_KEY_BYTES: usize = 2048;

/// What kind of key it is, and so how it signs TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyAlgorithm {
    /// `ssh-ed25519`; signs as `ed25519` (RFC 8032).
    Ed25519,
    /// `ecdsa-sha2-nistp256`; signs as `ecdsa_secp256r1_sha256`, the signature in DER.
    EcdsaP256,
    /// `ssh-rsa` of 2048 to 8192 bits; signs as `rsa_pss_rsae_sha256` (salt of 32 bytes).
    Rsa,
}

impl KeyAlgorithm {
    /// SSH's name of the key type.
    pub fn ssh_name(self) -> &'static str {
        match self {
            KeyAlgorithm::Ed25519 => "ssh-ed25519",
            KeyAlgorithm::EcdsaP256 => "ecdsa-sha2-nistp256",
            KeyAlgorithm::Rsa => "ssh-rsa",
        }
    }

    pub(super) fn scheme(self) -> SignatureScheme {
        match self {
            KeyAlgorithm::Ed25519 => SignatureScheme::ED25519,
            KeyAlgorithm::EcdsaP256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            KeyAlgorithm::Rsa => SignatureScheme::RSA_PSS_SHA256,
        }
    }
}

/// Why bytes are no host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither Ed25519, ECDSA on P-256 nor RSA.
    #[error("the key is neither Ed25519, ECDSA P-256 nor RSA")]
    Algorithm,
    /// Of a known kind, but damaged or in another than the one shortest form.
    #[error("the key is damaged")]
    Malformed,
    /// RSA with too few or too many bits.
    #[error("the RSA key has not between 2048 and 8192 bits")]
    RsaSize,
}

/// A host's public key. That the numbers in it make sense is found out when it verifies.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    blob: Vec<u8>,
}

impl HostKey {
    /// Reads TLS's form.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; the form must be the shortest, with nothing behind it.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        if let Some(key) = spki.strip_prefix(&ED25519) {
            return ed25519(key);
        }
        if let Some(point) = spki.strip_prefix(&P256) {
            return p256(point);
        }
        if spki.len() > MAX_KEY_BYTES {
            return Err(KeyError::Malformed);
        }
        let mut outer = spki;
        let mut info = der::take(&mut outer, SEQUENCE).ok_or(KeyError::Malformed)?;
        let algorithm = der::take(&mut info, SEQUENCE).ok_or(KeyError::Malformed)?;
        if algorithm != RSA {
            return Err(KeyError::Algorithm);
        }
        let (modulus, exponent) = rsa_numbers(info).ok_or(KeyError::Malformed)?;
        let key = rsa(modulus, exponent)?;
        // Whatever was loose about the form shows when it is written again.
        if key.spki == spki {
            Ok(key)
        } else {
            Err(KeyError::Malformed)
        }
    }

    /// Reads SSH's wire format: the second word of a line of known_hosts, decoded.
    ///
    /// # Errors
    ///
    /// [`KeyError`], as above.
    pub fn from_ssh(blob: &[u8]) -> Result<Self, KeyError> {
        let mut rest = blob;
        let name = take_string(&mut rest)?;
        let key = match name {
            b"ssh-ed25519" => ed25519(take_string(&mut rest)?)?,
            b"ecdsa-sha2-nistp256" => {
                if take_string(&mut rest)? != b"nistp256" {
                    return Err(KeyError::Malformed);
                }
                p256(take_string(&mut rest)?)?
            }
            b"ssh-rsa" => {
                let exponent = take_string(&mut rest)?;
                rsa(take_string(&mut rest)?, exponent)?
            }
            _ => return Err(KeyError::Algorithm),
        };
        if rest.is_empty() {
            Ok(key)
        } else {
            Err(KeyError::Malformed)
        }
    }

    /// Its kind.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// TLS's form, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SSH's wire format: what `ssh-keygen -lf` hashes, and known_hosts has in base64.
    pub fn ssh_blob(&self) -> &[u8] {
        &self.blob
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({} ", self.algorithm.ssh_name())?;
        let tail = &self.blob[self.blob.len().saturating_sub(8)..];
        tail.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

fn ed25519(key: &[u8]) -> Result<HostKey, KeyError> {
    if key.len() != 32 {
        return Err(KeyError::Malformed);
    }
    Ok(HostKey {
        algorithm: KeyAlgorithm::Ed25519,
        spki: [&ED25519[..], key].concat(),
        blob: strings(&[b"ssh-ed25519", key]),
    })
}

fn p256(point: &[u8]) -> Result<HostKey, KeyError> {
    // Uncompressed (SEC 1 section 2.3.3), as SSH and TLS both have it.
    if point.len() != 65 || point[0] != 4 {
        return Err(KeyError::Malformed);
    }
    Ok(HostKey {
        algorithm: KeyAlgorithm::EcdsaP256,
        spki: [&P256[..], point].concat(),
        blob: strings(&[b"ecdsa-sha2-nistp256", b"nistp256", point]),
    })
}

/// From two positive numbers, big-endian, with a zero byte in front where the first bit
/// is set: an mpint (RFC 4251 section 5) and an `INTEGER` have that in common.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<HostKey, KeyError> {
    if !is_shortest_positive(modulus) || !is_shortest_positive(exponent) {
        return Err(KeyError::Malformed);
    }
    let bytes = modulus.len() - usize::from(modulus[0] == 0);
    let full = bytes > *RSA_BYTES.start() || modulus[usize::from(modulus[0] == 0)] >= 0x80;
    if !RSA_BYTES.contains(&bytes) || !full || exponent.len() > 8 {
        return Err(KeyError::RsaSize);
    }
    let numbers = der::element(
        SEQUENCE,
        &[
            &der::element(INTEGER, &[modulus]),
            &der::element(INTEGER, &[exponent]),
        ],
    );
    let algorithm = der::element(SEQUENCE, &[&RSA]);
    let bits = der::element(BIT_STRING, &[&[0], &numbers]);
    Ok(HostKey {
        algorithm: KeyAlgorithm::Rsa,
        spki: der::element(SEQUENCE, &[&algorithm, &bits]),
        blob: strings(&[b"ssh-rsa", exponent, modulus]),
    })
}

/// Modulus and exponent from what follows the algorithm.
fn rsa_numbers(mut info: &[u8]) -> Option<(&[u8], &[u8])> {
    let bits = der::take(&mut info, BIT_STRING)?;
    let mut numbers = bits.strip_prefix(&[0])?;
    let mut numbers = der::take(&mut numbers, SEQUENCE)?;
    let modulus = der::take(&mut numbers, INTEGER)?;
    Some((modulus, der::take(&mut numbers, INTEGER)?))
}

fn is_shortest_positive(number: &[u8]) -> bool {
    match *number {
        [] | [0] => false,
        [0, next, ..] => next >= 0x80,
        [first, ..] => first < 0x80,
    }
}

/// `string`s of RFC 4251 section 5, one after the other.
fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        let len = u32::try_from(part.len()).expect("a key's parts were checked to be small");
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], KeyError> {
    let (len, after) = rest.split_first_chunk::<4>().ok_or(KeyError::Malformed)?;
    let len = u32::from_be_bytes(*len) as usize;
    if len > MAX_KEY_BYTES {
        return Err(KeyError::Malformed);
    }
    let (string, after) = after.split_at_checked(len).ok_or(KeyError::Malformed)?;
    *rest = after;
    Ok(string)
}

#[cfg(test)]
mod tests;
