//! What is counted, and told to a monitor when it asks: in Prometheus' text format, version 0.0.4
//! (prometheus.io/docs/instrumenting/exposition_formats).
//!
//! The thread that serves it reads nothing of what it is sent: it waits until something comes, and
//! answers. All figures are the loop's, which makes the text when it is asked for.

mod server;
mod text;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;

use super::job::Job;
use super::turn::Keeper;
use crate::outcome::{Cause, Exit, Outcome, Status};

pub(super) use server::{Served, open};
use text::{Histogram, Text};

/// Where a monitor asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsTo {
    /// On this Unix socket, which only our own user and root reach.
    Unix(PathBuf),
    /// On this address, which must be a loopback one: nobody is asked for a key.
    Loopback(SocketAddr),
}

impl fmt::Display for MetricsTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display().to_string().escape_debug()),
            Self::Loopback(address) => write!(f, "{address}"),
        }
    }
}

/// How a login, or a connection to a Unix socket, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authentication {
    Accepted,
    Refused,
    /// It could not be found out.
    Failed,
}

/// What has happened since the program was started.
#[derive(Debug, Default)]
pub(super) struct Counts {
    authentications: [u64; 3],
    jobs_started: u64,
    /// In the order of [`ENDS`].
    jobs_ended: [u64; ENDS.len()],
    oom_kills: u64,
    /// Of jobs that have ended: stdin, stdout, stderr.
    bytes: [u64; 3],
    spawn: Histogram,
    front_starts: u64,
}

const ENDS: [&str; 8] = [
    "exited-0",
    "exited",
    "signaled",
    "deadline",
    "cancelled",
    "line-dropped",
    "not-started",
    "other",
];

impl Counts {
    pub(super) fn authenticated(&mut self, how: Authentication) {
        self.authentications[how as usize] += 1;
    }

    pub(super) fn front_started(&mut self) {
        self.front_starts += 1;
    }

    /// A process is there, so many microseconds after a thread had begun to make it.
    pub(super) fn started(&mut self, took_us: u64) {
        self.jobs_started += 1;
        self.spawn.observe(took_us);
    }

    /// A job has its outcome, or could not be started.
    pub(super) fn ended(&mut self, outcome: &Outcome) {
        let how = match (&outcome.cause, &outcome.status) {
            (_, Status::NotStarted(..)) => "not-started",
            (Cause::Deadline, _) => "deadline",
            (Cause::Cancelled(_), _) => "cancelled",
            (Cause::LineDropped, _) => "line-dropped",
            (Cause::Itself, Status::Ended(Exit::Code(0))) => "exited-0",
            (Cause::Itself, Status::Ended(Exit::Code(_))) => "exited",
            (Cause::Itself | Cause::OutOfMemory, Status::Ended(Exit::Signal(..))) => "signaled",
            _ => "other",
        };
        for (count, name) in self.jobs_ended.iter_mut().zip(ENDS) {
            *count += u64::from(name == how);
        }
        self.oom_kills += u64::from(outcome.cause == Cause::OutOfMemory);
        let digests = [&outcome.stdin, &outcome.stdout, &outcome.stderr];
        for (sum, digest) in self.bytes.iter_mut().zip(digests) {
            *sum = sum.wrapping_add(digest.bytes);
        }
    }
}

/// A monitor waits for the text.
pub(super) type Wanted = SyncSender<String>;

impl Keeper<'_> {
    /// A monitor asks.
    pub(super) fn on_scraped(&self, wanted: &Wanted) {
        // It may have gone.
        let _ = wanted.try_send(self.metrics());
    }

    fn metrics(&self) -> String {
        let counts = &self.ground.counts;
        let mut text = Text::default();
        let about = text.gauge("redial_build_info", "The program.");
        about.value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.tell_connections(&mut text);
        let about = text.counter(
            "redial_authentications_total",
            "Logins, and connections to Unix sockets, by result.",
        );
        for (result, count) in ["accepted", "refused", "failed"]
            .iter()
            .zip(counts.authentications)
        {
            about.value(&[("result", result)], count);
        }
        self.tell_jobs(&mut text);
        let about = text.counter(
            "redial_stream_bytes_total",
            "Bytes that jobs were given and have written.",
        );
        let living = self.living_bytes();
        for (at, stream) in ["stdin", "stdout", "stderr"].iter().enumerate() {
            about.value(
                &[("stream", stream)],
                counts.bytes[at].wrapping_add(living[at]),
            );
        }
        text.histogram(
            "redial_spawn_duration_seconds",
            "From a thread's taking a command up until its program runs.",
            &counts.spawn,
        );
        let about = text.counter(
            "redial_front_restarts_total",
            "Fronts that took the place of one that had died.",
        );
        about.value(&[], counts.front_starts.saturating_sub(1));
        let pools = [
            ("output", &self.ground.output),
            ("stdin", &self.ground.stdin),
        ];
        let chunk = crate::pool::CHUNK_BYTES as u64;
        let about = text.gauge(
            "redial_log_pool_bytes",
            "Memory that there is for streams of jobs.",
        );
        for (name, pool) in pools {
            about.value(&[("pool", name)], u64::from(pool.chunks()) * chunk);
        }
        let about = text.gauge("redial_log_pool_free_bytes", "Of that, what is free.");
        for (name, pool) in pools {
            about.value(&[("pool", name)], pool.free() as u64 * chunk);
        }
        text.into_string()
    }

    fn tell_connections(&self, text: &mut Text) {
        let network = self
            .clients
            .values()
            .filter(|it| it.grant.is_some())
            .count();
        let strangers = self.network.as_ref().map_or(0, |it| it.strangers.len());
        let about = text.gauge(
            "redial_connections",
            "Connections, by where they came from.",
        );
        about.value(&[("from", "unix")], (self.clients.len() - network) as u64);
        about.value(&[("from", "network")], network as u64);
        about.value(&[("from", "stranger")], strangers as u64);
    }

    fn tell_jobs(&self, text: &mut Text) {
        let counts = &self.ground.counts;
        let ended = self
            .jobs
            .values()
            .filter(|job| job.outcome.is_some())
            .count();
        let about = text.gauge(
            "redial_jobs",
            "Jobs, by state; unread: ended, and not read by anybody.",
        );
        for (state, count) in [
            ("starting", self.starting.len()),
            ("running", self.jobs.len() - ended),
            ("unread", ended),
            ("kept", self.keeping.archive.len()),
        ] {
            about.value(&[("state", state)], count as u64);
        }
        let about = text.counter("redial_jobs_started_total", "Jobs that had a process.");
        about.value(&[], counts.jobs_started);
        let about = text.counter("redial_jobs_ended_total", "Jobs that ended, and how.");
        for (how, count) in ENDS.iter().zip(counts.jobs_ended) {
            about.value(&[("how", how)], count);
        }
        let about = text.counter(
            "redial_jobs_oom_total",
            "Jobs that the kernel ended, for they took more memory than they may.",
        );
        about.value(&[], counts.oom_kills);
    }

    /// What jobs without an outcome have been given and have written so far.
    fn living_bytes(&self) -> [u64; 3] {
        let mut sums = [0_u64; 3];
        for job in self.jobs.values().filter(|job| job.outcome.is_none()) {
            for (sum, bytes) in sums.iter_mut().zip(bytes_so_far(job)) {
                *sum = sum.wrapping_add(bytes);
            }
        }
        sums
    }
}

/// Of stdin that it was given, of stdout and of stderr that it has written.
fn bytes_so_far(job: &Job) -> [u64; 3] {
    let [stdout, stderr] = job.outputs.each_ref().map(|output| output.log.end());
    let stdin = job.input.as_ref();
    let stdin = stdin.map_or(0, |input| input.log.digest().bytes);
    [stdin, stdout, stderr]
}
