//! A client's stdin, put where the keeper finds it.

use redial_keeper::wire::ToKeeper;
use redial_net::proto::ChannelId;

use super::FrontSession;

impl FrontSession {
    pub(super) fn end_stdin(&mut self, channel: ChannelId, offset: u64) {
        // The end must not overtake the bytes before it.
        self.tell_keeper();
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        if state.attached {
            let message = ToKeeper::StdinEnd(self.capability, state.job.into(), offset);
            self.hub.borrow_mut().tell(&message);
        } else {
            state.early_eof = Some(offset);
        }
    }

    pub(super) fn take_stdin(&mut self, channel: ChannelId, offset: u64, bytes: &[u8]) {
        let Some(state) = self.channels.get_mut(&channel) else {
            return;
        };
        if state.is_taken {
            return;
        }
        if !state.take_stdin(offset, bytes, &self.stdin) {
            // The connection checked it against the credit that was given by chunks.
            tracing::error!(channel = channel.0, offset, "stdin without a chunk for it");
            return;
        }
        self.touch(channel);
    }
}
