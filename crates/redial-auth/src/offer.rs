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
