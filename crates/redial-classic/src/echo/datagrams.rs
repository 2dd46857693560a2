//! The telephone over datagrams: one message, one answer; more a letter than a call.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};

use super::{Answers, Event};
use crate::address::Endpoint;
use crate::listen::Mailbox;

/// Longest message that is answered: more than UDP can carry, and than Unix sockets do
/// unless their limits were raised (socket(7), wmem_max). Bounds what a message takes.
pub const MAX_DATAGRAM_BYTES: usize = 256 * 1024;

/// Answers messages, empty ones too, in the order in which they come.
pub(super) fn answer(
    mailbox: &Mailbox,
    answers: Answers,
    shutdown: BorrowedFd<'_>,
    tell: &impl Fn(Event<'_>),
) -> io::Result<()> {
    let socket = mailbox.facts();
    tell(Event::Mailbox { socket });
    let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
    let mut call = 0;
    loop {
        let mut waited = [
            PollFd::from_borrowed_fd(shutdown, PollFlags::IN),
            PollFd::new(mailbox, PollFlags::IN),
        ];
        match poll(&mut waited, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if !waited[0].revents().is_empty() {
            return Ok(());
        }
        // TRUNC: tells the whole length of a message that was cut.
        let (len, whole, from) = match recvfrom(mailbox, &mut buffer, RecvFlags::TRUNC) {
            Ok(received) => received,
            // Taken away again (a bad checksum), or news of an earlier answer.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNREFUSED) => continue,
            Err(error) => return Err(error.into()),
        };
        call += 1;
        let from = Endpoint::from_kernel(from);
        tell(Event::Datagram { call, from: &from });
        let bytes = &mut buffer[..len];
        tell(Event::Heard { call, bytes });
        bytes.make_ascii_uppercase();
        if let Err(reason) = send_back(mailbox, bytes, whole, &from) {
            tell(Event::Unanswered { call, reason });
        }
        if answers == Answers::Once {
            return Ok(());
        }
    }
}

fn send_back(mailbox: &Mailbox, bytes: &[u8], whole: usize, to: &Endpoint) -> io::Result<()> {
    if whole > bytes.len() {
        let what = format!("{whole} bytes: longer than the {MAX_DATAGRAM_BYTES} that are answered");
        return Err(io::Error::other(what));
    }
    if *to == Endpoint::Unnamed {
        let what = "the client's socket is not bound: it has no address to answer to";
        return Err(io::Error::other(what));
    }
    // Not waited for: a client that does not fetch its answers must not hold up the others.
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendto(mailbox, bytes, flags, &to.to_kernel()?)?;
    Ok(())
}
