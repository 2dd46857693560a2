//! Sending a file: its length as a header, then its bytes, then the other side's answer.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use redial_frame::{Framing, Header, HeaderFormat};

use super::RemoteError;
use super::line::{Hearing, Line, PIECE, Sent};
use super::request::read_header;
use crate::connect::Stream;

/// The longest refusal that is taken, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;

/// Whether the receiver says what became of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As [`receive`](super::receive) answers: a reply behind the same kind of header, empty when
    /// the file is stored, else words.
    Wanted,
    /// It does not, so nobody knows whether the file arrived.
    None,
}

/// A file to be sent, and its length as it was when it was opened.
#[derive(Debug)]
pub struct Parcel<'p> {
    path: &'p Path,
    file: File,
    length: u64,
    format: HeaderFormat,
    header: Header,
}

impl<'p> Parcel<'p> {
    /// Opens the file.
    ///
    /// # Errors
    /// [`RemoteError::File`]; [`RemoteError::NotSendable`] for what is no regular file, or does
    /// not fit the header.
    pub fn open(path: &'p Path, format: HeaderFormat) -> Result<Self, RemoteError> {
        let shown = path.display();
        let failed = |error| file_error(path, error);
        // Asked before it is opened: opening a named pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(RemoteError::NotSendable(format!(
                "{shown} is no regular file, so its length is not known beforehand"
            )));
        }
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let header = Framing::new(format)
            .with_max_payload(usize::MAX)
            .header(usize::try_from(length).unwrap_or(usize::MAX));
        let too_long = |error| {
            RemoteError::NotSendable(format!("{shown}: {error}; both sides may use --header q"))
        };
        Ok(Self {
            path,
            file,
            length,
            format,
            header: header.map_err(too_long)?,
        })
    }

    /// Sends it; the result is its length in bytes.
    ///
    /// # Errors
    /// [`RemoteError::NotSendable`] if it has become shorter meanwhile; [`RemoteError::Refused`]
    /// with the receiver's words; [`RemoteError::NoAnswer`]; [`RemoteError::Silent`] when for
    /// `patience` nothing was taken or answered; others as they are called.
    pub fn send(
        mut self,
        stream: Stream,
        answer: Answer,
        patience: Duration,
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<u64, RemoteError> {
        let line = Line::new(stream, stop);
        let hearing = match answer {
            Answer::Wanted => Hearing::Listen,
            Answer::None => Hearing::Deaf,
        };
        let sent = self.write(|bytes| line.write_all(bytes, hearing, Some(patience)));
        let answer = match (answer, &sent) {
            (_, Err(RemoteError::NotSendable(_) | RemoteError::Stopped)) => None,
            (Answer::None, _) => None,
            // Also after a broken pipe: the receiver may have said why.
            (Answer::Wanted, _) => Some(read_answer(&line, self.format, patience)),
        };
        match (sent, answer) {
            (Ok(Sent::Whole), None) => {
                line.say_goodbye();
                Ok(self.length)
            }
            (Ok(Sent::Whole), Some(answered)) => answered?.map_or(Ok(self.length), refused),
            (_, Some(Ok(Some(words)))) => refused(words),
            (Ok(Sent::Answered), Some(Err(error))) => Err(error),
            (Ok(Sent::Answered), _) => refused("stored, before it had all".to_owned()),
            (Err(error), _) => Err(error),
        }
    }

    /// Writes header and bytes.
    fn write(
        &mut self,
        write: impl Fn(&[u8]) -> Result<Sent, RemoteError>,
    ) -> Result<Sent, RemoteError> {
        if write(self.header.as_ref())? == Sent::Answered {
            return Ok(Sent::Answered);
        }
        let (mut buffer, mut left) = (vec![0; PIECE], self.length);
        while left > 0 {
            let most = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = match self.file.read(&mut buffer[..most]) {
                Ok(0) => return Err(self.shorter(left)),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(file_error(self.path, error)),
            };
            if write(&buffer[..count])? == Sent::Answered {
                return Ok(Sent::Answered);
            }
            left -= count as u64;
        }
        Ok(Sent::Whole)
    }

    fn shorter(&self, missing: u64) -> RemoteError {
        let (path, length) = (self.path.display(), self.length);
        RemoteError::NotSendable(format!(
            "{path} has become shorter while it was sent; {missing} bytes of the {length} that \
             were announced are missing"
        ))
    }
}

fn refused(words: String) -> Result<u64, RemoteError> {
    Err(RemoteError::Refused(words))
}

/// `None`: it is stored; else why not.
fn read_answer(
    line: &Line<'_>,
    header: HeaderFormat,
    patience: Duration,
) -> Result<Option<String>, RemoteError> {
    let framing = Framing::new(header).with_max_payload(ANSWER_BYTES);
    let length = read_header(line, &framing, Some(patience))?.ok_or(RemoteError::NoAnswer)?;
    let mut words = vec![0; length];
    let got = line.read_full(&mut words, Some(patience))?;
    let words = String::from_utf8_lossy(&words[..got]);
    let words = words.trim_end().trim_start_matches("redial: ");
    Ok((length > 0).then(|| words.to_owned()))
}

pub(crate) fn file_error(path: &Path, error: io::Error) -> RemoteError {
    let what = path.display().to_string();
    RemoteError::File { what, error }
}
