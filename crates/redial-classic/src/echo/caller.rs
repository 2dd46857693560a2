//! Who calls: says something, and hears it in upper case.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{RecvFlags, SendFlags};

use super::{EchoError, MAX_DATAGRAM_BYTES};
use crate::address::{Address, Kind, SocketError};
use crate::connect::{self, Stream};

/// After so long a datagram or its answer counts as lost.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Thrown away before a message is sent; a server that sends without end holds nobody.
const MAX_LATE_ANSWERS: usize = 1024;

/// Taken with one recv(2) at most.
const HEAR_BYTES: usize = 64 * 1024;

/// A client of an echo server.
#[derive(Debug)]
pub struct EchoCaller {
    address: Address,
    line: Line,
}

#[derive(Debug)]
enum Line {
    Stream(Stream),
    Datagrams(OwnedFd),
}

impl EchoCaller {
    /// Connects; datagram sockets too, though nothing is sent by it.
    ///
    /// # Errors
    ///
    /// [`SocketError::Resolve`], `Refused` and `Connect`.
    pub fn connect(address: &Address) -> Result<Self, SocketError> {
        let line = match address.kind() {
            Kind::Stream => Line::Stream(Stream::connect(address)?),
            Kind::Datagram => {
                let socket = connect::connect(address)?;
                // A Unix server that does not fetch its messages would hold us for ever.
                let limited =
                    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(REPLY_TIMEOUT));
                limited.map_err(|error| connect::connect_error(address, error))?;
                Line::Datagrams(socket)
            }
        };
        Ok(EchoCaller {
            address: address.clone(),
            line,
        })
    }

    /// Says something and appends the answer to `reply`. Over a stream the answer is
    /// complete when it is as long as the message; it is read while the message is still
    /// being written, so that no length makes both sides wait. Over datagrams it is the
    /// one message that comes within [`REPLY_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// An empty message, or no (whole) answer; `reply` has what came of it.
    pub fn say(&self, message: &[u8], reply: &mut Vec<u8>) -> Result<(), EchoError> {
        if message.is_empty() {
            return Err(EchoError::Empty);
        }
        match &self.line {
            Line::Stream(stream) => self.say_to_stream(stream, message, reply),
            Line::Datagrams(socket) => self
                .say_in_datagram(socket, message, reply)
                .map_err(|error| self.datagram_error(error, message.len())),
        }
    }

    fn say_to_stream(
        &self,
        stream: &Stream,
        message: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<(), EchoError> {
        let mut buffer = vec![0; HEAR_BYTES.min(message.len())];
        let (mut sent, mut got) = (0, 0);
        let hung_up = |got, cause| EchoError::HungUp {
            address: self.address.clone(),
            got,
            expected: message.len(),
            cause,
        };
        match stream.read_now(&mut buffer) {
            Ok(0) => return Err(hung_up(0, None)),
            Ok(_) => {
                let address = self.address.clone();
                return Err(EchoError::Unasked { address });
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(hung_up(0, Some(error))),
        }
        while got < message.len() {
            if sent < message.len() {
                match stream.write_now(&message[sent..]) {
                    Ok(len) => sent += len,
                    Err(error) if is_pause(&error) => {}
                    Err(error) => return Err(hung_up(got, Some(error))),
                }
            }
            wait(stream, sent < message.len()).map_err(|error| hung_up(got, Some(error)))?;
            let room = buffer.len().min(message.len() - got);
            match stream.read_now(&mut buffer[..room]) {
                Ok(0) => return Err(hung_up(got, None)),
                Ok(len) => {
                    reply.extend_from_slice(&buffer[..len]);
                    got += len;
                }
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(hung_up(got, Some(error))),
            }
        }
        Ok(())
    }

    fn say_in_datagram(
        &self,
        socket: &OwnedFd,
        message: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<(), Errno> {
        let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
        // Answers that came too late are none to this message.
        for _ in 0..MAX_LATE_ANSWERS {
            let late = rustix::net::recv(socket, &mut buffer, RecvFlags::DONTWAIT);
            if is_there(late)?.is_none() {
                break;
            }
        }
        rustix::net::send(socket, message, SendFlags::NOSIGNAL)?;
        loop {
            let answered = connect::wait_readable(socket, REPLY_TIMEOUT)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            if !answered {
                return Err(Errno::TIMEDOUT);
            }
            let received = rustix::net::recv(socket, &mut buffer, RecvFlags::DONTWAIT);
            if let Some(len) = is_there(received)? {
                reply.extend_from_slice(&buffer[..len]);
                return Ok(());
            }
        }
    }

    fn datagram_error(&self, error: Errno, len: usize) -> EchoError {
        let (address, cause) = (self.address.clone(), io::Error::from(error));
        match error {
            Errno::MSGSIZE => EchoError::TooLong { address, len },
            Errno::TIMEDOUT | Errno::AGAIN => EchoError::Lost {
                address,
                after: REPLY_TIMEOUT,
            },
            Errno::CONNREFUSED | Errno::NOENT => EchoError::Refused { address, cause },
            _ => EchoError::Talk { address, cause },
        }
    }
}

/// Until something can be read or, if it is wanted, written.
fn wait(stream: &Stream, write: bool) -> io::Result<()> {
    let flags = match write {
        true => PollFlags::IN | PollFlags::OUT,
        false => PollFlags::IN,
    };
    match poll(&mut [PollFd::new(stream, flags)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// A datagram's length, if there is one.
fn is_there(received: Result<(usize, usize), Errno>) -> Result<Option<usize>, Errno> {
    match received {
        Ok((len, _)) => Ok(Some(len)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error),
    }
}
