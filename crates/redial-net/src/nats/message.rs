//! What is said on a line and when one is made: the payloads of messages.

use bytes::{BufMut, Bytes, BytesMut};

/// The version of what is here.
pub(super) const VERSION: u8 = 1;
/// Before the bytes of a piece.
pub(super) const HEADER_BYTES: usize = 9;
/// Bytes of a line's name, in hexadecimal digits twice as many.
const LINE_BYTES: usize = 16;
/// A host key in ssh's encoding. RSA of 16,384 bits has 2 KiB.
pub(super) const KEY_BYTES: usize = 4_096;

/// One message on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes, and how many of this direction came before them.
    Data(u64, Bytes),
    /// So many bytes were taken by who reads.
    Taken(u64),
    /// So many bytes there were, and no more follow.
    End(u64),
    /// The line is over.
    Reset,
}

impl Piece {
    pub(super) fn encode(&self) -> Bytes {
        let (kind, number, bytes) = match self {
            Piece::Data(before, bytes) => (0, *before, &bytes[..]),
            Piece::Taken(bytes) => (1, *bytes, &[][..]),
            Piece::End(bytes) => (2, *bytes, &[][..]),
            Piece::Reset => (3, 0, &[][..]),
        };
        let mut message = BytesMut::with_capacity(HEADER_BYTES + bytes.len());
        message.put_u8(kind);
        message.put_u64(number);
        message.put_slice(bytes);
        message.freeze()
    }

    /// None for what nobody of this version says.
    pub(super) fn decode(mut message: Bytes) -> Option<Self> {
        if message.len() < HEADER_BYTES {
            return None;
        }
        let bytes = message.split_off(HEADER_BYTES);
        let (kind, number) = message.split_first()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        match (kind, bytes.is_empty()) {
            (0, false) => Some(Piece::Data(number, bytes)),
            (1, true) => Some(Piece::Taken(number)),
            (2, true) => Some(Piece::End(number)),
            (3, true) if number == 0 => Some(Piece::Reset),
            _ => None,
        }
    }
}

/// A client wants a line of this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) line: String,
}

impl Call {
    pub(super) fn new(random: [u8; LINE_BYTES]) -> Self {
        let line = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Call { line }
    }

    pub(super) fn encode(&self) -> Bytes {
        [&[VERSION], self.line.as_bytes()].concat().into()
    }

    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let line = message.strip_prefix(&[VERSION])?;
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let good = line.len() == 2 * LINE_BYTES && line.iter().all(is_digit);
        good.then(|| Call {
            line: line.iter().copied().map(char::from).collect(),
        })
    }
}

/// Names one run of a host's program.
pub(super) type Instance = [u8; 16];

/// What a host says to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The line is there. Which run of which program has answered, and the host's key, which TLS is
    /// to show.
    Here { instance: Instance, key: Bytes },
    /// It has too many lines, or its server does not take one.
    Busy,
}

impl Answer {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Answer::Here { instance, key } => {
                [&[VERSION, 0], &instance[..], &key[..]].concat().into()
            }
            Answer::Busy => Bytes::from_static(&[VERSION, 1]),
        }
    }

    pub(super) fn decode(message: &Bytes) -> Option<Self> {
        match &message[..] {
            [VERSION, 0, here @ ..] => {
                let (instance, key) = here.split_first_chunk()?;
                let good = !key.is_empty() && key.len() <= KEY_BYTES;
                good.then(|| Answer::Here {
                    instance: *instance,
                    key: message.slice_ref(key),
                })
            }
            [VERSION, 1] => Some(Answer::Busy),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_calls_and_answers_are_read_as_they_were_said() {
        for piece in [
            Piece::Data(u64::MAX, Bytes::from_static(b"bytes")),
            Piece::Taken(7),
            Piece::End(1 << 40),
            Piece::Reset,
        ] {
            assert_eq!(Piece::decode(piece.encode()), Some(piece));
        }
        let call = Call::new([0xa5; 16]);
        assert_eq!(call.line, "a5".repeat(16));
        assert_eq!(Call::decode(&call.encode()), Some(call));
        let here = Answer::Here {
            instance: [3; 16],
            key: Bytes::from_static(b"key"),
        };
        for answer in [here, Answer::Busy] {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
    }

    #[test]
    fn what_nobody_says_is_none_of_them() {
        let zeros = [0_u8; 9];
        for message in [
            &b""[..],
            &[0; 8],
            &zeros,
            &[1, 0, 0, 0, 0, 0, 0, 0, 1, 9],
            &[3, 0, 0, 0, 0, 0, 0, 0, 1],
            &[4, 0, 0, 0, 0, 0, 0, 0, 1],
        ] {
            assert_eq!(
                Piece::decode(Bytes::copy_from_slice(message)),
                None,
                "{message:?}"
            );
        }
        let digits = "a5".repeat(16);
        for message in [
            digits.as_bytes(),
            b"\x01a5",
            &[b"\x02", digits.as_bytes()].concat(),
            &[b"\x01", digits.to_uppercase().as_bytes()].concat(),
            b"\x01................................",
        ] {
            assert_eq!(Call::decode(message), None, "{message:?}");
        }
        for message in [&b""[..], b"\x01", b"\x01\x00", b"\x02\x01", b"\x01\x01x"] {
            assert_eq!(Answer::decode(&Bytes::copy_from_slice(message)), None);
        }
        for key in [0, KEY_BYTES + 1] {
            let message = [&[VERSION, 0][..], &[3; 16], &vec![7; key]].concat();
            assert_eq!(Answer::decode(&message.into()), None);
        }
    }
}
