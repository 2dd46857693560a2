//! Messages over UDP.

use std::io::ErrorKind;

use super::{DemoError, Doing, Event, MESSAGES, pair};

/// The five messages, a datagram each, read with `room` bytes of room.
pub(super) fn play(room: usize) -> Result<Vec<Event>, DemoError> {
    let (sender, receiver) = pair::udp()?;
    let mut events = Vec::new();
    for message in MESSAGES {
        let message = message.as_bytes();
        let count = sender.send(message).doing("sending a datagram")?;
        events.push(Event::Sent {
            asked: message.len(),
            taken: message[..count].to_vec(),
            header: 0,
        });
    }
    let mut buffer = vec![0; room];
    let mut left = MESSAGES.len();
    while left > 0 {
        match receiver.recv(&mut buffer) {
            Ok(count) => {
                let data = buffer[..count].to_vec();
                events.push(Event::Received { room, data });
                left -= 1;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Lost, which UDP may do: what has come is what there is to show.
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error).doing("receiving a datagram"),
        }
    }
    Ok(events)
}
