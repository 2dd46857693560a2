//! What the lesson's servers print: who calls, and what they say.

use std::fmt;
use std::sync::Mutex;

use super::echo::shown::Shown;
use crate::report::Harmless;
use crate::stdio::print_line;

/// Shown of what a client says at once.
const SHOWN_BYTES: usize = 1024;

/// Whole lines, though several threads print.
#[derive(Default)]
pub(super) struct CallPrinter {
    turn: Mutex<()>,
}

impl CallPrinter {
    pub(super) fn connected(&self, call: u64, socket: impl fmt::Display, from: impl fmt::Display) {
        self.print(format_args!("call {call}: connection {socket}"));
        self.print(format_args!("call {call}: the client's address {from}"));
    }

    pub(super) fn heard(&self, call: u64, bytes: &[u8]) {
        let bytes = Shown(bytes, SHOWN_BYTES);
        // It is harmless already.
        self.line(format_args!("call {call}: from client: {bytes}"));
    }

    /// A client may have chosen the name of its socket.
    pub(super) fn print(&self, text: fmt::Arguments<'_>) {
        self.line(Harmless(text));
    }

    fn line(&self, line: impl fmt::Display) {
        let _turn = self.turn.lock();
        // The servers work though nobody watches.
        let _ = print_line(line);
    }
}
