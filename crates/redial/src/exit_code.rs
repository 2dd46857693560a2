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
/// The user interrupted it.
pub(crate) const INTERRUPTED: u8 = 130;
/// Nobody reads our stdout any more: what a shell says of a filter that SIGPIPE has ended.
pub(crate) const NOBODY_READS: u8 = 141;
/// Added to the number of the signal that ended the command.
const SIGNAL: u8 = 128;

const SIGINT: u8 = 2;
/// No such file or directory (errno(3)).
const ENOENT: i32 = 2;

/// Our exit code, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) code: u8,
    pub(crate) reason: Option<String>,
}

/// What the outcome means for our caller. `interrupted`: the user has asked for its end.
pub(crate) fn verdict(outcome: &Outcome, interrupted: bool, deadline: Option<Duration>) -> Verdict {
    let (code, reason) = match (&outcome.status, &outcome.cause) {
        (Status::NotStarted { stage, errno, path }, _) => not_started(stage, *errno, path),
        (Status::Unknown, _) => (FAILED, Some(outcome.status.to_string())),
        (_, Cause::Deadline) => {
            let after = deadline.map_or_else(String::new, |time| {
                format!(" after {}", duration::show(time))
            });
            (
                DEADLINE,
                Some(format!("deadline: the command was ended{after}")),
            )
        }
        (_, Cause::LineDropped) => (
            FAILED,
            Some("the command was ended because its line had dropped".to_owned()),
        ),
        (_, Cause::ServerEnded) => (
            FAILED,
            Some("the command was ended because the server ended".to_owned()),
        ),
        (_, Cause::Cancelled(_)) if interrupted => (INTERRUPTED, None),
        (status, Cause::Cancelled(by)) => (own(status), Some(format!("cancelled by {by}"))),
        (Status::Signaled { signal: SIGINT, .. }, _) if interrupted => (INTERRUPTED, None),
        (status, Cause::Itself) => (own(status), None),
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
        "exec" | "program" => {
            let code = if errno == ENOENT {
                NOT_FOUND
            } else {
                NOT_EXECUTABLE
            };
            (code, Some(format!("{path}: {error}")))
        }
        _ => (
            FAILED,
            Some(format!("cannot start the command: {stage} {path}: {error}")),
        ),
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
        for (status, cause, interrupted, code) in [
            (Status::Exited(0), Cause::Itself, false, 0),
            (Status::Exited(3), Cause::Itself, false, 3),
            (Status::Exited(255), Cause::Itself, true, 255),
            (killed(9), Cause::Itself, false, 137),
            (killed(2), Cause::Itself, true, 130),
            (killed(15), Cause::Deadline, false, 124),
            (Status::Exited(0), Cause::Deadline, false, 124),
            (killed(15), us(), true, 130),
            (Status::Exited(0), us(), true, 130),
            (killed(15), us(), false, 143),
            (killed(9), Cause::LineDropped, false, 125),
            (killed(9), Cause::ServerEnded, false, 125),
            (Status::Unknown, Cause::Itself, false, 125),
            (failed_start("program", 2), Cause::Itself, false, 127),
            (failed_start("program", 13), Cause::Itself, false, 126),
            (failed_start("exec", 7), Cause::Itself, false, 126),
            (failed_start("directory", 2), Cause::Itself, false, 125),
            (failed_start("new process", 11), Cause::Itself, false, 125),
        ] {
            let case = format!("{status:?} {cause:?} {interrupted}");
            let verdict = verdict(&outcome(status, cause), interrupted, None);
            assert_eq!(verdict.code, code, "{case}");
        }
    }

    #[test]
    fn what_is_no_code_of_the_command_has_its_reason() {
        let second = Some(Duration::from_secs(1));
        let of = |status, cause| verdict(&outcome(status, cause), false, second).reason;
        assert_eq!(of(Status::Exited(3), Cause::Itself), None);
        let reason = of(failed_start("program", 2), Cause::Itself);
        assert_eq!(
            reason.as_deref(),
            Some("/x: No such file or directory (os error 2)")
        );
        let reason = of(Status::Exited(0), Cause::Deadline);
        assert_eq!(
            reason.as_deref(),
            Some("deadline: the command was ended after 1s")
        );
        assert!(of(Status::Unknown, Cause::Itself).is_some());
    }
}
