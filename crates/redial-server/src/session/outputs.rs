//! Outputs that do not come from the pool: copies, for who reads along, and files of kept jobs.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use redial_keeper::spool::{SpoolReader, SpoolState};
use redial_keeper::wire::Snapshot;
use redial_net::proto::message::Outcome;
use redial_net::proto::{ChannelId, Connection, Stream};

use super::FrontSession;
use super::answers::{data_ready, replay};
use crate::notice::Notice;
use crate::source::{Copies, Copy, FileSource, Loaded, Source, load};

const OUTPUTS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

impl FrontSession {
    /// From where an attached channel's outputs follow.
    pub(super) fn outputs_from(
        &self,
        channel: ChannelId,
        snapshot: &Snapshot,
        reader: Option<&SpoolReader>,
        copies: Option<&[Copy]>,
    ) -> [u64; 2] {
        let ends = [snapshot.stdout.end, snapshot.stderr.end];
        let Some(state) = self.channels.get(&channel) else {
            return ends;
        };
        let mut from = state.wanted;
        match (reader, &snapshot.spool, state.last) {
            // A few small reads, and only where they are asked for.
            (Some(reader), Some(spool), Some(last)) => {
                let found = reader.before_end(last, spool).unwrap_or(ends);
                from = [0, 1].map(|index| from[index].max(found[index]));
            }
            (None, _, Some(_)) => {
                for (index, from) in from.iter_mut().enumerate() {
                    let first = copied_from(copies.unwrap_or_default(), index);
                    *from = first.unwrap_or(ends[index]).max(*from);
                }
            }
            _ => {}
        }
        [0, 1].map(|index| from[index].min(ends[index]))
    }

    /// Makes ready what there is already.
    pub(super) fn begin_outputs(
        &mut self,
        connection: &mut Connection,
        channel: ChannelId,
        (snapshot, from): (&Snapshot, [u64; 2]),
        reader: Option<SpoolReader>,
        copies: Option<Vec<Copy>>,
    ) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        if matches!(state.source, Source::Nothing) {
            if let Some(exit) = snapshot.exit {
                connection.exited(channel, crate::translate::exit(exit));
            }
            return;
        }
        let (Some(spool), Some(mut reader)) = (snapshot.spool, reader) else {
            let mut oldest = [snapshot.stdout.oldest, snapshot.stderr.oldest];
            if let Some(copies) = &copies {
                let share = self.hub.borrow().shares.one_more();
                state.source = Source::Copies(Copies::new(from, share));
                let ends = [snapshot.stdout.end, snapshot.stderr.end];
                oldest = [0, 1].map(|index| copied_from(copies, index).unwrap_or(ends[index]));
            }
            // The same in the order in which it came; copies are bytes of their own.
            replay(connection, channel, snapshot, (from, oldest));
            if let Source::Copies(kept) = &mut state.source {
                for copy in copies.into_iter().flatten() {
                    kept.buffers.add(&copy);
                }
            }
            return;
        };
        let mut at = from;
        for (index, stream) in OUTPUTS.into_iter().enumerate() {
            let oldest = spool.oldest()[index];
            if from[index] < oldest {
                connection.missed(channel, stream, from[index], oldest);
                at[index] = oldest;
            }
        }
        reader.want(at);
        let share = self.hub.borrow().shares.one_more();
        let mut file = FileSource::new(reader, spool, at, share);
        file.ended = [snapshot.stdout.ended, snapshot.stderr.ended];
        state.source = Source::File(Box::new(file));
        if let Some(exit) = snapshot.exit {
            connection.exited(channel, crate::translate::exit(exit));
        }
        self.load(channel);
        self.say_ends(connection, channel);
    }

    /// More has come for one that reads along. What is too much for it is left out.
    pub(super) fn copied(
        &mut self,
        connection: &mut Connection,
        channel: ChannelId,
        copies: &[Copy],
    ) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        let Source::Copies(kept) = &mut state.source else {
            return;
        };
        for copy in copies {
            if kept.add(copy) {
                data_ready(connection, channel, copy.stream, copy.bytes.len() as u64);
            }
        }
    }

    /// Tells one that reads along what was left out, when it has taken all else, or when nothing
    /// more will come.
    pub(super) fn say_left_out(
        &mut self,
        connection: &mut Connection,
        channel: ChannelId,
        is_over: bool,
    ) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        if let Source::Copies(copies) = &mut state.source
            && let Some(at) = copies.go_on(is_over)
        {
            for (stream, end) in OUTPUTS.into_iter().zip(at) {
                connection.missed(channel, stream, 0, end);
            }
        }
    }

    /// The file is written further.
    pub(super) fn spooled(&mut self, channel: ChannelId, spool: SpoolState) {
        if let Some(state) = self.channels.get_mut(&channel)
            && let Source::File(file) = &mut state.source
        {
            file.grown(spool);
            self.load(channel);
        }
    }

    /// What was given as copies is in a file from now on.
    pub(super) fn kept(&mut self, channel: ChannelId, log: OwnedFd, spool: SpoolState) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        if !matches!(state.source, Source::Copies(_)) {
            return;
        }
        if let Source::Copies(copies) = std::mem::take(&mut state.source) {
            // What was left out of it is read there, like all that follows, unless the client was
            // told that it is.
            let (buffers, at) = copies.into_buffers();
            let mut reader = SpoolReader::new(log);
            reader.want(at);
            let share = self.hub.borrow().shares.one_more();
            let mut file = FileSource::new(reader, spool, at, share);
            file.buffers = buffers;
            state.source = Source::File(Box::new(file));
        }
    }

    /// Reads more of a file, if there is more and room for it.
    pub(super) fn load(&mut self, channel: ChannelId) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        let Source::File(file) = &mut state.source else {
            return;
        };
        let Some((reader, spool, most)) = file.begin_to_load() else {
            return;
        };
        let (hub, capability) = (Rc::clone(&self.hub), self.capability);
        // A file may be on a disk that makes us wait: others do not.
        tokio::task::spawn_local(async move {
            if let Ok(loaded) = tokio::task::spawn_blocking(move || load(reader, spool, most)).await
            {
                let notice = Notice::Loaded(channel, loaded);
                hub.borrow_mut().deliver(capability, notice);
            }
        });
    }

    pub(super) fn loaded(
        &mut self,
        connection: &mut Connection,
        channel: ChannelId,
        loaded: Loaded,
    ) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        let Source::File(file) = &mut state.source else {
            return;
        };
        // There should be more, and there is not: it went, or cannot be read. It is looked for once
        // more when the client has all that came before.
        let loaded = file.loaded(loaded);
        if let Err(error) = &loaded {
            tracing::warn!(channel = channel.0, %error, "a job's file has not what it should");
        }
        if loaded.is_err() && file.buffers.len() == 0 {
            let from = file.pass_over();
            for (index, stream) in OUTPUTS.into_iter().enumerate() {
                if from[index] < file.at[index] {
                    connection.missed(channel, stream, from[index], file.at[index]);
                }
            }
        }
        self.give(connection, channel);
        if matches!(loaded, Ok(true)) {
            self.load(channel);
        }
    }

    /// Makes ready what was loaded. What lies behind a gap waits until the client has all that
    /// lies before: only then nothing that is on its way is left out with the gap.
    pub(super) fn give(&mut self, connection: &mut Connection, channel: ChannelId) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        let Source::File(file) = &mut state.source else {
            return;
        };
        while let Some(copy) = file.next_copy() {
            let index = usize::from(copy.stream) - 1;
            if copy.offset > file.at[index] {
                connection.missed(channel, OUTPUTS[index], file.at[index], copy.offset);
            }
            file.at[index] = copy.offset + copy.bytes.len() as u64;
            data_ready(connection, channel, copy.stream, copy.bytes.len() as u64);
        }
        self.say_ends(connection, channel);
    }

    /// An output has ended: said behind its last byte.
    pub(super) fn output_ended(
        &mut self,
        connection: &mut Connection,
        channel: ChannelId,
        stream: u8,
    ) {
        let (Some(state), Ok(stream)) = (self.channels.get_mut(&channel), Stream::try_from(stream))
        else {
            return;
        };
        match (&mut state.source, stream.index().checked_sub(1)) {
            (Source::Nothing, _) => {}
            (Source::File(file), Some(index)) => {
                file.ended[index] = true;
                self.say_ends(connection, channel);
            }
            _ => {
                self.say_left_out(connection, channel, true);
                connection.eof(channel, stream);
            }
        }
    }

    /// The outcome: the last word, behind the last byte.
    pub(super) fn ended(
        &mut self,
        connection: &mut Connection,
        channel: ChannelId,
        outcome: Outcome,
    ) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        if let Source::File(file) = &mut state.source {
            file.outcome = Some(outcome);
            return self.say_ends(connection, channel);
        }
        state.ended = true;
        connection.ended(channel, outcome);
    }

    /// Says what may only be said behind the last byte of a file.
    fn say_ends(&mut self, connection: &mut Connection, channel: ChannelId) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        let Source::File(file) = &mut state.source else {
            return;
        };
        for (index, stream) in OUTPUTS.into_iter().enumerate() {
            // Who had some of it from memory may be ahead of the file.
            let is_there = file.ended[index] && file.at[index] >= file.ends()[index];
            if is_there && !std::mem::replace(&mut file.end_said[index], true) {
                connection.eof(channel, stream);
            }
        }
        let all_is_there = (0..2).all(|index| file.at[index] >= file.ends()[index]);
        if all_is_there && let Some(outcome) = file.outcome.take() {
            state.ended = true;
            connection.ended(channel, outcome);
        }
    }
}

/// The offset of the first byte of an output among these.
fn copied_from(copies: &[Copy], index: usize) -> Option<u64> {
    let mut of_it = copies
        .iter()
        .filter(|it| usize::from(it.stream) == index + 1);
    of_it.next().map(|copy| copy.offset)
}
