//! Public keys: which are taken, and how they are written.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding};
use ssh_key::HashAlg;
use ssh_key::encoding::{Decode, Encode};
use ssh_key::public::{Ed25519PublicKey, KeyData};

use crate::key_text;
use crate::limits;

/// The DER before an Ed25519 key's 32 bytes in a SubjectPublicKeyInfo (RFC 8410 section 10.1).
const SPKI_ED25519: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The kinds of key that are taken. DSA, certificates and anything else are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `ssh-ed25519` (RFC 8709).
    Ed25519,
    /// `ecdsa-sha2-nistp256` (RFC 5656).
    EcdsaP256,
    /// `ecdsa-sha2-nistp384` (RFC 5656).
    EcdsaP384,
    /// `ecdsa-sha2-nistp521` (RFC 5656).
    EcdsaP521,
    /// `ssh-rsa`, of 2048 to 8192 bits, signing with SHA-2 only (RFC 8332).
    Rsa,
    /// `sk-ssh-ed25519@openssh.com`: a FIDO key (OpenSSH's PROTOCOL.u2f).
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: a FIDO key (OpenSSH's PROTOCOL.u2f).
    SkEcdsaP256,
}

impl Algorithm {
    const ALL: [Algorithm; 7] = [
        Algorithm::Ed25519,
        Algorithm::EcdsaP256,
        Algorithm::EcdsaP384,
        Algorithm::EcdsaP521,
        Algorithm::Rsa,
        Algorithm::SkEd25519,
        Algorithm::SkEcdsaP256,
    ];

    /// The name in a key's blob and in the files of ssh.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Ed25519 => "ssh-ed25519",
            Algorithm::EcdsaP256 => "ecdsa-sha2-nistp256",
            Algorithm::EcdsaP384 => "ecdsa-sha2-nistp384",
            Algorithm::EcdsaP521 => "ecdsa-sha2-nistp521",
            Algorithm::Rsa => "ssh-rsa",
            Algorithm::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Algorithm::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    pub(crate) fn from_name(name: &[u8]) -> Option<Algorithm> {
        let mut all = Algorithm::ALL.into_iter();
        all.find(|algorithm| algorithm.name().as_bytes() == name)
    }

    /// Whether signatures come from a FIDO token, which says if someone touched it.
    pub fn is_fido(self) -> bool {
        matches!(self, Algorithm::SkEd25519 | Algorithm::SkEcdsaP256)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a public key is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Longer than [`limits::BLOB_BYTES`].
    #[error("the key has {bytes} bytes, at most {} are taken", limits::BLOB_BYTES)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// DSA is broken (SHA-1, 1024 bits).
    #[error("a DSA key: DSA is no longer safe; make another with `ssh-keygen -t ed25519`")]
    Dsa,
    /// A certificate, where a plain key is asked for.
    #[error("a certificate: only plain keys are taken")]
    Certificate,
    /// A kind of key that is not known here.
    #[error("a kind of key that is not known here")]
    Unknown,
    /// An RSA key outside [`limits::RSA_MIN_BITS`] to [`limits::RSA_MAX_BITS`].
    #[error(
        "an RSA key of {bits} bits: {} to {} are taken",
        limits::RSA_MIN_BITS,
        limits::RSA_MAX_BITS
    )]
    RsaBits {
        /// Bits of its modulus.
        bits: u32,
    },
    /// The bytes are no key of that kind, or not in the one way to write it.
    #[error("the bytes are no {0} key")]
    Malformed(Algorithm),
    /// No text of the form `ssh-ed25519 AAAA…`.
    #[error("no public key in the form `ssh-ed25519 AAAA…`")]
    Text,
    /// No SubjectPublicKeyInfo of an Ed25519 key.
    #[error("no Ed25519 public key as TLS carries it (RFC 8410)")]
    Spki,
}

impl KeyError {
    /// Whether it is about a key of a kind that ssh knows, though it is not taken here.
    pub(crate) fn is_of_a_kind(&self) -> bool {
        matches!(
            self,
            KeyError::Dsa | KeyError::Certificate | KeyError::RsaBits { .. }
        )
    }
}

/// A public key of a kind that is taken. Equal if the keys are.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    data: KeyData,
    blob: Vec<u8>,
}

impl PublicKey {
    /// A key from its blob, as RFC 4253 section 6.6 and those after it write it.
    ///
    /// # Errors
    /// When it is none, or of a kind or size that is not taken.
    pub fn from_blob(blob: &[u8]) -> Result<PublicKey, KeyError> {
        if blob.len() > limits::BLOB_BYTES {
            return Err(KeyError::TooLong { bytes: blob.len() });
        }
        // Before anything else is decoded: kinds that are not taken cost nothing.
        let algorithm = algorithm_of(blob)?;
        let malformed = || KeyError::Malformed(algorithm);
        let data = KeyData::decode(&mut &*blob).map_err(|_| malformed())?;
        // One key has one blob, or a key could be listed under two.
        let again = data.encode_vec().map_err(|_| malformed())?;
        if again != blob {
            return Err(malformed());
        }
        if let KeyData::Rsa(rsa) = &data {
            let modulus = rsa.n().as_positive_bytes().ok_or_else(malformed)?;
            let bits = bits(modulus);
            if !(limits::RSA_MIN_BITS..=limits::RSA_MAX_BITS).contains(&bits) {
                return Err(KeyError::RsaBits { bits });
            }
        }
        Ok(PublicKey {
            algorithm,
            data,
            blob: again,
        })
    }

    /// A key from the text of a `.pub` file: kind, base64, and maybe a comment.
    ///
    /// # Errors
    /// As [`PublicKey::from_blob`], and when it is no such text.
    pub fn from_text(text: &str) -> Result<PublicKey, KeyError> {
        let line = text.trim();
        match key_text::read(line.as_bytes()) {
            Some((named, _)) => named.key(),
            None => Err(KeyError::Text),
        }
    }

    /// A server's key as TLS carries a raw public key (RFC 7250): a SubjectPublicKeyInfo, of an
    /// Ed25519 key.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_spki(der: &[u8]) -> Result<PublicKey, KeyError> {
        let point = der.strip_prefix(&SPKI_ED25519).ok_or(KeyError::Spki)?;
        let point: [u8; 32] = point.try_into().map_err(|_| KeyError::Spki)?;
        PublicKey::from_data(KeyData::Ed25519(Ed25519PublicKey(point)))
    }

    pub(crate) fn from_data(data: KeyData) -> Result<PublicKey, KeyError> {
        let blob = data.encode_vec().map_err(|_| KeyError::Unknown)?;
        PublicKey::from_blob(&blob)
    }

    /// The key as TLS carries it; Ed25519 keys only.
    pub fn to_spki(&self) -> Option<Vec<u8>> {
        let point = self.data.ed25519()?;
        Some([&SPKI_ED25519[..], &point.0].concat())
    }

    /// The key's blob, at most [`limits::BLOB_BYTES`].
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Its kind.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The SHA-256 fingerprint as ssh prints it: `SHA256:` and unpadded base64.
    pub fn fingerprint(&self) -> String {
        format!("{}", self.data.fingerprint(HashAlg::Sha256))
    }

    /// The key as one line of text without a comment, as in a `.pub` file.
    pub fn to_text(&self) -> String {
        let base64 = Base64::encode_string(&self.blob);
        self.algorithm.name().to_owned() + " " + &base64
    }

    pub(crate) fn data(&self) -> &KeyData {
        &self.data
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob == other.blob
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.algorithm, self.fingerprint())
    }
}

/// The kind of key a blob says it is.
fn algorithm_of(blob: &[u8]) -> Result<Algorithm, KeyError> {
    let name = key_text::first_string(blob).ok_or(KeyError::Unknown)?;
    if let Some(algorithm) = Algorithm::from_name(name) {
        return Ok(algorithm);
    }
    Err(match name {
        b"ssh-dss" => KeyError::Dsa,
        name if name.ends_with(b"-cert-v01@openssh.com") => KeyError::Certificate,
        _ => KeyError::Unknown,
    })
}

/// Bits of a number without leading zero bytes.
fn bits(bytes: &[u8]) -> u32 {
    let first = bytes.first().map_or(8, |first| first.leading_zeros());
    (u32::try_from(bytes.len()).unwrap_or(u32::MAX))
        .saturating_mul(8)
        .saturating_sub(first)
}
