//! The text of a command, as it arrives.

use redial_frame::{FrameError, Framing};

use super::line::{Got, Line, PIECE};
use super::{Framed, RemoteError, Wire};

/// The longest command in bytes: the longest single argument that execve(2) takes
/// (MAX_ARG_STRLEN), less its NUL. It also bounds the memory of a client that sends for ever.
pub const MAX_COMMAND_BYTES: usize = 128 * 1024 - 1;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A command, any bytes.
    Command(Vec<u8>),
    /// More than a command may have; all of it was taken.
    TooLong,
    /// What no person meant as a command, in words. The connection is to end.
    Foreign(String),
    /// The client sends no more.
    End,
}

/// Waits for the next request. It takes nothing that follows a framed one.
///
/// # Errors
/// As [`Line::read`]; [`RemoteError::Frame`] for a bad header and a request that is cut off.
pub(crate) fn read(line: &Line<'_>, wire: &Wire) -> Result<Request, RemoteError> {
    let request = match wire.framed {
        Framed::Both => framed(
            line,
            &Framing::new(wire.header).with_max_payload(usize::MAX),
        )?,
        Framed::Neither | Framed::Reply => until_quiet(line, wire)?,
    };
    Ok(match request {
        Request::Command(text) => match foreign(&text) {
            Some(what) => Request::Foreign(what.to_owned()),
            None => Request::Command(text),
        },
        other => other,
    })
}

/// Nothing says where it ends, so the line's silence has to.
fn until_quiet(line: &Line<'_>, wire: &Wire) -> Result<Request, RemoteError> {
    let (mut text, mut length) = (Vec::new(), 0);
    let mut buffer = vec![0; PIECE];
    loop {
        // A person may think for hours about the next command.
        let patience = (length > 0).then_some(wire.quiet);
        match line.read(&mut buffer, patience)? {
            Got::Bytes(count) => {
                length += count;
                let room = MAX_COMMAND_BYTES + 1 - text.len();
                text.extend_from_slice(&buffer[..count.min(room)]);
            }
            Got::End if length == 0 => return Ok(Request::End),
            Got::End | Got::Quiet => break,
        }
    }
    Ok(match length {
        0..=MAX_COMMAND_BYTES => Request::Command(text),
        _ => Request::TooLong,
    })
}

fn framed(line: &Line<'_>, framing: &Framing) -> Result<Request, RemoteError> {
    let Some(length) = read_header(line, framing, None)? else {
        return Ok(Request::End);
    };
    if length > MAX_COMMAND_BYTES {
        return Ok(Request::Foreign(format!(
            "a command of {length} bytes is announced, over {MAX_COMMAND_BYTES}: does the client \
             put the same header before its requests?"
        )));
    }
    let mut text = vec![0; length];
    match line.read_full(&mut text, None)? {
        got if got < length => Err(cut_off(length - got)),
        _ => Ok(Request::Command(text)),
    }
}

/// The length that a header announces, in bytes; `None` at the other side's end. However short
/// the single reads are, the header is whole.
///
/// # Errors
/// As [`Line::read_full`]; [`RemoteError::Frame`].
pub(crate) fn read_header(
    line: &Line<'_>,
    framing: &Framing,
    patience: Option<std::time::Duration>,
) -> Result<Option<usize>, RemoteError> {
    let mut header = [0; 8];
    let size = framing.format().size();
    let got = line.read_full(&mut header[..size], patience)?;
    match framing.payload_length(&header[..got])? {
        Some(length) => Ok(Some(length)),
        None if got == 0 => Ok(None),
        None => Err(FrameError::Truncated {
            part: redial_frame::Part::Header,
            missing: size - got,
        }
        .into()),
    }
}

pub(crate) fn cut_off(missing: usize) -> RemoteError {
    let part = redial_frame::Part::Payload;
    FrameError::Truncated { part, missing }.into()
}

/// Names what is no command. Any page in a browser on this machine may have it send a POST to a
/// loopback port, and behind the first line, which no shell knows, the page writes the rest. The
/// methods are those that a browser uses without asking first, and the one it asks with; a TLS
/// handshake and binary protocols (they have a NUL) can be made to carry a page's text too.
fn foreign(text: &[u8]) -> Option<&'static str> {
    const METHODS: [&[u8]; 4] = [b"GET /", b"HEAD /", b"POST /", b"OPTIONS "];
    if METHODS.iter().any(|method| text.starts_with(method)) {
        Some("this is an HTTP request, not a command")
    } else if text.starts_with(b"\x16\x03") {
        Some("this is a TLS handshake, not a command")
    } else if text.contains(&0) {
        Some(
            "a command has no NUL byte: does the client put a header before its requests? That is \
             `--framing both`",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_sends_is_no_command() {
        for text in [
            &b"POST / HTTP/1.1\r\nHost: x\r\n\r\ntouch /tmp/x\n"[..],
            b"GET /?\n",
            b"OPTIONS * HTTP/1.1",
            b"\x16\x03\x01\x02\x00",
            b"ls\0",
        ] {
            assert!(foreign(text).is_some(), "{}", text.escape_ascii());
        }
        for text in [&b"ls"[..], b"", b"GET http://example.org", b"\xff\x16\x03"] {
            assert_eq!(foreign(text), None);
        }
    }
}
