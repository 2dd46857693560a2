//! `send`, which may take a part only, and the loop around it that is called sendall.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{DemoError, Doing, Event, LARGE_BYTES, PATIENCE, large, pair};

/// The receiver reads so much at once, in bytes.
const SIP_BYTES: usize = 64 * 1024;
/// The receiver waits so long for more before the sender has its turn again.
const TURN: Duration = Duration::from_millis(50);

/// Nobody reads: `send` until the kernel takes nothing more. It stops there, as a program does
/// that takes one `send` for the whole.
pub(super) fn partial() -> Result<Vec<Event>, DemoError> {
    let (mut sender, receiver) = pair::tcp()?;
    sender.set_nonblocking(true).doing("setting O_NONBLOCK")?;
    let message = large();
    let mut events = Vec::new();
    send_what_fits(&mut sender, &message, &mut events)?;
    drop(receiver);
    Ok(events)
}

/// `send` again and again with what is left; when it would have to wait, the receiver reads.
pub(super) fn all() -> Result<Vec<Event>, DemoError> {
    let (mut sender, mut receiver) = pair::tcp()?;
    sender.set_nonblocking(true).doing("setting O_NONBLOCK")?;
    receiver
        .set_read_timeout(Some(TURN))
        .doing("setting a time limit")?;
    let message = large();
    let mut events = Vec::new();
    let (mut sent, mut read) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    while read < LARGE_BYTES {
        if sent < LARGE_BYTES {
            sent += send_what_fits(&mut sender, &message[sent..], &mut events)?;
        }
        if Instant::now() > deadline {
            return Err(io::Error::from(ErrorKind::TimedOut)).doing("receiving");
        }
        let mut buffer = vec![0; SIP_BYTES];
        match receiver.read(&mut buffer) {
            Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof)).doing("receiving"),
            Ok(count) => {
                buffer.truncate(count);
                read += count;
                events.push(Event::Received {
                    room: SIP_BYTES,
                    data: buffer,
                });
            }
            Err(error) if is_no_failure(&error) => {}
            Err(error) => return Err(error).doing("receiving"),
        }
    }
    Ok(events)
}

/// Sends until all is taken or `send` would have to wait; how many bytes were taken.
fn send_what_fits(
    sender: &mut TcpStream,
    message: &[u8],
    events: &mut Vec<Event>,
) -> Result<usize, DemoError> {
    let mut sent = 0;
    while sent < message.len() {
        let rest = &message[sent..];
        let asked = rest.len();
        match sender.write(rest) {
            Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero)).doing("sending"),
            Ok(count) => {
                sent += count;
                events.push(Event::Sent {
                    asked,
                    taken: rest[..count].to_vec(),
                    header: 0,
                });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                events.push(Event::WouldBlock { asked });
                break;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).doing("sending"),
        }
    }
    Ok(sent)
}

fn is_no_failure(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
