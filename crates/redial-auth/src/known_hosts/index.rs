//! Where in a file of known hosts a host may stand.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::HostName;
use crate::key_text;

/// The lines of a text by the names in them. Which of them say something of a host, a look at each
/// decides as ever: here are only those that may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    by_name: BTreeMap<Vec<u8>, Vec<Slot>>,
    /// Those with patterns, hashes or markers, which may be about any host.
    others: Vec<Slot>,
}

/// A line: its number, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    number: usize,
    bytes: Range<usize>,
}

impl Index {
    /// Of this text.
    pub fn new(text: &[u8]) -> Self {
        let mut index = Index::default();
        for (number, line) in key_text::lines(text) {
            // It is a part of the text.
            let start = line.as_ptr() as usize - text.as_ptr() as usize;
            let slot = Slot {
                number,
                bytes: start..start + line.len(),
            };
            let (names, _) = key_text::word(key_text::skip_blanks(line));
            if names.is_empty() || names.starts_with(b"#") {
                continue;
            }
            if names.iter().any(|byte| b"*?!|@".contains(byte)) {
                index.others.push(slot);
                continue;
            }
            for name in names.split(|byte| *byte == b',') {
                let lines = index.by_name.entry(name.to_ascii_lowercase()).or_default();
                if lines.last() != Some(&slot) {
                    lines.push(slot.clone());
                }
            }
        }
        index
    }

    /// Those lines of the text that may be about a host, in their order.
    pub(super) fn lines<'t>(&self, host: &HostName, text: &'t [u8]) -> Vec<(usize, &'t [u8])> {
        let named = self.by_name.get(host.as_str().as_bytes());
        let mut slots: Vec<&Slot> = named.into_iter().flatten().chain(&self.others).collect();
        slots.sort_by_key(|slot| slot.number);
        let lines = slots.into_iter();
        lines
            .filter_map(|slot| Some((slot.number, text.get(slot.bytes.clone())?)))
            .collect()
    }
}
