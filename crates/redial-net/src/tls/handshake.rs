//! From a line to a TLS connection, before a deadline.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::ALPN;
use super::error::{Progress, TlsError};
use super::exporter::Catch;
use super::incoming::Limit;
use super::key::HostKey;
use super::opening::{Opening, Side, judge};
use super::records::Records;
use super::stream::TlsStream;

pub(super) struct Handshake<'a, T> {
    pub(super) transport: T,
    pub(super) records: Records,
    pub(super) side: Side,
    /// What is said last goes out with what is written next.
    pub(super) keeps_last: bool,
    /// Goes out as early as TLS has keys for it.
    pub(super) first: &'a [u8],
    pub(super) progress: Arc<Progress>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Handshake<'_, T> {
    /// Both sides' hellos, keys and confirmations.
    pub(super) async fn run(mut self, deadline: Instant) -> Result<(T, Records), TlsError> {
        let after = deadline.saturating_duration_since(Instant::now());
        let result = match timeout_at(deadline, self.talk()).await {
            Ok(result) => result,
            Err(_) => Err(TlsError::Deadline {
                step: self.progress.step(),
                after,
            }),
        };
        match result {
            Ok(()) => Ok((self.transport, self.records)),
            Err(error) => {
                self.say_why().await;
                Err(error)
            }
        }
    }

    async fn talk(&mut self) -> Result<(), TlsError> {
        if self.side == Side::Client {
            self.process()?;
            self.flush().await?;
        }
        loop {
            self.read().await?;
            match judge(self.side, self.records.incoming.bytes()) {
                Opening::Tls => break,
                Opening::Undecided => {}
                Opening::Stranger(stranger) => return Err(TlsError::Stranger(stranger)),
            }
        }
        loop {
            self.process()?;
            if self.keeps_last && !self.records.state().is_handshaking() {
                return Ok(());
            }
            self.flush().await?;
            if !self.records.state().is_handshaking() {
                return Ok(());
            }
            self.read().await?;
        }
    }

    fn process(&mut self) -> Result<(), TlsError> {
        let mut result = self.records.shake_hands();
        if result.is_ok() && !self.first.is_empty() {
            // Nothing is taken before there are keys.
            result = self
                .records
                .encrypt(&[IoSlice::new(self.first)])
                .map(|taken| {
                    self.first = &self.first[taken..];
                });
        }
        result.map_err(|error| self.progress.explain(error))
    }

    async fn read(&mut self) -> Result<(), TlsError> {
        let (records, transport) = (&mut self.records, &mut self.transport);
        let read = poll_fn(|cx| records.incoming.poll_fill(cx, transport, Limit::Handshake));
        match read.await {
            Ok(0) => Err(self.line(None)),
            Ok(_) => Ok(()),
            Err(error) => Err(self.line(Some(error))),
        }
    }

    async fn flush(&mut self) -> Result<(), TlsError> {
        let flushed = poll_fn(|cx| self.poll_flush(cx)).await;
        flushed.map_err(|error| self.line(Some(error)))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.records.outgoing.poll_flush(cx, &mut self.transport) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.transport).poll_flush(cx),
            other => other,
        }
    }

    fn line(&self, source: Option<std::io::Error>) -> TlsError {
        TlsError::Line {
            step: self.progress.step(),
            source,
        }
    }

    /// Sends the alert if that needs no waiting; the line is given up all the same.
    async fn say_why(&mut self) {
        poll_fn(|cx| {
            if let Poll::Ready(Ok(())) = self.poll_flush(cx) {
                let _ = Pin::new(&mut self.transport).poll_shutdown(cx);
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// The last check, of what rustls leaves to the application, and the stream.
pub(super) fn established<T>(
    (transport, records): (T, Records),
    host_key: HostKey,
    catch: &Catch,
    progress: &Progress,
) -> Result<TlsStream<T>, TlsError> {
    if records.state().alpn_protocol() != Some(ALPN) {
        return Err(TlsError::Protocol);
    }
    let suite = records.state().negotiated_cipher_suite();
    let exporter = suite.and_then(|suite| catch.exporter(suite));
    let Some(exporter) = exporter else {
        return Err(progress.explain(rustls::Error::HandshakeNotComplete));
    };
    Ok(TlsStream::new(transport, records, host_key, exporter))
}
