//! What a scene comes to.

use super::Event;

/// Counts of a scene's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls of `send` that took something.
    pub sends: usize,
    /// Bytes of the first `send`: asked for, and taken.
    pub first: (usize, usize),
    /// Calls of `send` that took nothing.
    pub would_block: usize,
    /// Calls of `recv` that gave something.
    pub receives: usize,
    /// Messages found by their headers.
    pub messages: usize,
    /// Bytes taken by `send`, headers included.
    pub bytes_sent: usize,
    /// Bytes given by `recv`.
    pub bytes_received: usize,
    /// Whether each `recv` gave exactly what one `send` had taken, in order: boundaries kept.
    pub boundaries_kept: bool,
    /// Whether all bytes that were sent were received, in order.
    pub bytes_kept: bool,
    /// Whether the messages found by their headers are those that were sent; false without
    /// headers.
    pub messages_kept: bool,
}

impl Tally {
    /// Counts.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let (mut sent, mut received, mut messages) = (Vec::new(), Vec::new(), Vec::new());
        let mut tally = Tally::default();
        let mut payloads: Vec<Vec<u8>> = Vec::new();
        for event in events {
            match event {
                Event::Sent {
                    asked,
                    taken,
                    header,
                } => {
                    if sent.is_empty() {
                        tally.first = (*asked, taken.len());
                    }
                    sent.push(taken.as_slice());
                    let payload = &taken[*header..];
                    match payloads.last_mut() {
                        // The rest of a message whose header has been sent.
                        Some(last) if *header == 0 => last.extend_from_slice(payload),
                        _ if *header == 0 => {}
                        _ => payloads.push(payload.to_vec()),
                    }
                }
                Event::WouldBlock { .. } => tally.would_block += 1,
                Event::Received { data, .. } => received.push(data.as_slice()),
                Event::Message { data } => messages.push(data.as_slice()),
            }
        }
        tally.sends = sent.len();
        tally.receives = received.len();
        tally.messages = messages.len();
        tally.boundaries_kept = sent == received;
        let (sent, received) = (sent.concat(), received.concat());
        tally.bytes_sent = sent.len();
        tally.bytes_received = received.len();
        tally.bytes_kept = sent == received;
        tally.messages_kept = !messages.is_empty() && messages == payloads;
        tally
    }
}
