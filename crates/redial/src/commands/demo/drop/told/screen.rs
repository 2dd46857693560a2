//! A terminal: what has happened, and below it a bar that is drawn again and again.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

use super::Event;
use crate::commands::demo::boxes::{Paint, grouped};
use crate::commands::demo::drop::line::Made;
use crate::commands::demo::drop::words::Words;
use crate::stdio::Stdout;

/// Between two drawings of the bar: a terminal far away need not see each byte.
const REDRAW: Duration = Duration::from_millis(100);
const LONGEST_BAR: usize = 36;
/// Where the terminal does not say.
const COLUMNS: usize = 80;
/// To the line's beginning, and nothing is left on it (ECMA-48, CR and EL).
const ERASE: &str = "\r\x1b[K";

/// What stands on the last line.
#[derive(Debug, PartialEq, Eq)]
enum Last {
    Nothing,
    Bar,
    /// What has brought the line down; how it ends is not known yet.
    Down,
}

/// The terminal that is our stdout.
#[derive(Debug)]
pub(in super::super) struct Screen {
    words: &'static Words,
    paint: Paint,
    last: Last,
    drawn: Option<Instant>,
}

impl Screen {
    pub(super) fn new(words: &'static Words, paint: Paint) -> Self {
        Screen {
            words,
            paint,
            last: Last::Nothing,
            drawn: None,
        }
    }

    pub(super) fn tell(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Start { size, .. } => {
                self.show(&((self.words.opening)(*size) + "\n\n"), Last::Nothing)?;
                self.bar(0, *size)
            }
            Event::Arrived { bytes, size } => {
                let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW);
                if due || bytes == size {
                    self.bar(*bytes, *size)?;
                }
                Ok(())
            }
            Event::Down { made, number, at } => {
                let line = self.words.down(*number, *made, *at);
                let line = match made {
                    Made::Cut => self.coloured(YELLOW, &line),
                    Made::Kill(_) => self.coloured(RED, &line),
                };
                let again = match self.last {
                    Last::Down => format!("{}\n", self.words.again),
                    Last::Bar => ERASE.to_owned(),
                    Last::Nothing => String::new(),
                };
                self.show(&(again + &line), Last::Down)
            }
            Event::Back { pause, next } => {
                // A line that dropped by itself was not announced.
                if self.last != Last::Down {
                    return Ok(());
                }
                let back = self.words.back(*pause, *next) + "\n";
                // Soon, so that the bar is not missed.
                self.drawn = None;
                self.show(&back, Last::Nothing)
            }
            Event::Verdict(verdict) => {
                let table = self.words.table(verdict, self.paint);
                let behind = if self.last == Last::Nothing { "" } else { "\n" };
                self.show(&format!("{behind}\n{table}\n"), Last::Nothing)
            }
        }
    }

    pub(super) fn leave(&mut self) -> io::Result<()> {
        match self.last {
            Last::Nothing => Ok(()),
            Last::Bar | Last::Down => self.show("\n", Last::Nothing),
        }
    }

    fn show(&mut self, text: &str, last: Last) -> io::Result<()> {
        self.last = last;
        Stdout.write_all(text.as_bytes())
    }

    /// While the line is down, nothing arrives, and there is no room for it.
    fn bar(&mut self, bytes: u64, size: u64) -> io::Result<()> {
        if self.last == Last::Down {
            return Ok(());
        }
        self.drawn = Some(Instant::now());
        let columns = tcgetwinsize(rustix::stdio::stdout());
        let columns = columns.map_or(0, |size| usize::from(size.ws_col));
        let columns = if columns == 0 { COLUMNS } else { columns };
        let percent = bytes * 100 / size.max(1);
        let numbers = [bytes, size].map(grouped);
        let [bytes_shown, size_shown] = &numbers;
        let figures = format!(
            "{percent:>3} %  {bytes_shown:>width$} / {size_shown}",
            width = size_shown.len()
        );
        // The last column stays free: a line that is full may wrap.
        let room = columns.saturating_sub(figures.len() + 5).min(LONGEST_BAR);
        let full = usize::try_from(u64::try_from(room).unwrap_or(0) * bytes / size.max(1));
        let full = full.unwrap_or(room).min(room);
        let mut line = ERASE.to_owned();
        if room > 0 {
            let (done, left) = ("━".repeat(full), "─".repeat(room - full));
            let (done, left) = (self.coloured(GREEN, &done), self.coloured(DIM, &left));
            let _ = write!(line, "  {done}{left}  ");
        }
        if figures.len() + 5 <= columns {
            line += &figures;
        }
        self.show(&line, Last::Bar)
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        match self.paint {
            Paint::Plain => text.to_owned(),
            Paint::Colour => format!("\x1b[{colour}m{text}\x1b[0m"),
        }
    }
}

/// Colours (ECMA-48, SGR).
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const DIM: &str = "2";
