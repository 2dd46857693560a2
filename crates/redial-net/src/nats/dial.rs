//! The client's side: calls a host by its name.

use std::time::Duration;

use async_nats::{StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::timeout;

use super::broker::{Broker, BrokerError};
use super::line::{Hear, Line};
use super::message::{Answer, Call, Instance};
use super::name::Name;
use crate::Transport;

/// Why there is no line to a host.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The cluster cannot be asked.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// It knows nobody of that name.
    #[error("no host answers to {0}; 'redial serve --nats … --name {0}' has to run there")]
    Nobody(Name),
    /// The host is there, and has too many lines.
    #[error("{0} takes no more lines now")]
    Busy(Name),
    /// Something else than a host answers.
    #[error("what answers to {0} is no redial, or of another version")]
    Strange(Name),
    /// There is no socket for it.
    #[error("a line cannot be set up here: {0}")]
    Socket(#[from] std::io::Error),
}

/// When nobody has answered for so long, all have.
pub(super) const QUIET: Duration = Duration::from_millis(300);

/// Whether another host has answered to the same name since.
#[derive(Debug, Clone)]
pub struct Rival(watch::Receiver<Option<[Bytes; 2]>>);

impl Rival {
    /// The keys of both, in ssh's encoding, if there was one.
    pub fn seen(&self) -> Option<[Bytes; 2]> {
        self.0.borrow().clone()
    }

    /// The same, but a host that is slower than the first is given its time.
    pub async fn await_quiet(&self) -> Option<[Bytes; 2]> {
        let mut place = self.0.clone();
        // Either error says that nobody more has answered: the time is over, or the line is.
        let _ = timeout(QUIET, place.wait_for(Option::is_some)).await;
        self.seen()
    }
}

impl Broker {
    /// Calls a host. The line ends when a second one answers to its name; [`Rival`] tells.
    ///
    /// # Errors
    ///
    /// [`CallError`]. The caller bounds the time.
    pub async fn dial(&self, name: &Name) -> Result<(Transport, Rival), CallError> {
        let refused = |error: &dyn std::fmt::Display| BrokerError::Refused(error.to_string());
        // Another broker may have taken us since.
        self.check()?;
        let losses = self.losses_from_now();
        let mut random = [0; 16];
        getrandom(&mut random)?;
        let call = Call::new(random);
        // Before the call: what is said on the line follows it at once.
        let down = self.client.subscribe(name.down(&call.line)).await;
        let down = down.map_err(|error| refused(&error))?;
        let inbox = self.client.new_inbox();
        let ours = vec![name.call(), name.down(&call.line), inbox.clone()];
        let mut refusals = self.refusals_from_now(ours);
        let answers = self.client.subscribe(inbox.clone()).await;
        let mut answers = answers.map_err(|error| refused(&error))?;
        let called = self
            .client
            .publish_with_reply(name.call(), inbox, call.encode());
        called.await.map_err(|error| refused(&error))?;
        let first = tokio::select! {
            first = answers.next() => first,
            error = refusals.next() => return Err(error.into()),
        };
        let first = first.ok_or_else(|| BrokerError::Refused("it has hung up".to_owned()))?;
        if first.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(CallError::Nobody(name.clone()));
        }
        let (instance, key) = match Answer::decode(&first.payload) {
            Some(Answer::Here { instance, key }) => (instance, key),
            Some(Answer::Busy) => return Err(CallError::Busy(name.clone())),
            None => return Err(CallError::Strange(name.clone())),
        };
        let (ours, theirs) = UnixStream::pair()?;
        let line = Line {
            broker: self.clone(),
            say: name.up(&call.line),
            hear_at: name.down(&call.line),
            hear: Hear::Subject(down),
            socket: theirs,
            losses,
        };
        let (place, rival) = watch::channel(None);
        tokio::spawn(async move {
            let mut both = async || {
                let other = another(&mut answers, instance).await;
                place.send_replace(Some([key.clone(), other]));
            };
            tokio::select! {
                socket = line.carry() => {
                    // Of two hosts one breaks what the other says, and has answered before that.
                    let _ = unconstrained(both()).now_or_never();
                    drop(socket);
                }
                // Whoever it is, the line is not to be used.
                () = both() => {}
            }
        });
        Ok((Transport::from_socket(ours.into_std()?)?, Rival(rival)))
    }
}

/// The key of another host than `instance` that answers, once there is one. Never without.
async fn another(answers: &mut Subscriber, instance: Instance) -> Bytes {
    while let Some(answer) = answers.next().await {
        if let Some(Answer::Here { instance: its, key }) = Answer::decode(&answer.payload)
            && its != instance
        {
            return key;
        }
    }
    std::future::pending().await
}

/// Random bytes of the kernel's.
pub(super) fn getrandom(bytes: &mut [u8]) -> std::io::Result<()> {
    let flags = rustix::rand::GetRandomFlags::empty();
    let got = rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut *bytes, flags))?;
    match got == bytes.len() {
        true => Ok(()),
        false => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}
