//! What the keeper says to one connection, and what it was asked.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::task::Waker;

use redial_keeper::outcome::{Exit, Outcome, RefusedCode};
use redial_keeper::spool::SpoolState;
use redial_keeper::wire::{Capability, Chunk, Dismissal, Piece, Reply, Snapshot, Verdict};
use redial_net::proto::ChannelId;

use crate::source::{Copy, Loaded};

/// What the keeper says to one connection.
#[derive(Debug)]
pub(crate) enum Notice {
    Attached(ChannelId, Box<Attachment>),
    Refused(ChannelId, RefusedCode, String),
    Output(ChannelId, Vec<Chunk>, Vec<Piece>),
    Copied(ChannelId, Vec<Copy>),
    Spooled(ChannelId, SpoolState),
    Kept(ChannelId, OwnedFd, SpoolState),
    Loaded(ChannelId, Loaded),
    Answer(ChannelId, Reply),
    OutputEnd(ChannelId, u8),
    StdinChunk(ChannelId, Chunk),
    StdinTaken(ChannelId, u64),
    StdinClosed(ChannelId),
    Applied(ChannelId, u64),
    Exited(ChannelId, Exit),
    Ended(ChannelId, Box<Outcome>),
    HolderLost(ChannelId),
    Verdict(Verdict),
    Dismissed(Dismissal),
    ShuttingDown,
}

/// The answer to a start or attach.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// Started by this very request.
    pub(crate) new: bool,
    pub(crate) snapshot: Snapshot,
    /// What of the outputs is there already, for one that reads along.
    pub(crate) copies: Option<Vec<Copy>>,
    /// The file that they are in.
    pub(crate) log: Option<OwnedFd>,
}

/// A start, attach or query that the keeper has not answered yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) capability: Capability,
    pub(crate) channel: ChannelId,
    /// From where the outputs are wanted.
    pub(crate) wanted: [u64; 2],
    pub(crate) last: Option<u64>,
    /// They are not.
    pub(crate) outcome_only: bool,
}

/// Where a connection finds its notices.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    notices: VecDeque<Notice>,
    waker: Option<Waker>,
}

impl Mailbox {
    pub(crate) fn take(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    pub(crate) fn register(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(crate) fn put(&mut self, notice: Notice) {
        self.notices.push_back(notice);
        self.wake();
    }

    /// There is something to do, though nothing was said.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}
