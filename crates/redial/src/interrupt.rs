//! What the user's Ctrl-C means, everywhere the same: the first is the command's, the
//! second cancels its tree, the third leaves.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// SIGINT to the command.
    Interrupt,
    /// TERM to its tree, then KILL.
    Cancel,
    /// Leave, naming the job.
    Leave,
}

/// The signals that end us, heard instead of obeyed.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
    taken: u32,
}

impl Interrupts {
    /// Listens from now on. A signal that was ignored when we started (nohup(1), a
    /// shell's background job) stays ignored.
    ///
    /// # Errors
    ///
    /// When a handler cannot be installed.
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored_signals(&ignored);
        let listen = |kind: SignalKind| {
            let bit = 1 << (kind.as_raw_value() - 1);
            (ignored & bit == 0).then(|| signal(kind)).transpose()
        };
        Ok(Interrupts {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            taken: 0,
        })
    }

    /// The next step. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Step {
        let asked = tokio::select! {
            () = heard(&mut self.interrupt) => false,
            () = heard(&mut self.terminate) => true,
            () = heard(&mut self.hang_up) => true,
        };
        self.step(asked)
    }

    /// Who sends TERM or HUP wants an end, not an interruption.
    fn step(&mut self, end: bool) -> Step {
        self.taken = if end {
            self.taken.max(1) + 1
        } else {
            self.taken + 1
        };
        match self.taken {
            1 => Step::Interrupt,
            2 => Step::Cancel,
            _ => Step::Leave,
        }
    }

    /// Whether there has been any.
    pub(crate) fn any(&self) -> bool {
        self.taken > 0
    }
}

async fn heard(signal: &mut Option<Signal>) {
    let heard = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if heard.is_none() {
        std::future::pending().await
    }
}

/// The mask of ignored signals in a /proc/PID/status (proc_pid_status(5)); bit 0 is
/// signal 1.
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Interrupts {
        Interrupts {
            interrupt: None,
            terminate: None,
            hang_up: None,
            taken: 0,
        }
    }

    #[test]
    fn the_first_is_the_commands_the_second_cancels_the_third_leaves() {
        let mut interrupts = none();
        assert!(!interrupts.any());
        let steps = [false, false, false, false].map(|end| interrupts.step(end));
        assert_eq!(
            steps,
            [Step::Interrupt, Step::Cancel, Step::Leave, Step::Leave]
        );
        assert!(interrupts.any());
    }

    #[test]
    fn term_and_hup_cancel_at_once() {
        let mut interrupts = none();
        assert_eq!(interrupts.step(true), Step::Cancel);
        assert_eq!(interrupts.step(true), Step::Leave);
        let mut interrupts = none();
        assert_eq!(interrupts.step(false), Step::Interrupt);
        assert_eq!(interrupts.step(true), Step::Cancel);
    }

    #[test]
    fn ignored_signals_are_read_from_proc() {
        let status = "Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_signals(status), 0x1001);
        assert_eq!(ignored_signals(""), 0);
    }
}
