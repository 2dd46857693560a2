//! What is sent back, its length before it.

use std::io::Read;

use redial_frame::Framing;

use super::line::{Hearing, Line, PIECE};
use super::spool::Spool;
use super::{Framed, RemoteError, Wire};

/// Which of its outputs a command's reply is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// stdout, then stderr.
    Both,
    /// As the lesson's server: stderr if there is any, else stdout.
    Lesson,
}

/// A reply that waits to be sent.
#[derive(Debug)]
pub(crate) struct Reply {
    parts: Vec<Spool>,
}

impl Reply {
    /// A command's outputs.
    pub(crate) fn new(stdout: Spool, stderr: Spool, order: Order) -> Self {
        let parts = match order {
            Order::Both => vec![stdout, stderr],
            Order::Lesson if stderr.length() > 0 => vec![stderr],
            Order::Lesson => vec![stdout],
        };
        Self { parts }
    }

    /// In bytes, without a header.
    pub(crate) fn length(&self) -> u64 {
        self.parts.iter().map(Spool::length).sum()
    }

    /// Sends it, or words in its place if its header cannot say how long it is. The result is the
    /// reason for those.
    ///
    /// # Errors
    /// As [`Line::write_all`], without a limit of time: a client may page through a reply at its
    /// leisure.
    pub(crate) fn send(self, line: &Line<'_>, wire: &Wire) -> Result<Option<String>, RemoteError> {
        let length = self.length();
        if wire.framed == Framed::Neither {
            if length == 0 {
                // Nothing at all would leave the client waiting for ever.
                line.write_all(b"\n", Hearing::Deaf, None)?;
            }
        } else {
            match framing(wire).header(usize::try_from(length).unwrap_or(usize::MAX)) {
                Ok(header) => line.write_all(header.as_ref(), Hearing::Deaf, None)?,
                Err(error) => {
                    let reason = format!("the reply cannot be sent: {error}");
                    send_words(line, wire, &reason)?;
                    return Ok(Some(reason));
                }
            };
        }
        let mut buffer = vec![0; PIECE];
        for part in self.parts {
            let mut reader = part.into_reader()?;
            loop {
                match reader.read(&mut buffer)? {
                    0 => break,
                    count => line.write_all(&buffer[..count], Hearing::Deaf, None)?,
                };
            }
        }
        Ok(None)
    }
}

/// Sends our own words as a reply, as far as the header can say their length.
///
/// # Errors
/// As [`Reply::send`].
pub(crate) fn send_words(line: &Line<'_>, wire: &Wire, words: &str) -> Result<(), RemoteError> {
    let text = in_words(words);
    let mut bytes = Vec::new();
    if wire.framed == Framed::Neither {
        bytes.extend_from_slice(text.as_bytes());
    } else {
        let most = usize::try_from(wire.header.max_length()).unwrap_or(usize::MAX);
        framing(wire).encode(&text.as_bytes()[..text.len().min(most)], &mut bytes)?;
    }
    line.write_all(&bytes, Hearing::Deaf, None)?;
    Ok(())
}

/// What we say ourselves in a reply.
pub(crate) fn in_words(words: &str) -> String {
    format!("redial: {words}\n")
}

fn framing(wire: &Wire) -> Framing {
    Framing::new(wire.header).with_max_payload(usize::MAX)
}
