//! Who may come in: a key, an address and a time against the text of authorized_keys.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use crate::authorized_keys::{self, KeyLine, LineError, Now};
use crate::limits;
use crate::public_key::PublicKey;

/// What authorized_keys says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may come in once it is proved, and do what this line says.
    Allowed(Box<KeyLine>),
    /// It may not.
    Refused(Refusal),
}

/// Why a key may not come in. For the server's log: strangers are told nothing of this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The file is longer than [`limits::FILE_BYTES`]; nothing of it counts.
    FileTooLong {
        /// Its length.
        bytes: usize,
    },
    /// No line lets it in. A reason for each line that has the key, up to [`limits::REASONS`]; none
    /// if no line has it.
    Lines(Vec<LineError>),
}

/// Decides as sshd does: the first line that has the key and lets it in counts; lines that have it
/// and do not are passed over. `source` is the address the connection comes from, if it has one.
pub fn decide(
    authorized_keys: &[u8],
    key: &PublicKey,
    source: Option<IpAddr>,
    now: Now,
) -> Decision {
    let bytes = authorized_keys.len();
    if bytes > limits::FILE_BYTES {
        return Decision::Refused(Refusal::FileTooLong { bytes });
    }
    let mut reasons = Vec::new();
    let named = authorized_keys::entries(authorized_keys).flatten();
    for entry in named.filter(|entry| entry.names(key)) {
        let checked = entry.complete().and_then(|line| {
            let number = line.number;
            match line.check(source, now) {
                Ok(()) => Ok(line),
                Err(problem) => Err(LineError { number, problem }),
            }
        });
        match checked {
            Ok(line) => return Decision::Allowed(Box::new(line)),
            Err(error) if reasons.len() < limits::REASONS => reasons.push(error),
            Err(_) => {}
        }
    }
    Decision::Refused(Refusal::Lines(reasons))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::FileTooLong { bytes } => {
                write!(
                    f,
                    "the file has {bytes} bytes, at most {} are read",
                    limits::FILE_BYTES
                )
            }
            Refusal::Lines(lines) if lines.is_empty() => f.write_str("no line has this key"),
            Refusal::Lines(lines) => {
                for (index, line) in lines.iter().enumerate() {
                    let comma = if index > 0 { "; " } else { "" };
                    write!(f, "{comma}{line}")?;
                }
                Ok(())
            }
        }
    }
}
