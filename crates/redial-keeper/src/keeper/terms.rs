//! What a start asks for, and what it takes before it is one.

use std::sync::Arc;

use super::command;
use super::grant::{Client, Grant, Owner};
use super::ground::Ground;
use super::kept::Record;
use super::time::unix_ms;
use super::turn::Keeper;
use crate::pool::Pool;
use crate::state::TermsState;
use crate::wire::{Command, DropPolicy, JobId, JobInfo};

/// What a start asks for besides the command itself.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) id: JobId,
    pub(super) owner: Owner,
    /// The user's name: the uid until it is known.
    pub(super) user: String,
    /// The key that it lives by.
    pub(super) grant: Option<Arc<Grant>>,
    /// That key is no more: it is being ended, and lives by nothing.
    pub(super) is_revoked: bool,
    pub(super) hash: u128,
    pub(super) deadline_ms: Option<u64>,
    pub(super) drain_ms: u32,
    pub(super) on_drop: DropPolicy,
    pub(super) reap: bool,
    /// Its streams are a terminal.
    pub(super) is_on_terminal: bool,
    /// The command, for people.
    pub(super) command: String,
    /// Unix time, in milliseconds.
    pub(super) started_ms: u64,
    /// Asked to be kept.
    pub(super) detached: bool,
    pub(super) keep: KeepTerms,
}

/// How a job is kept, if it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeepTerms {
    pub(super) bytes: u64,
    pub(super) tail: bool,
    pub(super) time_ms: u64,
}

impl Terms {
    /// What is written of it when it starts.
    pub(super) fn record(&self) -> Record {
        Record {
            job: self.id.into(),
            uid: self.owner.uid,
            key: self.owner.key().map(str::to_owned),
            hash: self.hash.to_be_bytes().into(),
            command: self.command.clone(),
            user: self.user.clone(),
            started_ms: self.started_ms,
            detached: self.detached,
            keep_ms: self.keep.time_ms,
            end: None,
        }
    }

    /// What a list says of it.
    pub(super) fn info(&self) -> JobInfo {
        JobInfo {
            user: self.user.clone(),
            kept: self.detached,
            ..JobInfo::new(self.id, &self.command, self.started_ms)
        }
    }
}

impl Terms {
    /// For another program.
    pub(super) fn save(&self) -> TermsState {
        TermsState {
            id: self.id.into(),
            uid: self.owner.uid,
            key: self.owner.key().map(str::to_owned),
            user: self.user.clone(),
            grant: self.grant.as_ref().map(|grant| grant.save()),
            hash: self.hash.to_be_bytes().into(),
            deadline_ms: self.deadline_ms,
            drain_ms: self.drain_ms,
            on_drop: self.on_drop,
            reap: self.reap,
            command: self.command.clone(),
            started_ms: self.started_ms,
            detached: self.detached,
            keep_bytes: self.keep.bytes,
            keep_tail: self.keep.tail,
            keep_ms: self.keep.time_ms,
            is_on_terminal: Some(self.is_on_terminal),
        }
    }

    /// As it was saved; none if the key that it lives by cannot be read any more.
    pub(super) fn restore(state: TermsState) -> Option<Self> {
        let grant = match state.grant {
            Some(grant) => Some(Arc::new(Grant::restore(&grant)?)),
            None => None,
        };
        Some(Self {
            id: state.id.into(),
            owner: Owner::of(state.uid, state.key.as_deref()),
            user: state.user,
            grant,
            is_revoked: false,
            hash: u128::from_be_bytes(state.hash.into()),
            deadline_ms: state.deadline_ms,
            drain_ms: state.drain_ms,
            on_drop: state.on_drop,
            reap: state.reap,
            is_on_terminal: state.is_on_terminal.unwrap_or(false),
            command: state.command,
            started_ms: state.started_ms,
            detached: state.detached,
            keep: KeepTerms {
                bytes: state.keep_bytes,
                tail: state.keep_tail,
                time_ms: state.keep_ms,
            },
        })
    }
}

/// The first chunks of a job's streams, taken before it is started.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) stdin: Option<u32>,
    pub(super) stdout: u32,
    pub(super) stderr: u32,
}

impl Share {
    /// All or nothing; else says what there is no room for.
    pub(super) fn take(
        output: &mut Pool,
        input: &mut Pool,
        stdin: bool,
    ) -> Result<Self, &'static str> {
        const OUTPUT: &str = "output";
        if output.free() < 2 {
            return Err(OUTPUT);
        }
        let stdin = if stdin {
            Some(input.take_own().ok_or("stdin")?)
        } else {
            None
        };
        Ok(Self {
            stdin,
            stdout: output.take_own().ok_or(OUTPUT)?,
            stderr: output.take_own().ok_or(OUTPUT)?,
        })
    }

    pub(super) fn give_back(self, ground: &mut Ground) {
        self.stdin
            .into_iter()
            .for_each(|slot| ground.stdin.give_back(slot));
        ground.output.give_back(self.stdout);
        ground.output.give_back(self.stderr);
    }
}

impl Keeper<'_> {
    /// What is agreed for a command of this client's.
    pub(super) fn terms(&self, client: &Client, command: &Command, hash: u128) -> Terms {
        Terms {
            id: *command.job,
            owner: client.owner(),
            grant: client.grant.clone(),
            is_revoked: false,
            hash,
            deadline_ms: command.deadline_ms,
            drain_ms: command.drain_ms,
            // Whoever asks to keep it does not want it ended with a line.
            on_drop: match command.detach {
                true => DropPolicy::Keep,
                false => command.on_drop,
            },
            reap: command.reap,
            is_on_terminal: command.pty.is_some(),
            user: client.user_name(),
            command: command::label(command),
            started_ms: unix_ms(),
            detached: command.detach,
            keep: self.keep_terms(command),
        }
    }

    /// How it is kept, if it is.
    fn keep_terms(&self, command: &Command) -> KeepTerms {
        let (asked, limits) = (command.keep.unwrap_or_default(), &self.ground.limits);
        KeepTerms {
            bytes: asked.bytes.unwrap_or(limits.keep_bytes),
            tail: asked.tail,
            time_ms: asked.time_ms.unwrap_or(limits.keep_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::CHUNK_BYTES;

    #[test]
    fn a_share_is_all_or_nothing_and_says_what_there_is_no_room_for() {
        let pool = |chunks| Pool::create("test", chunks * CHUNK_BYTES as u64).unwrap();
        let (mut output, mut input) = (pool(5), pool(1));
        Share::take(&mut output, &mut input, true).unwrap();
        let refused = Share::take(&mut output, &mut input, true).unwrap_err();
        assert_eq!((refused, output.free()), ("stdin", 3));
        Share::take(&mut output, &mut input, false).unwrap();
        let refused = Share::take(&mut output, &mut input, false).unwrap_err();
        assert_eq!((refused, output.free()), ("output", 1));
    }
}
