//! One direction of a line, and where its bytes come from.

use redial_proto::{Body, ChannelId, Connection, Event, ProtocolError, Stream, Time};

/// xorshift64*: small, seeded, the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        rng.next();
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// The byte that stands at an offset of a job's stream.
pub(crate) fn byte_at(job: u64, stream: Stream, offset: u64) -> u8 {
    let mixed = (offset + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(job * 3 + stream as u64);
    (mixed ^ mixed >> 29) as u8
}

/// A program that has the bytes of its streams.
pub(crate) trait Source {
    /// Which job a channel is about.
    fn job_of(&self, channel: ChannelId) -> u64;
}

/// Bytes under way, and bytes arrived but not taken.
#[derive(Default)]
pub(crate) struct Wire {
    /// Sent; the first `gone` bytes of it have arrived.
    under_way: Vec<u8>,
    gone: usize,
    arrived: Vec<u8>,
    /// Everything ever delivered, for tests that cut it elsewhere.
    pub(crate) record: Vec<u8>,
    carried: u64,
    /// There is no use in asking before so much has arrived.
    needed: usize,
}

impl Wire {
    /// Takes frames from a connection while the pipe has room.
    pub(crate) fn fill(&mut self, from: &mut Connection, source: &dyn Source, pipe: usize) {
        while self.under_way.len() - self.gone < pipe {
            let Some(transmit) = from.poll_transmit() else {
                return;
            };
            self.under_way.extend_from_slice(transmit.head.as_ref());
            match transmit.body {
                Body::None => {}
                Body::Owned(bytes) => self.under_way.extend(bytes),
                Body::Stream {
                    channel,
                    stream,
                    offset,
                    len,
                } => {
                    assert!(len > 0 && len <= 65_536, "a data frame of {len} bytes");
                    let job = source.job_of(channel);
                    let bytes = offset..offset + u64::from(len);
                    self.under_way
                        .extend(bytes.map(|offset| byte_at(job, stream, offset)));
                }
            }
        }
    }

    /// Lets up to `piece` bytes arrive, and the connection take what it can.
    pub(crate) fn deliver(
        &mut self,
        piece: usize,
        to: &mut Connection,
        now: Time,
        on_event: &mut dyn FnMut(&mut Connection, Event<'_>),
    ) -> Result<(), ProtocolError> {
        let piece = piece.min(self.under_way.len() - self.gone);
        self.carried += piece as u64;
        let piece = &self.under_way[self.gone..self.gone + piece];
        self.arrived.extend_from_slice(piece);
        self.record.extend_from_slice(piece);
        self.gone += piece.len();
        if self.gone == self.under_way.len() {
            self.under_way.clear();
            self.gone = 0;
        }
        if self.arrived.len() < self.needed {
            return Ok(());
        }
        let mut taken = 0;
        self.needed = 0;
        while to.wants_input() {
            let whole = to.whole_frames(&self.arrived[taken..]);
            let input = to.handle_input(now, &self.arrived[taken..])?;
            assert_eq!(
                whole == 0,
                input.consumed == 0,
                "a frame is whole or is not"
            );
            assert!(input.consumed <= whole, "and ends where it was said to end");
            if input.consumed == 0 {
                assert!(input.needed > 0 && input.event.is_none());
                self.needed = self.arrived.len() - taken + input.needed;
                break;
            }
            taken += input.consumed;
            if let Some(event) = input.event {
                on_event(to, event);
            }
        }
        self.arrived.drain(..taken);
        Ok(())
    }

    /// What arrived and was not taken.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.arrived
    }

    /// Bytes carried since the last call.
    pub(crate) fn take_carried(&mut self) -> u64 {
        std::mem::take(&mut self.carried)
    }
}
