//! Messages into packets, and out of them.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};

use minicbor::{Decode, Encode};

use super::{Link, MAX_PACKET_BYTES, MAX_PACKET_FDS};

/// A message that cannot be sent, or a packet that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// One message must fit a packet.
    #[error("a message of {0} bytes does not fit a packet of {MAX_PACKET_BYTES}")]
    TooLong(usize),
    /// More descriptors than go with one packet.
    #[error("{0} descriptors with one message; at most {MAX_PACKET_FDS} go")]
    TooManyDescriptors(usize),
    /// The bytes are not a message.
    #[error("not a message: {0}")]
    Malformed(String),
}

/// Packs messages into packets and sends these as the socket takes them.
///
/// It has no bound of its own: its owner looks at [`Outbox::len_bytes`] and stops
/// taking work before it pushes more.
#[derive(Debug)]
pub struct Outbox<M> {
    packets: VecDeque<Packet>,
    bytes: usize,
    spare: Vec<u8>,
    messages: PhantomData<fn(M)>,
}

#[derive(Debug)]
struct Packet {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

impl<M> Default for Outbox<M> {
    fn default() -> Self {
        Self {
            packets: VecDeque::new(),
            bytes: 0,
            spare: Vec::new(),
            messages: PhantomData,
        }
    }
}

impl<M: Encode<()>> Outbox<M> {
    /// Nothing to send yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message to the last packet, or to a new one where it does not fit.
    ///
    /// # Errors
    /// [`WireError::TooLong`]; the message is left out, all else stays as it was.
    pub fn push(&mut self, message: &M) -> Result<(), WireError> {
        if self
            .packets
            .back()
            .is_none_or(|packet| !packet.fds.is_empty())
        {
            let bytes = std::mem::take(&mut self.spare);
            self.packets.push_back(Packet {
                bytes,
                fds: Vec::new(),
            });
        }
        let Some(last) = self.packets.back_mut() else {
            return Ok(());
        };
        let before = last.bytes.len();
        encode(message, &mut last.bytes);
        let len = last.bytes.len() - before;
        if last.bytes.len() > MAX_PACKET_BYTES {
            let moved = last.bytes.split_off(before);
            if before == 0 {
                self.packets.pop_back();
            }
            if len > MAX_PACKET_BYTES {
                return Err(WireError::TooLong(len));
            }
            self.packets.push_back(Packet {
                bytes: moved,
                fds: Vec::new(),
            });
        }
        self.bytes += len;
        Ok(())
    }

    /// Adds a message that takes descriptors along, in a packet of its own. They
    /// are closed here once sent.
    ///
    /// # Errors
    /// The message or the number of descriptors is over the limit.
    pub fn push_with(&mut self, message: &M, fds: Vec<OwnedFd>) -> Result<(), WireError> {
        if fds.len() > MAX_PACKET_FDS {
            return Err(WireError::TooManyDescriptors(fds.len()));
        }
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        if bytes.len() > MAX_PACKET_BYTES {
            return Err(WireError::TooLong(bytes.len()));
        }
        self.bytes += bytes.len();
        self.packets.push_back(Packet { bytes, fds });
        Ok(())
    }

    /// Sends until the socket is full; true when nothing is left.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn flush(&mut self, link: &Link) -> io::Result<bool> {
        while let Some(packet) = self.packets.front() {
            let fds: Vec<_> = packet.fds.iter().map(AsFd::as_fd).collect();
            match link.send(&packet.bytes, &fds) {
                Ok(()) => self.forget_first(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // Too many descriptors are under way, or memory is short: that passes.
                Err(error) if is_shortage(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn forget_first(&mut self) {
        let Some(mut packet) = self.packets.pop_front() else {
            return;
        };
        self.bytes -= packet.bytes.len();
        // The common case is one packet a turn: its memory serves the next one.
        packet.bytes.clear();
        self.spare = packet.bytes;
    }
}

impl<M> Outbox<M> {
    /// Whether nothing waits to be sent.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Encoded bytes that wait to be sent.
    pub fn len_bytes(&self) -> usize {
        self.bytes
    }
}

fn is_shortage(error: &io::Error) -> bool {
    let shortages = [libc::ETOOMANYREFS, libc::ENOBUFS, libc::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|errno| shortages.contains(&errno))
}

/// The messages of one packet, in order. The first that does not decode is the
/// last item: behind it nothing can be known.
pub fn decode_packet<'b, M: Decode<'b, ()> + 'b>(
    packet: &'b [u8],
) -> impl Iterator<Item = Result<M, WireError>> + 'b {
    let mut decoder = minicbor::Decoder::new(packet);
    std::iter::from_fn(move || {
        if decoder.position() >= packet.len() {
            return None;
        }
        let message = decoder.decode::<M>();
        if message.is_err() {
            decoder.set_position(packet.len());
        }
        Some(message.map_err(|error| WireError::Malformed(error.to_string())))
    })
}

fn encode<M: Encode<()>>(message: &M, into: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail, and the derived encoders have no errors of their own.
    let written = minicbor::encode(message, into);
    debug_assert!(written.is_ok(), "messages encode");
}
