//! The kinds of jobs, each to its end and judged.

use std::thread;
use std::time::Duration;

use crate::case::Case;
use crate::client::{self, Plan, Seen};
use crate::site::{self, Site};
use crate::support::processes;
use crate::support::{PATIENCE, Random, Redial, idle};
use crate::tally::{Count, Tally};

/// What a client that takes a job writes to its stdin.
const TAIL: &[u8] = b"what the second client had to say\n";
const OUTPUTS: [&str; 2] = ["--stdout", "--stderr"];
/// How redial begins to say what is gone.
const NOTE: &[u8] = b"redial: note: bytes ";
/// A client is killed within so many milliseconds.
const KILLED_WITHIN_MS: u64 = 400;
/// Whose client was killed before it had begun may begin so much later.
const BEGINS_WITHIN: Duration = Duration::from_secs(2);

/// What a job is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With one client, from its start to its end.
    Attached,
    /// Its client is killed, and it is kept.
    Kept,
    /// The same, and another client takes it.
    Taken,
    /// Its client is killed, and it is ended.
    Ended,
    /// Without a client; several read along, and all of it is read afterwards.
    Detached,
}

impl Kind {
    pub(crate) const ALL: [Kind; 5] = [
        Kind::Attached,
        Kind::Kept,
        Kind::Taken,
        Kind::Ended,
        Kind::Detached,
    ];
    /// Those whose client is killed.
    pub(crate) const ORPHANS: [Kind; 3] = [Kind::Kept, Kind::Taken, Kind::Ended];
    /// Those whose client is not.
    pub(crate) const WHOLE: [Kind; 2] = [Kind::Attached, Kind::Detached];
}

/// One job where it runs.
pub(crate) struct Run<'a> {
    pub(crate) site: &'a Site,
    pub(crate) case: Case,
    pub(crate) random: Random,
    pub(crate) tally: &'a Tally,
    /// Clients may be stopped and slow.
    pub(crate) plagued: bool,
}

impl Run<'_> {
    pub(crate) fn go(mut self, kind: Kind) {
        self.case.what = format!("{kind:?} by way of {}", self.site.faulty());
        match kind {
            Kind::Attached => self.attached(),
            Kind::Kept => self.kept(),
            Kind::Taken => self.taken(),
            Kind::Ended => self.ended(),
            Kind::Detached => self.detached(),
        }
        self.case.remove();
    }

    fn plan(&mut self) -> Plan {
        match self.plagued {
            true => Plan::by(&mut self.random),
            false => Plan::default(),
        }
    }

    fn run(&self, host: &str, options: &[&str], text: &str) -> Redial {
        let redial = self.site.redial("run").args(options);
        redial.args([host, "--cwd", self.case.dir.to_str().unwrap(), "-c", text])
    }

    fn attached(&mut self) {
        let plan = self.plan();
        let case = &self.case;
        let redial = self.run(self.site.faulty(), &["--on-drop", "keep:2m"], &case.exits());
        let seen = client::run(redial, &case.input, plan, self.tally, || false);
        if case.ran(&seen, self.tally) {
            self.tally.add(Count::Attached, 1);
            case.ran_once(self.tally);
            case.ended(&seen, self.tally);
            self.is_all(&seen);
            case.took_all(self.tally);
        }
    }

    fn is_all(&self, seen: &Seen) {
        for (which, output) in seen.outputs.iter().enumerate() {
            self.case.is_all(which, output, self.tally);
        }
    }

    /// Its client, killed before it ends, unless it is quicker or never gets through.
    fn orphan(&mut self, host: &str, options: &[&str], text: &str) -> Option<Seen> {
        let after = Duration::from_millis(self.random.below(KILLED_WITHIN_MS));
        // Some before anything runs.
        let at_once = self.random.below(4) == 0;
        let plan = Plan {
            kill: Some(after),
            stop: None,
            ..self.plan()
        };
        let (redial, case) = (self.run(host, options, text), &self.case);
        let due = || at_once || case.has_begun();
        let seen = client::run(redial, &case.input, plan, self.tally, due);
        if !seen.killed {
            return case.ran(&seen, self.tally).then_some(seen);
        }
        // What it had sent may still arrive.
        idle(BEGINS_WITHIN, || case.has_begun());
        if case.has_begun() {
            return Some(seen);
        }
        self.tally
            .reason(Count::Unreached, "redial: killed before anything ran");
        None
    }

    /// A client that was killed, if it was, of a job that has run; the job's name.
    fn orphaned(&mut self, options: &[&str]) -> Option<(Seen, String)> {
        let text = self.case.exits();
        let seen = self.orphan(self.site.faulty(), options, &text)?;
        self.case.ran_once(self.tally);
        let job = format!("{}/{}", self.site.faulty(), self.case.job());
        if !seen.killed {
            self.tally.add(Count::Attached, 1);
            self.case.ended(&seen, self.tally);
            self.is_all(&seen);
            // The server has not heard that its client has all of it, if that was cut off.
            self.remove(&job);
            return None;
        }
        self.tally.add(Count::Orphaned, 1);
        Some((seen, job))
    }

    fn kept(&mut self) {
        let Some((seen, job)) = self.orphaned(&["--on-drop", "keep", "-n"]) else {
            return;
        };
        if !self.is_there(&job) {
            return self.was_over(&seen);
        }
        self.waited(&job);
        for (which, output) in OUTPUTS.into_iter().enumerate() {
            let plan = self.plan();
            let logs = self.site.ask(&["logs", output, &job], plan, self.tally);
            if logs.code != 0 {
                let what = format!("logs {output} ended with {}: {}", logs.code, logs.said());
                self.tally.wrong(Count::Unknown, self.case.named(&what));
            }
            let rest = match which {
                0 => &logs.outputs[0][..],
                _ => without_notes(&logs.outputs[1]),
            };
            self.case
                .covers(which, &seen.outputs[which], rest, self.tally);
        }
        self.remove(&job);
    }

    fn taken(&mut self) {
        let Some((seen, job)) = self.orphaned(&["--on-drop", "keep"]) else {
            return;
        };
        if !self.is_there(&job) {
            return self.was_over(&seen);
        }
        self.tally.add(Count::Taken, 1);
        let plan = self.plan();
        let words = ["attach", "--take", "--from", "start", &job];
        let rest = self.site.tell(&words, TAIL, plan, self.tally);
        self.case.ended(&rest, self.tally);
        let outputs = [&rest.outputs[0][..], without_notes(&rest.outputs[1])];
        for (which, rest) in outputs.into_iter().enumerate() {
            self.case
                .covers(which, &seen.outputs[which], rest, self.tally);
        }
        self.case.took_some_and(TAIL, self.tally);
        self.remove(&job);
    }

    /// Whether the server has the job.
    fn is_there(&self, job: &str) -> bool {
        let name = job.rsplit('/').next().unwrap();
        let jobs = self.site.jobs(self.tally);
        jobs.iter().any(|job| job["job"] == name)
    }

    /// A job that had ended, and whose outcome its client had acknowledged, when that was killed:
    /// nothing is left to be kept, and nothing may be missing.
    fn was_over(&self, seen: &Seen) {
        self.tally.add(Count::Over, 1);
        self.is_all(seen);
    }

    /// Directly: by its policy, a line that drops would end it as a client that dies does.
    fn ended(&mut self) {
        let text = self.case.command("exec sleep 600");
        let host = self.site.direct();
        let Some(seen) = self.orphan(&host, &["--on-drop", "kill"], &text) else {
            return;
        };
        let (case, tally) = (&self.case, self.tally);
        tally.add(Count::Ended, 1);
        case.ran_once(tally);
        if !seen.killed {
            return case.ended(&seen, tally);
        }
        idle(PATIENCE, || processes::in_dir(&case.dir).is_empty());
        for left in processes::in_dir(&case.dir) {
            tally.wrong(Count::Left, format!("its client was killed: {left:?}"));
        }
        for (which, output) in seen.outputs.iter().enumerate() {
            case.begins(which, output, tally);
        }
    }

    fn detached(&mut self) {
        let text = self.case.exits();
        let redial = self.run(self.site.faulty(), &["--detach"], &text);
        let seen = client::run(redial, b"", Plan::default(), self.tally, || false);
        if !self.case.ran(&seen, self.tally) {
            return;
        }
        self.tally.add(Count::Detached, 1);
        if seen.code != 0 {
            let what = format!("detached with {}: {}", seen.code, seen.said());
            return self.tally.wrong(Count::Unknown, what);
        }
        let job = String::from_utf8(seen.outputs[0].clone()).unwrap();
        let job = job.trim_end();
        let plans: Vec<Plan> = (0..=self.random.below(3)).map(|_| self.plan()).collect();
        thread::scope(|scope| {
            for plan in plans {
                let this = &*self;
                scope.spawn(move || this.reads(&["logs", "-f", job], plan));
            }
        });
        self.waited(job);
        self.case.ran_once(self.tally);
        self.reads(&["logs", job], Plan::default());
        self.remove(job);
    }

    /// All of both outputs.
    fn reads(&self, words: &[&str], plan: Plan) {
        self.tally.add(Count::Readers, 1);
        let seen = self.site.ask(words, plan, self.tally);
        if seen.code != 0 {
            let what = format!("{words:?} ended with {}: {}", seen.code, seen.said());
            return self.tally.wrong(Count::Unknown, what);
        }
        self.is_all(&seen);
    }

    fn waited(&self, job: &str) {
        let seen = self.site.ask(&["wait", job], Plan::default(), self.tally);
        self.case.ended(&seen, self.tally);
    }

    fn remove(&self, job: &str) {
        let seen = self.site.ask(&["rm", job], Plan::default(), self.tally);
        // It may have been done by one whose answer was cut off.
        if seen.code != 0 && !site::says_gone(&seen) {
            let what = format!("not removed, {}: {}", seen.code, seen.said());
            self.tally.wrong(Count::Unknown, what);
        }
    }
}

/// Without what redial says of bytes that the first client had acknowledged.
fn without_notes(stderr: &[u8]) -> &[u8] {
    let mut rest = stderr;
    while rest.starts_with(NOTE) {
        let end = rest.iter().position(|byte| *byte == b'\n');
        rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
    }
    rest
}
