//! Private keys: reading them from text, making them, writing them.

mod short;

use alloc::string::{String, ToString};
use core::fmt;

use ed25519_dalek::{SignatureError, Signer};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, Cipher, Kdf, LineEnding, Signature};
use zeroize::Zeroizing;

use crate::ed25519::SigningKey;
use crate::limits;
use crate::public_key::{KeyError, PublicKey};

/// Rounds of bcrypt for keys that are written here, as ssh-keygen has them.
const ROUNDS: u32 = 24;

/// A private key, decrypted. Its secrets are wiped when it is dropped.
pub struct PrivateKey {
    inner: ssh_key::PrivateKey,
    public: PublicKey,
    /// Of an Ed25519 key: what comes before a signature takes as long as the signature, and
    /// some keys make many.
    ready: Option<SigningKey>,
}

/// Why a private key cannot be had from a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// Longer than [`limits::PRIVATE_KEY_BYTES`].
    #[error(
        "the file has {bytes} bytes, at most {} are read",
        limits::PRIVATE_KEY_BYTES
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The PEM format that ssh-keygen wrote before 2018, or PKCS#8.
    #[error("a key in PEM format; write it anew with `ssh-keygen -p -f FILE`")]
    Pem,
    /// No private key in OpenSSH's format, or a damaged one.
    #[error("no private key in OpenSSH's format")]
    Malformed,
    /// Encrypted, and no passphrase given.
    #[error("the key is encrypted: it needs a passphrase")]
    Encrypted,
    /// Encrypted, and not with that passphrase.
    #[error("not the passphrase of this key")]
    Passphrase,
    /// Encrypted in a way that is not known here.
    #[error("the key is encrypted with {0}, which is not known here; `ssh-keygen -p` changes that")]
    Cipher(String),
    /// More rounds than [`limits::BCRYPT_ROUNDS`].
    #[error(
        "the passphrase takes {rounds} rounds, at most {} are done",
        limits::BCRYPT_ROUNDS
    )]
    Rounds {
        /// Rounds of bcrypt that the file asks for.
        rounds: u32,
    },
    /// The key is of a kind or size that is not taken.
    #[error("{0}")]
    Key(#[from] KeyError),
}

impl PrivateKey {
    /// Reads a key file in OpenSSH's format (its PROTOCOL.key). Takes some tenths of a second if it
    /// is encrypted. A passphrase for a key that is not encrypted does no harm.
    ///
    /// # Errors
    /// [`PrivateKeyError::Encrypted`] asks to call again with a passphrase, the others are final.
    pub fn from_text(text: &str, passphrase: Option<&[u8]>) -> Result<PrivateKey, PrivateKeyError> {
        let read = read(text)?;
        if !read.is_encrypted() {
            return PrivateKey::new(read);
        }
        if let Kdf::Bcrypt { rounds, .. } = read.kdf()
            && *rounds > limits::BCRYPT_ROUNDS
        {
            return Err(PrivateKeyError::Rounds { rounds: *rounds });
        }
        let passphrase = passphrase.ok_or(PrivateKeyError::Encrypted)?;
        let cipher = read.cipher();
        // The library knows 3DES by name, but not by heart.
        if matches!(cipher, Cipher::TdesCbc) {
            return Err(PrivateKeyError::Cipher(cipher.to_string()));
        }
        let decrypted = match read.decrypt(passphrase) {
            Ok(decrypted) => Some(decrypted),
            Err(_) => short::decrypted(text, &read, passphrase),
        };
        PrivateKey::new(decrypted.ok_or(PrivateKeyError::Passphrase)?)
    }

    /// The public key in a private key's file, which is not encrypted: to ask whether the server
    /// takes it before anybody types a passphrase.
    ///
    /// # Errors
    /// As [`PrivateKey::from_text`], but for those of passphrases.
    pub fn public_key_in(text: &str) -> Result<PublicKey, PrivateKeyError> {
        let read = read(text)?;
        Ok(PublicKey::from_data(read.public_key().key_data().clone())?)
    }

    /// A new Ed25519 key of 32 random bytes.
    pub fn ed25519(seed: &[u8; 32], comment: &str) -> PrivateKey {
        let pair = KeypairData::from(Ed25519Keypair::from_seed(seed));
        let inner = ssh_key::PrivateKey::new(pair, comment);
        let key = inner.map_err(|_| PrivateKeyError::Malformed);
        key.and_then(PrivateKey::new)
            .expect("32 bytes are an Ed25519 key, and those are taken")
    }

    fn new(inner: ssh_key::PrivateKey) -> Result<PrivateKey, PrivateKeyError> {
        let public = PublicKey::from_data(inner.public_key().key_data().clone())?;
        let pair = inner.key_data().ed25519();
        // None if the halves are not of one key: then there are no signatures either.
        let ready = pair.and_then(SigningKey::new);
        Ok(PrivateKey {
            inner,
            public,
            ready,
        })
    }

    /// Its public half.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The key as a file, not encrypted.
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = self.inner.to_openssh(LineEnding::LF);
        text.expect("a key that could be read can be written")
    }

    /// The key as a file, encrypted (AES-256 in CTR mode, bcrypt). `random` are 20 random bytes.
    ///
    /// # Errors
    /// [`PrivateKeyError::Passphrase`] if it is empty.
    pub fn to_encrypted_text(
        &self,
        passphrase: &[u8],
        random: [u8; 20],
    ) -> Result<Zeroizing<String>, PrivateKeyError> {
        let (salt, check) = random.split_at(16);
        let check = check
            .iter()
            .fold(0, |check, byte| check << 8 | u32::from(*byte));
        let kdf = Kdf::Bcrypt {
            salt: salt.to_vec(),
            rounds: ROUNDS,
        };
        if passphrase.is_empty() {
            return Err(PrivateKeyError::Passphrase);
        }
        let encrypted = self
            .inner
            .encrypt_with(Cipher::Aes256Ctr, kdf, check, passphrase);
        let text = encrypted.and_then(|encrypted| encrypted.to_openssh(LineEnding::LF));
        text.map_err(|_| PrivateKeyError::Malformed)
    }

    /// Signs anything, and so is not for everybody.
    pub(crate) fn signer(&self) -> AnySigner<'_> {
        AnySigner(self)
    }
}

/// See [`PrivateKey::signer`].
pub(crate) struct AnySigner<'a>(&'a PrivateKey);

impl Signer<Signature> for AnySigner<'_> {
    fn try_sign(&self, message: &[u8]) -> Result<Signature, SignatureError> {
        let Some(ready) = &self.0.ready else {
            return self.0.inner.try_sign(message);
        };
        let signature = ready.sign(message).ok_or_else(SignatureError::new)?;
        Signature::new(Algorithm::Ed25519, signature).map_err(SignatureError::from)
    }
}

impl From<&AnySigner<'_>> for KeyData {
    fn from(signer: &AnySigner<'_>) -> KeyData {
        signer.0.public.data().clone()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.public)
    }
}

fn read(text: &str) -> Result<ssh_key::PrivateKey, PrivateKeyError> {
    let bytes = text.len();
    if bytes > limits::PRIVATE_KEY_BYTES {
        return Err(PrivateKeyError::TooLong { bytes });
    }
    let text = text.trim_start();
    if text.starts_with("-----BEGIN ") && !text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
        return Err(PrivateKeyError::Pem);
    }
    ssh_key::PrivateKey::from_openssh(text).or_else(|error| match error {
        ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
            Err(PrivateKeyError::Key(KeyError::Unknown))
        }
        _ => short::plain(text).ok_or(PrivateKeyError::Malformed),
    })
}
