//! What waits to be written.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{cut, encode};
use crate::id::Stream;
use crate::kind::Kind;
use crate::limits::{HEADER_BYTES, TEXT_MAX_BYTES};
use crate::message::{Goodbye, GoodbyeCode};

/// Frames in full where each must be said, and for the rest only who has something to say.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    control: VecDeque<ControlFrame>,
    /// Bytes of the frames in `control`.
    waiting: usize,
    pub(super) ping: Option<[u8; 8]>,
    pub(super) pong: Option<[u8; 8]>,
    /// Channels that have notices.
    pub(super) noticed: VecDeque<u32>,
    /// Channels that have data, ends or an outcome to send, in turn.
    pub(super) sending: VecDeque<u32>,
    goodbye: Farewell,
}

/// A frame in full.
#[derive(Debug)]
pub(super) struct ControlFrame {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) stream: u8,
    pub(super) channel: u32,
    pub(super) payload: Vec<u8>,
}

#[derive(Debug, Default)]
enum Farewell {
    #[default]
    No,
    Due(Vec<u8>),
    Sent,
}

/// Queues that grew in a burst give their memory back above this many entries.
const KEPT_ENTRIES: usize = 32;

impl Outbox {
    pub(super) fn push(&mut self, kind: Kind, flags: u8, channel: u32, payload: Vec<u8>) {
        self.waiting += HEADER_BYTES + payload.len();
        self.control.push_back(ControlFrame {
            kind,
            flags,
            stream: 0,
            channel,
            payload,
        });
    }

    /// An acknowledgement that must go before a close.
    pub(super) fn push_acknowledge(&mut self, channel: u32, stream: Stream, up_to: u64) {
        self.push(Kind::Acknowledge, 0, channel, up_to.to_be_bytes().into());
        if let Some(frame) = self.control.back_mut() {
            frame.stream = stream as u8;
        }
    }

    pub(super) fn pop(&mut self) -> Option<ControlFrame> {
        let frame = self.control.pop_front()?;
        self.waiting -= HEADER_BYTES + frame.payload.len();
        give_back(&mut self.control);
        Some(frame)
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting
    }

    pub(super) fn say_goodbye(&mut self, code: GoodbyeCode, text: &str) {
        if matches!(self.goodbye, Farewell::No) {
            let text = cut(String::from(text), TEXT_MAX_BYTES);
            let code = code as u16;
            self.goodbye = Farewell::Due(encode(&Goodbye { code, text }));
        }
    }

    /// Takes the goodbye that is due: the last frame.
    pub(super) fn take_goodbye(&mut self) -> Option<Vec<u8>> {
        match core::mem::replace(&mut self.goodbye, Farewell::Sent) {
            Farewell::Due(payload) => Some(payload),
            other => {
                self.goodbye = other;
                None
            }
        }
    }

    pub(super) fn goodbye_is_due_or_sent(&self) -> bool {
        !matches!(self.goodbye, Farewell::No)
    }

    pub(super) fn goodbye_is_sent(&self) -> bool {
        matches!(self.goodbye, Farewell::Sent)
    }

    pub(super) fn drop_all_but_goodbye(&mut self) {
        let goodbye = core::mem::take(&mut self.goodbye);
        // Who hears goodbye without it takes it that nothing was looked at.
        let control = core::mem::take(&mut self.control).into_iter();
        let answers = control.filter(|frame| frame.kind == Kind::Authenticated);
        let control: VecDeque<_> = answers.collect();
        let each = control.iter().map(|it| HEADER_BYTES + it.payload.len());
        *self = Self {
            waiting: each.sum(),
            control,
            goodbye,
            ..Self::default()
        };
    }
}

/// Frees an empty queue that has room for many.
pub(super) fn give_back<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > KEPT_ENTRIES {
        *queue = VecDeque::new();
    }
}
