//! One entry of a file in vectors/.

use std::fmt;

use redial_proto::Side;

use super::hex;

pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) from: Side,
    /// The receiver's state, by its name in the table of states; empty in a conversation.
    pub(crate) state: &'static str,
    pub(crate) hex: Vec<u8>,
    pub(crate) meaning: String,
    pub(crate) error: Option<&'static str>,
}

impl Entry {
    /// `what` is the name, the receiver's state, and the error if there is one.
    pub(crate) fn new(from: Side, what: &'static str, hex: Vec<u8>, meaning: &str) -> Self {
        let mut words = what.split(' ');
        Self {
            name: words.next().expect("a name"),
            from,
            state: words.next().unwrap_or_default(),
            hex,
            meaning: meaning.into(),
            error: words.next(),
        }
    }
}

/// Said by a client.
pub(crate) fn client(what: &'static str, hex: Vec<u8>, meaning: &str) -> Entry {
    Entry::new(Side::Client, what, hex, meaning)
}

/// Said by a server.
pub(crate) fn server(what: &'static str, hex: Vec<u8>, meaning: &str) -> Entry {
    Entry::new(Side::Server, what, hex, meaning)
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "name: {}", self.name)?;
        let from = match self.from {
            Side::Client => "client",
            Side::Server => "server",
        };
        writeln!(f, "from: {from}")?;
        if !self.state.is_empty() {
            writeln!(f, "state: {}", self.state)?;
        }
        if let Some(error) = self.error {
            writeln!(f, "error: {error}")?;
        }
        writeln!(f, "hex: {}", hex(&self.hex))?;
        writeln!(f, "meaning: {}", self.meaning)
    }
}
