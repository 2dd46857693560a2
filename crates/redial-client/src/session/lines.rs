//! From one line to the next: what is left of a session, and how another goes on with it.

use std::sync::Arc;

use redial_net::proto::Connection;

use super::running::has_to_wait;
use super::{ClientSession, Held};
use crate::error::Lost;

impl ClientSession {
    /// The line has ended, for this reason: what another line needs to go on.
    pub(crate) fn suspend(mut self, lost: Lost) -> Held {
        self.hold(lost)
    }

    pub(super) fn hold(&mut self, lost: Lost) -> Held {
        self.suspended = true;
        let running = std::mem::take(&mut self.running).into_values();
        let mut running: Vec<_> = running.chain(self.resuming.drain(..)).collect();
        for job in &mut running {
            job.line_ended(self.turned_away);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let asked = std::mem::take(&mut self.asked)
            .into_values()
            .map(|mut query| {
                query.resent = true;
                query
            });
        let queries = asked.chain(self.questions.drain(..)).collect();
        Held::new(Arc::clone(&self.shared), running, waiting, queries, lost)
    }

    /// Goes on with the jobs of a line that has dropped.
    pub(super) fn adopt(&mut self, held: Held) {
        if let Some(parts) = held.into_parts() {
            self.shared = parts.shared;
            self.resuming = parts.running.into();
            self.waiting = parts.waiting;
            self.questions = parts.queries.into();
        }
    }

    pub(super) fn resume(&mut self, connection: &mut Connection) {
        while let Some(mut running) = self.resuming.pop_front() {
            {
                let state = running.cell.lock();
                if state.left || state.over {
                    continue;
                }
            }
            match running.ask_again(self.window, connection) {
                Ok(channel) => {
                    running.cell.lock().channel = Some(channel);
                    self.running.insert(channel, running);
                }
                Err(error) if has_to_wait(&error) => {
                    self.resuming.push_front(running);
                    return;
                }
                Err(error) => running.lose(&Lost::because(error.to_string())),
            }
        }
    }
}
