//! A key inside a line of text: its kind, blanks, base64.

use alloc::vec::Vec;

use base64ct::{Base64, Encoding};

use crate::limits;
use crate::public_key::{KeyError, PublicKey};

/// A key as a line names it: well-formed so far that its kind and its blob agree.
pub(crate) struct NamedKey {
    blob: Vec<u8>,
}

impl NamedKey {
    pub(crate) fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The key itself, if it is of a kind that is taken.
    pub(crate) fn key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_blob(&self.blob)
    }
}

/// Reads kind and base64 at the beginning of `line`, and gives what follows the blanks after them
/// (the comment), as sshkey_read of OpenSSH does. None if no key stands there.
pub(crate) fn read(line: &[u8]) -> Option<(NamedKey, &[u8])> {
    let (kind, rest) = word(line);
    // sshd takes the names of RSA's signatures for RSA keys too.
    let kind: &[u8] = match kind {
        b"rsa-sha2-256" | b"rsa-sha2-512" => b"ssh-rsa",
        kind => kind,
    };
    let (text, comment) = word(rest);
    let blob = decode(text)?;
    (first_string(&blob)? == kind).then_some((NamedKey { blob }, comment))
}

/// The first word of a line, and what follows the blanks after it.
pub(crate) fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| is_blank(*byte));
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    (word, skip_blanks(rest))
}

/// What follows the blanks at the beginning.
pub(crate) fn skip_blanks(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !is_blank(*byte));
    &line[start.unwrap_or(line.len())..]
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The lines of a file with their numbers, from 1. What follows a NUL is not seen, as in C.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let numbered = text.split(|byte| *byte == b'\n').enumerate();
    numbered.map(|(index, line)| {
        let end = line.iter().position(|byte| *byte == 0);
        (index + 1, &line[..end.unwrap_or(line.len())])
    })
}

/// The string (RFC 4251 section 5) at the beginning of a blob.
pub(crate) fn first_string(blob: &[u8]) -> Option<&[u8]> {
    let (length, rest) = blob.split_first_chunk()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Base64 as sshd reads it: padded, white space (that of a file with CRLF) skipped.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > limits::LINE_BYTES {
        return None;
    }
    let dense: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != 0x0b)
        .collect();
    let text = core::str::from_utf8(&dense).ok()?;
    Base64::decode_vec(text).ok()
}
