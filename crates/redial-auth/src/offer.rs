//! What a client says first: which keys it has.

use alloc::vec::Vec;

use crate::limits;
use crate::public_key::PublicKey;

/// How a client begins, by the keys it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// One key: it is proved at once, in one round trip.
    Prove(PublicKey),
    /// Several: the server says first which it would take, so that nobody touches a token or types
    /// a passphrase in vain.
    Ask(Vec<PublicKey>),
    /// None.
    Nothing,
}

/// Makes an offer of keys in their order, each once, as many as fit: [`limits::OFFER_KEYS`] and
/// [`limits::OFFER_BYTES`]. Gives those that did not fit too, for a second try.
pub fn offer(keys: impl IntoIterator<Item = PublicKey>) -> (Offer, Vec<PublicKey>) {
    let room = limits::OFFER_BYTES - limits::OFFER_REST_BYTES;
    let mut fitting: Vec<PublicKey> = Vec::new();
    let mut rest = Vec::new();
    let mut used = 0;
    for key in keys {
        if fitting.contains(&key) || rest.contains(&key) {
            continue;
        }
        // A length before each.
        let bytes = key.blob().len() + 4;
        if fitting.len() < limits::OFFER_KEYS && used + bytes <= room {
            used += bytes;
            fitting.push(key);
        } else {
            rest.push(key);
        }
    }
    let offer = match fitting.len() {
        0 => Offer::Nothing,
        1 if rest.is_empty() => Offer::Prove(fitting.remove(0)),
        _ => Offer::Ask(fitting),
    };
    (offer, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    fn key(seed: u8) -> PublicKey {
        PrivateKey::ed25519(&[seed; 32], "").public_key().clone()
    }

    #[test]
    fn one_key_is_proved_at_once_and_several_are_asked_about() {
        assert_eq!(offer([]), (Offer::Nothing, Vec::new()));
        assert_eq!(offer([key(1), key(1)]), (Offer::Prove(key(1)), Vec::new()));
        let both = Vec::from([key(2), key(1)]);
        assert_eq!(offer(both.clone()), (Offer::Ask(both), Vec::new()));
    }

    #[test]
    fn what_does_not_fit_is_left_for_another_try() {
        let keys: Vec<PublicKey> = (0..40).map(key).collect();
        let (offer, rest) = offer(keys.clone());
        assert_eq!(offer, Offer::Ask(keys[..limits::OFFER_KEYS].to_vec()));
        assert_eq!(rest, keys[limits::OFFER_KEYS..]);
    }
}
