//! The end of what is typed on a terminal.
//!
//! A pipe ends when it is closed. A terminal does not: whoever types says its end by a character
//! (VEOF in termios(3)), which ends the line under way first, and means the end behind a whole one.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use rustix::termios::{LocalModes, SpecialCodeIndex, tcgetattr};

use crate::state::TypedState;

/// What is known of a terminal that is typed on.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Typed {
    /// The last byte that it was given.
    pub(super) last: Option<u8>,
    /// All is typed; so often the end is still to be.
    ends: Option<u8>,
}

/// What has come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Done,
    /// The terminal takes nothing now.
    Blocked,
    /// It is no more.
    Closed,
}

impl Typed {
    pub(super) fn save(self) -> TypedState {
        TypedState {
            last: self.last,
            ends: self.ends,
        }
    }

    pub(super) fn restore(state: TypedState) -> Self {
        Self {
            last: state.last,
            ends: state.ends,
        }
    }

    /// All was typed: says so, once.
    pub(super) fn say_end(&mut self, terminal: BorrowedFd<'_>) -> Said {
        let Ok(modes) = tcgetattr(terminal) else {
            return Said::Closed;
        };
        let is_by_line = modes.local_modes.contains(LocalModes::ICANON);
        let is_within = is_by_line && self.last.is_some_and(|byte| byte != b'\n' && byte != b'\r');
        let ends = self.ends.get_or_insert(if is_within { 2 } else { 1 });
        let end = [modes.special_codes[SpecialCodeIndex::VEOF]];
        while *ends > 0 {
            match rustix::io::retry_on_intr(|| rustix::io::write(terminal, &end)) {
                Ok(0) | Err(Errno::AGAIN) => return Said::Blocked,
                Ok(_) => *ends -= 1,
                Err(_) => return Said::Closed,
            }
        }
        Said::Done
    }
}
