//! The telephone over streams: TCP and Unix.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::{Answers, Event, Gone};
use crate::address::Endpoint;
use crate::connect::{Stream, wait_readable};

/// A single call is over when nothing was said for so long after an answer: long enough
/// for a message that comes in pieces, too short to be noticed.
pub const QUIET: Duration = Duration::from_millis(200);

/// Taken with one recv(2) at most. It bounds what a client makes us hold: the next bytes
/// are read when these are answered.
const HEAR_BYTES: usize = 64 * 1024;

/// Talks to one client until either hangs up. `ending` is readable when all are hung up on.
pub(super) fn answer(
    call: u64,
    stream: &Stream,
    from: &Endpoint,
    answers: Answers,
    ending: &OwnedFd,
    tell: &impl Fn(Event<'_>),
) {
    let socket = stream.facts();
    tell(Event::Connected { call, socket, from });
    let mut gone = talk(call, stream, answers, tell).unwrap_or_else(Gone::Vanished);
    if wait_readable(ending, Duration::ZERO).unwrap_or(false) {
        gone = Gone::Server;
    }
    tell(Event::HungUp { call, gone });
}

fn talk(
    call: u64,
    mut stream: &Stream,
    answers: Answers,
    tell: &impl Fn(Event<'_>),
) -> io::Result<Gone> {
    let mut buffer = vec![0; HEAR_BYTES];
    loop {
        let heard = match stream.read(&mut buffer) {
            Ok(0) => return Ok(Gone::Client),
            Ok(len) => &mut buffer[..len],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        tell(Event::Heard { call, bytes: heard });
        heard.make_ascii_uppercase();
        stream.write_all(heard)?;
        if answers == Answers::Once && !stream.wait_readable(QUIET)? {
            return Ok(Gone::Server);
        }
    }
}
