//! P-256 keys whose secret number is short.
//!
//! OpenSSH writes the number without its leading zeros, as an mpint (RFC 4251 section 5): of one key in 512 it has
//! 31 bytes or less, which the library takes for damage. Here it is given its zeros back.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::key_text::first_string;

const HEAD: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
const TAIL: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";
const ALGORITHM: &[u8] = b"ecdsa-sha2-nistp256";
const NUMBER_BYTES: usize = 32;
/// What is not encrypted is padded to a multiple of this.
const BLOCK_BYTES: usize = 8;

/// What a file holds (OpenSSH's PROTOCOL.key) of such a key.
struct File {
    is_encrypted: bool,
    public: Vec<u8>,
    private: Zeroizing<Vec<u8>>,
    /// Of ciphers that have one.
    tag: Vec<u8>,
}

/// The key in a file that is not encrypted, if that is what is the matter with it.
pub(super) fn plain(text: &str) -> Option<ssh_key::PrivateKey> {
    let file = File::read(text).filter(|file| !file.is_encrypted)?;
    with_all_zeros(&file.public, &file.private)
}

/// The same in an encrypted one, whose head is `locked`.
pub(super) fn decrypted(
    text: &str,
    locked: &ssh_key::PrivateKey,
    passphrase: &[u8],
) -> Option<ssh_key::PrivateKey> {
    let mut file = File::read(text).filter(|file| file.is_encrypted)?;
    let (cipher, tag) = (locked.cipher(), file.tag.as_slice().try_into().ok());
    let (key, iv) = locked.kdf().derive_key_and_iv(cipher, passphrase).ok()?;
    cipher.decrypt(&key, &iv, &mut file.private, tag).ok()?;
    with_all_zeros(&file.public, &file.private)
}

impl File {
    fn read(text: &str) -> Option<File> {
        let body = text.trim().strip_prefix(HEAD)?.strip_suffix(TAIL)?;
        let letters = body.chars().filter(|letter| !letter.is_ascii_whitespace());
        let dense: Zeroizing<String> = Zeroizing::new(letters.collect());
        let bytes = Zeroizing::new(Base64::decode_vec(&dense).ok()?);
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let cipher = string(&mut rest)?;
        let (_kdf, _options) = (string(&mut rest)?, string(&mut rest)?);
        rest = rest.strip_prefix(&1_u32.to_be_bytes())?;
        let public = string(&mut rest)?;
        if first_string(public) != Some(ALGORITHM) {
            return None;
        }
        Some(File {
            is_encrypted: cipher != b"none",
            public: public.to_vec(),
            private: Zeroizing::new(string(&mut rest)?.to_vec()),
            tag: rest.to_vec(),
        })
    }
}

/// None if its number is not short, or anything else is not as it should be.
fn with_all_zeros(public: &[u8], private: &[u8]) -> Option<ssh_key::PrivateKey> {
    let (checks, mut rest) = private.split_at_checked(8)?;
    let [algorithm, curve, point] = [(); 3].map(|()| string(&mut rest));
    let (number, comment) = (string(&mut rest)?, string(&mut rest)?);
    let missing = NUMBER_BYTES.checked_sub(number.len())?;
    let is_padded = rest.iter().copied().eq((1..).take(rest.len()));
    if checks[..4] != checks[4..] || algorithm? != ALGORITHM || missing == 0 || !is_padded {
        return None;
    }
    let long = Zeroizing::new([&[0; NUMBER_BYTES][..missing], number].concat());
    // As large as it can become at once: what grows leaves copies behind.
    let mut section = Zeroizing::new(Vec::with_capacity(
        private.len() + NUMBER_BYTES + BLOCK_BYTES,
    ));
    section.extend_from_slice(checks);
    for part in [ALGORITHM, curve?, point?, &long, comment] {
        push_string(&mut section, part)?;
    }
    let padding = section.len().next_multiple_of(BLOCK_BYTES) - section.len();
    section.extend((1..).take(padding));
    let mut file = Zeroizing::new(Vec::with_capacity(public.len() + section.len() + 64));
    file.extend_from_slice(MAGIC);
    for part in [&b"none"[..], b"none", b""] {
        push_string(&mut file, part)?;
    }
    file.extend_from_slice(&1_u32.to_be_bytes());
    push_string(&mut file, public)?;
    push_string(&mut file, &section)?;
    ssh_key::PrivateKey::from_bytes(&file).ok()
}

fn string<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let first = first_string(bytes)?;
    *bytes = &bytes[4 + first.len()..];
    Some(first)
}

fn push_string(to: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    to.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
    to.extend_from_slice(part);
    Some(())
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use ed25519_dalek::{Signer, Verifier};

    use super::super::{PrivateKey, PrivateKeyError};

    /// By ssh-keygen: plain, and under the same passphrase by ciphers of each kind.
    const PLAIN: &str = include_str!("short/plain");
    const LOCKED: [&str; 4] = [
        include_str!("short/aes256-ctr"),
        include_str!("short/aes128-cbc"),
        include_str!("short/aes256-gcm"),
        include_str!("short/chacha20-poly1305"),
    ];
    const PASSPHRASE: &[u8] = b"secret words";

    #[test]
    fn a_key_whose_number_begins_with_zeros_is_read_and_signs() {
        let key = PrivateKey::from_text(PLAIN, None).unwrap();
        assert_eq!(key.public_key(), &PrivateKey::public_key_in(PLAIN).unwrap());
        let signature = key.signer().try_sign(b"a message").unwrap();
        let public = key.public_key().data();
        public.verify(b"a message", &signature).unwrap();
        assert!(public.verify(b"another", &signature).is_err());
    }

    #[test]
    fn so_it_is_where_it_is_encrypted_and_another_passphrase_is_told_as_ever() {
        let plain = PrivateKey::from_text(PLAIN, None).unwrap();
        for text in LOCKED {
            let asks = PrivateKey::from_text(text, None);
            assert!(matches!(asks, Err(PrivateKeyError::Encrypted)));
            let wrong = PrivateKey::from_text(text, Some(b"other words"));
            assert!(matches!(wrong, Err(PrivateKeyError::Passphrase)));
            let key = PrivateKey::from_text(text, Some(PASSPHRASE)).unwrap();
            assert!(key.inner.key_data() == plain.inner.key_data());
        }
    }

    #[test]
    fn what_is_damaged_stays_so() {
        for at in (40..PLAIN.len() - 40).step_by(3) {
            let mut text = PLAIN.to_string();
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            text.replace_range(at..=at, other);
            // Some of its letters do not matter: a comment, the two check numbers.
            if let Ok(key) = PrivateKey::from_text(&text, None) {
                assert_eq!(
                    key.public_key(),
                    &PrivateKey::public_key_in(PLAIN).unwrap(),
                    "{at}"
                );
            }
        }
    }
}
