//! Names on the wire: jobs, channels, streams.

use core::fmt;
use core::str::FromStr;

use minicbor::bytes::ByteArray;

/// The name of a job: 128 bits the client chose. Its text is 26 characters of Crockford's base32
/// in lower case, and there is one text for each id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId([u8; 16]);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LENGTH: usize = 26;

impl JobId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        let mut text = [0; TEXT_LENGTH];
        for (place, letter) in text.iter_mut().rev().enumerate() {
            *letter = ALPHABET[(value >> (5 * place)) as usize & 31];
        }
        f.pad(core::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

impl FromStr for JobId {
    type Err = ParseJobIdError;

    fn from_str(text: &str) -> Result<Self, ParseJobIdError> {
        if text.len() != TEXT_LENGTH {
            return Err(ParseJobIdError);
        }
        let mut value = 0_u128;
        for letter in text.bytes() {
            let digit = ALPHABET.iter().position(|&known| known == letter);
            let digit = digit.ok_or(ParseJobIdError)?;
            // 26 letters have room for 130 bits; the two highest must be 0.
            if value >> 123 != 0 {
                return Err(ParseJobIdError);
            }
            value = (value << 5) | digit as u128;
        }
        Ok(Self(value.to_be_bytes()))
    }
}

impl From<ByteArray<16>> for JobId {
    fn from(bytes: ByteArray<16>) -> Self {
        Self(bytes.into())
    }
}

impl From<JobId> for ByteArray<16> {
    fn from(id: JobId) -> Self {
        id.0.into()
    }
}

/// The text is not the name of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job's id is 26 characters of 0-9 and a-z without i, l, o, u; the first is 0 to 7")]
pub struct ParseJobIdError;

/// The number of a conversation about one job, inside one connection. 0 is the connection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u32);

impl ChannelId {
    /// The connection itself.
    pub const CONNECTION: Self = Self(0);
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of a job's three streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Stream {
    /// What the job reads.
    Stdin = 0,
    /// What it writes.
    Stdout = 1,
    /// What it complains about.
    Stderr = 2,
}

impl Stream {
    /// All three, by index.
    pub const ALL: [Self; 3] = [Self::Stdin, Self::Stdout, Self::Stderr];

    /// Its number, as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl TryFrom<u8> for Stream {
    type Error = u8;

    fn try_from(number: u8) -> Result<Self, u8> {
        Self::ALL.get(usize::from(number)).copied().ok_or(number)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_job_id_has_one_text() {
        let id = JobId::from_bytes([0xff; 16]);
        assert_eq!(id.to_string(), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = index as u8 * 17;
        }
        for id in [id, JobId::from_bytes([0; 16]), JobId::from_bytes(bytes)] {
            assert_eq!(id.to_string().len(), 26);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_no_job_id() {
        for text in [
            "",
            "7zzzzzzzzzzzzzzzzzzzzzzzz",
            "7zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "7zzzzzzzzzzzzzzzzzzzzzzzzu",
            "7zzzzzzzzzzzzzzzzzzzzzzzé",
        ] {
            assert_eq!(text.parse::<JobId>(), Err(ParseJobIdError), "{text}");
        }
    }

    #[test]
    fn streams_are_0_to_2() {
        for stream in Stream::ALL {
            assert_eq!(Stream::try_from(stream as u8), Ok(stream));
        }
        assert_eq!(Stream::try_from(3), Err(3));
    }
}
