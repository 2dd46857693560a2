//! The telephone: a server that says everything back in upper case, and who calls it.

mod caller;
mod datagrams;
mod error;
mod event;
mod streams;

use std::os::fd::BorrowedFd;

use crate::address::{Address, Kind, Reach, SocketError};
use crate::listen::{Calls, Listener, Mailbox};

pub use caller::{EchoCaller, REPLY_TIMEOUT};
pub use datagrams::MAX_DATAGRAM_BYTES;
pub use error::EchoError;
pub use event::{Event, Gone};
pub use streams::QUIET;

/// Clients at once, so that a flood of them takes neither all threads nor all
/// descriptors; the next ones wait in the backlog.
pub const MAX_CLIENTS: usize = 256;
/// How many callers may wait until they are accepted, as in the lesson.
pub const DEFAULT_BACKLOG: u16 = 5;

/// How much is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// One call, until the line is quiet for [`QUIET`]; or one datagram.
    Once,
    /// Everybody who calls, at most [`MAX_CLIENTS`] at once.
    ForEver,
}

/// A server that says everything back in upper case.
#[derive(Debug)]
pub struct EchoServer {
    ear: Ear,
}

#[derive(Debug)]
enum Ear {
    Streams(Listener),
    Datagrams(Mailbox),
}

impl EchoServer {
    /// Listens. A backlog is for streams only.
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`].
    pub fn bind(address: &Address, backlog: u16) -> Result<Self, SocketError> {
        let ear = match address.kind() {
            Kind::Stream => Ear::Streams(Listener::bind(address, backlog, Reach::Anywhere)?),
            Kind::Datagram => Ear::Datagrams(Mailbox::bind(address, Reach::Anywhere)?),
        };
        Ok(EchoServer { ear })
    }

    /// Where it really listens: port 0 has become a number.
    pub fn address(&self) -> &Address {
        match &self.ear {
            Ear::Streams(listener) => listener.address(),
            Ear::Datagrams(mailbox) => mailbox.address(),
        }
    }

    /// Answers until `shutdown` is readable, or until `answers` is done. What happens is
    /// told to `tell`, by several threads at once; who is talked to waits for it.
    ///
    /// # Errors
    ///
    /// When waiting or receiving itself fails; nothing that a client does.
    pub fn serve(
        self,
        answers: Answers,
        shutdown: BorrowedFd<'_>,
        tell: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Result<(), EchoError> {
        match self.ear {
            Ear::Streams(listener) => {
                let calls = match answers {
                    Answers::Once => Calls::One,
                    Answers::ForEver => Calls::Many {
                        at_once: MAX_CLIENTS,
                    },
                };
                let ending = shutdown.try_clone_to_owned().map_err(EchoError::Serve)?;
                let each = move |call, stream: &_, from| {
                    streams::answer(call, stream, &from, answers, &ending, &tell);
                };
                let served = crate::listen::answer_each(listener, calls, shutdown, each);
                served.map_err(EchoError::Serve)
            }
            Ear::Datagrams(mailbox) => {
                datagrams::answer(&mailbox, answers, shutdown, &tell).map_err(EchoError::Serve)
            }
        }
    }
}
