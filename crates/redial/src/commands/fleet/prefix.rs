//! Lines as they come, the host before each.

use std::collections::HashMap;

use redial_client::Output;
use redial_fleet::{Idle, Receipt};

/// A line that is longer is shown in pieces. Less than half of the smallest window: what waits for the
/// rest of its line is not acknowledged.
const LINE_MAX_BYTES: usize = 16 * 1024;

/// What of each host and output still waits for the end of its line.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    begun: HashMap<(usize, Output), Vec<u8>>,
    /// Receipts for all of it.
    held: HashMap<(usize, Output), Receipt>,
    idle: Idle<(usize, Output)>,
}

impl Prefix {
    /// The lines that are whole with these bytes.
    pub(super) fn take(
        &mut self,
        host: usize,
        name: &str,
        stream: Output,
        bytes: &[u8],
    ) -> Vec<u8> {
        let mut lines = Vec::new();
        let mut begun = self.begun.remove(&(host, stream)).unwrap_or_default();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let is_whole = line.ends_with(b"\n");
            if is_whole || begun.len() + line.len() >= LINE_MAX_BYTES {
                add(&mut lines, name, &[&begun, line]);
                begun.clear();
            } else {
                begun.extend_from_slice(line);
            }
        }
        if !begun.is_empty() {
            self.begun.insert((host, stream), begun);
        }
        lines
    }

    /// How many bytes wait for the end of their line.
    fn waiting(&self, host: usize, stream: Output) -> usize {
        self.begun.get(&(host, stream)).map_or(0, Vec::len)
    }

    /// The part of a receipt that is for lines that are whole; the rest is held back.
    pub(super) fn hold(&mut self, host: usize, stream: Output, receipt: Receipt) -> Receipt {
        match self.waiting(host, stream) {
            0 => {
                self.idle.forget(&(host, stream));
                self.held.remove(&(host, stream));
                receipt
            }
            bytes => {
                self.idle.touch((host, stream));
                self.held.insert((host, stream), receipt.clone());
                receipt.but(bytes)
            }
        }
    }

    /// The receipts that were held back for a whole turn, from one call of this to the next: a part of
    /// a line that stays unacknowledged holds a server's memory, and may be what keeps it from
    /// sending the rest.
    pub(super) fn turn(&mut self) -> Vec<(Output, Receipt)> {
        let idle = self.idle.turn().into_iter();
        idle.filter_map(|place| Some((place.1, self.held.remove(&place)?)))
            .collect()
    }

    /// What is left of a host's: its last lines, which have no end.
    pub(super) fn finish(&mut self, host: usize, name: &str) -> Vec<(Output, Vec<u8>)> {
        let rest = Output::BOTH.into_iter().filter_map(|stream| {
            self.idle.forget(&(host, stream));
            self.held.remove(&(host, stream));
            let begun = self.begun.remove(&(host, stream))?;
            let mut lines = Vec::new();
            add(&mut lines, name, &[&begun]);
            Some((stream, lines))
        });
        rest.collect()
    }
}

fn add(lines: &mut Vec<u8>, name: &str, line: &[&[u8]]) {
    lines.extend_from_slice(name.as_bytes());
    lines.extend_from_slice(b": ");
    line.iter().for_each(|part| lines.extend_from_slice(part));
    if !lines.ends_with(b"\n") {
        lines.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: Output = Output::Stdout;

    #[test]
    fn lines_are_whole_however_they_come() {
        let mut prefix = Prefix::default();
        assert_eq!(prefix.take(0, "a", OUT, b"one\ntw"), b"a: one\n");
        assert_eq!((prefix.waiting(0, OUT), prefix.waiting(1, OUT)), (2, 0));
        assert_eq!(prefix.take(1, "b", OUT, b"x\n"), b"b: x\n");
        assert_eq!(prefix.take(0, "a", Output::Stderr, b"e\n"), b"a: e\n");
        assert_eq!(prefix.take(0, "a", OUT, b"o\n\nend"), b"a: two\na: \n");
        assert_eq!(prefix.finish(0, "a"), [(OUT, b"a: end\n".to_vec())]);
        assert_eq!(prefix.finish(0, "a"), []);
        assert_eq!(prefix.finish(1, "b"), []);
    }

    #[test]
    fn a_line_without_an_end_is_shown_in_pieces() {
        let mut prefix = Prefix::default();
        let long = vec![b'x'; LINE_MAX_BYTES - 1];
        assert_eq!(prefix.take(0, "a", OUT, &long), b"");
        let shown = prefix.take(0, "a", OUT, b"yz\n");
        assert_eq!(shown.len(), 3 + LINE_MAX_BYTES - 1 + 3);
        assert!(shown.ends_with(b"yz\n"));
        let shown = prefix.take(0, "a", OUT, &[long.clone(), long].concat());
        assert!(shown.len() > LINE_MAX_BYTES && shown.ends_with(b"x\n"));
    }
}
