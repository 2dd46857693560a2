//! Bytes as they come, cut between characters: JSON has text only.

/// The most bytes of a character that its last one completes.
const MAX_HELD: usize = 3;

/// Holds back the beginning of a character until the rest is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    held: Vec<u8>,
}

impl Text {
    /// As it was saved.
    pub(crate) fn holding(mut held: Vec<u8>) -> Self {
        held.truncate(MAX_HELD);
        Self { held }
    }

    /// What it holds back.
    pub(crate) fn held(&self) -> &[u8] {
        &self.held
    }

    /// These follow. What can be said of all so far: no character that is in it is cut.
    pub(crate) fn push(&mut self, bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let mut whole = std::mem::take(&mut self.held);
        whole.extend(bytes);
        self.held = whole.split_off(whole.len() - unfinished(&whole));
        whole
    }

    /// Nothing follows.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// How many bytes at the end begin a character that they do not complete (RFC 3629, section 3).
fn unfinished(bytes: &[u8]) -> usize {
    let last = &bytes[bytes.len().saturating_sub(MAX_HELD)..];
    for (behind, byte) in last.iter().rev().enumerate() {
        let len = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => return 0,
        };
        let there = behind + 1;
        return if there < len { there } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(bytes: &[u8], size: usize) -> String {
        let mut text = Text::default();
        let pieces = bytes.chunks(size).map(|piece| text.push(piece.to_vec()));
        let mut all: Vec<String> = pieces
            .map(|piece| String::from_utf8_lossy(&piece).into_owned())
            .collect();
        all.push(String::from_utf8_lossy(&text.rest()).into_owned());
        all.concat()
    }

    #[test]
    fn no_character_is_cut_however_its_bytes_come() {
        let text = "aé電話🙂\u{10ffff}z";
        for size in 1..=text.len() {
            assert_eq!(in_pieces(text.as_bytes(), size), text, "{size}");
        }
    }

    #[test]
    fn what_is_no_text_is_marked_and_holds_nothing_up() {
        for bytes in [
            &b"a\xff\xfeb"[..],
            b"\x80\x80\x80\x80",
            b"x\xc3",
            b"\xf0\x9f\x99",
            b"\xc0\xaf",
        ] {
            for size in 1..=bytes.len() {
                let shown = in_pieces(bytes, size);
                assert!(shown.contains('\u{fffd}'), "{bytes:?} {size}: {shown:?}");
            }
        }
        assert_eq!(Text::holding(vec![0xe9; 9]).held().len(), MAX_HELD);
    }
}
