//! One end of a line: carries bytes between a socket and the cluster.
//!
//! Nobody is sent more than it takes: at most a window of bytes and of messages is under way, so no
//! broker counts a peer of ours among its slow consumers, and what waits here is bounded.
//!
//! A process that is killed says nothing more, and unlike a socket's its end is not told by the kernel.
//! But the broker knows: each message names where its sender hears, and is answered there if nobody hears
//! it. Who has nothing to say says again what it has taken, now and then.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::broker::Broker;
use super::message::{HEADER_BYTES, Piece};

/// Under way in one direction at most.
const WINDOW_BYTES: u64 = 512 * 1024;
/// And so many messages, however short.
pub(super) const WINDOW_MESSAGES: usize = 64;
/// Bytes of a message; a broker may allow fewer.
const CHUNK_BYTES: usize = 32 * 1024;
/// That is room for a message of any broker's.
const CHUNK_MIN_BYTES: usize = 256;
/// Who reads says what it has taken when it is so much of the window.
const TELL_EACH: u64 = 4;

/// Who has said its end waits so long for the other's. A peer may be silent for ever, and nobody else would
/// notice: what waits for it here is done.
const LINGER: Duration = Duration::from_secs(10);

/// After so long without news a peer that is gone is noticed.
const PROBE: Duration = Duration::from_secs(3);

/// Where messages of the line come from.
pub(super) enum Hear {
    Subject(Subscriber),
    /// From who hears for many lines.
    Queue(mpsc::Receiver<Bytes>),
}

impl Hear {
    async fn next(&mut self) -> Option<Bytes> {
        match self {
            Hear::Subject(subscriber) => subscriber.next().await.map(heard),
            Hear::Queue(queue) => queue.recv().await,
        }
    }
}

/// What a message says. That nobody heard one of ours is the end of the line.
pub(super) fn heard(message: Message) -> Bytes {
    match message.status {
        Some(StatusCode::NO_RESPONDERS) => Piece::Reset.encode(),
        _ => message.payload,
    }
}

/// See the module.
pub(super) struct Line {
    pub(super) broker: Broker,
    /// The subject of what we say.
    pub(super) say: String,
    /// And of what is said to us.
    pub(super) hear_at: String,
    pub(super) hear: Hear,
    pub(super) socket: UnixStream,
    /// Of the connection to the broker, since before the line was called for.
    pub(super) losses: watch::Receiver<u64>,
}

/// Why a line is over before both sides have said their last.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the connection to the broker was lost")]
    Broker,
    #[error("the other side has ended it")]
    Reset,
    #[error("a message does not continue the last: some are missing, or came twice")]
    Gap,
    #[error("the other side does not end it")]
    Lingers,
    #[error("a message that nobody says, or more than was allowed")]
    Rules,
    #[error("{0}")]
    Socket(#[from] io::Error),
}

impl Line {
    /// Until both directions have ended, or the line breaks. Whoever is at the other end of the socket
    /// hears of it when it is dropped.
    pub(super) async fn carry(self) -> UnixStream {
        let Line {
            broker,
            say,
            hear_at,
            hear,
            mut socket,
            mut losses,
        } = self;
        let (input, output) = socket.split();
        let (tell_taken, taken) = watch::channel(0);
        let (queue, queued) = mpsc::channel(WINDOW_MESSAGES + 1);
        let mouth = Mouth::new(broker, say, hear_at);
        let (deliver_to, delivered) = watch::channel(0);
        let sending = send(input, &mouth, taken);
        let delivering = deliver(output, &mouth, (queued, deliver_to));
        let carried = tokio::select! {
            both = both(sending, delivering) => both,
            broken = listen(hear, (queue, delivered.clone()), tell_taken) => Err(broken),
            broken = probe(&mouth, delivered) => Err(broken),
            _ = losses.changed() => Err(Broken::Broker),
        };
        if let Err(error) = carried {
            tracing::debug!(line = mouth.say, %error, "a line is over");
            if !matches!(error, Broken::Reset) {
                // Where it cannot be told, silence will.
                let _ = mouth.say(&Piece::Reset).await;
            }
        }
        socket
    }
}

/// Until both directions have ended. When one breaks, what the other still has is carried all the same.
async fn both(
    sending: impl Future<Output = Result<(), Broken>>,
    delivering: impl Future<Output = Result<(), Broken>>,
) -> Result<(), Broken> {
    tokio::pin!(sending, delivering);
    tokio::select! {
        delivered = &mut delivering => match delivered {
            Ok(()) => sending.await,
            Err(broken) => {
                // The server's last words may not be read yet.
                let _ = timeout(LINGER, sending).await;
                Err(broken)
            }
        },
        sent = &mut sending => {
            sent?;
            timeout(LINGER, delivering).await.map_err(|_| Broken::Lingers)?
        }
    }
}

/// Says things on the line.
struct Mouth {
    broker: Broker,
    say: String,
    hear_at: String,
    /// Bytes of a message at most. Another broker, which may take other ones, is another line.
    chunk: usize,
}

impl Mouth {
    fn new(broker: Broker, say: String, hear_at: String) -> Self {
        let most = broker.max_payload().saturating_sub(HEADER_BYTES);
        Mouth {
            chunk: most.clamp(CHUNK_MIN_BYTES, CHUNK_BYTES),
            broker,
            say,
            hear_at,
        }
    }

    async fn say(&self, piece: &Piece) -> Result<(), Broken> {
        let (say, hear_at) = (self.say.clone(), self.hear_at.clone());
        let client = &self.broker.client;
        let said = client
            .publish_with_reply(say, hear_at, piece.encode())
            .await;
        said.map_err(|_| Broken::Broker)
    }
}

/// From the socket to the cluster, as far as the other side takes it.
async fn send(
    mut input: ReadHalf<'_>,
    mouth: &Mouth,
    mut taken: watch::Receiver<u64>,
) -> Result<(), Broken> {
    let mut sent = 0_u64;
    // Where each message ends that is under way.
    let mut ends: VecDeque<u64> = VecDeque::with_capacity(WINDOW_MESSAGES);
    let mut buffer = BytesMut::new();
    loop {
        let room = loop {
            let known = *taken.borrow_and_update();
            if known > sent {
                return Err(Broken::Rules);
            }
            while ends.front().is_some_and(|end| *end <= known) {
                ends.pop_front();
            }
            let room = WINDOW_BYTES.saturating_sub(sent - known);
            if room > 0 && ends.len() < WINDOW_MESSAGES {
                break room;
            }
            taken.changed().await.map_err(|_| Broken::Reset)?;
        };
        let most = mouth.chunk.min(usize::try_from(room).unwrap_or(usize::MAX));
        buffer.reserve(most);
        let read = (&mut input).take(most as u64).read_buf(&mut buffer).await?;
        if read == 0 {
            return mouth.say(&Piece::End(sent)).await;
        }
        let piece = Piece::Data(sent, buffer.split().freeze());
        mouth.say(&piece).await?;
        sent += read as u64;
        ends.push_back(sent);
    }
}

/// What comes from the cluster, apart: numbers for who sends, bytes for who delivers. Ends only when the
/// line does.
async fn listen(
    mut hear: Hear,
    (queue, mut delivered): (mpsc::Sender<Option<Bytes>>, watch::Receiver<u64>),
    taken: watch::Sender<u64>,
) -> Broken {
    let (mut heard, mut has_ended) = (0_u64, false);
    loop {
        let Some(message) = hear.next().await else {
            return Broken::Broker;
        };
        match Piece::decode(message) {
            Some(Piece::Data(before, bytes)) if before == heard && !has_ended => {
                heard += bytes.len() as u64;
                if heard - *delivered.borrow() > WINDOW_BYTES {
                    return Broken::Rules;
                }
                if queue.try_send(Some(bytes)).is_err() {
                    return Broken::Rules;
                }
            }
            Some(Piece::End(bytes)) if bytes == heard && !has_ended => {
                has_ended = true;
                if queue.try_send(None).is_err() {
                    return Broken::Rules;
                }
            }
            Some(Piece::Data(..) | Piece::End(_)) => return Broken::Gap,
            // One that says less than another has come late.
            Some(Piece::Taken(bytes)) => {
                taken.send_if_modified(|known| {
                    let is_more = bytes > *known;
                    *known = (*known).max(bytes);
                    is_more
                });
            }
            Some(Piece::Reset) => {
                // What was heard before is delivered, and nothing more is heard.
                drop(hear);
                let all = delivered.wait_for(|delivered| *delivered == heard);
                let _ = timeout(LINGER, all).await;
                return Broken::Reset;
            }
            None => return Broken::Rules,
        }
    }
}

/// From the cluster to the socket.
async fn deliver(
    mut output: WriteHalf<'_>,
    mouth: &Mouth,
    (mut queued, delivered): (mpsc::Receiver<Option<Bytes>>, watch::Sender<u64>),
) -> Result<(), Broken> {
    let (mut taken, mut told, mut messages) = (0_u64, 0_u64, 0_usize);
    while let Some(Some(bytes)) = queued.recv().await {
        output.write_all(&bytes).await?;
        taken += bytes.len() as u64;
        delivered.send_replace(taken);
        messages += 1;
        let is_much = taken - told >= WINDOW_BYTES / TELL_EACH;
        if is_much || messages >= WINDOW_MESSAGES / 4 {
            mouth.say(&Piece::Taken(taken)).await?;
            (told, messages) = (taken, 0);
        }
    }
    // It may be closed at the other end already.
    let _ = output.shutdown().await;
    Ok(())
}

/// Says now and then what is known: the broker answers if nobody is there to hear it. Ends only when it
/// cannot be said.
async fn probe(mouth: &Mouth, delivered: watch::Receiver<u64>) -> Broken {
    loop {
        tokio::time::sleep(PROBE).await;
        let taken = *delivered.borrow();
        if let Err(broken) = mouth.say(&Piece::Taken(taken)).await {
            return broken;
        }
    }
}
