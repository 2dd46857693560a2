//! The client: one command after the other, each reply to its end.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use redial_frame::Framing;

use super::line::{Got, Hearing, Line, PIECE};
use super::request::{cut_off, read_header};
use super::{Framed, RemoteError, Wire};
use crate::connect::Stream;

/// A connection to a server.
#[derive(Debug)]
pub struct Client<'a> {
    line: Line<'a>,
    wire: Wire,
    patience: Duration,
    max_reply: usize,
}

/// How the end of a reply was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its header said how long it is.
    Known,
    /// The line was quiet: perhaps not the end, without a header nobody knows.
    Quiet,
    /// The server hung up behind it.
    HungUp,
}

impl<'a> Client<'a> {
    /// Speaks `wire` on `stream`; gives up when nothing comes, or is taken, for `patience`.
    /// Replies are at most `max_reply` bytes, for what a header may claim.
    #[must_use]
    pub fn new(
        stream: Stream,
        wire: Wire,
        patience: Duration,
        max_reply: u64,
        stop: Option<BorrowedFd<'a>>,
    ) -> Self {
        Self {
            line: Line::new(stream, stop),
            wire,
            patience,
            max_reply: usize::try_from(max_reply).unwrap_or(usize::MAX),
        }
    }

    /// Sends a command and gives its reply to `sink`, piece by piece as it comes. Only as much of
    /// it is held as one read gave. After an error, or an ending of [`Ending::HungUp`], the
    /// connection is of no more use.
    ///
    /// # Errors
    /// [`RemoteError::Silent`], [`RemoteError::NoAnswer`], [`RemoteError::Frame`] (also a reply
    /// that was cut off or is over the limit), [`RemoteError::Sink`], [`RemoteError::Io`],
    /// [`RemoteError::Stopped`].
    pub fn call(
        &mut self,
        command: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Ending, RemoteError> {
        let mut request = Vec::with_capacity(8 + command.len());
        match self.wire.framed {
            Framed::Both => Framing::new(self.wire.header)
                .with_max_payload(usize::MAX)
                .encode(command, &mut request)?,
            // In one write, so that it is quiet only behind it.
            Framed::Neither | Framed::Reply => request.extend_from_slice(command),
        }
        self.line
            .write_all(&request, Hearing::Deaf, Some(self.patience))?;
        let mut buffer = vec![0; PIECE];
        match self.wire.framed {
            Framed::Neither => self.until_quiet(&mut buffer, sink),
            Framed::Reply | Framed::Both => self.framed(&mut buffer, sink),
        }
    }

    fn framed(
        &self,
        buffer: &mut [u8],
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Ending, RemoteError> {
        let framing = Framing::new(self.wire.header).with_max_payload(self.max_reply);
        let patience = Some(self.patience);
        let header = read_header(&self.line, &framing, patience)?;
        let mut left = header.ok_or(RemoteError::NoAnswer)?;
        while left > 0 {
            let most = left.min(buffer.len());
            match self.line.read(&mut buffer[..most], patience)? {
                Got::Bytes(count) => {
                    sink(&buffer[..count]).map_err(RemoteError::Sink)?;
                    left -= count;
                }
                Got::End => return Err(cut_off(left)),
                Got::Quiet => return Err(RemoteError::Silent(self.patience)),
            }
        }
        Ok(Ending::Known)
    }

    fn until_quiet(
        &self,
        buffer: &mut [u8],
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Ending, RemoteError> {
        let (mut taken, mut patience) = (0_usize, self.patience);
        loop {
            match self.line.read(buffer, Some(patience))? {
                Got::Bytes(count) => {
                    taken = taken.saturating_add(count);
                    if taken > self.max_reply {
                        return Err(redial_frame::FrameError::OverLimit {
                            length: taken as u64,
                            limit: self.max_reply,
                        }
                        .into());
                    }
                    sink(&buffer[..count]).map_err(RemoteError::Sink)?;
                    // The command may take its time before the first byte; then it is all there.
                    patience = self.wire.quiet;
                }
                Got::End if taken == 0 => return Err(RemoteError::NoAnswer),
                Got::End => return Ok(Ending::HungUp),
                Got::Quiet if taken == 0 => return Err(RemoteError::Silent(patience)),
                Got::Quiet => return Ok(Ending::Quiet),
            }
        }
    }
}
