//! A client that leaves one of its jobs while stdin of it waits to be written.

use std::task::{Context, Poll};

use bytes::Bytes;
use redial_net::proto::message::{ByteArray, GoodbyeCode, Start};
use redial_net::proto::{ChannelId, Connection, Event, Stream};
use redial_net::{Session, Slices};

use crate::sides::start;

/// More than the line takes at once.
static MUCH: [u8; 60_000] = [0; 60_000];

/// The first job's stdin fills the line; the second is left.
#[derive(Default)]
pub(crate) struct Leaving {
    jobs: Vec<ChannelId>,
    attached: usize,
    has_left: bool,
}

impl Leaving {
    fn is_left(&self, channel: ChannelId) -> bool {
        self.has_left && channel == self.jobs[1]
    }
}

impl Session for Leaving {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, _: &Bytes) {
        let Event::Attached { .. } = event else {
            return;
        };
        self.attached += 1;
        for &job in self.jobs.iter().filter(|_| self.attached == 2) {
            let ready = connection.data_ready(job, Stream::Stdin, MUCH.len() as u64);
            ready.expect("the connection takes it");
            connection.eof(job, Stream::Stdin);
        }
    }

    fn payload<'a>(
        &'a self,
        channel: ChannelId,
        _: Stream,
        _: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        !self.is_left(channel) && out.push(&MUCH[..len])
    }

    fn has_given_up(&self, channel: ChannelId) -> bool {
        self.is_left(channel)
    }

    fn poll(&mut self, _: &mut Context<'_>, connection: &mut Connection) -> Poll<()> {
        if self.jobs.len() == self.attached && self.attached < 2 {
            let job = ByteArray::from([self.attached as u8; 16]);
            let started = connection.start(&Start { job, ..start() });
            self.jobs.push(started.expect("there is room"));
        } else if self.attached == 2 && !self.has_left {
            self.has_left = true;
            connection.close(self.jobs[1], false);
            connection.goodbye(GoodbyeCode::Done, "");
        }
        Poll::Pending
    }
}
