//! Where in a file of known hosts a host may stand.

use alloc::vec::Vec;
use core::ops::Range;

use super::HostName;
use crate::key_text;

/// The lines of a text by the names in them. Which of them say something of a host, a look at each
/// decides as ever: here are only those that may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    /// Each name's number ([`hash`]) and its line, in the order of those numbers. Two names that have
    /// the same one cost a look at a line that is about another host.
    by_name: Vec<(u64, Slot)>,
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
                index.by_name.push((hash(name), slot.clone()));
            }
        }
        index.by_name.sort_unstable_by_key(|(name, _)| *name);
        index
    }

    /// Those lines of the text that may be about a host, in their order.
    pub(super) fn lines<'t>(&self, host: &HostName, text: &'t [u8]) -> Vec<(usize, &'t [u8])> {
        let name = hash(host.as_str().as_bytes());
        let from = self.by_name.partition_point(|(other, _)| *other < name);
        let named = self.by_name[from..].iter();
        let named = named.take_while(|(other, _)| *other == name);
        let mut slots: Vec<&Slot> = named.map(|(_, slot)| slot).chain(&self.others).collect();
        slots.sort_by_key(|slot| slot.number);
        slots.dedup_by_key(|slot| slot.number);
        let lines = slots.into_iter();
        lines
            .filter_map(|slot| Some((slot.number, text.get(slot.bytes.clone())?)))
            .collect()
    }
}

/// Of a name, whose small letters and capitals are the same (FNV-1a).
fn hash(name: &[u8]) -> u64 {
    let basis = 0xcbf2_9ce4_8422_2325_u64;
    name.iter().fold(basis, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    })
}
