//! Ed25519 (RFC 8032) by aws-lc-rs where it is there anyway (feature `aws-lc`), else by ed25519-dalek.
//! Both make the same signatures.

#[cfg(feature = "aws-lc")]
pub(crate) use aws_lc::{SigningKey, verifies};
#[cfg(not(feature = "aws-lc"))]
pub(crate) use dalek::{SigningKey, verifies};

const SIGNATURE_BYTES: usize = 64;

#[cfg(feature = "aws-lc")]
mod aws_lc {
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, ParsedPublicKey};
    use ssh_key::private::Ed25519Keypair;

    use super::SIGNATURE_BYTES;

    /// Both halves of a key, ready to sign. Wiped when dropped.
    pub(crate) struct SigningKey(Ed25519KeyPair);

    impl SigningKey {
        /// None if the halves are not of one key.
        pub(crate) fn new(pair: &Ed25519Keypair) -> Option<SigningKey> {
            let (seed, public) = (pair.private.as_ref(), pair.public.as_ref());
            let key = Ed25519KeyPair::from_seed_and_public_key(seed, public);
            key.ok().map(SigningKey)
        }

        pub(crate) fn sign(&self, message: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
            let signature = self.0.try_sign(message).ok()?;
            signature.as_ref().try_into().ok()
        }
    }

    /// Whether the signature is this key's over the message.
    pub(crate) fn verifies(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
        let key = ParsedPublicKey::new(&ED25519, key);
        key.is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

#[cfg(any(test, not(feature = "aws-lc")))]
mod dalek {
    use alloc::boxed::Box;

    use ed25519_dalek::{Signature, Signer, Verifier, VerifyingKey};
    use ssh_key::private::Ed25519Keypair;

    use super::SIGNATURE_BYTES;

    /// Both halves of a key, ready to sign. Wiped when dropped.
    pub(crate) struct SigningKey(Box<ed25519_dalek::SigningKey>);

    impl SigningKey {
        /// None if the halves are not of one key.
        pub(crate) fn new(pair: &Ed25519Keypair) -> Option<SigningKey> {
            let key = ed25519_dalek::SigningKey::try_from(pair);
            key.ok().map(|key| SigningKey(Box::new(key)))
        }

        pub(crate) fn sign(&self, message: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
            Some(self.0.try_sign(message).ok()?.to_bytes())
        }
    }

    /// Whether the signature is this key's over the message.
    pub(crate) fn verifies(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature);
        let key = VerifyingKey::from_bytes(key);
        matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
    }
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use std::vec::Vec;

    use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};
    use ssh_key::public::Ed25519PublicKey;

    use super::{aws_lc, dalek};

    fn pair(byte: u8) -> Ed25519Keypair {
        Ed25519Keypair::from_seed(&[byte; 32])
    }

    #[test]
    fn both_make_the_same_signatures_and_take_each_others() {
        for byte in 0..=255 {
            let pair = pair(byte);
            let message: Vec<u8> = (0..usize::from(byte)).map(|at| at as u8 ^ byte).collect();
            let ours = aws_lc::SigningKey::new(&pair).unwrap().sign(&message);
            let theirs = dalek::SigningKey::new(&pair).unwrap().sign(&message);
            assert_eq!(ours, theirs, "{byte}");
            let (key, signature) = (pair.public.as_ref(), ours.unwrap());
            assert!(aws_lc::verifies(key, &message, &signature));
            assert!(dalek::verifies(key, &message, &signature));
        }
    }

    #[test]
    fn neither_takes_what_differs_in_one_bit() {
        let (pair, message) = (pair(7), *b"a message");
        let key = *pair.public.as_ref();
        let signature = dalek::SigningKey::new(&pair)
            .unwrap()
            .sign(&message)
            .unwrap();
        let refused = |key: &[u8; 32], message: &[u8], signature: &[u8]| {
            assert!(!aws_lc::verifies(key, message, signature));
            assert!(!dalek::verifies(key, message, signature));
        };
        for bit in 0..8 * signature.len() {
            let mut other = signature;
            other[bit / 8] ^= 1 << (bit % 8);
            refused(&key, &message, &other);
        }
        for bit in 0..8 * key.len() {
            let mut other = key;
            other[bit / 8] ^= 1 << (bit % 8);
            refused(&other, &message, &signature);
        }
        refused(&key, b"another", &signature);
        for length in 0..signature.len() {
            refused(&key, &message, &signature[..length]);
        }
        refused(&key, &message, &[&signature[..], &[0]].concat());
    }

    #[test]
    fn halves_of_two_keys_sign_nothing() {
        let mixed = Ed25519Keypair {
            public: Ed25519PublicKey(*pair(1).public.as_ref()),
            private: Ed25519PrivateKey::from_bytes(&[2; 32]),
        };
        assert!(aws_lc::SigningKey::new(&mixed).is_none());
        assert!(dalek::SigningKey::new(&mixed).is_none());
    }
}
