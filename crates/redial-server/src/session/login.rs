//! Logging in: what a stranger says of itself, told to the keeper, and what the keeper says to that.

use redial_keeper::wire::{Dismissal, Login, ToKeeper, Verdict};
use redial_net::proto::Connection;
use redial_net::proto::message::{Authenticate, Authenticated, GoodbyeCode};

use super::FrontSession;

impl FrontSession {
    /// The connection lets this come only where it was asked for, and before anything else.
    pub(super) fn authenticate(&mut self, connection: &mut Connection, who: Authenticate) {
        let Some(exporter) = self.exporter else {
            // Not asked for: it cannot come.
            return self.verdict(connection, Verdict::Out);
        };
        let login = Login {
            user: who.user,
            keys: who.keys,
            signature: who.signature,
            exporter: exporter.into(),
        };
        let message = ToKeeper::Login(self.capability, Box::new(login));
        self.hub.borrow_mut().tell(&message);
    }

    pub(super) fn verdict(&mut self, connection: &mut Connection, verdict: Verdict) {
        connection.authenticated(match verdict {
            Verdict::In => {
                self.hub.borrow_mut().logged_in(self.capability);
                Authenticated {
                    result: 0,
                    acceptable: None,
                    reason: None,
                }
            }
            Verdict::Prove(keys) => Authenticated {
                result: 1,
                acceptable: Some(keys),
                reason: None,
            },
            Verdict::Failed => Authenticated {
                result: 2,
                acceptable: None,
                reason: Some("the server cannot look keys up now; try again".to_owned()),
            },
            // The same for every reason: which it was is the server's to know.
            Verdict::Out => Authenticated {
                result: 2,
                acceptable: None,
                reason: Some("no such user here, or none of these keys may log in".to_owned()),
            },
        });
    }

    /// Its capability is void already; it is told why.
    pub(super) fn dismissed(&mut self, connection: &mut Connection, why: Dismissal) {
        let (code, text) = match why {
            Dismissal::Revoked => (
                GoodbyeCode::Unauthenticated,
                "the key that let you in is not authorised any more; its jobs are ended",
            ),
            Dismissal::Full => (
                GoodbyeCode::TooManyConnections,
                "the server has as many connections as it takes; try again later",
            ),
            Dismissal::Stranger => (GoodbyeCode::Handshake, "the time for logging in is over"),
        };
        self.say_goodbye(connection, code, text);
    }
}
