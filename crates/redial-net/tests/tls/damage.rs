//! Bytes that somebody changed, or kept: none is taken for what was sent.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use redial_net::Transport;
use redial_net::tls::TlsStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::sides::pattern;
use crate::support::{Key, connected, server, tcp_pair, trusting};

/// How much of each direction is damaged, a byte a connection.
const DAMAGED: usize = 4096;

/// A line that changes one byte of what is written to it.
struct Flip {
    inner: DuplexStream,
    /// What was written, before the change.
    log: Arc<Mutex<Vec<u8>>>,
    at: usize,
    bits: u8,
}

impl AsyncRead for Flip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Flip {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut changed = bytes.to_vec();
        let at = self.at.wrapping_sub(self.log.lock().unwrap().len());
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= self.bits;
        }
        let polled = Pin::new(&mut self.inner).poll_write(cx, &changed);
        if let Poll::Ready(Ok(len)) = polled {
            self.log.lock().unwrap().extend_from_slice(&bytes[..len]);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    FromClient,
    FromServer,
}

/// What one side made of the other's `sent`.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// All of it, and a clean end.
    All,
    /// Less, and an error.
    Less,
}

async fn talk(mut stream: TlsStream<Flip>, sent: &[u8]) -> Heard {
    let written = stream.write_all(sent).await.is_ok() && stream.shutdown().await.is_ok();
    let mut heard = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut heard)).await;
    assert!(
        sent.starts_with(&heard),
        "a byte was heard that was not said"
    );
    match (written, read) {
        (true, Ok(Ok(_))) => {
            assert_eq!(heard.len(), sent.len(), "a clean end came too early");
            Heard::All
        }
        _ => Heard::Less,
    }
}

/// Changes each byte in turn, in a conversation of its own, and lists where it was not
/// noticed and did no harm. These may only be bytes of record headers that TLS 1.3 gives no
/// meaning (RFC 8446 section 5.1, section 5.2): the version's second byte, which "MUST be
/// ignored", and the type of an encrypted record, whose real type is inside.
async fn change_every_byte(direction: Direction, bits: u8) {
    let key = Key::ed25519(1);
    let (client, server) = (trusting(&key.public), server(&key));
    let sent = pattern(2 * DAMAGED);
    let mut harmless = Vec::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    for at in 0..DAMAGED {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let line = |inner, from| {
            let (bits, log) = if from == direction {
                (bits, log.clone())
            } else {
                (0, Arc::default())
            };
            Flip {
                inner,
                log,
                at,
                bits,
            }
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let ours = async {
            let line = line(ours, Direction::FromClient);
            match client.connect(line, deadline).await {
                Ok(stream) => talk(stream, &sent).await,
                Err(_) => Heard::Less,
            }
        };
        let theirs = async {
            let line = line(theirs, Direction::FromServer);
            match server.accept(line, deadline).await {
                Ok(stream) => talk(stream, &sent).await,
                Err(_) => Heard::Less,
            }
        };
        log.lock().unwrap().clear();
        if tokio::join!(ours, theirs) == (Heard::All, Heard::All) {
            let log = log.lock().unwrap();
            let (start, kind) = record_at(&log, at);
            let meaningless = at == start + 2 || (at == start && kind == 23);
            assert!(
                meaningless,
                "byte {at}, {} into a record of type {kind}",
                at - start
            );
            harmless.push((at, at - start, kind));
        }
    }
    eprintln!("{direction:?}: bytes that TLS ignores (offset, in its record, type): {harmless:?}");
}

/// Where the record begins that this byte belongs to, and its type.
fn record_at(log: &[u8], at: usize) -> (usize, u8) {
    let mut start = 0;
    loop {
        let len = 5 + usize::from(u16::from_be_bytes([log[start + 3], log[start + 4]]));
        if at < start + len {
            return (start, log[start]);
        }
        start += len;
    }
}

#[tokio::test(start_paused = true)]
async fn no_byte_of_the_clients_first_4_kib_can_be_changed_and_be_believed() {
    change_every_byte(Direction::FromClient, 0x01).await;
}

#[tokio::test(start_paused = true)]
async fn no_byte_of_the_servers_first_4_kib_can_be_changed_and_be_believed() {
    change_every_byte(Direction::FromServer, 0x01).await;
}

#[tokio::test]
async fn a_line_that_ends_without_close_notify_was_cut() {
    for (ours, theirs) in [Transport::pair().unwrap(), tcp_pair()] {
        let (mut ours, mut theirs) = connected((ours, theirs)).await;
        theirs.write_all(b"half a sen").await.unwrap();
        theirs.flush().await.unwrap();
        let mut heard = [0; 10];
        ours.read_exact(&mut heard).await.unwrap();
        drop(theirs);
        let error = ours.read(&mut [0; 10]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    }
}
