//! Who is where: a state for each host, the table of them, and the exit code.

mod table;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use redial_client::{Cause, Outcome, Output, Status};
use redial_fleet::End;
use redial_fleet::record::{Ending, Kind};
use serde::Serialize;

use super::writer::Chunk;
use crate::exit_code::{self, DEADLINE, FAILED};
use crate::json::Event;
use crate::signal_name;

pub(crate) use table::hosts;
pub(super) use table::how_to_go_on;

/// What hosts come to with `--detach`.
pub(super) const LEFT_RUNNING: &str = "left running";

/// See the module.
#[derive(Debug)]
pub(crate) struct Roll {
    states: Vec<State>,
    /// What hosts have come to, each once.
    endings: Vec<Ending>,
    places: HashMap<Ending, u32>,
    counts: Counts,
    deadline: Option<Duration>,
    signal: Option<u8>,
    is_over_time: bool,
    largest: u8,
    is_left: bool,
    /// Hosts whose line is down.
    down: HashSet<usize>,
}

/// What an earlier client has to do with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    None,
    /// It has sent the command there.
    Sent,
    /// And it has shown what it wrote, or some of it.
    Shown,
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
    /// By its place among the endings.
    Ended(u32),
}

impl Counts {
    pub(super) fn ended(&self) -> usize {
        self.done + self.failed + self.unreached + self.unknown
    }

    pub(super) fn all(&self) -> usize {
        self.not_begun + self.connecting + self.running + self.ended()
    }
}

impl Roll {
    /// So many hosts, where the command may take so long.
    pub(crate) fn new(hosts: usize, deadline: Option<Duration>) -> Self {
        Roll {
            states: vec![State::NotBegun; hosts],
            endings: Vec::new(),
            places: HashMap::new(),
            counts: Counts {
                not_begun: hosts,
                ..Counts::default()
            },
            deadline,
            signal: None,
            is_over_time: false,
            largest: 0,
            is_left: false,
            down: HashSet::new(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Hosts whose line is dialled again.
    pub(super) fn down(&self) -> usize {
        self.down.len()
    }

    /// Whether the line to a host is down.
    pub(super) fn set_down(&mut self, host: usize, is_down: bool) {
        match is_down {
            true => self.down.insert(host),
            false => self.down.remove(&host),
        };
    }

    /// Those that have run the longest, the longest first.
    pub(super) fn slowest(&self, count: usize) -> Vec<(usize, Instant)> {
        let running = self.states.iter().enumerate();
        let mut running: Vec<(usize, Instant)> = running
            .filter_map(|(host, state)| match state {
                State::Running(since) => Some((host, *since)),
                _ => None,
            })
            .collect();
        running.sort_by_key(|(_, since)| *since);
        running.truncate(count);
        running
    }

    fn count(&mut self, state: State) -> Option<&mut usize> {
        let counts = &mut self.counts;
        Some(match state {
            State::NotBegun => &mut counts.not_begun,
            State::Connecting => &mut counts.connecting,
            State::Running(_) => &mut counts.running,
            State::Ended(at) => match self.endings.get(at as usize)?.kind {
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
    pub(super) fn ended(&mut self, host: usize, end: &End, before: Before) -> Ending {
        self.down.remove(&host);
        let ending = match (before, end.outcome()) {
            // That we did not get there says nothing of what became of it.
            (Before::Sent | Before::Shown, _) if end.did_not_start() => {
                let why = format!("not reached again: {}", end.brief());
                ending(Kind::Unknown, "unknown", why, FAILED)
            }
            // What we have not seen of its output, an earlier client has shown.
            (Before::Shown, Some(outcome)) => self.of_outcome(outcome),
            _ => self.ending(end),
        };
        self.is_left |= matches!(end, End::Left(_));
        self.come_to(host, ending.clone());
        ending
    }

    /// It will not be begun.
    pub(super) fn not_begun(&mut self, host: usize) {
        self.come_to(host, ending(Kind::NotBegun, "not begun", String::new(), 0));
    }

    /// Notes what a host has come to.
    pub(crate) fn come_to(&mut self, host: usize, ending: Ending) {
        self.largest = self.largest.max(ending.code);
        let next = u32::try_from(self.endings.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(ending.clone()).or_insert(next);
        if place == next {
            self.endings.push(ending);
        }
        self.set(host, State::Ended(place));
    }

    fn ending(&self, end: &End) -> Ending {
        let why = || end.brief();
        match end {
            End::Outcome(outcome) => self.of_outcome(outcome),
            End::Detached(_) => ending(Kind::Done, LEFT_RUNNING, String::new(), 0),
            End::Halted => ending(Kind::NotBegun, "not begun", String::new(), 0),
            End::Left(_) => ending(Kind::Unknown, "left", why(), 0),
            End::Start(_) if end.did_not_start() => {
                ending(Kind::Unreached, "refused", why(), FAILED)
            }
            End::Unreached(_) | End::Nowhere(_) => {
                ending(Kind::Unreached, "unreached", why(), FAILED)
            }
            End::Journal(_) => ending(Kind::Unreached, "not tried", why(), FAILED),
            End::Job(_) if end.outcome().is_some() => {
                ending(Kind::Failed, "incomplete", why(), FAILED)
            }
            End::Start(_) | End::Job(_) | End::Broken(_) => {
                ending(Kind::Unknown, "unknown", why(), FAILED)
            }
        }
    }

    fn of_outcome(&self, outcome: &Outcome) -> Ending {
        let verdict = exit_code::verdict(outcome, self.signal, self.deadline);
        let is_cancelled = matches!(outcome.cause, Cause::Cancelled(_));
        let (how, code) = match (&outcome.status, &outcome.cause) {
            (_, Cause::Deadline) => ("deadline".to_owned(), verdict.code),
            _ if is_cancelled && self.is_over_time => ("total deadline".to_owned(), DEADLINE),
            _ if is_cancelled && self.signal.is_some() => ("cancelled".to_owned(), verdict.code),
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
            (Status::Unknown, _) | (_, Cause::LineDropped | Cause::ServerEnded) => Kind::Unknown,
            _ => Kind::Failed,
        };
        // The word says it.
        let is_said = matches!(outcome.cause, Cause::Deadline) || is_cancelled;
        let why = verdict.reason.filter(|_| !is_said).unwrap_or_default();
        ending(kind, &how, why, code)
    }

    /// What a host has come to, in words.
    pub(super) fn how(&self, host: usize) -> String {
        match self.states.get(host) {
            Some(State::Ended(at)) => self.endings.get(*at as usize).map(in_words),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// Hosts that have begun and not ended.
    pub(super) fn open(&self) -> Vec<usize> {
        let open = |state: &State| matches!(state, State::Connecting | State::Running(_));
        let hosts = self.states.iter().enumerate();
        hosts
            .filter(|(_, state)| open(state))
            .map(|(host, _)| host)
            .collect()
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

    /// Whether there are hosts where the command has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.counts.done + self.counts.failed < self.states.len()
    }

    /// The last line of `--json`.
    pub(super) fn summary(&self, run: Option<&str>, code: u8) -> Chunk {
        #[derive(Serialize)]
        struct Summary<'a> {
            event: &'static str,
            run: Option<&'a str>,
            hosts: usize,
            exit_code: u8,
            states: Counts,
        }
        let summary = Summary {
            event: "run",
            run,
            hosts: self.states.len(),
            exit_code: code,
            states: self.counts,
        };
        Chunk::new(Output::Stdout, Event::line(&summary))
    }
}

fn ending(kind: Kind, how: &str, why: String, code: u8) -> Ending {
    Ending {
        kind,
        how: how.to_owned(),
        why,
        code,
    }
}

fn in_words(ending: &Ending) -> String {
    match ending.why.as_str() {
        "" => ending.how.clone(),
        why => format!("{}: {why}", ending.how),
    }
}
