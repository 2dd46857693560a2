//! Our own words on stderr: one line each, with everything foreign in them made harmless.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use rustix::event::PollFlags;

use crate::sinks::wait_or_fail;

/// What went wrong.
pub(crate) fn error(text: impl fmt::Display) {
    line(format_args!("redial: {}", Harmless(text)));
}

/// What should be known besides.
pub(crate) fn note(text: impl fmt::Display) {
    line(format_args!("redial: note: {}", Harmless(text)));
}

/// What is wrong with the command line: several lines, which may quote it.
pub(crate) fn usage(text: &str) {
    let lines = text.lines().map(|line| format!("{}\n", Harmless(line)));
    write_all(&lines.collect::<String>());
}

/// A table of our own making: several lines, whose foreign parts are [`Harmless`] already.
pub(crate) fn table(text: &str) {
    write_all(text);
}

/// What goes on for a while, on a terminal; its end follows on the same line.
pub(crate) fn status(text: impl fmt::Display) {
    let text = format!("redial: {}", Harmless(text));
    let waits = STATUS.swap(true, Ordering::Relaxed);
    let before = if waits || RAW.load(Ordering::Relaxed) {
        "\n"
    } else {
        ""
    };
    write_all(&format!("{before}{text}"));
}

/// The end of what goes on.
pub(crate) fn end_status(text: impl fmt::Display) {
    let before = if STATUS.swap(false, Ordering::Relaxed) {
        ""
    } else {
        "redial: "
    };
    write_all(&format!("{before}{}\n", Harmless(text)));
}

/// Our terminal is raw from now on, or no more: a line does not end at its beginning there, and
/// what we say may come in the middle of one.
pub(crate) fn on_raw_terminal(is_raw: bool) {
    RAW.store(is_raw, Ordering::Relaxed);
}

static RAW: AtomicBool = AtomicBool::new(false);

/// A line of [`status`] waits for its end: what comes between begins on a line of its own.
static STATUS: AtomicBool = AtomicBool::new(false);

fn line(text: fmt::Arguments<'_>) {
    let waits = STATUS.swap(false, Ordering::Relaxed);
    let before = if waits || RAW.load(Ordering::Relaxed) {
        "\n"
    } else {
        ""
    };
    write_all(&format!("{before}{text}\n"));
}

/// How to write beside what is drawn on the terminal.
type Aside = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static ASIDE: RwLock<Option<Aside>> = RwLock::new(None);

/// Something is drawn on the terminal from now on, and put aside for whatever is written; or no more.
pub(crate) fn set_aside(aside: Option<Aside>) {
    *ASIDE.write().unwrap_or_else(PoisonError::into_inner) = aside;
}

/// Writes while what is drawn on the terminal is put aside.
pub(crate) fn aside(mut write: impl FnMut()) {
    match &*ASIDE.read().unwrap_or_else(PoisonError::into_inner) {
        Some(aside) => aside(&mut write),
        None => write(),
    }
}

fn write_all(text: &str) {
    aside(|| write_now(text));
}

fn write_now(text: &str) {
    let text = match RAW.load(Ordering::Relaxed) {
        true => Cow::Owned(text.replace('\n', "\r\n")),
        false => Cow::Borrowed(text),
    };
    let (stderr, mut left) = (rustix::stdio::stderr(), text.as_bytes());
    while !left.is_empty() {
        // One write if it can be, so that lines of several processes do not mix.
        let written = match rustix::io::write(stderr, left) {
            Ok(0) => return,
            Ok(written) => written,
            Err(error) => match wait_or_fail(stderr, error, PollFlags::OUT) {
                Ok(()) => continue,
                // If stderr is closed, there is nobody to tell.
                Err(_) => return,
            },
        };
        left = &left[written..];
    }
}

/// Shows a text with control and direction characters escaped, so that no host, error or
/// process name can steer the terminal.
pub(crate) struct Harmless<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Harmless<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars()
            .try_for_each(|character| match steers(character) {
                true => write!(self.0, "{}", character.escape_default()),
                false => self.0.write_char(character),
            })
    }
}

/// Control characters (C0, DEL, C1), line separators, and what changes the direction of
/// writing (Unicode Standard Annex 9).
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_can_steer_the_terminal() {
        let shown = Harmless("a\x1b]52;c;x\x07b\u{9b}c\u{202e}d\r\ne").to_string();
        assert_eq!(shown, "a\\u{1b}]52;c;x\\u{7}b\\u{9b}c\\u{202e}d\\r\\ne");
        assert_eq!(Harmless("ünïcode – stays").to_string(), "ünïcode – stays");
    }
}
