//! A byte stream inside TLS.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::exporter::Exporter;
use super::incoming::Limit;
use super::key::HostKey;
use super::records::{Next, Records};

/// An established connection: what is read was written by the peer, in this order, with
/// nothing left out.
///
/// The end of the line without the peer's close_notify is an error (`UnexpectedEof`), and
/// so is any byte that was changed (`InvalidData`): a dropped line, never an end.
///
/// A write may keep what the line does not take at once, up to one batch, and what is short. As with every
/// `AsyncWrite`, `poll_flush` must be called until it is ready;
/// [`drive`](crate::drive) does. Vectored writes become records of 16 KiB, encrypted from
/// where the bytes lie if a record lies in one place.
pub struct TlsStream<T> {
    transport: T,
    records: Records,
    host_key: HostKey,
    exporter: Exporter,
    /// The end of the handshake waits for the first write.
    holds: bool,
    closing: Closing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    Said,
}

impl<T> TlsStream<T> {
    pub(super) fn new(
        transport: T,
        records: Records,
        host_key: HostKey,
        exporter: Exporter,
    ) -> Self {
        TlsStream {
            transport,
            records,
            host_key,
            exporter,
            holds: false,
            closing: Closing::No,
        }
    }

    pub(super) fn holding(mut self, holds: bool) -> Self {
        self.holds = holds;
        self
    }

    /// The server's key: the peer's that was accepted, or, on the server, its own.
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// What binds a proof to this connection.
    pub fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// The line under it, to ask who is at the other end; not to be read or written.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// How keys were agreed and what encrypts, by their IANA names: for diagnosis.
    pub fn ciphers(&self) -> String {
        let state = self.records.state();
        let group = state
            .negotiated_key_exchange_group()
            .map(|group| group.name());
        let suite = state.negotiated_cipher_suite().map(|suite| suite.suite());
        match (group, suite) {
            (Some(group), Some(suite)) => format!("{group:?}, {suite:?}"),
            _ => "unknown".to_owned(),
        }
    }
}

/// As little as this may wait for what is written next, or to be flushed.
const WITH_NEXT_BYTES: usize = 1024;

impl<T: AsyncWrite + Unpin> TlsStream<T> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.records.outgoing.poll_flush(cx, &mut self.transport)
    }

    /// An error of TLS; the alert about it goes out if the line takes it now.
    fn broken(&mut self, cx: &mut Context<'_>, error: rustls::Error) -> io::Error {
        let _ = self.poll_send(cx);
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        loop {
            let unsent = this.records.outgoing.len();
            let next = match this.records.decrypt(buffer) {
                Ok(next) => next,
                // What came before the damage is whole; the error comes with the next read.
                Err(_) if buffer.filled().len() > before => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(this.broken(cx, error))),
            };
            // An answer (to an update of keys) goes out as far as it can. What a writer left
            // is the writer's, who may be another task and waits for room himself.
            if this.records.outgoing.len() > unsent
                && let Poll::Ready(Err(error)) = this.poll_send(cx)
            {
                return Poll::Ready(Err(error));
            }
            this.records
                .incoming
                .delivered(buffer.filled().len() - before);
            let done = buffer.filled().len() > before || this.records.is_read_to_the_end();
            if done || next == Next::Full {
                return Poll::Ready(Ok(()));
            }
            let incoming = &mut this.records.incoming;
            if ready!(incoming.poll_fill(cx, &mut this.transport, Limit::Traffic))? == 0 {
                let text = "the line was cut: it ended without TLS's close_notify";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.closing == Closing::Said {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        this.holds = false;
        // One batch at a time: the line's speed is the writer's. The end of a handshake goes with it.
        if this.records.outgoing.len() > WITH_NEXT_BYTES {
            ready!(this.poll_send(cx))?;
        }
        let taken = match this.records.encrypt(slices) {
            Ok(taken) => taken,
            Err(error) => return Poll::Ready(Err(this.broken(cx, error))),
        };
        if this.records.outgoing.len() > WITH_NEXT_BYTES
            && let Poll::Ready(Err(error)) = this.poll_send(cx)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.holds {
            ready!(self.poll_send(cx))?;
        }
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    /// Says close_notify, then shuts the line's own writing side.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing == Closing::No {
            self.closing = Closing::Said;
            // A connection that has failed has said so by an alert instead.
            let _ = self.records.close();
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl<T: fmt::Debug> fmt::Debug for TlsStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("transport", &self.transport)
            .field("ciphers", &self.ciphers())
            .finish_non_exhaustive()
    }
}
