//! The last line: how it ended, whoever's fault it was.

use redial_client::{Cause, Digest, Holder, JobError, JobId, Outcome, StartError, Status};
use serde::Serialize;

use super::{Ended, Event, Reach};
use crate::charset::Charset;
use crate::exit_code::{FAILED, Verdict, interrupted, is_program};

/// What is known. `error` says whether redial failed: so a command that exits with 125
/// is told from a redial that did.
#[derive(Debug, Serialize)]
pub(crate) struct OutcomeLine {
    host: String,
    /// None was made, if null.
    job: Option<String>,
    status: &'static str,
    #[serde(flatten)]
    ended: Option<Ended>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spawn: Option<Spawn>,
    exit_code: u8,
    error: Option<Failure>,
    interrupted: bool,
    #[serde(flatten)]
    known: Option<Known>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charset: Option<Replaced>,
}

/// redial's own failure.
#[derive(Debug, Clone, Serialize)]
struct Failure {
    kind: ErrorKind,
    message: String,
}

/// Of which kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErrorKind {
    /// A setting is wrong. Nothing ran.
    Usage,
    /// No server. Nothing ran.
    Connect,
    /// The server said no, or the command cannot be sent. Nothing ran.
    Refused,
    /// There was no process: a bad directory, no memory. Nothing ran.
    Spawn,
    /// The line dropped.
    Lost,
    /// The server ended, and the command with it.
    ServerEnded,
    /// Nobody can know any more whether it ran.
    Unknown,
    /// What arrived is not what the command wrote.
    Incomplete,
    /// What the command read is not what was sent.
    Stdin,
    /// Something here: reading, writing, signals.
    Here,
    /// The user interrupted before anything ran.
    Interrupted,
    /// The run was ended before it came to this host.
    NotBegun,
    /// The user left a job that may still run.
    Left,
}

/// Why there was no process.
#[derive(Debug, Serialize)]
struct Spawn {
    stage: String,
    errno: i32,
    path: String,
    reason: String,
}

/// What the server says when it knows.
#[derive(Debug, Serialize)]
struct Known {
    /// Null if there was no process, or nobody knows.
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by: Option<String>,
    /// How far it was ended, if it did not end by itself.
    cancel: Option<Reach>,
    duration_ms: u64,
    cpu_ms: u64,
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    lingering: u32,
    holders: Vec<Held>,
}

/// A stream as the server counted it.
#[derive(Debug, Serialize)]
struct Stream {
    bytes: u64,
    /// Chained XXH3-128 in hex (PROTOCOL.md section 7).
    checksum: String,
    complete: bool,
}

/// A process that still held an output.
#[derive(Debug, Serialize)]
struct Held {
    pid: u32,
    name: String,
}

/// What `--charset` could not carry over.
#[derive(Debug, Serialize)]
struct Replaced {
    name: &'static str,
    replaced: Counts,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    stdin: u64,
    stdout: u64,
    stderr: u64,
}

impl OutcomeLine {
    /// redial failed, or was left, before there was an outcome.
    pub(crate) fn failed(
        host: String,
        job: Option<JobId>,
        kind: ErrorKind,
        message: String,
    ) -> Self {
        use ErrorKind::{Left, Lost, Unknown};
        OutcomeLine {
            host,
            job: job.map(|job| job.to_string()),
            status: match kind {
                Lost | Unknown | Left | ErrorKind::Here => "unknown",
                _ => "not-started",
            },
            ended: None,
            spawn: None,
            exit_code: FAILED,
            error: Some(Failure { kind, message }),
            interrupted: false,
            known: None,
            charset: None,
        }
    }

    /// The command's outcome, and what it means for our exit code.
    pub(crate) fn of(host: String, job: JobId, outcome: &Outcome, verdict: &Verdict) -> Self {
        let (status, ended, spawn) = status(&outcome.status);
        let error = own_failure(outcome).map(|kind| Failure {
            kind,
            message: verdict.reason.clone().unwrap_or_default(),
        });
        OutcomeLine {
            host,
            job: Some(job.to_string()),
            status,
            ended,
            spawn,
            exit_code: verdict.code,
            error,
            interrupted: false,
            known: Some(outcome.into()),
            charset: None,
        }
    }

    /// The user has interrupted the command.
    pub(crate) fn during_interrupts(mut self) -> Self {
        self.interrupted = true;
        self
    }

    /// The user has interrupted us, by this signal, and that is our exit code.
    pub(crate) fn interrupted(mut self, signal: Option<u8>) -> Self {
        self.interrupted = true;
        self.exit_code = signal.map_or(FAILED, interrupted);
        self
    }

    /// All the same redial has failed: the command's code would lie.
    pub(crate) fn but_failed(mut self, kind: ErrorKind, message: String) -> Self {
        self.exit_code = FAILED;
        self.error = Some(Failure { kind, message });
        self
    }

    /// Says what was replaced, in the order stdin, stdout, stderr.
    pub(crate) fn replaced(&mut self, charset: Charset, [stdin, stdout, stderr]: [u64; 3]) {
        self.charset = Some(Replaced {
            name: charset.name(),
            replaced: Counts {
                stdin,
                stdout,
                stderr,
            },
        });
    }

    /// As an event.
    pub(crate) fn event(self) -> Event {
        Event::Outcome(Box::new(self))
    }
}

/// What kind of failure an error is, and the outcome that came all the same.
pub(crate) fn kind(error: &JobError) -> (ErrorKind, Option<&Outcome>) {
    match error {
        JobError::Start(error) => (start_kind(error), None),
        JobError::Lost { .. } | JobError::Taken { .. } => (ErrorKind::Lost, None),
        JobError::Incomplete { outcome, .. } => (ErrorKind::Incomplete, Some(outcome)),
        JobError::OtherStdin { outcome, .. } => (ErrorKind::Stdin, Some(outcome)),
        JobError::TooMuchOutput { .. } => (ErrorKind::Here, None),
    }
}

/// What kind of failure an error is.
pub(crate) fn start_kind(error: &StartError) -> ErrorKind {
    match error {
        StartError::Refused { .. } | StartError::Unsendable(_) => ErrorKind::Refused,
        StartError::NotSent { .. } => ErrorKind::Connect,
        StartError::Lost { .. } => ErrorKind::Lost,
        StartError::Random(_) => ErrorKind::Here,
    }
}

/// Whether an outcome is a failure of ours, not the command's.
fn own_failure(outcome: &Outcome) -> Option<ErrorKind> {
    match (&outcome.status, &outcome.cause) {
        (Status::NotStarted { stage, .. }, _) if !is_program(stage) => Some(ErrorKind::Spawn),
        (Status::NotStarted { .. }, _) => None,
        (Status::Unknown, _) => Some(ErrorKind::Unknown),
        (_, Cause::LineDropped) => Some(ErrorKind::Lost),
        (_, Cause::ServerEnded) => Some(ErrorKind::ServerEnded),
        (_, Cause::Itself | Cause::Deadline | Cause::Cancelled(_) | Cause::OutOfMemory) => None,
    }
}

fn status(status: &Status) -> (&'static str, Option<Ended>, Option<Spawn>) {
    match status {
        Status::Exited(code) => ("exited", Some(Ended::Code { code: *code }), None),
        Status::Signaled { signal, core } => {
            let ended = Ended::Signal {
                signal: *signal,
                core_dumped: *core,
            };
            ("signaled", Some(ended), None)
        }
        Status::NotStarted { stage, errno, path } => {
            let spawn = Spawn {
                stage: stage.clone(),
                errno: *errno,
                path: String::from_utf8_lossy(path).into_owned(),
                reason: std::io::Error::from_raw_os_error(*errno).to_string(),
            };
            ("not-started", None, Some(spawn))
        }
        Status::Unknown => ("unknown", None, None),
    }
}

impl From<&Outcome> for Known {
    fn from(outcome: &Outcome) -> Self {
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (cause, cancelled_by) = match &outcome.cause {
            Cause::Itself => ("itself", None),
            Cause::Deadline => ("deadline", None),
            Cause::Cancelled(by) => ("cancelled", Some(by.clone())),
            Cause::LineDropped => ("line-dropped", None),
            Cause::ServerEnded => ("server-ended", None),
            Cause::OutOfMemory => ("oom", None),
        };
        let by_itself = outcome.cause == Cause::Itself;
        let by_us = !by_itself && outcome.cause != Cause::OutOfMemory;
        let ran = matches!(outcome.status, Status::Exited(_) | Status::Signaled { .. });
        Known {
            cause: (ran || !by_itself).then_some(cause),
            cancelled_by,
            cancel: by_us.then(|| Reach::of(outcome.exact)),
            duration_ms: millis(outcome.duration),
            cpu_ms: millis(outcome.cpu),
            stdin: outcome.stdin.into(),
            stdout: outcome.stdout.into(),
            stderr: outcome.stderr.into(),
            lingering: outcome.lingering,
            holders: outcome.holders.iter().map(Held::from).collect(),
        }
    }
}

impl From<Digest> for Stream {
    fn from(digest: Digest) -> Self {
        let hex = digest.checksum.iter();
        Stream {
            bytes: digest.bytes,
            checksum: hex.map(|byte| format!("{byte:02x}")).collect(),
            complete: digest.complete,
        }
    }
}

impl From<&Holder> for Held {
    fn from(holder: &Holder) -> Self {
        Held {
            pid: holder.pid,
            name: holder.name.clone(),
        }
    }
}
