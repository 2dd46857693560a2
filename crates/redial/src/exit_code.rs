//! The one table from a job's outcome to our exit code, and its reason in words.

use std::io;
use std::time::Duration;

use redial_client::{Cause, Outcome, Status};

use crate::duration;

/// The deadline passed.
pub(crate) const DEADLINE: u8 = 124;
/// redial itself failed: unreachable, refused, lost, unknown, bad directory, wrong use.
pub(crate) const FAILED: u8 = 125;
/// The program is there but cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// There is no such program.
pub(crate) const NOT_FOUND: u8 = 127;
/// Nobody reads our stdout any more: what a shell says of a filter that SIGPIPE has ended.
pub(crate) const NOBODY_READS: u8 = 141;
/// Added to the number of the signal that ended the command.
const SIGNAL: u8 = 128;
/// No such file or directory (errno(3)).
const ENOENT: i32 = 2;

/// Our exit code, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) code: u8,
    pub(crate) reason: Option<String>,
}

/// We were interrupted by this signal: 130 for Ctrl-C, 143 for TERM, 129 for HUP.
pub(crate) fn interrupted(signal: u8) -> u8 {
    SIGNAL.saturating_add(signal)
}

/// What the outcome means for our caller. `signal`: what we were last interrupted by.
pub(crate) fn verdict(
    outcome: &Outcome,
    signal: Option<u8>,
    deadline: Option<Duration>,
) -> Verdict {
    let (code, reason) = match (&outcome.status, &outcome.cause, signal) {
        (Status::NotStarted { stage, errno, path }, ..) => not_started(stage, *errno, path),
        (Status::Unknown, ..) => (FAILED, Some(outcome.status.to_string())),
        (_, Cause::Deadline, _) => {
            let after = deadline.map_or_else(String::new, |time| {
                format!(" after {}", duration::show(time))
            });
            (
                DEADLINE,
                Some(format!("deadline: the command was ended{after}")),
            )
        }
        (_, Cause::LineDropped, _) => (
            FAILED,
            Some("the command was ended because its line had dropped".to_owned()),
        ),
        (_, Cause::ServerEnded, _) => (
            FAILED,
            Some("the command was ended because the server ended".to_owned()),
        ),
        (_, Cause::Cancelled(_), Some(signal)) => (interrupted(signal), None),
        (status, Cause::Cancelled(by), None) => (own(status), Some(format!("cancelled by {by}"))),
        (status, Cause::OutOfMemory, _) => (
            own(status),
            Some("out of memory: the kernel ended the command (its limit on memory)".to_owned()),
        ),
        // One that died of the interrupt we passed on has 130 by that rule too.
        (status, Cause::Itself, _) => (own(status), None),
    };
    Verdict { code, reason }
}

/// The command's own code.
fn own(status: &Status) -> u8 {
    match status {
        Status::Exited(code) => *code,
        Status::Signaled { signal, .. } => SIGNAL.saturating_add(*signal),
        Status::NotStarted { .. } | Status::Unknown => FAILED,
    }
}

fn not_started(stage: &str, errno: i32, path: &[u8]) -> (u8, Option<String>) {
    let error = io::Error::from_raw_os_error(errno);
    let path = String::from_utf8_lossy(path);
    match stage {
        "interpreter" => (NOT_FOUND, Some(no_interpreter(&path))),
        "home directory" if errno == ENOENT => {
            let reason = format!("the home directory {path} does not exist there; give --cwd DIR");
            (FAILED, Some(reason))
        }
        "home directory" => {
            let reason = format!("cannot enter the home directory {path}: {error}; give --cwd DIR");
            (FAILED, Some(reason))
        }
        stage if is_program(stage) => {
            let code = if errno == ENOENT {
                NOT_FOUND
            } else {
                NOT_EXECUTABLE
            };
            // As ssh would have taken it.
            let hint = match code == NOT_FOUND && path.contains(char::is_whitespace) {
                true => "; that is one word, text for the shell goes behind -c",
                false => "",
            };
            (code, Some(format!("{path}: {error}{hint}")))
        }
        _ => (
            FAILED,
            Some(format!("cannot start the command: {stage} {path}: {error}")),
        ),
    }
}

/// Whether a start that failed at this stage says something of the program, as a shell would
/// with 126 or 127; else of the place where it was to run.
pub(crate) fn is_program(stage: &str) -> bool {
    matches!(stage, "exec" | "program" | "interpreter")
}

/// The file is there, so "not found" alone would mislead.
fn no_interpreter(path: &str) -> String {
    match path {
        "" => "the program is there, but the interpreter or loader it needs is not".to_owned(),
        path if path.ends_with('\r') => format!(
            "the program is there, but its interpreter {path} is not: the first line ends as on DOS"
        ),
        path => format!("the program is there, but its interpreter {path} is not"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redial_client::Digest;

    fn outcome(status: Status, cause: Cause) -> Outcome {
        let digest = Digest {
            bytes: 0,
            checksum: [0; 16],
            complete: true,
        };
        Outcome {
            status,
            cause,
            stdin: digest,
            stdout: digest,
            stderr: digest,
            holders: Vec::new(),
            lingering: 0,
            exact: true,
            duration: Duration::ZERO,
            cpu: Duration::ZERO,
        }
    }

    fn failed_start(stage: &str, errno: i32) -> Status {
        Status::NotStarted {
            stage: stage.to_owned(),
            errno,
            path: b"/x".to_vec(),
        }
    }

    #[test]
    fn each_outcome_has_its_exit_code() {
        let killed = |signal| Status::Signaled {
            signal,
            core: false,
        };
        let us = || Cause::Cancelled("us".to_owned());
        for (status, cause, signal, code) in [
            (Status::Exited(0), Cause::Itself, None, 0),
            (Status::Exited(3), Cause::Itself, None, 3),
            (Status::Exited(255), Cause::Itself, Some(2), 255),
            (killed(9), Cause::Itself, None, 137),
            (killed(2), Cause::Itself, Some(2), 130),
            (killed(15), Cause::Deadline, None, 124),
            (Status::Exited(0), Cause::Deadline, None, 124),
            (killed(15), us(), Some(2), 130),
            (Status::Exited(0), us(), Some(2), 130),
            (killed(9), us(), Some(15), 143),
            (Status::Exited(0), us(), Some(1), 129),
            (killed(15), us(), None, 143),
            (killed(9), Cause::OutOfMemory, None, 137),
            (killed(9), Cause::LineDropped, None, 125),
            (killed(9), Cause::ServerEnded, None, 125),
            (Status::Unknown, Cause::Itself, None, 125),
            (failed_start("program", 2), Cause::Itself, None, 127),
            (failed_start("program", 13), Cause::Itself, None, 126),
            (failed_start("exec", 7), Cause::Itself, None, 126),
            (failed_start("interpreter", 2), Cause::Itself, None, 127),
            (failed_start("directory", 2), Cause::Itself, None, 125),
            (failed_start("home directory", 2), Cause::Itself, None, 125),
            (failed_start("new process", 11), Cause::Itself, None, 125),
        ] {
            let case = format!("{status:?} {cause:?} {signal:?}");
            let verdict = verdict(&outcome(status, cause), signal, None);
            assert_eq!(verdict.code, code, "{case}");
        }
    }

    #[test]
    fn what_is_no_code_of_the_command_has_its_reason() {
        let second = Some(Duration::from_secs(1));
        let of = |status, cause| verdict(&outcome(status, cause), None, second).reason;
        assert_eq!(of(Status::Exited(3), Cause::Itself), None);
        let reason = of(failed_start("program", 2), Cause::Itself);
        assert_eq!(
            reason.as_deref(),
            Some("/x: No such file or directory (os error 2)")
        );
        for (stage, errno, needle) in [
            (
                "home directory",
                2,
                "home directory /x does not exist there; give --cwd DIR",
            ),
            ("home directory", 13, "home directory /x: Permission denied"),
            (
                "interpreter",
                2,
                "the program is there, but its interpreter /x is not",
            ),
        ] {
            let reason = of(failed_start(stage, errno), Cause::Itself).unwrap();
            assert!(reason.contains(needle), "{reason}");
        }
        let reason = of(Status::Exited(0), Cause::Deadline);
        assert_eq!(
            reason.as_deref(),
            Some("deadline: the command was ended after 1s")
        );
        assert!(of(Status::Unknown, Cause::Itself).is_some());
    }
}
