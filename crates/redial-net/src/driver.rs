//! The one loop that moves bytes between a transport and the protocol.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use redial_proto::message::{Goodbye, GoodbyeCode};
use redial_proto::{Connection, Event, ProtocolError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::session::Session;

/// How long a large read buffer is kept after the last byte.
const SHRINK_AFTER: Duration = Duration::from_secs(1);

/// How long a peer that is to be left may take to read why.
const LEAVE_AFTER: Duration = Duration::from_secs(1);

/// Why a connection ended otherwise than by goodbye.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The transport ended or failed: the line dropped.
    #[error("the line dropped{}", source.as_ref().map(|e| format!(": {e}")).unwrap_or_default())]
    Dropped {
        /// What the transport said; none if it just ended.
        source: Option<io::Error>,
    },
    /// The peer broke the protocol, was silent, or took too long; it has been told.
    #[error("protocol error: {0}")]
    Protocol(ProtocolError),
    /// The peer left with a reason.
    #[error("the peer said goodbye (code {}): {}", .0.code, .0.text)]
    Goodbye(Goodbye),
}

/// Drives `connection` over `transport` until it ends; `Ok` when both sides have said
/// goodbye, or one that is owed nothing, or when the session wanted to leave.
///
/// The connection must be new and made at time zero; its clock starts now.
///
/// # Errors
///
/// [`DriveError`] for every other end.
pub async fn drive<T, S>(
    transport: T,
    connection: Connection,
    session: &mut S,
) -> Result<(), DriveError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Session + ?Sized,
{
    drive_since(Instant::now(), transport, connection, session).await
}

/// As [`drive`], for a connection whose clock began at `epoch`.
///
/// # Errors
///
/// As there.
pub async fn drive_since<T, S>(
    epoch: Instant,
    mut transport: T,
    connection: Connection,
    session: &mut S,
) -> Result<(), DriveError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Session + ?Sized,
{
    let mut driver = Driver {
        transport: &mut transport,
        connection,
        session,
        inbox: Inbox::new(),
        outbox: Outbox::default(),
        epoch,
        timer: None,
        shrink_at: None,
        leave_at: None,
        held_back: false,
        ended: None,
        left_with: None,
    };
    poll_fn(|cx| driver.turn(cx)).await
}

struct Driver<'d, T, S: ?Sized> {
    transport: &'d mut T,
    connection: Connection,
    session: &'d mut S,
    inbox: Inbox,
    outbox: Outbox,
    epoch: Instant,
    timer: Option<(Duration, Pin<Box<Sleep>>)>,
    shrink_at: Option<Duration>,
    /// The connection is left then, whatever waits to be written.
    leave_at: Option<Duration>,
    /// There is input that the connection did not want yet.
    held_back: bool,
    /// Set when only what waits to be written is left to do.
    ended: Option<DriveError>,
    /// The goodbye of the peer, unless it was an ordinary one.
    left_with: Option<Goodbye>,
}

impl<T, S> Driver<'_, T, S>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Session + ?Sized,
{
    /// Does all that can be done now.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DriveError>> {
        loop {
            if self.session.poll(cx, &mut self.connection).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let read = self.poll_read(cx)?;
            if read && self.connection.has_heard_goodbye() {
                // Perhaps nobody is left to hear ours.
                continue;
            }
            let written = self.poll_write(cx)?;
            if self.ended.is_some() && self.leave_at.is_none() {
                self.leave_at = Some(self.now() + LEAVE_AFTER);
            }
            let timed = self.poll_timer(cx);
            if self.leave_at.is_some_and(|at| at <= self.now()) {
                return Poll::Ready(Err(self.dropped(None)));
            }
            let is_written = self.outbox.is_empty() || self.connection.is_alone();
            if is_written && self.has_nothing_to_say() {
                return self.poll_close(cx);
            }
            if !(read || written || timed) {
                return Poll::Pending;
            }
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Reads once and handles every whole frame. True if there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<bool, DriveError> {
        let wanted = self.connection.wants_input() && self.session.wants_input();
        if self.ended.is_some() || !wanted {
            return Ok(false);
        }
        if self.held_back {
            self.handle_frames();
            return Ok(true);
        }
        match self.inbox.poll_fill(cx, self.transport) {
            Poll::Pending => {
                if self.inbox.is_idle_and_large() && self.shrink_at.is_none() {
                    self.shrink_at = Some(self.now() + SHRINK_AFTER);
                }
                Ok(false)
            }
            Poll::Ready(Ok(0)) => match self.connection.handle_end(self.inbox.unread()) {
                Ok(()) => {
                    self.ended
                        .get_or_insert(DriveError::Dropped { source: None });
                    Ok(true)
                }
                Err(_) => Err(self.dropped(None)),
            },
            Poll::Ready(Ok(_)) => {
                self.shrink_at = None;
                self.handle_frames();
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(self.dropped(Some(error))),
        }
    }

    fn handle_frames(&mut self) {
        let now = self.now();
        self.held_back = false;
        while !self.inbox.unread().is_empty() {
            if !self.connection.wants_input() {
                self.held_back = true;
                return;
            }
            let whole = self.connection.whole_frames(self.inbox.unread());
            if whole == 0 {
                // What the beginning of a frame tells is checked before the rest is waited for,
                // and however slowly that comes, the peer is not silent.
                match self.connection.handle_input(now, self.inbox.unread()) {
                    Ok(input) => self.inbox.await_more(input.needed),
                    Err(error) => self.ended = Some(DriveError::Protocol(error)),
                }
                return;
            }
            let source = self.inbox.take(whole);
            if let Err(error) = self.handle_whole(now, &source) {
                self.ended = Some(DriveError::Protocol(error));
                return;
            }
        }
    }

    /// Handles frames that have come to their end.
    fn handle_whole(&mut self, now: Duration, source: &Bytes) -> Result<(), ProtocolError> {
        let mut at = 0;
        while at < source.len() {
            let input = self.connection.handle_input(now, &source[at..])?;
            at += input.consumed;
            let Some(event) = input.event else { continue };
            if let Event::Goodbye(goodbye) = &event
                && goodbye.code != GoodbyeCode::Done as u16
            {
                self.left_with = Some(goodbye.clone());
            }
            self.session.event(&mut self.connection, event, source);
        }
        Ok(())
    }

    /// Writes once. True if there may be more to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<bool, DriveError> {
        self.outbox.fill(&mut self.connection);
        if self.outbox.is_empty() {
            return self.poll_flush(cx);
        }
        match self.outbox.poll_write(cx, self.transport, self.session) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => {
                // The last word goes with the end of the transport.
                if self.outbox.is_empty() && !self.has_nothing_to_say() {
                    self.poll_flush(cx)?;
                }
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(self.dropped(Some(error))),
        }
    }

    /// What a layer such as TLS has taken and not yet passed on.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<bool, DriveError> {
        match Pin::new(&mut *self.transport).poll_flush(cx) {
            // Whoever has said and heard all may be gone before the transport's own last word.
            Poll::Ready(Err(_)) if self.has_parted() => Ok(false),
            Poll::Ready(Err(error)) => Err(self.dropped(Some(error))),
            Poll::Pending | Poll::Ready(Ok(())) => Ok(false),
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let due = [
            self.connection.poll_timeout(),
            self.shrink_at,
            self.leave_at,
        ];
        let Some(due) = due.into_iter().flatten().min() else {
            return false;
        };
        let deadline = self.epoch + due;
        let (at, timer) = self
            .timer
            .get_or_insert_with(|| (due, Box::pin(sleep_until(deadline))));
        if *at != due {
            *at = due;
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.timer = None;
        let now = self.now();
        if self.shrink_at.is_some_and(|at| at <= now) {
            self.shrink_at = None;
            self.inbox.shrink();
        }
        self.connection.handle_timeout(now);
        while let Some(event) = self.connection.poll_event() {
            if let Event::Failed(error) = event {
                self.ended = Some(DriveError::Protocol(error));
            }
        }
        true
    }

    /// Both goodbyes are said, as far as it can be seen here.
    fn has_parted(&self) -> bool {
        self.connection.is_finished() && self.connection.has_heard_goodbye()
    }

    fn has_nothing_to_say(&self) -> bool {
        self.ended.is_some() || self.connection.is_finished()
    }

    /// Everything is written: tells the transport, so that nothing is cut off.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DriveError>> {
        if self.connection.is_alone() {
            self.outbox = Outbox::default();
        } else if let Err(error) = ready!(Pin::new(&mut *self.transport).poll_shutdown(cx))
            && !self.connection.has_heard_goodbye()
        {
            // The last words may have waited for this. Else the peer has all, or is gone.
            return Poll::Ready(Err(self.dropped(Some(error))));
        }
        Poll::Ready(match (self.ended.take(), self.left_with.take()) {
            (_, Some(goodbye)) => Err(DriveError::Goodbye(goodbye)),
            // Only what came before the end of both goodbyes is a loss.
            (Some(DriveError::Dropped { .. }), None) if self.connection.is_finished() => Ok(()),
            (Some(error), None) => Err(error),
            (None, None) => Ok(()),
        })
    }

    /// The line is gone; if the peer had said why, that is the better reason.
    fn dropped(&mut self, source: Option<io::Error>) -> DriveError {
        match (self.left_with.take(), self.ended.take()) {
            (Some(goodbye), _) => DriveError::Goodbye(goodbye),
            (None, Some(error)) => error,
            (None, None) => DriveError::Dropped { source },
        }
    }
}
