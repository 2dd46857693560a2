//! Typing key by key: what is typed goes to the job as it is, Ctrl-C as well.

use std::io;

use rustix::process::{Signal, getpid, kill_process};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::report;

/// As long as it lives, our terminal is raw (cfmakeraw(3)); then it is as it was.
#[derive(Debug)]
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    /// None if stdin is no terminal.
    ///
    /// # Errors
    ///
    /// It cannot be made so.
    pub(crate) fn enter() -> io::Result<Option<Self>> {
        if !super::is_typed() {
            return Ok(None);
        }
        let raw = Raw {
            before: tcgetattr(stdin())?,
        };
        raw.set()?;
        Ok(Some(raw))
    }

    fn set(&self) -> io::Result<()> {
        let mut modes = self.before.clone();
        modes.make_raw();
        // Not flushed: what was typed ahead is the job's.
        tcsetattr(stdin(), OptionalActions::Drain, &modes)?;
        report::on_raw_terminal(true);
        Ok(())
    }

    fn restore(&self) {
        // If it is gone, there is nothing to be restored.
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.before);
        report::on_raw_terminal(false);
    }

    /// Stops us, as Ctrl-Z does at a shell, until somebody lets us go on.
    ///
    /// # Errors
    ///
    /// The terminal cannot be made raw again.
    pub(crate) fn suspend(&self) -> io::Result<()> {
        self.restore();
        kill_process(getpid(), Signal::TSTP)?;
        self.set()
    }

    /// Raw once more: somebody else has changed it.
    ///
    /// # Errors
    ///
    /// It cannot be made so.
    pub(crate) fn again(&self) -> io::Result<()> {
        self.set()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.restore();
    }
}
