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
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::broker::{BrokerError, BrokerOptions};

/// Of a file; one with a JWT has some kilobytes.
const FILE_MAX_BYTES: u64 = 64 << 10;
/// All authorities of a system have some hundred kilobytes.
const AUTHORITIES_MAX_BYTES: u64 = 4 << 20;

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
        let text = contents(path, FILE_MAX_BYTES).map_err(|error| file_error(path, error))?;
        let text = String::from_utf8(text).map_err(|_| file_error(path, "is no text"))?;
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

/// Whether there is at least one certificate in it.
pub(super) fn check_authorities(path: &Path) -> Result<(), BrokerError> {
    let wrong = |error: &dyn std::fmt::Display| file_error(path, error);
    let text = contents(path, AUTHORITIES_MAX_BYTES).map_err(|error| wrong(&error))?;
    let mut found = CertificateDer::pem_slice_iter(&text);
    match found.next() {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(wrong(&format_args!("no certificate in PEM: {error}"))),
        None => Err(wrong(&"no certificate in PEM is in it")),
    }
}

fn contents(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    // A pipe without a writer is empty instead of a hang.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path);
    let mut text = Vec::new();
    File::take(opened?, most + 1).read_to_end(&mut text)?;
    match text.len() as u64 > most {
        true => Err(std::io::Error::other(format!(
            "longer than {} KiB",
            most >> 10
        ))),
        false => Ok(text),
    }
}

pub(super) fn file_error(path: &Path, why: impl std::fmt::Display) -> BrokerError {
    BrokerError::File {
        path: path.to_owned(),
        reason: why.to_string(),
    }
}
