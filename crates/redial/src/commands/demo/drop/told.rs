//! What happens, and the forms in which it is told.

mod json;
mod screen;

use std::io;
use std::time::Duration;

use super::line::Made;
use super::tally::Verdict;
use super::words::Words;
use crate::commands::demo::boxes::Paint;
use crate::stdio::print_line;
use screen::Screen;

/// What happens.
#[derive(Debug)]
pub(super) enum Event<'a> {
    /// It begins.
    Start {
        /// Decides all that follows.
        seed: u64,
        /// The job's output.
        size: u64,
        /// The job's exit status.
        status: u8,
    },
    /// Bytes have arrived.
    Arrived {
        /// How many so far.
        bytes: u64,
        /// Of so many.
        size: u64,
    },
    /// The line is down.
    Down {
        /// What was done.
        made: Made,
        /// For which time.
        number: u32,
        /// Bytes that had arrived.
        at: u64,
    },
    /// The output goes on.
    Back {
        /// After so long.
        pause: Duration,
        /// At this byte.
        next: u64,
    },
    /// It is over.
    Verdict(&'a Verdict),
}

/// How it is told.
#[derive(Debug)]
pub(super) enum Teller {
    /// To programs.
    Json,
    /// To people, a line at a time.
    Lines(Lines),
    /// To people at a terminal, with a bar.
    Screen(Screen),
}

impl Teller {
    /// One for people; with a bar if it can be drawn.
    pub(super) fn for_people(words: &'static Words, paint: Paint, bar: bool) -> Self {
        if bar {
            return Teller::Screen(Screen::new(words, paint));
        }
        Teller::Lines(Lines {
            words,
            down: Vec::new(),
        })
    }

    /// Tells it.
    ///
    /// # Errors
    /// As a write to our stdout.
    pub(super) fn tell(&mut self, event: &Event<'_>) -> io::Result<()> {
        match self {
            Teller::Json => match json::line(event)? {
                Some(line) => print_line(line),
                None => Ok(()),
            },
            Teller::Lines(lines) => lines.tell(event),
            Teller::Screen(screen) => screen.tell(event),
        }
    }

    /// Whatever comes next begins on a line of its own.
    ///
    /// # Errors
    /// As a write to our stdout.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        match self {
            Teller::Screen(screen) => screen.leave(),
            Teller::Json | Teller::Lines(_) => Ok(()),
        }
    }
}

/// A line per event, once it is complete.
#[derive(Debug)]
pub(super) struct Lines {
    words: &'static Words,
    /// What has brought the line down, while it is.
    down: Vec<String>,
}

impl Lines {
    fn tell(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Start { size, .. } => print_line((self.words.opening)(*size) + "\n"),
            Event::Arrived { .. } => Ok(()),
            Event::Down { made, number, at } => {
                self.down.push(self.words.down(*number, *made, *at));
                Ok(())
            }
            Event::Back { pause, next } => {
                let mut down = self.down.drain(..).peekable();
                while let Some(line) = down.next() {
                    let behind = match down.peek() {
                        Some(_) => self.words.again.to_owned(),
                        None => self.words.back(*pause, *next),
                    };
                    print_line(format_args!("{line}{behind}"))?;
                }
                Ok(())
            }
            Event::Verdict(verdict) => print_line(format_args!(
                "\n{}",
                self.words.table(verdict, Paint::Plain)
            )),
        }
    }
}
