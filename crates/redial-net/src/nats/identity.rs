//! Who we are for the broker.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use async_nats::Auth;
use nkeys::KeyPair;
use redial_auth::nkey::{NkeyError, is_nonce, nkey, sign_nonce};
use redial_auth::{PrivateKey, PrivateKeyError};
use rustix::fs::OFlags;

use super::broker::{BrokerError, BrokerOptions};

/// Of a file; one with a JWT has some kilobytes.
const FILE_MAX_BYTES: u64 = 64 << 10;

/// As it was read.
pub(super) enum Identity {
    /// Nobody: the broker asks for nothing, or the URL says it.
    None,
    Credentials(Text),
    Nkey(Box<Key>),
}

/// A file.
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// What signs.
pub(super) enum Key {
    /// An NKEY of NATS's own making.
    Pair(KeyPair),
    /// One of ssh's.
    Ssh(PrivateKey, String),
}

/// Reads what was named; a file that is none of its kind is refused here, and not by the broker.
pub(super) fn read(options: &BrokerOptions) -> Result<Identity, BrokerError> {
    if let Some(path) = &options.credentials {
        return Text::read(path).map(Identity::Credentials);
    }
    let Some(path) = &options.nkey else {
        return Ok(Identity::None);
    };
    let file = Text::read(path)?;
    Key::read(&file).map(|key| Identity::Nkey(Box::new(key)))
}

impl Text {
    fn read(path: &Path) -> Result<Self, BrokerError> {
        let text = contents(path).map_err(|error| file_error(path, error))?;
        Ok(Text {
            path: path.to_owned(),
            text,
        })
    }

    pub(super) fn wrong(&self, why: impl std::fmt::Display) -> BrokerError {
        file_error(&self.path, why)
    }
}

impl Key {
    fn read(file: &Text) -> Result<Self, BrokerError> {
        if file.text.trim_start().starts_with("-----BEGIN ") {
            let key = PrivateKey::from_text(&file.text, None).map_err(|error| match error {
                PrivateKeyError::Encrypted => file.wrong(
                    "the key is encrypted, and nobody is asked for its passphrase here: take one without",
                ),
                error => file.wrong(error),
            })?;
            let public = nkey(key.public_key()).map_err(|error| file.wrong(error))?;
            return Ok(Key::Ssh(key, public));
        }
        let pair = KeyPair::from_seed(file.text.trim());
        let neither = "neither the seed of an NKEY (SU…) nor a key in OpenSSH's format";
        pair.map(Key::Pair).map_err(|_| file.wrong(neither))
    }

    /// To a broker that asks who we are.
    pub(super) fn answer(&self, nonce: &[u8]) -> Result<Auth, NkeyError> {
        // A broker that asks for nobody's name gets none.
        if nonce.is_empty() {
            return Ok(Auth::new());
        }
        if !is_nonce(nonce) {
            return Err(NkeyError::Nonce);
        }
        let (public, signature) = match self {
            Key::Pair(pair) => {
                let signature = pair.sign(nonce).map_err(|_| NkeyError::Nonce)?;
                (pair.public_key(), signature)
            }
            Key::Ssh(key, public) => (public.clone(), sign_nonce(key, nonce)?),
        };
        let mut auth = Auth::new();
        auth.nkey = Some(public);
        auth.signature = Some(signature);
        Ok(auth)
    }
}

fn contents(path: &Path) -> std::io::Result<String> {
    // A pipe without a writer is empty instead of a hang.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path);
    let mut text = String::new();
    File::take(opened?, FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > FILE_MAX_BYTES {
        true => Err(std::io::Error::other("longer than 64 KiB")),
        false => Ok(text),
    }
}

pub(super) fn file_error(path: &Path, why: impl std::fmt::Display) -> BrokerError {
    BrokerError::File {
        path: path.to_owned(),
        reason: why.to_string(),
    }
}
