//! What the keeper says about jobs, told to the client.

use redial_keeper::spool::SpoolReader;
use redial_keeper::wire::Snapshot;
use redial_net::proto::message::Attached;
use redial_net::proto::{ChannelId, Connection, Stream};

use super::FrontSession;
use crate::notice::{Attachment, Notice};
use crate::translate;

impl FrontSession {
    pub(super) fn notice(&mut self, connection: &mut Connection, notice: Notice) {
        match notice {
            Notice::Attached(channel, attachment) => {
                self.attached(connection, channel, *attachment);
            }
            Notice::Answer(channel, reply) => {
                connection.answered(channel, translate::answer(reply));
            }
            Notice::Copied(channel, copies) => self.copied(connection, channel, &copies),
            Notice::Spooled(channel, state) => self.spooled(channel, state),
            Notice::Kept(channel, log, state) => self.kept(channel, log, state),
            Notice::Loaded(channel, loaded) => self.loaded(connection, channel, loaded),
            Notice::Refused(channel, code, text) => {
                // A query's channel is not among them; one that was closed meanwhile hears nothing.
                self.channels.remove(&channel);
                connection.refused(channel, translate::refused(code), &text);
            }
            Notice::Output(channel, chunks, pieces) => {
                let Some(state) = self.channels.get_mut(&channel) else {
                    return;
                };
                for chunk in chunks {
                    state.add(chunk);
                }
                for piece in pieces {
                    data_ready(connection, channel, piece.stream, piece.len);
                }
            }
            Notice::OutputEnd(channel, stream) => {
                self.output_ended(connection, channel, stream);
            }
            Notice::StdinChunk(channel, chunk) => {
                let Some(state) = self.channels.get_mut(&channel) else {
                    return;
                };
                let up_to = state.add(chunk);
                connection.grant(channel, Stream::Stdin, up_to);
            }
            Notice::StdinTaken(channel, offset) => {
                if let Some(state) = self.channels.get_mut(&channel) {
                    state.release(Stream::Stdin, offset);
                }
                // Not when the keeper is told of it: it takes stdin of a job's holder only, and
                // another may have become that in the meantime.
                connection.acknowledge(channel, Stream::Stdin, offset);
            }
            Notice::StdinClosed(channel) => connection.stdin_closed(channel),
            Notice::Applied(channel, number) => connection.applied(channel, number),
            Notice::Exited(channel, exit) => connection.exited(channel, translate::exit(exit)),
            Notice::Ended(channel, outcome) => {
                self.ended(connection, channel, translate::outcome(*outcome));
            }
            Notice::HolderLost(channel) => self.holder_lost(connection, channel),
            Notice::Verdict(verdict) => self.verdict(connection, verdict),
            Notice::Dismissed(why) => self.dismissed(connection, why),
            Notice::ShuttingDown => self.shutting_down = true,
        }
    }

    /// Another client has taken the job. What was not sent yet is the other's: its
    /// acknowledgements free it. Frames of it that wait are dropped by the driver, which
    /// finds no bytes for them; none follow. Stdin that is still under way is no longer wanted:
    /// the memory it was granted is the other's too, and later anybody's.
    fn holder_lost(&mut self, connection: &mut Connection, channel: ChannelId) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        for stream in [Stream::Stdin, Stream::Stdout, Stream::Stderr] {
            state.forget(stream);
        }
        state.is_taken = true;
        state.holds = false;
        // Where the outcome is on its way already, all before it is too, or the driver says so.
        connection.taken(channel);
    }

    /// Answers a start or attach, and makes ready what the job has said so far.
    fn attached(
        &mut self,
        connection: &mut Connection,
        channel: ChannelId,
        attachment: Attachment,
    ) {
        let Attachment {
            new,
            snapshot,
            copies,
            log,
        } = attachment;
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        let not_started = snapshot.pid == 0 && snapshot.spool.is_none();
        if let (true, Some(outcome)) = (not_started, &snapshot.outcome) {
            state.ended = true;
            connection.ended(channel, translate::outcome(outcome.clone()));
            return;
        }
        let mut stdin_credit = snapshot.stdin_arrived;
        for chunk in &snapshot.chunks {
            let end = state.add(*chunk);
            if chunk.stream == 0 {
                stdin_credit = stdin_credit.max(end);
            }
        }
        state.holds = snapshot.holder;
        state.stdin_written = snapshot.stdin_arrived;
        state.stdin_told = snapshot.stdin_arrived;
        let reader = log.map(SpoolReader::new);
        let from = self.outputs_from(channel, &snapshot, reader.as_ref(), copies.as_deref());
        connection.attached(
            channel,
            Attached {
                new,
                pid: snapshot.pid,
                exact: snapshot.exact,
                holder: snapshot.holder,
                stdin_from: snapshot.stdin_arrived,
                stdin_credit,
                applied: snapshot.applied,
                stdout_from: from[0],
                stderr_from: from[1],
                terminal: snapshot.terminal.then_some(true),
            },
        );
        let has_stdin = self.channels.get(&channel).is_some_and(|it| it.has_stdin);
        if snapshot.stdin_closed && has_stdin {
            connection.stdin_closed(channel);
        }
        self.begin_outputs(connection, channel, (&snapshot, from), reader, copies);
        if let Some(outcome) = snapshot.outcome {
            self.ended(connection, channel, translate::outcome(outcome));
        }
        self.open_for_controls(channel);
    }
}

/// Makes ready the output that arrived before the attach, in its order: what is wanted `from` there
/// on, as far as it is here, from the `oldest` bytes on.
pub(super) fn replay(
    connection: &mut Connection,
    channel: ChannelId,
    snapshot: &Snapshot,
    (from, oldest): ([u64; 2], [u64; 2]),
) {
    let outputs = [snapshot.stdout, snapshot.stderr];
    let mut at = [outputs[0].oldest, outputs[1].oldest];
    for (i, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
        if from[i] < oldest[i] {
            connection.missed(channel, stream, from[i], oldest[i]);
        }
    }
    let from = [0, 1].map(|i| from[i].max(oldest[i]));
    for piece in &snapshot.pieces {
        let Some(i) = usize::from(piece.stream).checked_sub(1).filter(|i| *i < 2) else {
            continue;
        };
        let end = at[i] + piece.len;
        let wanted = end.saturating_sub(from[i].max(at[i]));
        at[i] = end;
        data_ready(connection, channel, piece.stream, wanted);
    }
    for (i, stream) in [Stream::Stdout, Stream::Stderr].into_iter().enumerate() {
        if outputs[i].ended {
            connection.eof(channel, stream);
        }
    }
    if let Some(exit) = snapshot.exit {
        connection.exited(channel, translate::exit(exit));
    }
}

pub(super) fn data_ready(connection: &mut Connection, channel: ChannelId, stream: u8, len: u64) {
    let Ok(stream) = Stream::try_from(stream) else {
        return;
    };
    if len == 0 {
        return;
    }
    // The channel may be closed while its output was under way from the keeper.
    if let Err(error) = connection.data_ready(channel, stream, len) {
        tracing::debug!(channel = channel.0, %error, "output for a closed channel");
    }
}
