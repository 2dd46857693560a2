//! Our own terminal, when a job has one too: how large it is, typing key by key, and the keys that are
//! for us.

mod escape;
mod raw;

use std::ffi::OsString;
use std::os::fd::BorrowedFd;

use redial_client::TerminalSize;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{isatty, tcgetwinsize};

pub(crate) use escape::{Escape, EscapeChar, Key};
pub(crate) use raw::Raw;

/// What a terminal is where nobody says how large it is, as ever.
const USUAL: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
    x_pixels: 0,
    y_pixels: 0,
};
/// A terminal of which nothing is known (terminfo(5)).
const DUMB: &str = "dumb";

/// Whether somebody types.
pub(crate) fn is_typed() -> bool {
    isatty(stdin())
}

/// How large ours is, or the usual size where we have none.
pub(crate) fn size() -> TerminalSize {
    let of = |fd: BorrowedFd<'_>| tcgetwinsize(fd).ok();
    let ours = of(stdin())
        .or_else(|| of(stdout()))
        .or_else(|| of(stderr()));
    // A serial line, for one, does not know.
    let ours = ours.filter(|size| size.ws_row > 0 && size.ws_col > 0);
    ours.map_or(USUAL, |size| TerminalSize {
        rows: size.ws_row,
        columns: size.ws_col,
        x_pixels: size.ws_xpixel,
        y_pixels: size.ws_ypixel,
    })
}

/// What kind ours is.
pub(crate) fn kind() -> OsString {
    let kind = std::env::var_os("TERM").filter(|kind| !kind.is_empty());
    kind.unwrap_or_else(|| DUMB.into())
}
