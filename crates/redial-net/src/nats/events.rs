//! What the library tells of the connection, for who waits for it and for the log.

use std::sync::{Mutex, PoisonError};

use async_nats::Event;
use tokio::sync::{broadcast, watch};

/// Refusals that wait to be heard.
const REFUSALS: usize = 64;

/// Where it is told.
pub(super) struct Ear {
    brokers: String,
    losses: watch::Sender<u64>,
    overflows: watch::Sender<u64>,
    refusals: broadcast::Sender<String>,
    /// Why there is no connection, as it was said last.
    said: Mutex<Option<String>>,
}

/// Where it is heard.
pub(super) struct Heard {
    /// How often the connection was lost.
    pub(super) losses: watch::Receiver<u64>,
    /// How often a message was lost because too many waited.
    pub(super) overflows: watch::Receiver<u64>,
    pub(super) refusals: broadcast::Sender<String>,
}

impl Ear {
    /// Of the connection to these brokers.
    pub(super) fn new(brokers: String) -> (Self, Heard) {
        let (losses, losses_heard) = watch::channel(0);
        let (overflows, overflows_heard) = watch::channel(0);
        let refusals = broadcast::Sender::new(REFUSALS);
        let heard = Heard {
            losses: losses_heard,
            overflows: overflows_heard,
            refusals: refusals.clone(),
        };
        let ear = Ear {
            brokers,
            losses,
            overflows,
            refusals,
            said: Mutex::default(),
        };
        (ear, heard)
    }

    pub(super) fn hear(&self, event: &Event) {
        tracing::debug!(%event, "nats");
        match event {
            Event::Disconnected | Event::Closed => self.losses.send_modify(|lost| *lost += 1),
            Event::SlowConsumer(_) => self.overflows.send_modify(|lost| *lost += 1),
            Event::ServerError(error) => {
                tracing::warn!(%error, "the NATS broker refuses something");
                let _ = self.refusals.send(error.to_string());
            }
            Event::ClientError(error) => self.not_connected(&error.to_string()),
            Event::Connected => {
                *self.said.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            Event::LameDuckMode | Event::Draining => {}
        }
    }

    /// Each try ends so, every few seconds while no broker is there: the log has each reason once.
    fn not_connected(&self, why: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.as_deref() != Some(why) {
            let brokers = &self.brokers;
            tracing::warn!(%brokers, why, "no NATS broker takes us; trying again and again");
            *said = Some(why.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use async_nats::ClientError;

    use super::*;

    #[test]
    fn losses_and_refusals_are_told_and_each_reason_is_kept_until_it_is_gone() {
        let (ear, heard) = Ear::new("broker:4222".to_owned());
        let mut refused = heard.refusals.subscribe();
        let failed = |why: &str| Event::ClientError(ClientError::Other(why.to_owned()));
        let said = || ear.said.lock().unwrap().clone();
        ear.hear(&failed("refused"));
        assert!(said().is_some_and(|it| it.contains("refused")));
        ear.hear(&failed("violation"));
        assert!(said().is_some_and(|it| it.contains("violation")));
        ear.hear(&Event::Connected);
        assert_eq!(said(), None);
        assert_eq!(*heard.losses.borrow(), 0);
        ear.hear(&Event::Disconnected);
        assert_eq!(*heard.losses.borrow(), 1);
        ear.hear(&Event::SlowConsumer(1));
        assert_eq!(*heard.overflows.borrow(), 1);
        let error = async_nats::ServerError::Other("Permissions Violation".to_owned());
        ear.hear(&Event::ServerError(error));
        assert!(refused.try_recv().unwrap().contains("Permissions"));
    }
}
