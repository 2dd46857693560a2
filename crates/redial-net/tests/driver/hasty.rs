//! A client that asks for its job together with its login, and a server that takes its time to decide.

use std::task::{Context, Poll};

use bytes::Bytes;
use redial_net::proto::message::{Authenticate, Authenticated};
use redial_net::proto::{ChannelId, Config, Connection, Event, Stream, Time};
use redial_net::{Session, Slices};

use crate::sides::{Asking, Serving, start};

/// Turns of the driver before the server has decided.
const TURNS: u32 = 5;

/// Both sides of a line whose server asks who is there.
pub(crate) fn connections() -> (Connection, Connection) {
    let auth = |config| Config {
        auth: true,
        ..config
    };
    let server = Config {
        nonce: Some([9; 32]),
        ..auth(Config::server([7; 16]))
    };
    let client = auth(Config::client());
    (
        Connection::client(client, Time::ZERO),
        Connection::server(server, Time::ZERO),
    )
}

pub(crate) struct Hasty(pub(crate) Asking);

impl Session for Hasty {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, source: &Bytes) {
        if let Event::ServerHello(_) = &event {
            let login = Authenticate {
                user: "ada".to_owned(),
                keys: vec![vec![1].into()],
                signature: Some(vec![2].into()),
            };
            connection.authenticate(&login).expect("it was asked for");
            let started = connection.start(&start());
            self.0.channel = Some(started.expect("it may go with that"));
        }
        self.0.event(connection, event, source);
    }

    fn payload<'a>(
        &'a self,
        channel: ChannelId,
        stream: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        self.0.payload(channel, stream, offset, len, out)
    }

    fn poll(&mut self, _: &mut Context<'_>, _: &mut Connection) -> Poll<()> {
        Poll::Pending
    }
}

pub(crate) struct Deciding {
    pub(crate) serving: Serving,
    answer: u8,
    /// Turns that are left until the answer, once it is due.
    left: Option<u32>,
}

impl Deciding {
    pub(crate) fn answering(answer: u8, serving: Serving) -> Self {
        Deciding {
            serving,
            answer,
            left: None,
        }
    }
}

impl Session for Deciding {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, source: &Bytes) {
        if let Event::Authenticate(_) = &event {
            self.left = Some(TURNS);
        } else {
            assert!(self.left.is_none(), "nothing is looked at: {event:?}");
        }
        self.serving.event(connection, event, source);
    }

    fn payload<'a>(
        &'a self,
        channel: ChannelId,
        stream: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        self.serving.payload(channel, stream, offset, len, out)
    }

    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<()> {
        if let Some(left) = &mut self.left {
            *left -= 1;
            cx.waker().wake_by_ref();
            if *left == 0 {
                self.left = None;
                connection.authenticated(Authenticated {
                    result: self.answer,
                    acceptable: None,
                    reason: None,
                });
            }
        }
        Poll::Pending
    }
}
