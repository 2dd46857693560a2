//! What has happened, as a number that is the same only if all of it was; and the last of it in
//! words, for who looks for the reason.

use std::collections::VecDeque;
use std::fmt;

/// Shown of a run that failed.
const SHOWN: usize = 400;

/// One thing that happened: to whom, and two numbers that say more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Note {
    pub(crate) what: &'static str,
    pub(crate) who: u64,
    pub(crate) first: u64,
    pub(crate) second: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    last: VecDeque<(u64, Note)>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
            last: VecDeque::new(),
        }
    }

    pub(crate) fn add(&mut self, at_ms: u64, note: Note) {
        let mut mix = |number: u64| {
            self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3);
            self.hash ^= self.hash >> 31;
        };
        note.what.bytes().for_each(|byte| mix(byte.into()));
        [at_ms, note.who, note.first, note.second]
            .into_iter()
            .for_each(mix);
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        self.last.push_back((at_ms, note));
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            at,
            Note {
                what,
                who,
                first,
                second,
            },
        ) in &self.last
        {
            writeln!(f, "{at:>8} ms  {who:>3} {what:<20} {first} {second}")?;
        }
        Ok(())
    }
}
