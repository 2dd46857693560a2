//! The one form of CBOR that is accepted (PROTOCOL.md section 2).
//!
//! minicbor is lenient where the protocol is not, so every payload is walked here first: without
//! recursion, without allocating, and with every claimed length held against what is there.

use crate::limits::NESTING_MAX;

/// Why a payload is not canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotCanonical(pub(crate) &'static str);

/// Checks that `bytes` are exactly one CBOR item: shortest integers, definite lengths, unsigned
/// keys in ascending order, no tags, floats or simple values but true and false, nested at most 8
/// deep.
pub(crate) fn check(bytes: &[u8]) -> Result<(), NotCanonical> {
    let mut rest = bytes;
    let mut nesting = Nesting::default();
    loop {
        match item(&mut rest, nesting.expects_key())? {
            Item::Leaf(value) => nesting.leaf(value)?,
            Item::Array(length) => nesting.enter(length, false, rest.len())?,
            Item::Map(length) => nesting.enter(length, true, rest.len())?,
        }
        if nesting.leave_full() {
            break;
        }
    }
    match rest {
        [] => Ok(()),
        _ => Err(NotCanonical("bytes follow the CBOR item")),
    }
}

enum Item {
    /// A whole item; its value where it is an unsigned integer.
    Leaf(u64),
    /// So many items follow.
    Array(u64),
    /// So many pairs follow.
    Map(u64),
}

/// Takes one item's head, and its bytes if it is a string, from `rest`.
fn item(rest: &mut &[u8], key: bool) -> Result<Item, NotCanonical> {
    let Some((&first, after)) = rest.split_first() else {
        return Err(NotCanonical("the CBOR item is cut"));
    };
    let major = first >> 5;
    if key && major != 0 {
        return Err(NotCanonical("a key is not an unsigned integer"));
    }
    if major == 7 {
        *rest = after;
        return match first & 31 {
            20 | 21 => Ok(Item::Leaf(0)),
            _ => Err(NotCanonical(
                "a float, or a simple value but true and false",
            )),
        };
    }
    *rest = after;
    let value = argument(first & 31, rest)?;
    match major {
        0 | 1 => Ok(Item::Leaf(value)),
        2 => string(rest, value).map(|_| Item::Leaf(0)),
        3 => match core::str::from_utf8(string(rest, value)?) {
            Ok(_) => Ok(Item::Leaf(0)),
            Err(_) => Err(NotCanonical("a text is not UTF-8")),
        },
        4 => Ok(Item::Array(value)),
        5 => Ok(Item::Map(value)),
        _ => Err(NotCanonical("a tag")),
    }
}

/// The number in an item's head, in its shortest form.
fn argument(additional: u8, rest: &mut &[u8]) -> Result<u64, NotCanonical> {
    let (width, least) = match additional {
        0..24 => return Ok(u64::from(additional)),
        24 => (1, 24),
        25 => (2, 1 << 8),
        26 => (4, 1 << 16),
        27 => (8, 1 << 32),
        31 => return Err(NotCanonical("an indefinite length")),
        _ => return Err(NotCanonical("a reserved CBOR head")),
    };
    let Some((bytes, after)) = rest.split_at_checked(width) else {
        return Err(NotCanonical("the CBOR item is cut"));
    };
    *rest = after;
    let value = bytes
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte));
    if value < least {
        return Err(NotCanonical("an integer is longer than needed"));
    }
    Ok(value)
}

fn string<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], NotCanonical> {
    let split = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let Some((string, after)) = split else {
        return Err(NotCanonical("a string is longer than the payload"));
    };
    *rest = after;
    Ok(string)
}

/// The arrays and maps that the walk is inside of.
#[derive(Default)]
struct Nesting {
    levels: [Level; NESTING_MAX],
    depth: usize,
}

#[derive(Default, Clone, Copy)]
struct Level {
    map: bool,
    /// Items, in a map keys and values, still to come.
    remaining: u64,
    /// In a map: the least key that may come.
    next_key: Option<u64>,
}

impl Nesting {
    fn innermost(&mut self) -> Option<&mut Level> {
        self.levels[..self.depth].last_mut()
    }

    fn expects_key(&mut self) -> bool {
        self.innermost()
            .is_some_and(|level| level.map && level.remaining % 2 == 0)
    }

    /// Counts an item without items inside it.
    fn leaf(&mut self, value: u64) -> Result<(), NotCanonical> {
        let key = self.expects_key();
        let Some(level) = self.innermost() else {
            return Ok(());
        };
        if key {
            if level.next_key.is_none_or(|least| value < least) {
                return Err(NotCanonical("keys are not in ascending order"));
            }
            level.next_key = value.checked_add(1);
        }
        level.remaining -= 1;
        Ok(())
    }

    /// Goes into an array or map. `left` bytes of payload bound what it can hold.
    fn enter(&mut self, length: u64, map: bool, left: usize) -> Result<(), NotCanonical> {
        if let Some(level) = self.innermost() {
            level.remaining -= 1;
        }
        let items = length.checked_mul(if map { 2 } else { 1 });
        let Some(items) = items.filter(|&items| items <= left as u64) else {
            return Err(NotCanonical("more items than the payload has bytes"));
        };
        let Some(level) = self.levels.get_mut(self.depth) else {
            return Err(NotCanonical("nested too deep"));
        };
        *level = Level {
            map,
            remaining: items,
            next_key: Some(0),
        };
        self.depth += 1;
        Ok(())
    }

    /// Leaves every array and map that is complete; true when the outermost item is.
    fn leave_full(&mut self) -> bool {
        while self.innermost().is_some_and(|level| level.remaining == 0) {
            self.depth -= 1;
        }
        self.depth == 0
    }
}

#[cfg(test)]
mod tests;
