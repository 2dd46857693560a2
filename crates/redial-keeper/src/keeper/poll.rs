//! epoll, and what its events mean.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};

/// Events taken at once; the rest waits for the next turn.
const MAX_EVENTS: usize = 256;

/// Names a job for as long as the keeper lives; never used again.
pub(super) type Serial = u64;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Shutdown,
    Timer,
    Children,
    Workers,
    Front,
    FrontProcess,
    Listener(u64),
    Caller(u64),
    Hangup,
    Exit(Serial),
    Stdin(Serial),
    Stdout(Serial),
    Stderr(Serial),
}

impl Token {
    /// The kind in the low four bits, the number above: 2^60 jobs are enough.
    fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::Shutdown => (0, 0),
            Self::Timer => (1, 0),
            Self::Children => (2, 0),
            Self::Workers => (3, 0),
            Self::Front => (4, 0),
            Self::FrontProcess => (5, 0),
            Self::Listener(number) => (6, number),
            Self::Exit(serial) => (7, serial),
            Self::Stdin(serial) => (8, serial),
            Self::Stdout(serial) => (9, serial),
            Self::Stderr(serial) => (10, serial),
            Self::Caller(number) => (11, number),
            Self::Hangup => (12, 0),
        };
        number << 4 | kind
    }

    fn decode(data: u64) -> Option<Self> {
        let number = data >> 4;
        Some(match data & 0xF {
            0 => Self::Shutdown,
            1 => Self::Timer,
            2 => Self::Children,
            3 => Self::Workers,
            4 => Self::Front,
            5 => Self::FrontProcess,
            6 => Self::Listener(number),
            7 => Self::Exit(number),
            8 => Self::Stdin(number),
            9 => Self::Stdout(number),
            10 => Self::Stderr(number),
            11 => Self::Caller(number),
            12 => Self::Hangup,
            _ => return None,
        })
    }
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    /// Only that the other end is gone, which epoll always reports.
    Hangup,
    Read,
    Write,
    ReadWrite,
}

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Hangup => EventFlags::empty(),
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
            Self::ReadWrite => EventFlags::IN | EventFlags::OUT,
        }
    }
}

/// Level-triggered: what is not taken now is reported again.
pub(super) struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    /// From now on `fd` is watched, until it is closed or removed.
    pub(super) fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        let data = EventData::new_u64(token.encode());
        Ok(epoll::add(&self.epoll, fd, data, interest.flags())?)
    }

    pub(super) fn change(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        let data = EventData::new_u64(token.encode());
        Ok(epoll::modify(&self.epoll, fd, data, interest.flags())?)
    }

    pub(super) fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// What has happened, into `tokens`; waits until something has, or for `limit`.
    pub(super) fn wait(&self, tokens: &mut Vec<Token>, limit: Option<Duration>) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(MAX_EVENTS);
        let mut limit = limit.map(|limit| Timespec {
            tv_sec: limit.as_secs().cast_signed(),
            tv_nsec: limit.subsec_nanos().into(),
        });
        if let Some(precise) = limit.filter(|limit| limit.tv_nsec % 1_000_000 != 0) {
            // epoll_wait(2) counts whole milliseconds, and epoll_pwait2(2) is younger than
            // the oldest kernels this runs on.
            let mut epoll = [PollFd::new(&self.epoll, PollFlags::IN)];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut epoll, Some(&precise)))?;
            limit = Some(Timespec::default());
        }
        let limit = limit.as_ref();
        rustix::io::retry_on_intr(|| epoll::wait(&self.epoll, spare_capacity(&mut events), limit))?;
        tokens.clear();
        tokens.extend(
            events
                .iter()
                .filter_map(|event| Token::decode({ event.data }.u64())),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_it_was() {
        let tokens = [
            Token::Shutdown,
            Token::Timer,
            Token::Children,
            Token::Workers,
            Token::Front,
            Token::FrontProcess,
            Token::Listener(3),
            Token::Caller(4),
            Token::Exit(1 << 59),
            Token::Stdin(0),
            Token::Stdout(77),
            Token::Stderr(u64::MAX >> 4),
        ];
        for token in tokens {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
        assert_eq!(Token::decode(0xF), None);
    }

    #[test]
    fn a_pipe_that_is_only_watched_for_its_end_is_silent_until_then() {
        let poll = Poll::new().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let (other_reader, other_writer) = std::io::pipe().unwrap();
        poll.add(&writer, Token::Stdin(1), Interest::Hangup)
            .unwrap();
        poll.add(&other_reader, Token::Stdout(2), Interest::Read)
            .unwrap();
        let mut tokens = Vec::new();
        rustix::io::write(&other_writer, b"x").unwrap();
        poll.wait(&mut tokens, None).unwrap();
        assert_eq!(tokens, [Token::Stdout(2)]);
        poll.remove(&other_reader).unwrap();
        poll.wait(&mut tokens, Some(Duration::ZERO)).unwrap();
        assert_eq!(tokens, []);
        drop(reader);
        poll.wait(&mut tokens, None).unwrap();
        assert_eq!(tokens, [Token::Stdin(1)]);
    }
}
