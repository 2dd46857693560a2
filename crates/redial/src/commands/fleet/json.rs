//! What happens as JSON, one object a line, the host in each (docs/json.md).

use std::collections::HashMap;

use redial_client::{JobId, Output};
use redial_fleet::record::{Ending, Kind};
use redial_fleet::{End, JobIds, What};
use serde::Serialize;

use super::writer::Chunk;
use crate::exit_code::Verdict;
use crate::json::{self, ErrorKind, Event, OutcomeLine, Text};

/// What of each host and output still waits for the end of a character.
pub(super) struct Json {
    ids: JobIds,
    texts: HashMap<usize, [Text; 2]>,
}

/// An event that does not say its host.
#[derive(Serialize)]
struct Of<'a> {
    host: &'a str,
    #[serde(flatten)]
    event: Event,
}

impl Json {
    pub(super) fn new(ids: JobIds) -> Self {
        Json {
            ids,
            texts: HashMap::new(),
        }
    }

    /// The line of what happened, if it has one. Ends are said by [`Json::ended`].
    pub(super) fn event(&mut self, host: usize, name: &str, what: &What) -> Option<Chunk> {
        let event = match what {
            What::Running { job, pid, exact } => {
                return Some(line(Event::started(
                    job.id(),
                    name.to_owned(),
                    *pid,
                    *exact,
                )));
            }
            What::Data {
                stream,
                offset,
                bytes,
                receipt,
            } => {
                let fresh = || Output::BOTH.map(|_| Text::new(None));
                let texts = self.texts.entry(host).or_insert_with(fresh);
                let text = &mut texts[stream.index()];
                let rest = text.go_on_at(*offset);
                let parts = rest.into_iter().chain(text.push(bytes));
                let lines = parts.flat_map(|data| of(name, Event::data(*stream, data)));
                let lines = lines.collect();
                return Some(Chunk::new(Output::Stdout, lines).receipt(receipt.clone()));
            }
            What::Dropped(reason) => Event::Dropped {
                reason: reason.to_string(),
            },
            What::Back(after) => Event::Back {
                after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            },
            What::Missed { stream, from, to } => Event::missed(*stream, *from, *to),
            What::Exited(exit) => Event::exited(*exit),
            What::Connecting | What::Again { .. } | What::Ended(_) | What::TotalDeadline => {
                return None;
            }
        };
        Some(Chunk::new(Output::Stdout, of(name, event)))
    }

    /// The last lines of a host; `ending` is what its end comes to.
    pub(super) fn ended(&mut self, host: usize, name: &str, end: &End, ending: &Ending) -> Chunk {
        let mut lines = Vec::new();
        let texts = self.texts.remove(&host).into_iter().flatten();
        for (stream, mut text) in Output::BOTH.into_iter().zip(texts) {
            if let Some(data) = text.finish() {
                lines.extend(of(name, Event::data(stream, data)));
            }
        }
        if let End::Detached(_) = end {
            return Chunk::new(Output::Stdout, lines);
        }
        let verdict = Verdict {
            code: ending.code,
            reason: Some(ending.why.clone()).filter(|why| !why.is_empty()),
        };
        let outcome = match (ending.kind, end.did_not_start()) {
            // An earlier client has sent it there.
            (Kind::Unknown, true) => {
                let job = Some(self.ids.of(host));
                OutcomeLine::failed(name.to_owned(), job, ErrorKind::Unknown, ending.why.clone())
            }
            _ => outcome(name, self.ids.of(host), end, &verdict),
        };
        outcome.event().write(&mut lines);
        Chunk::new(Output::Stdout, lines)
    }
}

fn outcome(name: &str, job: JobId, end: &End, verdict: &Verdict) -> OutcomeLine {
    let failed = |kind, job| OutcomeLine::failed(name.to_owned(), job, kind, end.to_string());
    match end {
        End::Outcome(outcome) => OutcomeLine::of(name.to_owned(), job, outcome, verdict),
        End::Job(error) => match json::kind(error) {
            (kind, Some(outcome)) => OutcomeLine::of(name.to_owned(), job, outcome, verdict)
                .but_failed(kind, error.to_string()),
            (kind, None) => failed(kind, Some(job)),
        },
        End::Start(error) => failed(json::start_kind(error), Some(job)),
        End::Unreached(_) | End::Nowhere(_) => failed(ErrorKind::Connect, None),
        End::Halted => failed(ErrorKind::Interrupted, None),
        End::Left(job) => failed(ErrorKind::Left, Some(*job)),
        End::Journal(_) => failed(ErrorKind::Here, None),
        End::Broken(_) | End::Detached(_) => failed(ErrorKind::Unknown, Some(job)),
    }
}

/// A host that was not begun, because of the user or of too many failures.
pub(super) fn not_begun(name: &str) -> Chunk {
    let text = "not begun: the run was ended before".to_owned();
    let outcome = OutcomeLine::failed(name.to_owned(), None, ErrorKind::NotBegun, text);
    line(outcome.event())
}

fn line(event: Event) -> Chunk {
    let mut line = Vec::new();
    event.write(&mut line);
    Chunk::new(Output::Stdout, line)
}

fn of(host: &str, event: Event) -> Vec<u8> {
    Event::line(&Of { host, event })
}
