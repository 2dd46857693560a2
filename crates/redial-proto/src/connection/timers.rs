//! What time brings: a handshake or goodbye that takes too long, a peer that is silent.

use super::Connection;
use super::handshake::Phase;
use crate::config::Time;
use crate::error::{ErrorCode, ProtocolError};
use crate::limits::KEEPALIVE_INTERVALS;

/// The moments a connection keeps.
#[derive(Debug)]
pub(super) struct Timers {
    /// The latest moment known.
    now: Time,
    /// When bytes last came.
    heard: Time,
    /// How much of the input was left over at the last look, so that no byte counts twice.
    unread: usize,
    /// A ping was sent since then.
    pinged: bool,
    handshake_until: Time,
    /// Set by the first timeout after goodbye.
    goodbye_until: Option<Time>,
}

impl Timers {
    pub(super) fn new(now: Time, handshake: Time) -> Self {
        Self {
            now,
            heard: now,
            unread: 0,
            pinged: false,
            handshake_until: now.saturating_add(handshake),
            goodbye_until: None,
        }
    }

    /// `len` bytes of input are there.
    pub(super) fn input(&mut self, now: Time, len: usize) {
        self.now = self.now.max(now);
        if len > self.unread {
            self.heard = self.now;
            self.pinged = false;
        }
    }

    /// `len` of them were left over.
    pub(super) fn left_over(&mut self, len: usize) {
        self.unread = len;
    }
}

impl Connection {
    /// Time went by, at least to what [`poll_timeout`](Self::poll_timeout) said; earlier is
    /// harmless.
    pub fn handle_timeout(&mut self, now: Time) {
        self.timers.now = self.timers.now.max(now);
        let now = self.timers.now;
        if self.over.is_some() || self.has_parted() {
            return;
        }
        if self.is_closing() {
            let until = now.saturating_add(self.config.handshake_timeout);
            if now >= *self.timers.goodbye_until.get_or_insert(until) {
                self.time_is_up(ErrorCode::Timeout, "the goodbyes took too long");
            }
        } else if self.phase != Phase::Ready {
            if now >= self.timers.handshake_until {
                self.time_is_up(ErrorCode::Timeout, "the handshake took too long");
            }
        } else if let Some(interval) = self.keepalive() {
            let silence = now.saturating_sub(self.timers.heard);
            if silence >= interval * KEEPALIVE_INTERVALS {
                self.time_is_up(
                    ErrorCode::Silent,
                    "nothing came for three keepalive intervals",
                );
            } else if silence >= interval && !self.timers.pinged {
                self.ping(now);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, if ever.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.over.is_some() || self.has_parted() {
            return None;
        }
        if self.is_closing() {
            // At once, the first time: goodbye may have been said long after the last input, and
            // only `handle_timeout` learns when.
            return Some(self.timers.goodbye_until.unwrap_or(self.timers.now));
        }
        if self.phase != Phase::Ready {
            return Some(self.timers.handshake_until);
        }
        let intervals = if self.timers.pinged {
            KEEPALIVE_INTERVALS
        } else {
            1
        };
        let wait = self.keepalive()? * intervals;
        Some(self.timers.heard.saturating_add(wait))
    }

    /// Asks the peer for a sign of life. Nothing before the handshake is done.
    pub fn ping(&mut self, now: Time) {
        if self.is_ready() {
            let mark = now.as_nanos() as u64;
            self.outbox.ping = Some(mark.to_be_bytes());
            self.timers.pinged = true;
        }
    }

    /// The shorter of both sides' intervals, where there is one.
    fn keepalive(&self) -> Option<Time> {
        let theirs = self.peer_limits().keepalive_ms;
        let intervals = [self.config.limits.keepalive_ms, theirs];
        let shortest = intervals.into_iter().filter(|&ms| ms != 0).min()?;
        Some(Time::from_millis(u64::from(shortest)))
    }

    fn time_is_up(&mut self, code: ErrorCode, reason: &'static str) {
        let error = ProtocolError::of_connection(code, reason);
        self.fail(&error);
        self.failure = Some(error);
    }
}
