//! The host's side: answers to its name, and carries lines to its server's door.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_nats::Message;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, unconstrained};

use super::broker::{Broker, BrokerError};
use super::dial::getrandom;
use super::find::{About, FIND};
use super::line::{Hear, Line, WINDOW_MESSAGES, heard};
use super::message::{Answer, Call, Instance, Piece};
use super::name::Name;

/// Lines at once. The server bounds strangers among them further.
const LINES: usize = 1_024;
/// Messages of one line that wait to be looked at; who says more has broken the rules.
const QUEUE: usize = 2 * WINDOW_MESSAGES;

/// Clients at once that are told that their line is over.
const TELLING: usize = 64;

/// What a host is in the cluster.
#[derive(Debug, Clone)]
pub struct Serving {
    /// The name it answers to.
    pub name: Name,
    /// Its key, in ssh's encoding.
    pub key: Bytes,
    /// Its server's Unix socket for lines of strangers.
    pub door: PathBuf,
    /// The version of its program.
    pub version: String,
    /// What it is for.
    pub tags: BTreeMap<String, String>,
}

/// Answers calls until the broker's client gives up, which is never while it can be reached again.
///
/// # Errors
///
/// [`BrokerError`] when the broker does not let us hear.
pub async fn serve(broker: Broker, serving: Serving) -> Result<(), BrokerError> {
    let refused = |error: &dyn std::fmt::Display| BrokerError::Refused(error.to_string());
    broker.is_there().await?;
    tracing::info!(name = %serving.name, "called through NATS by this name");
    let mut instance = Instance::default();
    getrandom(&mut instance).map_err(|error| refused(&error))?;
    let client = broker.client.clone();
    let calls = client.subscribe(serving.name.call()).await;
    let mut calls = calls.map_err(|error| refused(&error))?;
    // For all lines: none of them costs the cluster a subscription.
    let said = client.subscribe(serving.name.up("*")).await;
    let mut said = said.map_err(|error| refused(&error))?;
    let finds = client.subscribe(FIND).await;
    let mut finds = finds.map_err(|error| refused(&error))?;
    let mut losses = broker.losses_from_now();
    let mut host = Host {
        broker,
        serving,
        instance,
        since: Instant::now(),
        lines: HashMap::new(),
        running: JoinSet::new(),
        telling: Arc::new(Semaphore::new(TELLING)),
    };
    loop {
        tokio::select! {
            call = calls.next() => match call {
                Some(call) => host.call(call).await,
                None => return Ok(()),
            },
            message = said.next() => match message {
                Some(message) => {
                    // The call that its line begins with is here already, but may not have been looked at.
                    for _ in 0..LINES {
                        if host.knows(&message) {
                            break;
                        }
                        let Some(Some(call)) = unconstrained(calls.next()).now_or_never() else {
                            break;
                        };
                        host.call(call).await;
                    }
                    host.said(&message);
                }
                None => return Ok(()),
            },
            find = finds.next() => match find {
                Some(find) => host.tell(find).await,
                None => return Ok(()),
            },
            Some(ended) = host.running.join_next() => {
                if let Ok(line) = ended {
                    host.lines.remove(&line);
                }
            }
            // Each line has heard of it, too.
            Ok(()) = losses.changed() => tracing::info!("the connection to the NATS broker was lost"),
        }
    }
}

struct Host {
    broker: Broker,
    serving: Serving,
    instance: Instance,
    since: Instant,
    /// Where what is said on each goes.
    lines: HashMap<String, mpsc::Sender<Bytes>>,
    /// Those that are carried; each gives its name when it is over.
    running: JoinSet<String>,
    /// Who may be told at once that a line is over.
    telling: Arc<Semaphore>,
}

impl Host {
    async fn call(&mut self, message: Message) {
        let Some(reply) = message.reply else {
            return;
        };
        // Another broker may have taken us since.
        if let Err(error) = self.broker.check() {
            tracing::warn!(%error, "a call is not answered");
            return;
        }
        // Who says it in another way is of another version, or nobody.
        let Some(Call { line }) = Call::decode(&message.payload) else {
            return;
        };
        // Said twice, by a broker that repeats itself.
        if self.lines.contains_key(&line) {
            return;
        }
        let answer = match self.open(line).await {
            true => Answer::Here {
                instance: self.instance,
                key: self.serving.key.clone(),
            },
            false => Answer::Busy,
        };
        let answered = self.broker.client.publish(reply, answer.encode()).await;
        if let Err(error) = answered {
            tracing::debug!(%error, "a call is not answered");
        }
    }

    /// Somebody asks who is there.
    async fn tell(&self, message: Message) {
        let Some(reply) = message.reply else {
            return;
        };
        let about = About {
            name: self.serving.name.to_string(),
            key: self.serving.key.to_vec().into(),
            instance: self.instance.into(),
            version: self.serving.version.clone(),
            up_s: self.since.elapsed().as_secs(),
            tags: self.serving.tags.clone(),
        };
        let told = self.broker.client.publish(reply, about.encode()).await;
        if let Err(error) = told {
            tracing::debug!(%error, "who asks for hosts is not answered");
        }
    }

    /// False if there is no place for another line.
    async fn open(&mut self, line: String) -> bool {
        if self.lines.len() >= LINES {
            return false;
        }
        let socket = match UnixStream::connect(&self.serving.door).await {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, "the server takes no line");
                return false;
            }
        };
        let losses = self.broker.losses_from_now();
        let (queue, queued) = mpsc::channel(QUEUE);
        let carried = Line {
            broker: self.broker.clone(),
            say: self.serving.name.down(&line),
            hear_at: self.serving.name.up(&line),
            hear: Hear::Queue(queued),
            socket,
            losses,
        };
        self.lines.insert(line.clone(), queue);
        self.running.spawn(async move {
            carried.carry().await;
            line
        });
        true
    }

    fn knows(&self, message: &Message) -> bool {
        line_of(message).is_some_and(|line| self.lines.contains_key(line))
    }

    fn said(&mut self, message: &Message) {
        let Some(line) = line_of(message) else {
            return;
        };
        let Some(queue) = self.lines.get(line) else {
            return self.unknown(message, line);
        };
        if queue.try_send(heard(message.clone())).is_err() {
            // Its end is heard by who carries it.
            self.lines.remove(line);
        }
    }

    /// A line that is over here, or was an earlier agent's, and whose client may not know.
    fn unknown(&self, message: &Message, line: &str) {
        let is_said_by_client = matches!(
            Piece::decode(message.payload.clone()),
            Some(Piece::Data(..) | Piece::Taken(_) | Piece::End(_))
        );
        // While a broker does not take what we say, few wait here; who is not told notices by himself.
        let Ok(turn) = Arc::clone(&self.telling).try_acquire_owned() else {
            return;
        };
        if is_said_by_client {
            let (client, down) = (self.broker.client.clone(), self.serving.name.down(line));
            tokio::spawn(async move {
                let _ = client.publish(down, Piece::Reset.encode()).await;
                drop(turn);
            });
        }
    }
}

/// The line that something was said on.
fn line_of(message: &Message) -> Option<&str> {
    message.subject.rsplit('.').nth(1)
}
