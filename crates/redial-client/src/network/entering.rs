//! A login that was said and is not answered yet, while a command is on its way behind it.

use redial_net::proto::message::Authenticated;
use tokio::sync::mpsc;

use super::connect::login_failed;
use super::identity::Identities;
use super::login::YES;
use super::patience::Patience;
use super::progress::Progress;
use crate::error::ConnectError;
use crate::target::Target;

/// See the module.
#[derive(Debug)]
pub(crate) struct Entering {
    pub(crate) target: Target,
    pub(crate) user: String,
    pub(crate) identities: Identities,
    pub(crate) progress: Progress,
    /// Which of them was proven: the last that there was to prove.
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
    /// Waits for the server's answer.
    pub(crate) async fn answer(mut self) -> Answer {
        let answer = match self.patience.spend(self.answers.recv()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Answer::Gone,
            Err(_) => return Answer::OutOfTime,
        };
        if answer.result == YES {
            return Answer::In;
        }
        self.progress.refuse(self.key, answer.reason);
        let denied = self.progress.denied(&self.user, &self.identities);
        Answer::Denied(login_failed(&self.target, denied))
    }
}
