//! Sending a file: its length as a header, then its bytes, then the other side's answer.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use redial_frame::{Framing, HeaderFormat};

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

/// Sends the file; the result is its length in bytes.
///
/// # Errors
/// [`RemoteError::NotSendable`] for what is no regular file, does not fit the header, or changes
/// under our hands; [`RemoteError::Refused`] with the receiver's words; [`RemoteError::NoAnswer`];
/// [`RemoteError::Silent`] when for `patience` nothing was taken or answered; others as they are
/// called.
pub fn put(
    stream: Stream,
    path: &Path,
    header: HeaderFormat,
    answer: Answer,
    patience: Duration,
    stop: Option<BorrowedFd<'_>>,
) -> Result<u64, RemoteError> {
    let (mut file, length, header_bytes) = open(path, header)?;
    let line = Line::new(stream, stop);
    let hearing = match answer {
        Answer::Wanted => Hearing::Listen,
        Answer::None => Hearing::Deaf,
    };
    let sent = send(
        &line,
        &header_bytes,
        &mut file,
        length,
        hearing,
        patience,
        path,
    );
    let answer = match (answer, &sent) {
        (_, Err(RemoteError::NotSendable(_) | RemoteError::Stopped)) => None,
        (Answer::None, _) => None,
        // Also after a broken pipe: the receiver may have said why.
        (Answer::Wanted, _) => Some(read_answer(&line, header, patience)),
    };
    match (sent, answer) {
        (Ok(Sent::Whole), None) => {
            line.say_goodbye();
            Ok(length)
        }
        (Ok(Sent::Whole), Some(answered)) => answered?.map_or(Ok(length), refused),
        (_, Some(Ok(Some(words)))) => refused(words),
        (Ok(Sent::Answered), Some(Err(error))) => Err(error),
        (Ok(Sent::Answered), _) => refused("stored, before it had all".to_owned()),
        (Err(error), _) => Err(error),
    }
}

fn refused(words: String) -> Result<u64, RemoteError> {
    Err(RemoteError::Refused(words))
}

/// The file, its length, and the header that says it.
fn open(path: &Path, header: HeaderFormat) -> Result<(File, u64, Vec<u8>), RemoteError> {
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
    let bytes = Framing::new(header)
        .with_max_payload(usize::MAX)
        .header(usize::try_from(length).unwrap_or(usize::MAX))
        .map_err(|error| {
            RemoteError::NotSendable(format!("{shown}: {error}; both sides may use --header q"))
        })?;
    Ok((file, length, bytes.as_ref().to_vec()))
}

fn send(
    line: &Line<'_>,
    header: &[u8],
    file: &mut File,
    length: u64,
    hearing: Hearing,
    patience: Duration,
    path: &Path,
) -> Result<Sent, RemoteError> {
    let write = |bytes: &[u8]| line.write_all(bytes, hearing, Some(patience));
    if write(header)? == Sent::Answered {
        return Ok(Sent::Answered);
    }
    let (mut buffer, mut left) = (vec![0; PIECE], length);
    while left > 0 {
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = match file.read(&mut buffer[..most]) {
            Ok(0) => {
                return Err(RemoteError::NotSendable(format!(
                    "{} has become shorter while it was sent; {left} bytes of the {length} that \
                     were announced are missing",
                    path.display()
                )));
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(file_error(path, error)),
        };
        if write(&buffer[..count])? == Sent::Answered {
            return Ok(Sent::Answered);
        }
        left -= count as u64;
    }
    Ok(Sent::Whole)
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
