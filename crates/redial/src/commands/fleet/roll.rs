//! Who is where: a state for each host, the table of them, and the exit code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use redial_client::{Cause, Output, Status};
use redial_fleet::{End, HostSet};
use serde::Serialize;

use super::writer::Chunk;
use crate::exit_code::{self, DEADLINE, FAILED, Verdict};
use crate::json::Event;
use crate::report::Harmless;
use crate::settings::FleetSettings;
use crate::signal_name;

/// See the module.
#[derive(Debug)]
pub(super) struct Roll {
    states: Vec<State>,
    /// What hosts have come to, each once.
    ways: Vec<Way>,
    counts: Counts,
    deadline: Option<Duration>,
    signal: Option<u8>,
    is_over_time: bool,
    largest: u8,
    is_left: bool,
}

/// Hosts by their states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Counts {
    pub(super) not_begun: usize,
    pub(super) connecting: usize,
    pub(super) running: usize,
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) unreached: usize,
    pub(super) unknown: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    NotBegun,
    Connecting,
    Running(Instant),
    /// By its place among the ways.
    Ended(u32),
}

/// What a host has come to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    kind: Kind,
    /// In few words.
    how: String,
    /// Why, if that is not all.
    why: String,
}

/// In the order of the table: what went wrong stands last, next to the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Done,
    Failed,
    NotBegun,
    Unreached,
    Unknown,
}

impl Roll {
    pub(super) fn new(settings: &FleetSettings) -> Self {
        let hosts = settings.hosts.names().len();
        Roll {
            states: vec![State::NotBegun; hosts],
            ways: Vec::new(),
            counts: Counts {
                not_begun: hosts,
                ..Counts::default()
            },
            deadline: settings.work.deadline,
            signal: None,
            is_over_time: false,
            largest: 0,
            is_left: false,
        }
    }

    fn count(&mut self, state: State) -> Option<&mut usize> {
        let counts = &mut self.counts;
        Some(match state {
            State::NotBegun => &mut counts.not_begun,
            State::Connecting => &mut counts.connecting,
            State::Running(_) => &mut counts.running,
            State::Ended(way) => match self.ways.get(way as usize)?.kind {
                Kind::Done => &mut counts.done,
                Kind::Failed => &mut counts.failed,
                Kind::NotBegun => &mut counts.not_begun,
                Kind::Unreached => &mut counts.unreached,
                Kind::Unknown => &mut counts.unknown,
            },
        })
    }

    fn set(&mut self, host: usize, state: State) {
        let Some(before) = self.states.get(host).copied() else {
            return;
        };
        self.states[host] = state;
        if let Some(count) = self.count(before) {
            *count -= 1;
        }
        if let Some(count) = self.count(state) {
            *count += 1;
        }
    }

    pub(super) fn connecting(&mut self, host: usize) {
        self.set(host, State::Connecting);
    }

    pub(super) fn running(&mut self, host: usize) {
        self.set(host, State::Running(Instant::now()));
    }

    /// It is tried again later.
    pub(super) fn waits_again(&mut self, host: usize) {
        self.set(host, State::NotBegun);
    }

    /// The time for all is over.
    pub(super) fn total_deadline(&mut self) {
        self.is_over_time = true;
    }

    pub(super) fn interrupted(&mut self, signal: u8) {
        self.signal = Some(signal);
    }

    /// Notes how a host has ended, and says what that means for our exit code.
    pub(super) fn ended(&mut self, host: usize, end: &End) -> Verdict {
        let (way, code) = self.way(end);
        self.largest = self.largest.max(code);
        self.is_left |= matches!(end, End::Left(_));
        let reason = Some(way.why.clone()).filter(|why| !why.is_empty());
        self.come_to(host, way);
        Verdict { code, reason }
    }

    /// It will not be begun.
    pub(super) fn not_begun(&mut self, host: usize) {
        let way = Way {
            kind: Kind::NotBegun,
            how: "not begun".to_owned(),
            why: String::new(),
        };
        self.come_to(host, way);
    }

    fn come_to(&mut self, host: usize, way: Way) {
        let known = self.ways.iter().position(|known| *known == way);
        let place = known.unwrap_or_else(|| {
            self.ways.push(way);
            self.ways.len() - 1
        });
        self.set(host, State::Ended(u32::try_from(place).unwrap_or(u32::MAX)));
    }

    /// What an end comes to, and its exit code.
    fn way(&self, end: &End) -> (Way, u8) {
        let way = |kind, how: &str, why: String| Way {
            kind,
            how: how.to_owned(),
            why,
        };
        let why = || end.brief();
        match end {
            End::Outcome(outcome) => {
                let verdict = exit_code::verdict(outcome, self.signal, self.deadline);
                let (how, code) = match (&outcome.status, &outcome.cause) {
                    (_, Cause::Deadline) => ("deadline".to_owned(), verdict.code),
                    (_, Cause::Cancelled(_)) if self.is_over_time => {
                        ("total deadline".to_owned(), DEADLINE)
                    }
                    (_, Cause::Cancelled(_)) if self.signal.is_some() => {
                        ("cancelled".to_owned(), verdict.code)
                    }
                    (_, Cause::LineDropped | Cause::ServerEnded) => ("lost".to_owned(), FAILED),
                    (Status::Exited(code), _) => (format!("exited with {code}"), verdict.code),
                    (Status::Signaled { signal, core }, _) => {
                        let core = if *core { ", core dumped" } else { "" };
                        let name = signal_name::show(*signal);
                        (format!("killed by {name}{core}"), verdict.code)
                    }
                    (Status::NotStarted { .. }, _) => ("not started".to_owned(), verdict.code),
                    (Status::Unknown, _) => ("unknown".to_owned(), FAILED),
                };
                let kind = match (&outcome.status, &outcome.cause) {
                    _ if outcome.is_success() => Kind::Done,
                    (Status::Unknown, _) | (_, Cause::LineDropped | Cause::ServerEnded) => {
                        Kind::Unknown
                    }
                    _ => Kind::Failed,
                };
                let has_word = matches!(outcome.cause, Cause::Deadline | Cause::Cancelled(_));
                let why = verdict.reason.filter(|_| !has_word).unwrap_or_default();
                (way(kind, &how, why), code)
            }
            End::Detached(_) => (way(Kind::Done, "left running", String::new()), 0),
            End::Halted => (way(Kind::NotBegun, "not begun", String::new()), 0),
            End::Left(_) => (way(Kind::Unknown, "left", String::new()), 0),
            End::Start(_) if end.did_not_start() => {
                (way(Kind::Unreached, "refused", why()), FAILED)
            }
            End::Unreached(_) | End::Nowhere(_) | End::Journal(_) => {
                (way(Kind::Unreached, "unreached", why()), FAILED)
            }
            End::Job(_) if end.outcome().is_some() => {
                (way(Kind::Unknown, "incomplete", why()), FAILED)
            }
            End::Start(_) | End::Job(_) | End::Broken(_) => {
                (way(Kind::Unknown, "unknown", why()), FAILED)
            }
        }
    }

    /// What a host has come to, in words.
    pub(super) fn how(&self, host: usize) -> String {
        let Some(State::Ended(way)) = self.states.get(host) else {
            return String::new();
        };
        let Some(way) = self.ways.get(*way as usize) else {
            return String::new();
        };
        match way.why.as_str() {
            "" => way.how.clone(),
            why => format!("{}: {why}", way.how),
        }
    }

    /// Whether we have left hosts where it may still run.
    pub(super) fn is_left(&self) -> bool {
        self.is_left
    }

    /// Our exit code (docs/fleet.md).
    pub(super) fn code(&self) -> u8 {
        let open = self.counts.not_begun + self.counts.connecting + self.counts.running;
        match self.signal {
            Some(signal) if self.is_left || self.counts.running > 0 => {
                exit_code::interrupted(signal)
            }
            _ if self.counts.unreached + self.counts.unknown > 0 => FAILED,
            Some(signal) if open > 0 => exit_code::interrupted(signal),
            _ if self.is_over_time => DEADLINE,
            _ => self.largest,
        }
    }

    /// The last line of `--json`.
    pub(super) fn summary(&self, code: u8) -> Chunk {
        #[derive(Serialize)]
        struct Summary {
            event: &'static str,
            hosts: usize,
            exit_code: u8,
            states: Counts,
        }
        let summary = Summary {
            event: "run",
            hosts: self.states.len(),
            exit_code: code,
            states: self.counts,
        };
        Chunk::new(Output::Stdout, Event::line(&summary))
    }

    /// For people: a line for each way that hosts have come to, with their set.
    pub(super) fn table(&self, names: &[String], took: Duration, too_many: bool) -> String {
        let mut rows: BTreeMap<&Way, HostSet> = BTreeMap::new();
        let open = Way {
            kind: Kind::Unknown,
            how: "left".to_owned(),
            why: String::new(),
        };
        for (state, name) in self.states.iter().zip(names) {
            let way = match state {
                State::Ended(way) => self.ways.get(*way as usize),
                _ => Some(&open),
            };
            if let Some(way) = way {
                rows.entry(way).or_default().insert(name);
            }
        }
        let how = rows.keys().map(|way| way.how.len()).max().unwrap_or(0);
        let count = rows
            .values()
            .map(|set| set.len().to_string().len())
            .max()
            .unwrap_or(0);
        let mut text = format!(
            "redial: {} in {:.1} s{}\n",
            hosts(self.states.len() as u64),
            took.as_secs_f64(),
            if too_many {
                ": too many failed (--max-fail)"
            } else {
                ""
            }
        );
        for (way, set) in &rows {
            let why = match way.why.as_str() {
                "" => String::new(),
                why => format!(": {}", Harmless(why)),
            };
            // Into a string, nothing can fail.
            let _ = writeln!(
                text,
                "  {:>count$}  {:how$}  {set}{why}",
                set.len(),
                way.how
            );
        }
        text
    }
}

/// As people count.
pub(super) fn hosts(count: u64) -> String {
    match count {
        1 => "1 host".to_owned(),
        count => format!("{count} hosts"),
    }
}
