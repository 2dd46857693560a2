//! The front's life as the keeper sees it: started, ready, talking, dead, replaced.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Duration;

use super::poll::{Interest, Poll, Token};
use super::time::Millis;
use super::turn::MAX_OUTBOX_BYTES;
use crate::wire::{Link, Outbox, ToFront};

/// A front is started at most this often.
const START_INTERVAL_MS: u64 = 200;
/// So many fronts may die before they were ready, until we become patient.
const PATIENCE: u32 = 3;
/// What may wait for more is held back for less than this. A wake-up of another
/// process costs more than most commands have to say: the start, the end of output and
/// the outcome of a short one go together.
const HOLD_MS: u64 = 2;
/// Longest wait for the next try.
const MAX_WAIT_MS: u64 = 30_000;

/// Whatever is at the other end of a link: a process, or a test.
#[derive(Debug)]
pub struct FrontHandle {
    /// The keeper's end.
    pub(super) link: Link,
    /// The process, if it is one of our own; killed and reaped with this.
    pub(super) process: Option<FrontProcess>,
}

impl FrontHandle {
    /// A front that is no process of ours.
    pub fn from_link(link: Link) -> Self {
        Self {
            link,
            process: None,
        }
    }

    /// Its process id, if it is a process of ours.
    pub(super) fn pid(&self) -> Option<i32> {
        self.process
            .as_ref()
            .map(|process| process.child.id().cast_signed())
    }
}

/// A child of ours.
#[derive(Debug)]
pub(super) struct FrontProcess {
    pub(super) child: Child,
    pub(super) pidfd: OwnedFd,
}

impl Drop for FrontProcess {
    fn drop(&mut self) {
        // It holds nothing that could be lost. Both fail only when it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The front there is, or when there will be the next.
#[derive(Default)]
pub(super) struct Front {
    handle: Option<FrontHandle>,
    pub(super) out: Outbox<ToFront>,
    /// Of what waits in `out`: bytes that may wait for more.
    patient_bytes: usize,
    /// Until then.
    hold_until: Option<Millis>,
    pub(super) is_ready: bool,
    interest: Option<Interest>,
    started_at: Option<Millis>,
    unready_deaths: u32,
}

impl Front {
    pub(super) fn link(&self) -> Option<&Link> {
        self.handle.as_ref().map(|handle| &handle.link)
    }

    pub(super) fn pid(&self) -> Option<i32> {
        self.handle.as_ref().and_then(FrontHandle::pid)
    }

    pub(super) fn is_there(&self) -> bool {
        self.handle.is_some()
    }

    /// When the next front may be started; none if there is one.
    pub(super) fn start_at(&self) -> Option<Millis> {
        if self.handle.is_some() {
            return None;
        }
        let Some(started_at) = self.started_at else {
            return Some(0);
        };
        let doublings = self.unready_deaths.saturating_sub(PATIENCE).min(16);
        Some(started_at + (START_INTERVAL_MS << doublings).min(MAX_WAIT_MS))
    }

    /// A try to start one begins.
    pub(super) fn begin(&mut self, now: Millis) {
        self.started_at = Some(now);
    }

    /// Takes a new front over. What was to be told to the former one is void.
    pub(super) fn take(&mut self, handle: FrontHandle, poll: &Poll) -> io::Result<()> {
        poll.add(&handle.link, Token::Front, Interest::Read)?;
        if let Some(process) = &handle.process {
            poll.add(&process.pidfd, Token::FrontProcess, Interest::Read)?;
        }
        *self = Self {
            handle: Some(handle),
            started_at: self.started_at,
            unready_deaths: self.unready_deaths,
            ..Self::default()
        };
        Ok(())
    }

    /// It has said that it is up.
    pub(super) fn ready(&mut self) {
        self.is_ready = true;
        self.unready_deaths = 0;
    }

    /// It is dead or broken: ends it, and forgets what it was to be told.
    pub(super) fn lose(&mut self) {
        if !self.is_ready {
            self.unready_deaths += 1;
        }
        self.handle = None;
        self.is_ready = false;
        self.interest = None;
        self.out = Outbox::new();
        self.patient_bytes = 0;
        self.hold_until = None;
    }

    /// It could not even be started.
    pub(super) fn failed(&mut self) {
        self.unready_deaths += 1;
    }

    /// What `tell` puts into the outbox may wait for more.
    pub(super) fn patiently<R>(&mut self, tell: impl FnOnce(&mut Outbox<ToFront>) -> R) -> R {
        let before = self.out.len_bytes();
        let result = tell(&mut self.out);
        self.patient_bytes += self.out.len_bytes() - before;
        result
    }

    /// How long what is held back may still wait. No timer of the list: mostly something
    /// else comes before, and a timer that was armed would wake us all the same.
    pub(super) fn held_for(&self, now: Millis) -> Option<Duration> {
        let until = self.hold_until?;
        Some(Duration::from_millis(until.saturating_sub(now)))
    }

    /// Sends what waits, unless all of it may wait for more. False when the front is gone.
    pub(super) fn flush(&mut self, poll: &Poll, now: Millis) -> bool {
        let Some(handle) = &self.handle else {
            return true;
        };
        if self.patient_bytes > 0 && self.patient_bytes == self.out.len_bytes() {
            let until = *self.hold_until.get_or_insert(now + HOLD_MS);
            if now < until {
                return true;
            }
        }
        self.hold_until = None;
        self.patient_bytes = 0;
        let Ok(all) = self.out.flush(&handle.link) else {
            return false;
        };
        // A front that does not listen is not listened to either.
        let interest = match (all, self.out.len_bytes() > MAX_OUTBOX_BYTES) {
            (true, _) => Interest::Read,
            (false, false) => Interest::ReadWrite,
            (false, true) => Interest::Write,
        };
        if self.interest != Some(interest) {
            if poll.change(&handle.link, Token::Front, interest).is_err() {
                return false;
            }
            self.interest = Some(interest);
        }
        true
    }
}
