//! Who is there: all hosts of a cluster are asked at once, and each tells of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::StatusCode;
use bytes::Bytes;
use futures_util::StreamExt;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
use tokio::time::{Instant, timeout_at};

use super::broker::{Broker, BrokerError};
use super::dial::QUIET;
use super::message::{KEY_BYTES, VERSION};
use super::name::Name;

/// Where all hosts are asked.
pub(super) const FIND: &str = "redial.find";
/// The first of many answers may take so long.
const FIRST: Duration = Duration::from_secs(1);
/// In no case longer.
const ALL: Duration = Duration::from_secs(10);
/// Hosts that are listed at most.
const MAX_HOSTS: usize = 100_000;
/// Tags of a host, and bytes of each text.
const MAX_TAGS: usize = 64;
const MAX_TEXT: usize = 256;

/// What a host tells of itself. Nothing of it is proven: who may publish in the cluster may say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name that it answers to.
    pub name: Name,
    /// Its key, in ssh's encoding.
    pub key: Bytes,
    /// The version of its program.
    pub version: String,
    /// How long it has answered.
    pub up: Duration,
    /// What it is for.
    pub tags: BTreeMap<String, String>,
}

/// The same, as it is said.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct About {
    #[n(0)]
    pub(super) name: String,
    #[n(1)]
    pub(super) key: ByteVec,
    #[n(2)]
    pub(super) instance: ByteArray<16>,
    #[n(3)]
    pub(super) version: String,
    #[n(4)]
    pub(super) up_s: u64,
    #[n(5)]
    pub(super) tags: BTreeMap<String, String>,
}

impl About {
    pub(super) fn encode(&self) -> Bytes {
        let mut message = vec![VERSION];
        // Writing to a `Vec` cannot fail.
        let _ = minicbor::encode(self, &mut message);
        message.into()
    }

    fn decode(message: &[u8]) -> Option<Self> {
        let cbor = message.strip_prefix(&[VERSION])?;
        let mut decoder = minicbor::Decoder::new(cbor);
        let about: About = decoder.decode().ok()?;
        let fits = |text: &String| text.len() <= MAX_TEXT;
        let good = decoder.position() == cbor.len()
            && (1..=KEY_BYTES).contains(&about.key.len())
            && about.tags.len() <= MAX_TAGS
            && about
                .tags
                .iter()
                .all(|(key, value)| fits(key) && fits(value))
            && fits(&about.version);
        good.then_some(about)
    }
}

impl Broker {
    /// All hosts that answer, by their names. Two that answer to one name are both there.
    ///
    /// # Errors
    ///
    /// [`BrokerError`].
    pub async fn find(&self) -> Result<Vec<Found>, BrokerError> {
        let refused = |error: &dyn std::fmt::Display| BrokerError::Refused(error.to_string());
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await;
        let mut answers = answers.map_err(|error| refused(&error))?;
        let mut refusals = self.refusals_from_now(vec![FIND.to_owned(), inbox.clone()]);
        let (losses, overflows) = (self.losses_from_now(), self.overflows_from_now());
        let asked = Bytes::from_static(&[VERSION]);
        let asked = self.client.publish_with_reply(FIND, inbox, asked);
        asked.await.map_err(|error| refused(&error))?;
        let latest = Instant::now() + ALL;
        let mut until = Instant::now() + FIRST;
        let (mut found, mut is_all) = (BTreeMap::new(), true);
        loop {
            let next = tokio::select! {
                next = timeout_at(until.min(latest), answers.next()) => next,
                error = refusals.next() => return Err(error),
            };
            let Ok(Some(answer)) = next else {
                // Also where they were still coming.
                is_all = Instant::now() < latest;
                break;
            };
            if answer.status == Some(StatusCode::NO_RESPONDERS) {
                break;
            }
            if found.len() >= MAX_HOSTS {
                is_all = false;
                break;
            }
            until = until.max(Instant::now() + QUIET);
            let Some(about) = About::decode(&answer.payload) else {
                continue;
            };
            if let Ok(name) = about.name.parse::<Name>() {
                let host = Found {
                    name: name.clone(),
                    key: about.key.to_vec().into(),
                    version: about.version,
                    up: Duration::from_secs(about.up_s),
                    tags: about.tags,
                };
                found.insert((name, *about.instance), host);
            }
        }
        // Who was not heard would be taken for one who is not there.
        is_all &= matches!(losses.has_changed(), Ok(false));
        is_all &= matches!(overflows.has_changed(), Ok(false));
        match is_all {
            true => Ok(found.into_values().collect()),
            false => Err(BrokerError::Refused(
                "not all answers were heard; ask again".to_owned(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_tells_is_read_as_it_was_said_and_nothing_else_is() {
        let about = About {
            name: "web1".to_owned(),
            key: b"key".to_vec().into(),
            instance: [7; 16].into(),
            version: "0.1.0".to_owned(),
            up_s: 60,
            tags: BTreeMap::from([("role".to_owned(), "web".to_owned())]),
        };
        let said = about.encode();
        assert_eq!(About::decode(&said), Some(about.clone()));
        let more = [&said[..], b"x"].concat();
        for other in [&more[..], &said[..said.len() - 1], &said[1..], b""] {
            assert_eq!(About::decode(other), None);
        }
        let long = About {
            version: "9".repeat(MAX_TEXT + 1),
            ..about.clone()
        };
        assert_eq!(About::decode(&long.encode()), None);
        let many = About {
            tags: (0..=MAX_TAGS)
                .map(|it| (it.to_string(), String::new()))
                .collect(),
            ..about
        };
        assert_eq!(About::decode(&many.encode()), None);
    }
}
