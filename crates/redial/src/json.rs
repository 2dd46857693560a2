//! `run --json`: what happens to a command as JSON, one object a line (docs/json.md).

mod outcome;
mod text;

use redial_client::{Exit, JobId, Output};
use serde::Serialize;

pub(crate) use outcome::{ErrorKind, OutcomeLine, kind, start_kind};
pub(crate) use text::Text;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// It runs.
    Started {
        job: String,
        host: String,
        pid: u32,
        cancel: Reach,
    },
    /// It wrote to stdout.
    Stdout(Data),
    /// It wrote to stderr.
    Stderr(Data),
    /// The line has dropped, and is dialled again.
    Dropped { reason: String },
    /// Bytes of an output are gone on the server.
    Missed {
        stream: &'static str,
        from: u64,
        to: u64,
    },
    /// It is there again.
    Back { after_ms: u64 },
    /// Its process is gone; output may still follow.
    Exited(Ended),
    /// It is over, or redial has failed: always the last line.
    Outcome(Box<OutcomeLine>),
}

/// A part of an output.
#[derive(Debug, Serialize)]
pub(crate) struct Data {
    /// Of the first byte, as the command wrote it.
    pub(crate) offset: u64,
    /// How many bytes of the command's these are.
    pub(crate) bytes: u64,
    #[serde(flatten)]
    pub(crate) content: Content,
}

/// Bytes as JSON can hold them.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Content {
    /// They are UTF-8, or were decoded.
    Text(String),
    /// They are not.
    Base64(String),
}

/// How a process ended.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Ended {
    Code { code: u8 },
    Signal { signal: u8, core_dumped: bool },
}

/// Whether a cancel reaches a job's whole tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reach {
    Exact,
    BestEffort,
}

impl Event {
    pub(crate) fn started(job: JobId, host: String, pid: u32, exact: bool) -> Self {
        Event::Started {
            job: job.to_string(),
            host,
            pid,
            cancel: Reach::of(exact),
        }
    }

    pub(crate) fn data(stream: Output, data: Data) -> Self {
        match stream {
            Output::Stdout => Event::Stdout(data),
            Output::Stderr => Event::Stderr(data),
        }
    }

    pub(crate) fn exited(exit: Exit) -> Self {
        Event::Exited(exit.into())
    }

    pub(crate) fn missed(stream: Output, from: u64, to: u64) -> Self {
        let stream = match stream {
            Output::Stdout => "stdout",
            Output::Stderr => "stderr",
        };
        Event::Missed { stream, from, to }
    }

    /// A line of what is no event.
    pub(crate) fn line(content: &impl Serialize) -> Vec<u8> {
        let mut line = serde_json::to_vec(content).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Adds its line.
    pub(crate) fn write(&self, lines: &mut Vec<u8>) {
        let length = lines.len();
        // Into memory, of types whose keys are strings: there is nothing that can fail.
        if serde_json::to_writer(&mut *lines, self).is_err() {
            lines.truncate(length);
            return;
        }
        lines.push(b'\n');
    }
}

impl Reach {
    pub(crate) fn of(exact: bool) -> Self {
        if exact {
            Reach::Exact
        } else {
            Reach::BestEffort
        }
    }
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Exited(code) => Ended::Code { code },
            Exit::Signaled { signal, core } => Ended::Signal {
                signal,
                core_dumped: core,
            },
        }
    }
}
