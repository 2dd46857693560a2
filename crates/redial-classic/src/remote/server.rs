//! The server: a thread a client, each running one command after the other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};

use super::command::{self, End, Limits};
use super::error::seconds;
use super::line::{Line, deadline_in, poll_until};
use super::reply::{self, Order, Reply};
use super::request::{self, MAX_COMMAND_BYTES, Request};
use super::{RemoteError, Wire};
use crate::address::Endpoint;
use crate::connect::{Facts, Stream};
use crate::listen::Listener;

/// After a failed accept(2), most likely for want of descriptors, the next one waits so long.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How commands are served.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// How both sides speak.
    pub wire: Wire,
    /// What a reply is made of.
    pub order: Order,
    /// A command that runs longer is ended, with its process group.
    pub deadline: Duration,
    /// The longest reply in bytes; a command that says more is ended.
    pub max_reply: u64,
    /// Clients at once; more wait until one hangs up. It bounds threads, commands and spools.
    pub max_clients: usize,
}

/// What happens, for a log. Calls are numbered from 1.
#[derive(Debug)]
pub enum Event<'a> {
    /// A client has called.
    Connected {
        /// Its number.
        call: u64,
        /// The connection.
        socket: Facts,
        /// The client's address.
        from: &'a Endpoint,
    },
    /// It sent a command.
    Request {
        /// Its number.
        call: u64,
        /// The command, any bytes.
        command: &'a [u8],
    },
    /// It was told something in a reply's place, or behind it.
    Told {
        /// Its number.
        call: u64,
        /// What, without the `redial: ` before it.
        words: &'a str,
    },
    /// It is gone; its command was ended if one was running. With an error if it did not just
    /// hang up.
    Gone {
        /// Its number.
        call: u64,
        /// How the connection failed.
        error: Option<RemoteError>,
    },
    /// A client could not be taken.
    NotAccepted(&'a io::Error),
    /// So many clients are there; further ones wait.
    Full(usize),
}

/// Serves until `stop` becomes readable or hangs up. Running commands are ended then, and every
/// thread of ours has ended when this returns.
///
/// # Errors
/// When the listener is of no use.
pub fn serve(
    listener: &Listener,
    settings: &ServerSettings,
    stop: BorrowedFd<'_>,
    log: &(dyn Fn(&Event<'_>) + Sync),
) -> io::Result<()> {
    let left = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let server = Server {
        settings,
        stop,
        log,
        left: &left,
    };
    thread::scope(|scope| server.accept(scope, listener))
}

struct Server<'s> {
    settings: &'s ServerSettings,
    stop: BorrowedFd<'s>,
    log: &'s (dyn Fn(&Event<'_>) + Sync),
    /// Counts clients that have left.
    left: &'s OwnedFd,
}

impl<'s> Server<'s> {
    fn accept<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        listener: &Listener,
    ) -> io::Result<()>
    where
        's: 'scope,
    {
        let (mut clients, mut call) = (0, 0);
        loop {
            let room = clients < self.settings.max_clients;
            match self.wait(listener, room)? {
                Wake::Stop => return Ok(()),
                Wake::Left(count) => clients -= count.min(clients),
                Wake::Nothing => {}
                Wake::Caller => {
                    let taken = listener.accept().and_then(|(stream, from)| {
                        call += 1;
                        let serve = move || self.serve_one(call, stream, &from);
                        thread::Builder::new().spawn_scoped(scope, serve)
                    });
                    match taken {
                        Ok(_) => clients += 1,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => {
                            (self.log)(&Event::NotAccepted(&error));
                            self.pause()?;
                        }
                    }
                    if clients == self.settings.max_clients {
                        (self.log)(&Event::Full(clients));
                    }
                }
            }
        }
    }

    fn wait(&self, listener: &Listener, room: bool) -> io::Result<Wake> {
        let mut fds = vec![
            PollFd::from_borrowed_fd(self.stop, PollFlags::IN),
            PollFd::new(self.left, PollFlags::IN),
        ];
        if room {
            fds.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
        }
        poll_until(&mut fds, None)?;
        let seen = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        Ok(if seen(0) {
            Wake::Stop
        } else if seen(1) {
            let mut count = [0; 8];
            match rustix::io::read(self.left, &mut count) {
                Ok(_) => Wake::Left(usize::try_from(u64::from_ne_bytes(count)).unwrap_or(0)),
                Err(_) => Wake::Nothing,
            }
        } else if seen(2) {
            Wake::Caller
        } else {
            Wake::Nothing
        })
    }

    fn pause(&self) -> io::Result<()> {
        let mut stop = [PollFd::from_borrowed_fd(self.stop, PollFlags::IN)];
        poll_until(&mut stop, deadline_in(ACCEPT_AGAIN)).map(drop)
    }

    fn serve_one(&self, call: u64, stream: Stream, from: &Endpoint) {
        let _leaves = Leaves(self.left);
        let socket = stream.facts();
        (self.log)(&Event::Connected { call, socket, from });
        let line = Line::new(stream, Some(self.stop));
        let error = match self.converse(&line, call) {
            Err(RemoteError::Stopped) => return,
            ended => ended.err(),
        };
        (self.log)(&Event::Gone { call, error });
    }

    /// One request after the other, until the client hangs up.
    fn converse(&self, line: &Line<'_>, call: u64) -> Result<(), RemoteError> {
        loop {
            match request::read(line, &self.settings.wire) {
                Ok(Request::End) => return Ok(()),
                Ok(Request::Command(text)) => {
                    let command = &text[..];
                    (self.log)(&Event::Request { call, command });
                    if !self.answer(line, call, &text)? {
                        return Ok(());
                    }
                }
                Ok(Request::TooLong) => {
                    let most = MAX_COMMAND_BYTES;
                    self.tell(line, call, &format!("the command is over {most} bytes"))?;
                }
                Ok(Request::Foreign(what)) => return self.tell_and_leave(line, call, &what),
                Err(RemoteError::Frame(error)) => {
                    return self.tell_and_leave(line, call, &error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs a command and sends what came of it. False when the client is gone.
    fn answer(&self, line: &Line<'_>, call: u64, text: &[u8]) -> Result<bool, RemoteError> {
        let limits = Limits {
            deadline: self.settings.deadline,
            max_reply: self.settings.max_reply,
        };
        let mut ran = match command::run(text, limits, line) {
            Ok(ran) => ran,
            Err(error) => {
                self.tell(
                    line,
                    call,
                    &format!("cannot run the command, or keep its output: {error}"),
                )?;
                return Ok(true);
            }
        };
        let words = match ran.end {
            End::Itself => None,
            End::HeldOpen => Some(
                "the command has ended, but a background process keeps its output open; \
                 what that writes from now on is lost"
                    .to_owned(),
            ),
            End::Deadline => Some(format!(
                "the command was ended after {}, its deadline",
                seconds(limits.deadline)
            )),
            End::TooMuch => {
                let most = limits.max_reply;
                let words = format!("the reply is over {most} bytes; the command was ended");
                self.tell(line, call, &words)?;
                return Ok(true);
            }
            End::ClientGone => return Ok(false),
            End::Stopped => return Err(RemoteError::Stopped),
        };
        if let Some(words) = words {
            self.told(call, &words);
            ran.stderr.append(reply::in_words(&words).as_bytes())?;
        }
        let reply = Reply::new(ran.stdout, ran.stderr, self.settings.order);
        if let Some(reason) = reply.send(line, &self.settings.wire)? {
            self.told(call, &reason);
        }
        Ok(true)
    }

    fn told(&self, call: u64, words: &str) {
        (self.log)(&Event::Told { call, words });
    }

    fn tell(&self, line: &Line<'_>, call: u64, words: &str) -> Result<(), RemoteError> {
        self.told(call, words);
        reply::send_words(line, &self.settings.wire, words)
    }

    /// After this nobody knows where the next request would begin.
    fn tell_and_leave(&self, line: &Line<'_>, call: u64, words: &str) -> Result<(), RemoteError> {
        self.tell(line, call, words)?;
        line.say_goodbye();
        Ok(())
    }
}

/// Why the accepting thread woke.
enum Wake {
    Stop,
    /// So many clients have left.
    Left(usize),
    Caller,
    Nothing,
}

/// Counts its client as gone, however the thread ends.
struct Leaves<'a>(&'a OwnedFd);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        // It cannot be full: it holds at most as many as there are clients.
        let _ = rustix::io::write(self.0, &1_u64.to_ne_bytes());
    }
}
