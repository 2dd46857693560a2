//! A job as a line of a list, for people and as JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redial_client::{Cause, JobInfo, Status, Target};
use serde::Serialize;

use crate::exit_code;
use crate::json::{Event, OutcomeLine};

/// A job in `--json`.
#[derive(Debug, Serialize)]
pub(super) struct JobLine {
    host: String,
    job: String,
    state: &'static str,
    user: String,
    command: String,
    started: f64,
    ended: Option<f64>,
    expires: Option<f64>,
    pid: Option<u32>,
    stdout: u64,
    stderr: u64,
    kept: bool,
    held: bool,
    readers: u32,
    stalled: Option<String>,
    outcome: Option<Box<OutcomeLine>>,
}

impl JobLine {
    pub(super) fn new(target: &Target, job: &JobInfo) -> Self {
        let outcome = job.outcome.as_ref().map(|outcome| {
            let verdict = exit_code::verdict(outcome, None, None);
            OutcomeLine::of(target.to_string(), job.id, outcome, &verdict)
        });
        JobLine {
            host: target.to_string(),
            job: job.id.to_string(),
            state: match (job.starting, &job.outcome) {
                (true, _) => "starting",
                (false, None) => "running",
                (false, Some(_)) => "ended",
            },
            user: job.user.clone(),
            command: job.command.clone(),
            started: job.started.as_secs_f64(),
            ended: job.ended.map(|at| at.as_secs_f64()),
            expires: job.expires.map(|at| at.as_secs_f64()),
            pid: job.pid,
            stdout: job.bytes[0],
            stderr: job.bytes[1],
            kept: job.kept,
            held: job.held,
            readers: job.readers,
            stalled: job.stalled.clone(),
            outcome: outcome.map(Box::new),
        }
    }

    pub(super) fn to_line(&self) -> Vec<u8> {
        Event::line(self)
    }
}

/// Columns of a table.
pub(super) const HEAD: [&str; 6] = ["JOB", "STATE", "SINCE", "OUT/ERR", "USER", "COMMAND"];

/// The cells of a job; of its name so many letters.
pub(super) fn cells(job: &JobInfo, letters: usize) -> [String; 6] {
    let name = job.id.to_string();
    let kept = if job.kept { "+" } else { "" };
    let stalled = if job.stalled.is_some() { "!" } else { "" };
    let since = job.ended.unwrap_or(job.started);
    [
        format!("{}{kept}", &name[..letters.min(name.len())]),
        state(job),
        ago(since),
        format!("{}/{}{stalled}", size(job.bytes[0]), size(job.bytes[1])),
        job.user.clone(),
        job.command.clone(),
    ]
}

fn state(job: &JobInfo) -> String {
    let Some(outcome) = &job.outcome else {
        return if job.starting { "starting" } else { "running" }.to_owned();
    };
    let how = match &outcome.status {
        Status::Exited(code) => format!("exit {code}"),
        Status::Signaled { signal, .. } => format!("signal {signal}"),
        Status::NotStarted { .. } => "not started".to_owned(),
        Status::Unknown => "unknown".to_owned(),
    };
    let why = match outcome.cause {
        Cause::Itself => "",
        Cause::Deadline => " (deadline)",
        Cause::Cancelled(_) => " (cancelled)",
        Cause::LineDropped => " (line dropped)",
        Cause::ServerEnded => " (server ended)",
        Cause::OutOfMemory => " (out of memory)",
    };
    match outcome.lingering {
        0 => format!("{how}{why}"),
        left => format!("{how}{why}, {left} left"),
    }
}

fn ago(since: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.unwrap_or_default().saturating_sub(since).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["K", "M", "G", "T"];
    if bytes < 10_000 {
        return bytes.to_string();
    }
    let (mut value, mut unit) = (bytes as f64 / 1_024.0, 0);
    while value >= 1_000.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{value:.0}{}", UNITS[unit])
}

/// So many letters that no two of these names begin with the same, eight at least.
pub(super) fn letters(jobs: &[JobInfo]) -> usize {
    let mut names: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    names.sort_unstable();
    let same = |pair: &[String]| {
        let pairs = pair[0].bytes().zip(pair[1].bytes());
        pairs.take_while(|(one, other)| one == other).count()
    };
    names
        .windows(2)
        .map(|pair| same(pair) + 1)
        .max()
        .unwrap_or(0)
        .max(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_stay_short() {
        for (bytes, shown) in [
            (0, "0"),
            (9_999, "9999"),
            (10_240, "10K"),
            (5 << 30, "5G"),
            (1_000 << 20, "1000M"),
            (u64::MAX, "16777216T"),
        ] {
            let expected = if bytes == 1_000 << 20 { "1G" } else { shown };
            assert_eq!(size(bytes), expected);
        }
    }
}
