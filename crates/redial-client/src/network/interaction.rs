//! The person in front of the program, if there is one.

use std::path::Path;

use redial_net::auth::PublicKey;
use zeroize::Zeroizing;

/// What only a person can say. Both may block; they are called on a thread of the
/// runtime's for such, and while no line is open.
pub trait Interaction {
    /// The passphrase of a private key's file; `again` after a wrong one. `None` if there
    /// is nobody to ask, or who is asked gives up: no other key's is asked for then.
    fn passphrase(&self, key: &Path, again: bool) -> Option<Zeroizing<Vec<u8>>> {
        let _ = (key, again);
        None
    }

    /// Whether a host that nobody knows is the one that is meant.
    fn confirm_host(&self, question: &HostQuestion) -> bool {
        let _ = question;
        false
    }
}

/// There is nobody to ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Interaction for Nobody {}

/// A server that has proven to hold a key, which nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostQuestion {
    /// The host as it is typed, without a user: its key is recorded under this.
    pub name: String,
    /// The key. Its fingerprint is what ssh prints too (`SHA256:…`).
    pub key: PublicKey,
    /// What speaks against it, if anything does: ssh knows other keys of that host.
    pub doubt: Option<String>,
}
