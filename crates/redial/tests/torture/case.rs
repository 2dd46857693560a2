//! One job's streams, each a function of its seed, and what must hold of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::client::Seen;
use crate::support::{Random, noise};
use crate::tally::{Count, Tally};

/// Bytes of a stream at most.
const MOST: u64 = 2 << 20;
/// A job that takes a while writes pieces of so many bytes.
const PIECE_BYTES: u64 = 32 * 1024;

const NAMES: [&str; 2] = ["stdout", "stderr"];

pub(crate) struct Case {
    /// Its directory, in which nothing else runs.
    pub(crate) dir: PathBuf,
    pub(crate) input: Vec<u8>,
    pub(crate) outputs: [Vec<u8>; 2],
    /// Below 100: none of redial's own.
    pub(crate) status: i32,
    /// What it is there for, in reports.
    pub(crate) what: String,
    slowly: bool,
}

impl Case {
    pub(crate) fn new(dir: &Path, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let dir = dir.join(seed.to_string());
        fs::create_dir(&dir).unwrap();
        let mut stream = || {
            let len = random.below(MOST) >> random.below(12);
            noise(random.next(), usize::try_from(len).unwrap())
        };
        let (input, outputs) = (stream(), [stream(), stream()]);
        fs::write(dir.join("out"), &outputs[0]).unwrap();
        fs::write(dir.join("err"), &outputs[1]).unwrap();
        Case {
            dir,
            input,
            outputs,
            status: i32::try_from(random.below(100)).unwrap(),
            what: String::new(),
            slowly: false,
        }
    }

    /// In pieces, with a while between them.
    pub(crate) fn slowly(mut self) -> Self {
        self.slowly = true;
        self
    }

    /// All three streams at once, then `last`; the first thing is a line for having run.
    pub(crate) fn command(&self, last: &str) -> String {
        let (out, err) = (self.writes(0, "out"), self.writes(1, "err"));
        // Which job, too: its name is how it is found when its client is gone.
        let mark = "echo $REDIAL_JOB >> ran";
        format!("{mark}; {{ {out}; }} & {{ {err}; }} >&2 & cat > in; wait; {last}")
    }

    /// [`Case::command`] that exits with its status.
    pub(crate) fn exits(&self) -> String {
        self.command(&format!("exit {}", self.status))
    }

    fn writes(&self, which: usize, file: &str) -> String {
        if !self.slowly {
            return format!("cat {file}");
        }
        let pieces = (self.outputs[which].len() as u64).div_ceil(PIECE_BYTES);
        format!(
            "i=0; while [ $i -lt {pieces} ]; do dd if={file} bs={PIECE_BYTES} count=1 skip=$i \
             status=none; i=$((i+1)); sleep 0.01; done"
        )
    }

    /// A line is whole when it is there: it is written at once.
    pub(crate) fn has_begun(&self) -> bool {
        !self.runs().is_empty()
    }

    /// The name of the job, once it has begun.
    pub(crate) fn job(&self) -> String {
        self.runs().lines().next().unwrap_or_default().to_owned()
    }

    fn runs(&self) -> String {
        fs::read_to_string(self.dir.join("ran")).unwrap_or_default()
    }

    /// What the command has read.
    pub(crate) fn taken(&self) -> Vec<u8> {
        fs::read(self.dir.join("in")).unwrap_or_default()
    }

    pub(crate) fn named(&self, what: &str) -> String {
        let seed = self.dir.file_name().unwrap_or_default().display();
        format!("job {seed}, {}: {what}", self.what)
    }

    /// A client that ended with 125 before anything ran is counted, and is no job.
    pub(crate) fn ran(&self, seen: &Seen, tally: &Tally) -> bool {
        let ran = !(seen.is_nothing() && self.runs().is_empty());
        if !ran {
            tally.reason(Count::Unreached, &seen.said());
        }
        ran
    }

    pub(crate) fn ran_once(&self, tally: &Tally) {
        let runs = self.runs();
        if runs.lines().count() != 1 {
            tally.wrong(Count::Twice, self.named(&format!("it ran as {runs:?}")));
        }
    }

    /// How it ended, as a client says it.
    pub(crate) fn ended(&self, seen: &Seen, tally: &Tally) {
        if seen.code == self.status {
            return;
        }
        let err = &seen.outputs[1];
        let said = String::from_utf8_lossy(&err[err.len().saturating_sub(300)..]);
        let count = match seen.code {
            125 => Count::Unknown,
            _ => Count::Status,
        };
        let what = format!("exit {} for {}; {said:?}", seen.code, self.status);
        tally.wrong(count, self.named(&what));
    }

    /// All of one output.
    pub(crate) fn is_all(&self, which: usize, got: &[u8], tally: &Tally) {
        self.compare(NAMES[which], got, &self.outputs[which], tally);
    }

    /// All of stdin.
    pub(crate) fn took_all(&self, tally: &Tally) {
        self.compare("stdin", &self.taken(), &self.input, tally);
    }

    /// What a client had that was killed, and what could be had afterwards.
    pub(crate) fn covers(&self, which: usize, first: &[u8], rest: &[u8], tally: &Tally) {
        let expected = &self.outputs[which];
        let from = expected.len().saturating_sub(rest.len());
        self.compare(NAMES[which], rest, &expected[from..], tally);
        self.begins(which, first, tally);
        if first.len() < from {
            let what = format!("{}: {} bytes, then from {from}", NAMES[which], first.len());
            tally.wrong(Count::Lost, self.named(&what));
        }
    }

    /// What a client had that was killed.
    pub(crate) fn begins(&self, which: usize, first: &[u8], tally: &Tally) {
        let expected = &self.outputs[which];
        let most = first.len().min(expected.len());
        self.compare(NAMES[which], first, &expected[..most], tally);
    }

    /// stdin of two clients: some of what the first had, then all of the second's; none of that
    /// if the first had got as far as its end.
    pub(crate) fn took_some_and(&self, tail: &[u8], tally: &Tally) {
        let taken = self.taken();
        if taken == self.input {
            return tally.add(Count::Bytes, taken.len() as u64);
        }
        let some = taken.len().saturating_sub(tail.len());
        let expected = [&self.input[..some.min(self.input.len())], tail].concat();
        self.compare("stdin", &taken, &expected, tally);
    }

    fn compare(&self, name: &str, got: &[u8], expected: &[u8], tally: &Tally) {
        tally.add(Count::Bytes, got.len() as u64);
        if got == expected {
            return;
        }
        let same = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
        let count = match same == got.len() {
            true => Count::Lost,
            false => Count::Doubled,
        };
        let (got, expected) = (got.len(), expected.len());
        let what = format!("{name}: {got} bytes for {expected}, others from {same}");
        tally.wrong(count, self.named(&what));
    }

    /// It is over, and nothing of it is looked at again.
    pub(crate) fn remove(self) {
        fs::remove_dir_all(&self.dir).unwrap();
    }
}
