//! Who reads a job: the answers to attaches, and where its outputs go.

use std::os::fd::OwnedFd;

use redial_keeper::spool::SpoolState;
use redial_keeper::wire::{Capability, Chunk, JobId, Piece, Snapshot};

use super::Hub;
use crate::notice::{Attachment, Notice};
use crate::readers::{Along, Reader, Way};
use crate::source::MAX_COPIED_BYTES;

impl Hub {
    /// The request is to read this job along.
    pub(crate) fn looks_at(&mut self, number: u32, job: JobId) {
        self.looks.push((number, job));
    }

    /// Whether somebody is about to read this job along.
    pub(crate) fn is_looked_at(&self, job: &JobId) -> bool {
        self.looks.iter().any(|(_, looked_at)| looked_at == job)
    }

    /// The request is answered: what waited for that goes on.
    pub(super) fn looked(&mut self, number: u32) {
        let Some(at) = self.looks.iter().position(|(it, _)| *it == number) else {
            return;
        };
        let (_, job) = self.looks.swap_remove(at);
        let holders = self.readers.get(&job).into_iter().flatten();
        for holder in holders.filter(|it| it.holds) {
            if let Some(mailbox) = self.mailboxes.get(&holder.capability) {
                mailbox.borrow().wake();
            }
        }
    }

    pub(super) fn attached(
        &mut self,
        request: u32,
        job: JobId,
        new: bool,
        snapshot: Snapshot,
        log: Option<OwnedFd>,
    ) {
        // The channel may have been closed while the answer was under way.
        let Some(request) = self.requests.remove(&request) else {
            return;
        };
        let (capability, channel) = (request.capability, request.channel);
        if snapshot.holder {
            self.holder_lost(None, job);
        }
        let mut copies = None;
        let way = if request.outcome_only {
            Way::Outcome
        } else if snapshot.spool.is_some() {
            Way::File
        } else if snapshot.holder || snapshot.pid == 0 {
            Way::Holds
        } else {
            let wanted = request.wanted;
            let most = self.shares.most(MAX_COPIED_BYTES) as u64;
            let last = request.last.map_or(most, |last| last.min(most));
            let (along, copied) = Along::new(&snapshot, wanted, last, &self.output);
            copies = Some(copied);
            Way::Along(along)
        };
        let reader = Reader {
            capability,
            channel,
            way,
            holds: snapshot.holder,
        };
        self.readers.entry(job).or_default().push(reader);
        let attachment = Attachment {
            new,
            snapshot,
            copies,
            log,
        };
        self.put(capability, Notice::Attached(channel, Box::new(attachment)));
    }

    /// Its holder, of this connection if it is known, is told nothing more.
    pub(super) fn holder_lost(&mut self, capability: Option<Capability>, job: JobId) {
        let Some(readers) = self.readers.get_mut(&job) else {
            return;
        };
        let is_it = |it: &Reader| it.holds && capability.is_none_or(|who| who == it.capability);
        if let Some(at) = readers.iter().position(is_it) {
            let reader = readers.swap_remove(at);
            self.put(reader.capability, Notice::HolderLost(reader.channel));
        }
    }

    pub(super) fn output(&mut self, job: JobId, chunks: Vec<Chunk>, pieces: Vec<Piece>) {
        let Some(readers) = self.readers.get_mut(&job) else {
            return;
        };
        let mut notices = Vec::with_capacity(readers.len());
        for reader in readers.iter_mut() {
            if let Way::Along(along) = &mut reader.way {
                let copies = along.take(&chunks, &pieces, &self.output);
                notices.push((reader.capability, Notice::Copied(reader.channel, copies)));
            }
        }
        let holder = readers.iter().find(|it| matches!(it.way, Way::Holds));
        if let Some(holder) = holder {
            let notice = Notice::Output(holder.channel, chunks, pieces);
            notices.push((holder.capability, notice));
        }
        for (capability, notice) in notices {
            self.put(capability, notice);
        }
    }

    /// The outputs of a job go to a file from now on: those who read along go on there.
    pub(super) fn kept(&mut self, job: JobId, state: SpoolState, log: Option<OwnedFd>) {
        let (Some(readers), Some(log)) = (self.readers.get_mut(&job), log) else {
            return;
        };
        let mut notices = Vec::new();
        for reader in readers.iter_mut() {
            if matches!(reader.way, Way::Outcome) {
                continue;
            }
            reader.way = Way::File;
            match log.try_clone() {
                Ok(log) => {
                    let notice = Notice::Kept(reader.channel, log, state);
                    notices.push((reader.capability, notice));
                }
                Err(error) => tracing::error!(%error, "a reader loses its job's output"),
            }
        }
        for (capability, notice) in notices {
            self.put(capability, notice);
        }
    }
}
