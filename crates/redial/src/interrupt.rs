//! What the user's Ctrl-C means, everywhere the same: the first is the command's, the
//! second cancels its tree, the third leaves. TERM and HUP begin with the second step.

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
    /// The number of the last signal heard.
    last: Option<u8>,
}

/// Numbers of signals, as they are everywhere (signal(7)).
const SIGHUP: u8 = 1;
const SIGINT: u8 = 2;
const SIGTERM: u8 = 15;

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
            last: None,
        })
    }

    /// The next step, and the number of the signal that asked for it. Cancel-safe.
    pub(crate) async fn next(&mut self) -> (Step, u8) {
        let signal = tokio::select! {
            () = heard(&mut self.interrupt) => SIGINT,
            () = heard(&mut self.terminate) => SIGTERM,
            () = heard(&mut self.hang_up) => SIGHUP,
        };
        (self.step(signal), signal)
    }

    /// Who sends TERM or HUP wants an end, not an interruption.
    fn step(&mut self, signal: u8) -> Step {
        self.last = Some(signal);
        self.taken = if signal == SIGINT {
            self.taken + 1
        } else {
            self.taken.max(1) + 1
        };
        match self.taken {
            1 => Step::Interrupt,
            2 => Step::Cancel,
            _ => Step::Leave,
        }
    }

    /// Begins anew: the next is the first.
    pub(crate) fn forget(&mut self) {
        (self.taken, self.last) = (0, None);
    }

    /// The number of the last signal heard, if there has been any.
    pub(crate) fn last(&self) -> Option<u8> {
        self.last
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
            last: None,
        }
    }

    #[test]
    fn the_first_is_the_commands_the_second_cancels_the_third_leaves() {
        let mut interrupts = none();
        assert_eq!(interrupts.last(), None);
        let steps = [SIGINT; 4].map(|signal| interrupts.step(signal));
        assert_eq!(
            steps,
            [Step::Interrupt, Step::Cancel, Step::Leave, Step::Leave]
        );
        assert_eq!(interrupts.last(), Some(SIGINT));
    }

    #[test]
    fn term_and_hup_cancel_at_once() {
        let mut interrupts = none();
        assert_eq!(interrupts.step(SIGTERM), Step::Cancel);
        assert_eq!(interrupts.step(SIGHUP), Step::Leave);
        assert_eq!(interrupts.last(), Some(SIGHUP));
        let mut interrupts = none();
        assert_eq!(interrupts.step(SIGINT), Step::Interrupt);
        assert_eq!(interrupts.step(SIGTERM), Step::Cancel);
        assert_eq!(interrupts.last(), Some(SIGTERM));
    }

    #[test]
    fn ignored_signals_are_read_from_proc() {
        let status = "Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_signals(status), 0x1001);
        assert_eq!(ignored_signals(""), 0);
    }
}
