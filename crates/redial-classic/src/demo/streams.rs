//! Messages over TCP, bare and behind headers.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use redial_frame::{Decoder, FrameError, Framing, HeaderFormat};

use super::{DemoError, Doing, Event, LARGE_BYTES, MESSAGES, PATIENCE, ROOM_BYTES, large, pair};

/// A length before each message: four bytes, big-endian.
const FRAMING: Framing = Framing::new(HeaderFormat::U32_BE).with_max_payload(LARGE_BYTES);
/// How often is looked whether all has arrived.
const LOOK: Duration = Duration::from_millis(1);

pub(super) fn glued() -> Result<Vec<Event>, DemoError> {
    five(Headers::None)
}

pub(super) fn framed_glued() -> Result<Vec<Event>, DemoError> {
    five(Headers::Length)
}

pub(super) fn pieces() -> Result<Vec<Event>, DemoError> {
    one(Headers::None)
}

pub(super) fn framed_pieces() -> Result<Vec<Event>, DemoError> {
    one(Headers::Length)
}

/// What stands before each message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Headers {
    None,
    Length,
}

/// The receiver is busy until all five have arrived, as a program often is.
fn five(headers: Headers) -> Result<Vec<Event>, DemoError> {
    let (mut sender, mut receiver) = pair::tcp()?;
    let mut events = Vec::new();
    for message in MESSAGES {
        send(&mut sender, headers, message.as_bytes(), &mut events)?;
    }
    let sent = events.iter().map(taken).sum();
    wait_for(&receiver, sent).doing("waiting for the messages")?;
    hang_up(&sender)?;
    receive(&mut receiver, ROOM_BYTES, headers, &mut events)?;
    Ok(events)
}

/// The receiver reads while the sender sends, with room for the whole message each time.
fn one(headers: Headers) -> Result<Vec<Event>, DemoError> {
    let (mut sender, mut receiver) = pair::tcp()?;
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            let mut events = Vec::new();
            send(&mut sender, headers, &large(), &mut events)?;
            hang_up(&sender)?;
            Ok::<_, DemoError>(events)
        });
        let mut received = Vec::new();
        let result = receive(&mut receiver, LARGE_BYTES, headers, &mut received);
        // A sender whose receiver failed must not wait for it.
        drop(receiver);
        let sent = sending.join().unwrap_or_else(|_| Ok(Vec::new()));
        result?;
        let mut events = sent?;
        events.append(&mut received);
        Ok(events)
    })
}

/// One message, header and all in one call; more calls only if the kernel takes it in parts.
fn send(
    sender: &mut TcpStream,
    headers: Headers,
    message: &[u8],
    events: &mut Vec<Event>,
) -> Result<(), DemoError> {
    let mut front = Vec::new();
    if headers == Headers::Length {
        let header = FRAMING.header(message.len());
        let header = header.map_err(io::Error::other).doing("making a header")?;
        front.extend_from_slice(header.as_ref());
    }
    let whole = [&front, message].concat();
    let mut at = 0;
    while at < whole.len() {
        let header = front.len().saturating_sub(at);
        let (front, rest) = whole[at..].split_at(header);
        let parts = [IoSlice::new(front), IoSlice::new(rest)];
        let count = match sender.write_vectored(&parts) {
            Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero)).doing("sending"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).doing("sending"),
        };
        events.push(Event::Sent {
            asked: whole.len() - at,
            taken: whole[at..at + count].to_vec(),
            header: header.min(count),
        });
        at += count;
    }
    Ok(())
}

/// Reads to the end, and takes the messages out by their headers where there are any.
fn receive(
    receiver: &mut TcpStream,
    room: usize,
    headers: Headers,
    events: &mut Vec<Event>,
) -> Result<(), DemoError> {
    let mut buffer = vec![0; room];
    let mut decoder = (headers == Headers::Length).then(|| Decoder::new(FRAMING));
    let mut messages = Vec::new();
    loop {
        let data = match receiver.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => &buffer[..count],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).doing("receiving"),
        };
        if let Some(decoder) = &mut decoder {
            let taken_out = take_out(decoder, data, &mut messages);
            taken_out
                .map_err(io::Error::other)
                .doing("reading a header")?;
        }
        let data = data.to_vec();
        events.push(Event::Received { room, data });
    }
    events.append(&mut messages);
    Ok(())
}

/// The messages that `data` completes.
fn take_out(
    decoder: &mut Decoder,
    mut data: &[u8],
    messages: &mut Vec<Event>,
) -> Result<(), FrameError> {
    while let Some(message) = decoder.decode(&mut data)? {
        let data = message.to_vec();
        messages.push(Event::Message { data });
    }
    Ok(())
}

/// Waits, at most [`PATIENCE`], until so many bytes can be read. Reads none.
fn wait_for(receiver: &TcpStream, bytes: usize) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = vec![0; bytes];
    while receiver.peek(&mut buffer)? < bytes && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
    Ok(())
}

fn hang_up(sender: &TcpStream) -> Result<(), DemoError> {
    sender.shutdown(Shutdown::Write).doing("hanging up")
}

fn taken(event: &Event) -> usize {
    match event {
        Event::Sent { taken, .. } => taken.len(),
        _ => 0,
    }
}
