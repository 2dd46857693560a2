//! As much DER (X.690) as a public key needs: definite lengths below 64 KiB, shortest form.

/// `INTEGER`.
pub(super) const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub(super) const BIT_STRING: u8 = 0x03;
/// `SEQUENCE`.
pub(super) const SEQUENCE: u8 = 0x30;

/// Takes one element with this tag from the front of `bytes`; its content.
pub(super) fn take<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let rest = bytes.strip_prefix(&[tag])?;
    let (len, rest) = match *rest {
        [len @ 0..=0x7f, ref rest @ ..] => (usize::from(len), rest),
        [0x81, len @ 0x80..=0xff, ref rest @ ..] => (usize::from(len), rest),
        [0x82, high @ 1..=0xff, low, ref rest @ ..] => {
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some(content)
}

/// An element of these parts, one after the other.
///
/// # Panics
///
/// When they are 64 KiB or more; keys are checked to be smaller.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len = u16::try_from(parts.iter().map(|part| part.len()).sum::<usize>())
        .expect("a key's parts were checked to be small");
    let [high, low] = len.to_be_bytes();
    let mut out = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}
