//! A run that is followed to its end.

use std::io;
use std::time::{Duration, Instant};

use redial_client::Output;
use redial_fleet::outputs::Digests;
use redial_fleet::{End, Event, Fleet, Halt, What};

use super::json;
use super::roll::{self, Before, Roll};
use super::session::Session;
use super::show::{Form, Show};
use super::writer::Desk;
use crate::exit_code::FAILED;
use crate::interrupt::{Interrupts, Step};
use crate::report;
use crate::settings::{FleetSettings, Verbosity};

/// Who leaves waits so long for what is said to be read.
const LEAVING: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Run<'s> {
    pub(super) settings: &'s FleetSettings,
    pub(super) session: &'s Session,
    pub(super) roll: Roll,
    pub(super) show: Show,
    pub(super) desk: Desk,
    /// Nobody reads our stdout, or stderr, any more.
    pub(super) stopped: [bool; 2],
    pub(super) began: Instant,
    /// Something could not be written: the commands' codes would lie.
    pub(super) unwritten: bool,
}

impl Run<'_> {
    /// Of hosts that had ended before, what an earlier client has not shown.
    pub(super) fn show_what_is_left(&mut self) {
        if let Form::Collected(collected) = &mut self.show.form {
            for (host, _) in self.session.ended() {
                if !self.session.record.shown.contains(&host) {
                    let (name, shown) = (self.settings.hosts.name(host), self.session.shown(host));
                    collected.show_one(host, name, &mut self.desk, shown);
                }
            }
        }
    }

    pub(super) fn event(&mut self, Event { host, what }: Event) {
        let Some(host) = host else {
            return self.total_deadline();
        };
        let name = self.settings.hosts.name(host);
        if let Form::Json(json) = &mut self.show.form
            && let Some(chunk) = json.event(host, name, &what)
        {
            self.desk.push(chunk);
        }
        match what {
            What::Connecting => {
                self.roll.connecting(host);
                self.begin(host);
            }
            What::Running { pid, .. } => {
                self.roll.running(host);
                self.say(format_args!("{name}: runs as pid {pid}"));
            }
            What::Data {
                stream,
                offset,
                bytes,
                receipt,
            } => {
                let is_read = !self.stopped[stream.index()];
                let taken = self.show.data(
                    is_read,
                    (host, name),
                    (stream, offset),
                    &bytes,
                    receipt,
                    &mut self.desk,
                );
                self.check(taken, "keep outputs");
            }
            What::Again { why } => {
                self.session.not_started(host);
                self.roll.waits_again(host);
                self.say(format_args!("{name}: tried again: {why}"));
            }
            What::Dropped(reason) => {
                self.roll.set_down(host, true);
                self.say(format_args!(
                    "{name}: line dropped ({reason}), dialling again"
                ));
            }
            What::Back(after) => {
                self.roll.set_down(host, false);
                let after = after.as_secs_f64();
                self.say(format_args!(
                    "{name}: line back after {after:.1} s, nothing lost"
                ));
            }
            What::Missed { stream, from, to } => {
                if self.settings.verbosity > Verbosity::Quiet {
                    let text = format_args!("{name}: bytes {from} to {to} of {stream} are gone");
                    report::note(text);
                }
            }
            What::Ended(end) => self.ended(host, &end),
            What::Exited(_) | What::TotalDeadline => {}
        }
    }

    /// To be called now and then.
    pub(super) fn turn(&mut self) {
        let turned = self.show.turn(&mut self.desk);
        self.check(turned, "keep outputs");
    }

    /// Nothing is sent there yet: files of an earlier run go, unless this is one that goes on.
    fn begin(&mut self, host: usize) {
        let is_new = !self.session.record.sent.contains_key(&host);
        if let Some(files) = self.show.files.as_ref().filter(|_| is_new) {
            let made = files.begin(self.settings.hosts.name(host));
            self.check(made, "keep outputs");
        }
    }

    fn ended(&mut self, host: usize, end: &End) {
        let name = self.settings.hosts.name(host);
        let before = self.before(host, end);
        let ending = self.roll.ended(host, end, before);
        // The file before the journal: what that says is there, is.
        let kept = match &mut self.show.form {
            Form::Collected(collected) => collected.end(host, digests(end)),
            Form::Json(json) => {
                let last = json.ended(host, name, end, &ending);
                self.desk.push(last);
                Ok(())
            }
            Form::Prefix(_) | Form::Quiet => Ok(()),
        };
        self.check(kept, "keep outputs");
        self.session.ended_now(host, end, ending);
        self.show
            .ended((host, name), end, self.session, &mut self.desk);
        let how = self.roll.how(host);
        self.say(format_args!("{name}: {how}"));
        // The few words of the table do not say what to do about it.
        if self.settings.verbosity == Verbosity::Verbose
            && !end.is_success()
            && end.outcome().is_none()
        {
            report::note(end);
        }
    }

    /// What an earlier client of this run has to do with it.
    fn before(&self, host: usize, end: &End) -> Before {
        if !self.session.record.sent.contains_key(&host) {
            return Before::None;
        }
        let lengths = end.outcome().map(|it| [it.stdout.bytes, it.stderr.bytes]);
        let has_all = match (&self.show.form, &self.show.files, lengths) {
            (Form::Collected(collected), None, Some(lengths)) => collected.is_whole(host, lengths),
            (_, Some(files), Some(lengths)) => {
                files.reached(self.settings.hosts.name(host)) == lengths
            }
            // Nobody knows what was shown.
            _ => true,
        };
        if has_all { Before::Shown } else { Before::Sent }
    }

    fn total_deadline(&mut self) {
        self.roll.total_deadline();
        if self.settings.verbosity > Verbosity::Quiet {
            report::note("the time for all of it is over: ending what runs");
        }
    }

    pub(super) fn interrupted(&mut self, step: Step, signal: u8, fleet: &mut Fleet) {
        self.roll.interrupted(signal);
        let (halt, text) = match step {
            Step::Interrupt => (
                Halt::Interrupt,
                "interrupted: no other host is begun, SIGINT to what runs",
            ),
            Step::Cancel => (Halt::Cancel, "ending what runs: TERM, KILL in 5 s"),
            Step::Leave => (
                Halt::Leave,
                "left: what runs may run on, its --on-drop policy decides",
            ),
        };
        fleet.halt(halt);
        if self.settings.verbosity > Verbosity::Quiet {
            report::note(text);
        }
    }

    /// Nobody reads this any more: the commands learn it as they would here.
    pub(super) fn cannot_write(&mut self, (stream, error): (Output, io::Error)) {
        self.stopped[stream.index()] = true;
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.check(Err(error), &format!("write {stream}"));
        }
    }

    /// A failure of ours is said once.
    fn check(&mut self, done: io::Result<()>, what: &str) {
        if let Err(error) = done
            && !std::mem::replace(&mut self.unwritten, true)
        {
            report::error(format_args!("cannot {what}: {error}"));
        }
    }

    /// Hosts that are left where they are come to an end of their own; those that were not begun.
    fn settle(&mut self, fleet: &mut Fleet) -> Vec<usize> {
        for host in self.roll.open() {
            let job = self.session.ids.of(host);
            self.ended(host, &End::Left(job));
        }
        let mut left = Vec::new();
        for (host, end) in fleet.left() {
            match end {
                Some(end) => self.ended(host, &end),
                None => left.push(host),
            }
        }
        left.iter().for_each(|host| self.roll.not_begun(*host));
        left
    }

    /// The end of what is written, the table, and our exit code.
    pub(super) async fn conclude(
        mut self,
        fleet: &mut Fleet,
        interrupts: &mut Interrupts,
        is_left: bool,
    ) -> u8 {
        let left = self.settle(fleet);
        if let Form::Collected(collected) = &self.show.form {
            let shown = collected.show_all(self.settings.hosts.names(), &mut self.desk);
            self.check(shown, "show outputs");
        }
        let code = if self.unwritten {
            FAILED
        } else {
            self.roll.code()
        };
        if let Form::Json(_) = &self.show.form {
            for host in &left {
                self.desk
                    .push(json::not_begun(self.settings.hosts.name(*host)));
            }
            self.desk
                .push(self.roll.summary(self.session.id.as_deref(), code));
        }
        let is_left = is_left || self.roll.is_left();
        let is_unwritten = self.unwritten;
        let Run {
            settings,
            session,
            roll,
            desk,
            began,
            ..
        } = self;
        let (is_written, is_failed) = written(desk, interrupts, is_left).await;
        let code = if is_failed { FAILED } else { code };
        if settings.verbosity > Verbosity::Quiet {
            let too_many = fleet.has_failed_too_often();
            let mut table = roll.table(settings.hosts.names(), began.elapsed(), too_many);
            if let Some(id) = session.id.as_ref().filter(|_| roll.is_open()) {
                table.push_str(&roll::how_to_go_on(id));
            }
            report::table(&table);
        }
        // Where not all is shown, it can be taken up once more.
        if is_written && !is_unwritten {
            session.over(code, !roll.is_open());
        }
        code
    }

    fn say(&self, text: std::fmt::Arguments<'_>) {
        if self.settings.verbosity == Verbosity::Verbose {
            report::note(text);
        }
    }
}

/// Waits until all is written, unless nobody reads it and the user wants to go: whether it is, and
/// whether that has failed.
async fn written(desk: Desk, interrupts: &mut Interrupts, is_left: bool) -> (bool, bool) {
    let written = desk.finish();
    let failures = match is_left {
        true => tokio::time::timeout(LEAVING, written).await.ok(),
        false => tokio::select! {
            failures = written => Some(failures),
            _ = interrupts.next() => None,
        },
    };
    let Some(failures) = failures else {
        return (false, false);
    };
    let is_real = |error: &io::Error| error.kind() != io::ErrorKind::BrokenPipe;
    let failure = failures.into_iter().find(|(_, error)| is_real(error));
    if let Some((stream, error)) = &failure {
        report::error(format_args!("cannot write {stream}: {error}"));
    }
    (failure.is_none(), failure.is_some())
}

/// Of the outputs that are known to be complete.
fn digests(end: &End) -> Digests {
    let End::Outcome(outcome) = end else {
        return [None; 2];
    };
    [outcome.stdout, outcome.stderr]
        .map(|digest| digest.complete.then_some((digest.bytes, digest.checksum)))
}
