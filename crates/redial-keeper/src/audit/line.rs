//! The lines. All of them are ASCII without control characters, whatever is in the names they hold.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::SystemTime;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::AuditArgv;
use crate::outcome::{Cause, Digest, Exit, Outcome, Status};
use crate::wire::Program;

/// Of any other text that clients choose.
const MAX_TEXT_BYTES: usize = 4_096;

/// What has happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event<'a> {
    /// Somebody has come in, or not.
    Login(Login<'a>),
    /// A command is about to run.
    Start(Started<'a>),
    /// A command was asked for, and may not run.
    Refused(Refused<'a>),
    /// Something is done to a job by who does not hold it, or to the server.
    Act(Act<'a>),
    /// A job is over.
    End(Ended<'a>),
    /// Lines that could not be written.
    Lost { lines: u64 },
}

/// On whose behalf.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Who<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<u32>,
    /// The name that was given at a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<Text>,
    /// The fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<IpAddr>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Login<'a> {
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(flatten)]
    who: Who<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Started<'a> {
    pub(crate) job: &'a str,
    #[serde(flatten)]
    pub(crate) who: Who<'a>,
    #[serde(flatten)]
    pub(crate) command: Asked,
    /// What was asked for, where the key's line has another one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<Asked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cwd: Option<Text>,
    pub(crate) detached: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) terminal: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Refused<'a> {
    pub(crate) job: &'a str,
    pub(crate) reason: &'a str,
    #[serde(flatten)]
    pub(crate) who: Who<'a>,
    #[serde(flatten)]
    pub(crate) command: Asked,
}

#[derive(Debug, Serialize)]
pub(crate) struct Act<'a> {
    pub(crate) action: &'static str,
    pub(crate) result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signal: Option<u8>,
    #[serde(flatten)]
    pub(crate) who: Who<'a>,
}

/// A command.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Asked {
    #[serde(skip_serializing_if = "Option::is_none")]
    argv: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    program: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    argv_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell_sha256: Option<String>,
    /// The login shell, with no text for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    login: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// How a job ended.
#[derive(Debug, Serialize)]
pub(crate) struct Ended<'a> {
    job: &'a str,
    #[serde(flatten)]
    who: Who<'a>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    core_dumped: Option<bool>,
    /// Why there was no process.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// None if there was no process, or nobody can know.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_by: Option<Text>,
    stdin: Stream,
    stdout: Stream,
    stderr: Stream,
    duration_ms: u64,
    cpu_ms: u64,
    lingering: u32,
}

#[derive(Debug, Serialize)]
struct Stream {
    bytes: u64,
    /// PROTOCOL.md section 7.
    checksum: String,
    complete: bool,
}

/// Bytes as text, or as hex where they are none.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Utf8(String),
    Other { hex: String },
}

/// A login that has let somebody in.
pub(crate) fn login_accepted(who: Who<'_>) -> Event<'_> {
    Event::Login(Login {
        result: "accepted",
        reason: None,
        who,
    })
}

/// A login that has not.
pub(crate) fn login_refused<'a>(who: Who<'a>, reason: &'a str) -> Event<'a> {
    Event::Login(Login {
        result: "refused",
        reason: Some(reason),
        who,
    })
}

impl Event<'_> {
    /// The line, its end included.
    pub(crate) fn to_line(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            time: String,
            #[serde(flatten)]
            event: &'a Event<'a>,
        }
        let line = Line {
            time: humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
            event: self,
        };
        // Fails for maps with odd keys alone, and there are none.
        let json = serde_json::to_string(&line).unwrap_or_default();
        ascii(&json) + "\n"
    }
}

/// The same JSON in ASCII: what is not stands in strings only, where `\u` may take its place. So no
/// reader takes anything for the end of a line, or turns what is shown around.
fn ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        if (' '..='~').contains(&character) {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a `String` cannot fail.
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

impl Text {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::cut(bytes, MAX_TEXT_BYTES)
    }

    fn cut(bytes: &[u8], most: usize) -> Self {
        let is_cut = bytes.len() > most;
        let bytes = &bytes[..bytes.len().min(most)];
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::Utf8(text.to_owned()),
            // Within a character.
            Err(error) if is_cut && error.error_len().is_none() && error.valid_up_to() > 0 => {
                let text = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                Text::Utf8(text.into_owned())
            }
            Err(_) => Text::Other { hex: hex(bytes) },
        }
    }
}

impl Asked {
    /// At most so many bytes of it.
    pub(crate) fn new(program: &Program, how: AuditArgv, most: usize) -> Self {
        match program {
            Program::Argv(argv) => Self::argv(argv.iter().map(|argument| &argument[..]), how, most),
            Program::Shell(text) => Self::shell(text, how, most),
            Program::Login => Self {
                login: true,
                ..Self::default()
            },
        }
    }

    fn argv<'a>(argv: impl Iterator<Item = &'a [u8]> + Clone, how: AuditArgv, most: usize) -> Self {
        let mut asked = Asked::default();
        if how == AuditArgv::Hash {
            asked.program = argv.clone().next().map(Text::of);
            asked.argv_sha256 = Some(sum(argv));
            return asked;
        }
        let mut left = most;
        let mut texts = Vec::new();
        for argument in argv.clone() {
            if left == 0 {
                asked.truncated = true;
                break;
            }
            asked.truncated |= argument.len() > left;
            texts.push(Text::cut(argument, left));
            // Empty ones take room as well.
            left = left.saturating_sub(argument.len() + 1);
        }
        asked.argv = Some(texts);
        asked.argv_sha256 = asked.truncated.then(|| sum(argv));
        asked
    }

    fn shell(text: &[u8], how: AuditArgv, most: usize) -> Self {
        let truncated = text.len() > most && how == AuditArgv::Full;
        let is_summed = truncated || how == AuditArgv::Hash;
        Asked {
            shell: (how == AuditArgv::Full).then(|| Text::cut(text, most)),
            shell_sha256: is_summed.then(|| hex(&Sha256::digest(text))),
            truncated,
            ..Asked::default()
        }
    }
}

/// Of all arguments, each with a NUL behind it.
fn sum<'a>(argv: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for argument in argv {
        hash.update(argument);
        hash.update([0]);
    }
    hex(&hash.finalize())
}

impl<'a> Ended<'a> {
    pub(crate) fn new(job: &'a str, who: Who<'a>, outcome: &Outcome) -> Self {
        let (status, code, signal, core_dumped, reason) = match &outcome.status {
            Status::Ended(Exit::Code(code)) => ("exited", Some(*code), None, None, None),
            Status::Ended(Exit::Signal(signal, core)) => {
                ("signaled", None, Some(*signal), Some(*core), None)
            }
            Status::NotStarted(stage, errno, _) => {
                let error = std::io::Error::from_raw_os_error(*errno);
                (
                    "not-started",
                    None,
                    None,
                    None,
                    Some(format!("{stage}: {error}")),
                )
            }
            Status::Unknown => ("unknown", None, None, None, None),
        };
        let (cause, by) = match &outcome.cause {
            Cause::Itself => ("itself", None),
            Cause::Deadline => ("deadline", None),
            Cause::Cancelled(by) => ("cancelled", Some(Text::of(by.as_bytes()))),
            Cause::LineDropped => ("line-dropped", None),
            Cause::ServerEnded => ("server-ended", None),
            Cause::OutOfMemory => ("oom", None),
        };
        Ended {
            job,
            who,
            status,
            code,
            signal,
            core_dumped,
            reason,
            cause: matches!(outcome.status, Status::Ended(_)).then_some(cause),
            cancelled_by: by,
            stdin: Stream::of(&outcome.stdin),
            stdout: Stream::of(&outcome.stdout),
            stderr: Stream::of(&outcome.stderr),
            duration_ms: outcome.duration_ms,
            cpu_ms: outcome.cpu_us / 1_000,
            lingering: outcome.lingering,
        }
    }

    /// It was not even tried.
    pub(crate) fn because(mut self, reason: &str) -> Self {
        self.status = "not-started";
        self.cause = None;
        self.reason = Some(reason.to_owned());
        self
    }
}

impl Stream {
    fn of(digest: &Digest) -> Self {
        Stream {
            bytes: digest.bytes,
            checksum: hex(&*digest.checksum),
            complete: digest.complete,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests;
