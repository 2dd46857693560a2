//! What is to be said about one channel and only matters in its latest form: said when there is
//! room, in bounded memory however often it changes.

use alloc::vec::Vec;

use super::receiver::Receiver;
use crate::codec::encode;
use crate::id::Stream;
use crate::kind::Kind;
use crate::message::{Applied, Exit, Exited, Holder, Missed};

/// One flag for each thing to be said, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Flag {
    Holder,
    MissedStdout,
    MissedStderr,
    StdinClosed,
    Applied,
    Exited,
    /// Of stdin; those of stdout and stderr follow.
    Credit,
    /// Of stdin; those of stdout and stderr follow.
    Acknowledge = Flag::Credit as u8 + 3,
}

/// What is to be said about a channel.
#[derive(Debug, Default)]
pub(super) struct Notices {
    flags: u16,
    holder: bool,
    applied: u64,
    exit: Option<Exit>,
    /// By stream: what was missed since it was last said.
    missed: [(u64, u64); 3],
}

/// One thing to say.
#[derive(Debug)]
pub(super) enum Notice {
    Empty(Kind),
    Message(Kind, Vec<u8>),
    Offset(Kind, Stream, u64),
}

impl Notices {
    pub(super) fn is_empty(&self) -> bool {
        self.flags == 0
    }

    pub(super) fn clear(&mut self) {
        self.flags = 0;
    }

    pub(super) fn holder(&mut self, holder: bool) {
        self.holder = holder;
        self.set(Flag::Holder, 0);
    }

    pub(super) fn applied(&mut self, number: u64) {
        if number > self.applied {
            self.applied = number;
            self.set(Flag::Applied, 0);
        }
    }

    /// The controls up to this number need not be said to be applied.
    pub(super) fn applied_is_known(&mut self, number: u64) {
        self.applied = number;
    }

    pub(super) fn exited(&mut self, exit: Exit) {
        if self.exit.is_none() {
            self.exit = Some(exit);
            self.set(Flag::Exited, 0);
        }
    }

    pub(super) fn stdin_closed(&mut self) {
        self.set(Flag::StdinClosed, 0);
    }

    pub(super) fn missed(&mut self, stream: Stream, from: u64, to: u64) {
        let missed = &mut self.missed[stream.index()];
        let flag = match stream {
            Stream::Stderr => Flag::MissedStderr,
            Stream::Stdin | Stream::Stdout => Flag::MissedStdout,
        };
        if self.flags & 1 << flag as u8 != 0 {
            missed.1 = to;
        } else {
            *missed = (from, to);
        }
        self.set(flag, 0);
    }

    pub(super) fn credit(&mut self, stream: Stream) {
        self.set(Flag::Credit, stream.index());
    }

    pub(super) fn acknowledge(&mut self, stream: Stream) {
        self.set(Flag::Acknowledge, stream.index());
    }

    /// Takes the next thing to say.
    pub(super) fn take(&mut self, receiver: &Receiver) -> Option<Notice> {
        const HOLDER: u32 = Flag::Holder as u32;
        const MISSED_STDOUT: u32 = Flag::MissedStdout as u32;
        const MISSED_STDERR: u32 = Flag::MissedStderr as u32;
        const STDIN_CLOSED: u32 = Flag::StdinClosed as u32;
        const APPLIED: u32 = Flag::Applied as u32;
        const EXITED: u32 = Flag::Exited as u32;
        const CREDIT: u32 = Flag::Credit as u32;
        const ACKNOWLEDGE: u32 = Flag::Acknowledge as u32;

        if self.flags == 0 {
            return None;
        }
        let flag = self.flags.trailing_zeros();
        self.flags &= self.flags - 1;
        Some(match flag {
            HOLDER => message(
                Kind::Holder,
                &Holder {
                    holder: self.holder,
                },
            ),
            MISSED_STDOUT => self.take_missed(Stream::Stdout),
            MISSED_STDERR => self.take_missed(Stream::Stderr),
            STDIN_CLOSED => Notice::Empty(Kind::StdinClosed),
            APPLIED => message(
                Kind::Applied,
                &Applied {
                    number: self.applied,
                },
            ),
            EXITED => message(Kind::Exited, &Exited { exit: self.exit? }),
            CREDIT..ACKNOWLEDGE => {
                let stream = Stream::ALL[(flag - CREDIT) as usize];
                Notice::Offset(Kind::Credit, stream, receiver.granted(stream))
            }
            _ => {
                let stream = *Stream::ALL.get((flag - ACKNOWLEDGE) as usize)?;
                Notice::Offset(Kind::Acknowledge, stream, receiver.acknowledged(stream))
            }
        })
    }

    /// Takes what is to be acknowledged, before the channel is closed.
    pub(super) fn take_acknowledged(&mut self) -> impl Iterator<Item = Stream> + use<> {
        let flags = core::mem::take(&mut self.flags) >> Flag::Acknowledge as u8;
        Stream::ALL
            .into_iter()
            .filter(move |stream| flags & 1 << stream.index() != 0)
    }

    fn take_missed(&mut self, stream: Stream) -> Notice {
        let (from, to) = self.missed[stream.index()];
        let stream = stream as u8;
        message(Kind::Missed, &Missed { stream, from, to })
    }

    fn set(&mut self, flag: Flag, index: usize) {
        self.flags |= 1 << (flag as usize + index);
    }
}

fn message<T: minicbor::Encode<()>>(kind: Kind, message: &T) -> Notice {
    Notice::Message(kind, encode(message))
}
