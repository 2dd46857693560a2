//! What came of our keys at logins so far.

use std::sync::Arc;

use redial_net::auth::PrivateKey;

use super::error::{LEFT_OUT, LoginError, Tried};
use super::identity::Identities;
use super::options::NetworkOptions;

/// What came of our keys so far; it outlives connections.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Why each key is not to be tried any more.
    given_up: Vec<Option<String>>,
    /// A key whose passphrase somebody has typed, to be proved first.
    pub(crate) unlocked: Option<(usize, Arc<PrivateKey>)>,
    /// The server's own words.
    reason: Option<String>,
    /// Which key let us in.
    pub(crate) taken: Option<usize>,
}

impl Progress {
    /// With the key that was unlocked for an earlier line, if it is still among them.
    pub(crate) fn of(identities: &Identities, options: &NetworkOptions) -> Self {
        let unlocked = options.unlocked().and_then(|(key, private)| {
            let at = identities.keys.iter().position(|it| it.key == key)?;
            Some((at, private))
        });
        Progress {
            given_up: vec![None; identities.keys.len()],
            unlocked,
            ..Progress::default()
        }
    }

    pub(crate) fn give_up(&mut self, key: usize, why: impl Into<String>) {
        if let Some(place) = self.given_up.get_mut(key) {
            place.get_or_insert(why.into());
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.given_up.iter().any(Option::is_some)
    }

    /// The server's words to a try, if it had any.
    pub(super) fn hear(&mut self, reason: Option<String>) {
        self.reason = reason.or(self.reason.take());
    }

    /// The server hung up, with these words.
    pub(crate) fn close(&mut self, reason: &str) {
        self.reason = Some(reason.to_owned());
        for key in self.left() {
            self.give_up(key, "not tried any more, the server hung up");
        }
    }

    pub(super) fn left(&self) -> Vec<usize> {
        let all = self.given_up.iter().enumerate();
        let left = all.filter(|(_, why)| why.is_none());
        left.map(|(key, _)| key).collect()
    }

    /// Each key that was given up, and why.
    pub(crate) fn tried(&self, identities: &Identities) -> Vec<Tried> {
        let each = identities.keys.iter().zip(&self.given_up);
        let tried = each.filter_map(|(identity, why)| {
            Some(Tried {
                key: identity.key.clone(),
                source: identity.source.clone(),
                why: why.clone()?,
            })
        });
        tried.collect()
    }

    /// Why nobody let us in.
    pub(crate) fn denied(mut self, user: &str, identities: &Identities) -> LoginError {
        for key in self.left() {
            self.give_up(key, LEFT_OUT);
        }
        LoginError::Denied {
            user: user.to_owned(),
            tried: self.tried(identities),
            skipped: identities.skipped.clone(),
            reason: self.reason,
        }
    }
}
