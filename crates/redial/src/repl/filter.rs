//! Takes the state at the end of a line out of its stdout. What stands before it is
//! passed on as it comes; only what could be the beginning of a marker waits.

use redial_client::Bytes;

use super::script::Marker;

/// A state at most. Stops a line from filling our memory.
const STATE_MAX_BYTES: usize = 1 << 20;

/// See the module.
pub(crate) struct Filter {
    start: Vec<u8>,
    end: Vec<u8>,
    phase: Phase,
    /// Before the marker: bytes that may begin it. Behind it: the state.
    held: Vec<u8>,
    taken: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    Within,
    /// Within a state that is too long.
    Flood,
    After,
    /// After one that was too long.
    Lost,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The shell has not said it.
    Nothing,
    /// This.
    State(Vec<u8>),
    /// More than 1 MiB.
    TooLong,
}

impl Filter {
    pub(crate) fn new(marker: &Marker) -> Self {
        Filter {
            start: marker.start(),
            end: marker.end(),
            phase: Phase::Before,
            held: Vec::new(),
            taken: 0,
        }
    }

    /// More has come. What is to be passed on, and the offset up to which this is all.
    pub(crate) fn push(&mut self, bytes: Bytes) -> (Bytes, u64) {
        self.taken += bytes.len() as u64;
        let passed = match self.phase {
            Phase::Before => self.before(bytes),
            Phase::Within | Phase::Flood => self.within(&bytes),
            Phase::After | Phase::Lost => bytes,
        };
        let waits = match self.phase {
            Phase::Before => self.held.len() as u64,
            _ => 0,
        };
        (passed, self.taken - waits)
    }

    /// The stream has ended: what had waited to be passed on, and where that ends.
    pub(crate) fn rest(&mut self) -> (Bytes, u64) {
        let rest = match self.phase {
            Phase::Before => std::mem::take(&mut self.held),
            _ => Vec::new(),
        };
        (rest.into(), self.taken)
    }

    /// What was found in all of it.
    pub(crate) fn finish(self) -> Found {
        match self.phase {
            Phase::Before | Phase::Within => Found::Nothing,
            Phase::After => Found::State(self.held),
            Phase::Flood | Phase::Lost => Found::TooLong,
        }
    }

    fn before(&mut self, bytes: Bytes) -> Bytes {
        let bytes = if self.held.is_empty() {
            bytes
        } else {
            let mut joined = std::mem::take(&mut self.held);
            joined.extend_from_slice(&bytes);
            joined.into()
        };
        let Some((at, whole)) = find(&bytes, &self.start) else {
            return bytes;
        };
        if !whole {
            self.held = bytes[at..].to_vec();
            return bytes.slice(..at);
        }
        self.phase = Phase::Within;
        let behind = self.within(&bytes[at + self.start.len()..]);
        if behind.is_empty() {
            return bytes.slice(..at);
        }
        [&bytes[..at], &behind].concat().into()
    }

    fn within(&mut self, bytes: &[u8]) -> Bytes {
        let from = self.held.len().saturating_sub(self.end.len());
        self.held.extend_from_slice(bytes);
        if let Some((at, true)) = find(&self.held[from..], &self.end) {
            let behind = self.held.split_off(from + at + self.end.len());
            self.held.truncate(from + at);
            let fits = self.phase == Phase::Within && self.held.len() <= STATE_MAX_BYTES;
            self.phase = if fits { Phase::After } else { Phase::Lost };
            return behind.into();
        }
        if self.held.len() > STATE_MAX_BYTES + self.end.len() {
            self.phase = Phase::Flood;
        }
        if self.phase == Phase::Flood {
            self.held
                .drain(..self.held.len().saturating_sub(self.end.len()));
        }
        Bytes::new()
    }
}

/// Where `wanted` begins, and whether all of it is there or only what `bytes` end with.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<(usize, bool)> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(next) = bytes[from..].iter().position(|&byte| byte == first) {
        let at = from + next;
        let rest = &bytes[at..];
        if rest.starts_with(wanted) {
            return Some((at, true));
        }
        if wanted.starts_with(rest) {
            return Some((at, false));
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was passed on, and what was found, when the stream comes in these pieces.
    fn filtered(marker: &Marker, pieces: &[&[u8]]) -> (Vec<u8>, Found) {
        let mut filter = Filter::new(marker);
        let (mut passed, mut last) = (Vec::new(), 0);
        for piece in pieces {
            let (bytes, end) = filter.push(Bytes::copy_from_slice(piece));
            passed.extend_from_slice(&bytes);
            assert!(end >= last && end >= passed.len() as u64);
            last = end;
        }
        let (bytes, end) = filter.rest();
        assert_eq!(
            end,
            pieces.iter().map(|piece| piece.len() as u64).sum::<u64>()
        );
        passed.extend_from_slice(&bytes);
        (passed, filter.finish())
    }

    #[test]
    fn a_state_is_taken_out_wherever_the_line_cuts() {
        let marker = Marker::new().unwrap();
        let (start, end) = (marker.start(), marker.end());
        let stream = [b"out\x1e\x1e", &start[..], b"st\x1eate", &end, b"late"].concat();
        for one in 0..=stream.len() {
            for two in one..=stream.len() {
                let pieces = [&stream[..one], &stream[one..two], &stream[two..]];
                let (passed, found) = filtered(&marker, &pieces);
                assert_eq!(passed, b"out\x1e\x1elate", "{one} {two}");
                assert_eq!(found, Found::State(b"st\x1eate".to_vec()), "{one} {two}");
            }
        }
    }

    #[test]
    fn output_without_a_state_passes_unchanged_and_at_once() {
        let marker = Marker::new().unwrap();
        let begun = &marker.start()[..20];
        let stream = [b"a\x1eb", begun, b"c", begun].concat();
        for cut in 0..=stream.len() {
            let (one, two) = stream.split_at(cut);
            assert_eq!(
                filtered(&marker, &[one, two]),
                (stream.clone(), Found::Nothing)
            );
        }
        let mut filter = Filter::new(&marker);
        let (passed, end) = filter.push(Bytes::from_static(b"no marker here"));
        assert_eq!((&passed[..], end), (&b"no marker here"[..], 14));
    }

    #[test]
    fn a_state_at_the_limit_is_kept_and_one_past_it_is_not_and_fills_no_memory() {
        let marker = Marker::new().unwrap();
        for (length, kept) in [
            (STATE_MAX_BYTES, true),
            (STATE_MAX_BYTES + 1, false),
            (5 << 20, false),
        ] {
            let stream = [
                marker.start(),
                vec![b'x'; length],
                marker.end(),
                b"on".to_vec(),
            ]
            .concat();
            let mut filter = Filter::new(&marker);
            let mut passed = Vec::new();
            for piece in stream.chunks(60_000) {
                passed.extend_from_slice(&filter.push(Bytes::copy_from_slice(piece)).0);
                assert!(filter.held.len() <= STATE_MAX_BYTES + 60_100);
            }
            assert_eq!(passed, b"on", "{length}");
            let found = filter.finish();
            assert_eq!(matches!(found, Found::State(_)), kept, "{length}");
            assert_eq!(found == Found::TooLong, !kept, "{length}");
        }
    }

    #[test]
    fn a_shell_that_is_killed_while_it_says_its_state_has_none() {
        let marker = Marker::new().unwrap();
        let stream = [b"out", &marker.start()[..], b"/tm"].concat();
        assert_eq!(
            filtered(&marker, &[&stream]),
            (b"out".to_vec(), Found::Nothing)
        );
    }
}
