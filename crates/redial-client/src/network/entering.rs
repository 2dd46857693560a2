//! A login that was said and is not answered yet, while a command is on its way behind it.

use redial_net::proto::message::Authenticated;
use tokio::sync::mpsc;

use super::connect::login_failed;
use super::error::NOT_TAKEN;
use super::identity::Identities;
use super::login::YES;
use super::patience::Patience;
use super::progress::Progress;
use crate::error::{ConnectError, Lost};
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub(crate) struct Entering {
    pub(crate) target: Target,
    pub(crate) user: String,
    pub(crate) identities: Identities,
    pub(crate) progress: Progress,
    pub(crate) said: Said,
}

/// A proof, and what waits for its answer.
#[derive(Debug)]
pub(crate) struct Said {
    /// Of which key: the last that there was to prove.
    pub(crate) key: usize,
    pub(crate) answers: mpsc::Receiver<Authenticated>,
    pub(crate) patience: Patience,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Answer {
    In,
    Denied(ConnectError),
    /// The line ended before. Where it is dialled again, the command will be asked for again.
    Gone,
    OutOfTime,
}

impl Entering {
    /// Waits for the server's answer. Once.
    pub(crate) async fn answer(&mut self) -> Answer {
        let said = &mut self.said;
        let answer = match said.patience.spend(said.answers.recv()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Answer::Gone,
            Err(_) => return Answer::OutOfTime,
        };
        if answer.result == YES {
            return Answer::In;
        }
        self.progress.hear(answer.reason);
        self.progress.give_up(self.said.key, NOT_TAKEN);
        let progress = std::mem::take(&mut self.progress);
        let denied = progress.denied(&self.user, &self.identities);
        Answer::Denied(login_failed(&self.target, denied))
    }

    /// The server has said goodbye, for this reason, and no answer.
    pub(crate) fn hung_up(self, reason: Lost) -> ConnectError {
        ConnectError::Handshake {
            target: self.target,
            reason,
        }
    }
}
