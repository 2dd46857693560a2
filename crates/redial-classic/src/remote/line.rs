//! A connected socket that never blocks for longer than wanted, and hears the shutdown.

use std::io;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::RemoteError;
use crate::connect::Stream;

/// What is written or read at once, in bytes.
pub(crate) const PIECE: usize = 64 * 1024;

/// A connection, and what tells it to stop.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    stream: Stream,
    stop: Option<BorrowedFd<'a>>,
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Got {
    /// So many bytes, at least one.
    Bytes(usize),
    /// The other side sends no more.
    End,
    /// Nothing came in the time given.
    Quiet,
}

/// How far a write went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it.
    Whole,
    /// The other side answered before it had all, or hung up.
    Answered,
}

/// Whether a write gives way to what the other side says meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// It does.
    Listen,
    /// What comes is for later.
    Deaf,
}

impl<'a> Line<'a> {
    /// `stop` becomes readable, or hangs up, when all is to end.
    pub(crate) fn new(stream: Stream, stop: Option<BorrowedFd<'a>>) -> Self {
        Self { stream, stop }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(crate) fn stop(&self) -> Option<BorrowedFd<'a>> {
        self.stop
    }

    /// Reads what is there, or waits for it: for ever, or for so long.
    ///
    /// # Errors
    /// [`RemoteError::Io`], [`RemoteError::Stopped`].
    pub(crate) fn read(
        &self,
        buffer: &mut [u8],
        patience: Option<Duration>,
    ) -> Result<Got, RemoteError> {
        let until = patience.and_then(deadline_in);
        loop {
            match self.stream.read_now(buffer) {
                Ok(0) => return Ok(Got::End),
                Ok(count) => return Ok(Got::Bytes(count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.wait(PollFlags::IN, until)? {
                        return Ok(Got::Quiet);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Fills the buffer. The result is how much came before the other side's end, so less than
    /// the buffer's length only there.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`RemoteError::Silent`] when for so long not a byte came.
    pub(crate) fn read_full(
        &self,
        buffer: &mut [u8],
        patience: Option<Duration>,
    ) -> Result<usize, RemoteError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..], patience)? {
                Got::Bytes(count) => filled += count,
                Got::End => break,
                Got::Quiet => return Err(silent(patience)),
            }
        }
        Ok(filled)
    }

    /// Writes all.
    ///
    /// # Errors
    /// [`RemoteError::Io`], [`RemoteError::Stopped`]; [`RemoteError::Silent`] when for so long not
    /// a byte was taken.
    pub(crate) fn write_all(
        &self,
        mut bytes: &[u8],
        hearing: Hearing,
        patience: Option<Duration>,
    ) -> Result<Sent, RemoteError> {
        let wanted = match hearing {
            Hearing::Listen => PollFlags::OUT | PollFlags::IN,
            Hearing::Deaf => PollFlags::OUT,
        };
        while !bytes.is_empty() {
            if hearing == Hearing::Listen && self.wait(PollFlags::IN, Some(Instant::now()))? {
                return Ok(Sent::Answered);
            }
            match self.stream.write_now(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.wait(wanted, patience.and_then(deadline_in))? {
                        return Err(silent(patience));
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Sent::Whole)
    }

    /// Says that no more will be sent, and takes what is still coming for a moment: closing a
    /// socket with unread bytes resets the connection, and the last words would be lost.
    pub(crate) fn say_goodbye(&self) {
        const MOMENT: Duration = Duration::from_secs(1);
        const MOST_BYTES: usize = 64 * 1024 * 1024;
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let (mut buffer, mut taken) = (vec![0; PIECE], 0);
        while taken < MOST_BYTES {
            match self.read(&mut buffer, Some(MOMENT)) {
                Ok(Got::Bytes(count)) => taken += count,
                _ => return,
            }
        }
    }

    /// Whether what is wanted came, before the time.
    fn wait(&self, wanted: PollFlags, until: Option<Instant>) -> Result<bool, RemoteError> {
        loop {
            let mut fds = vec![PollFd::new(&self.stream, wanted)];
            fds.extend(
                self.stop
                    .map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN)),
            );
            let ready = poll_until(&mut fds, until)?;
            if fds.get(1).is_some_and(|stop| !stop.revents().is_empty()) {
                return Err(RemoteError::Stopped);
            }
            if !fds[0].revents().is_empty() {
                return Ok(true);
            }
            if !ready {
                return Ok(false);
            }
        }
    }
}

/// poll(2) up to a time; whether anything happened. An interruption happened too.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], until: Option<Instant>) -> io::Result<bool> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let left = left.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    });
    match poll(fds, left.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// `None`, never, for a time beyond the clock's end.
pub(crate) fn deadline_in(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

fn silent(patience: Option<Duration>) -> RemoteError {
    RemoteError::Silent(patience.unwrap_or_default())
}
