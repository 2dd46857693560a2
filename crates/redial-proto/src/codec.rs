//! Messages to payloads and back.

mod check;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

pub(crate) use check::Check;

use crate::canonical;
use crate::error::{ErrorCode, Fault};
use crate::message::{Authenticate, ClientHello};

/// All that a server decodes before it knows who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PreAuth {
    Hello(ClientHello),
    Authenticate(Authenticate),
}

impl PreAuth {
    pub(crate) fn hello(payload: &[u8]) -> Result<Self, Fault> {
        decode(payload).map(Self::Hello)
    }

    pub(crate) fn authenticate(payload: &[u8]) -> Result<Self, Fault> {
        decode(payload).map(Self::Authenticate)
    }
}

/// The payload of a message, canonical by construction: minicbor writes shortest integers and
/// definite lengths, and the derives write keys in order.
pub(crate) fn encode<T: Encode<()>>(message: &T) -> Vec<u8> {
    minicbor::to_vec(message).expect("writing to a Vec cannot fail, nor do the derived encoders")
}

/// The message in a payload; canonical, of its shape, and in its limits.
pub(crate) fn decode<'b, T: Decode<'b, ()> + Check>(payload: &'b [u8]) -> Result<T, Fault> {
    canonical::check(payload).map_err(|error| Fault::new(ErrorCode::Encoding, error.0))?;
    let message: T = minicbor::decode(payload)
        .map_err(|error| Fault::new(ErrorCode::Encoding, format!("{error}")))?;
    message
        .check()
        .map_err(|reason| Fault::new(ErrorCode::Limit, reason))?;
    Ok(message)
}

/// Cuts a text to at most `limit` bytes, between characters.
pub(crate) fn cut(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

#[cfg(test)]
mod tests;
