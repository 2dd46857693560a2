//! What is said in each language.

mod chinese;
mod english;

use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::line::Made;
use super::tally::{Exit, Verdict};
use crate::args::Language;
use crate::commands::demo::boxes::{self, Paint};

/// One language.
#[derive(Debug)]
pub(super) struct Words {
    /// What is said first, of an output of so many bytes.
    pub(super) opening: fn(u64) -> String,
    /// The line was cut, for the nth time.
    cut: fn(u32) -> String,
    /// The front was killed.
    killed: &'static str,
    /// Where: so many bytes had arrived, right-aligned.
    at: fn(&str) -> String,
    /// How long it took, right-aligned, and the byte at which it goes on.
    back: fn(&str, &str) -> String,
    /// It was brought down once more before anything arrived.
    pub(super) again: &'static str,
    /// Above the two columns of the table.
    columns: [&'static str; 2],
    /// The rows of the table.
    rows: [&'static str; 9],
    /// Where no number of an exit status stands.
    other: &'static str,
    /// The last line, where all is as it should be.
    holds: &'static str,
    /// The last line, where it is not.
    fails: &'static str,
}

/// The words of a language.
pub(super) fn of(language: Language) -> &'static Words {
    match language {
        Language::En => &english::WORDS,
        Language::Zh => &chinese::WORDS,
    }
}

/// The widest number of bytes below 1 GB.
const NUMBER: usize = 11;
/// Of a pause below 1 s, in milliseconds.
const PAUSE: usize = 3;

impl Words {
    /// The first half of a line.
    pub(super) fn down(&self, number: u32, made: Made, at: u64) -> String {
        let label = match made {
            Made::Cut => (self.cut)(number),
            Made::Kill(_) => self.killed.to_owned(),
        };
        let labels = [(self.cut)(10), self.killed.to_owned()];
        let widest = labels.iter().map(|label| label.width()).max();
        let at = (self.at)(&right(&boxes::grouped(at), NUMBER));
        format!("  {} {at} … ", left(&label, widest.unwrap_or_default()))
    }

    /// The second half.
    pub(super) fn back(&self, pause: Duration, next: u64) -> String {
        let pause = boxes::grouped(millis(pause));
        (self.back)(&right(&pause, PAUSE), &boxes::grouped(next))
    }

    /// The verdict.
    pub(super) fn table(&self, verdict: &Verdict, paint: Paint) -> String {
        let (should, is) = (&verdict.should, &verdict.is);
        let count = |should: u64, is: u64| [boxes::grouped(should), boxes::grouped(is)];
        let exits = [&should.exit, &is.exit].map(|exit| match exit {
            Exit::Status(status) => status.to_string(),
            Exit::Other(_) => self.other.to_owned(),
        });
        let checksums = [&should.checksum, &is.checksum].map(|sum| hex(&sum[..4]));
        let pause = format!("{} ms", boxes::grouped(millis(verdict.longest_pause)));
        let cells = [
            count(should.bytes, is.bytes),
            count(should.missing, is.missing),
            count(should.doubled, is.doubled),
            count(should.wrong, is.wrong),
            count(should.cuts.into(), is.cuts.into()),
            count(should.kills.into(), is.kills.into()),
            exits,
            checksums,
            [String::new(), pause],
        ];
        let mut text = self.row("", &self.columns.map(str::to_owned)) + "\n";
        for (label, cells) in self.rows.iter().zip(&cells) {
            let row = self.row(label, cells);
            let differs = !cells[0].is_empty() && cells[0] != cells[1];
            text += &painted(&row, if differs { "1;31" } else { "" }, paint);
            text.push('\n');
        }
        // What no number can show.
        if let Exit::Other(how) = &is.exit {
            let _ = writeln!(text, "  {how}");
        }
        let (last, colour) = match verdict.holds() {
            true => (self.holds.to_owned(), "32"),
            false => (format!("{} (--seed {})", self.fails, verdict.seed), "1;31"),
        };
        text + "\n  " + &painted(&last, colour, paint)
    }

    fn row(&self, label: &str, cells: &[String; 2]) -> String {
        let widest = self.rows.iter().map(|label| label.width()).max();
        let mut row = format!("  {}", left(label, widest.unwrap_or_default()));
        for cell in cells {
            row += &right(cell, NUMBER + 3);
        }
        row
    }
}

fn painted(text: &str, colour: &str, paint: Paint) -> String {
    match (paint, colour) {
        (Paint::Plain, _) | (_, "") => text.to_owned(),
        (Paint::Colour, colour) => format!("\x1b[{colour}m{text}\x1b[0m"),
    }
}

/// As wide as that, or wider.
fn left(text: &str, columns: usize) -> String {
    text.to_owned() + &" ".repeat(columns.saturating_sub(text.width()))
}

fn right(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(text.width())) + text
}

/// Whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use redial_client::{Cause, Digest, Outcome, Status};

    use super::super::content::Content;
    use super::super::tally::Tally;
    use super::*;

    const SIZE: u64 = 999_999_999;

    /// What is said of a job of which nothing came, and that ended so.
    fn verdict(status: Status) -> Verdict {
        let digest = Digest {
            bytes: SIZE,
            checksum: [0xab; 16],
            complete: true,
        };
        Tally::new(Content { seed: 12_345 }, SIZE).verdict(&Outcome {
            status,
            cause: Cause::Itself,
            stdin: digest,
            stdout: digest,
            stderr: digest,
            holders: Vec::new(),
            lingering: 0,
            exact: true,
            duration: Duration::ZERO,
            cpu: Duration::ZERO,
        })
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        for language in [Language::En, Language::Zh] {
            let words = of(language);
            let pause = Duration::from_millis(999);
            let halves = [Made::Cut, Made::Kill(1)].map(|made| words.down(10, made, SIZE));
            let lines = halves.map(|half| {
                assert!(half.width() + words.again.width() <= 80, "{half}");
                half + &words.back(pause, SIZE)
            });
            let table = words.table(&verdict(Status::Exited(1)), Paint::Plain);
            let text = [(words.opening)(SIZE), lines.join("\n"), table].join("\n");
            assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_said_and_how_to_see_it_again() {
        let killed = verdict(Status::Signaled {
            signal: 9,
            core: false,
        });
        assert!(!killed.holds());
        let table = of(Language::En).table(&killed, Paint::Colour);
        for said in [
            "\x1b[1;31m  bytes           999,999,999             0\x1b[0m\n",
            "\x1b[1;31m  lines cut                10             0\x1b[0m\n",
            "  bytes doubled             0             0\n",
            "another\x1b[0m\n",
            "  ended by signal 9\n",
            "please report it (--seed 12345)",
        ] {
            assert!(table.contains(said), "{said:?} is not in {table:?}");
        }
        assert!(!table.contains("Nothing was lost"));
    }
}
