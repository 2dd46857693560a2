//! Another program in this process's place, with all jobs: an upgrade.
//!
//! The new program is opened, and reads the state as a child first (`program`). If it understands it,
//! the front is ended (its clients dial again), what the threads have in hand is waited for, the
//! state is written to memory (`save`) and the new program is executed: process id, children and
//! descriptors stay. It takes the state up (`resume`) and starts a front of its own. Whatever goes
//! wrong before that leaves this program serving.

mod program;
mod resume;
mod save;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use redial_auth::authorized_keys::Policy;

use super::command::Refusal;
use super::config::{KeeperError, UpgradeConfig};
use super::grant::Client;
use super::report::tell;
use super::time::Millis;
use super::turn::Keeper;
use super::workers::Done;
use crate::audit::Auditor;
use crate::outcome::RefusedCode;
use crate::signals;
use crate::wire::{Reply, ToFront};

pub(super) use program::{STATE_VARIABLE, execute, memory};
pub use program::{check_state, own_program};
pub(super) use resume::{Inherited, Resumed, take_state};

/// The new program has so long to read the state.
const CHECK: Duration = Duration::from_secs(20);
/// What threads have in hand is waited for so long; a start may hang on a dead file system.
const SETTLE_MS: u64 = 10_000;
/// Requests remembered, so that one that is sent again after the line has dropped is not done again.
const MAX_REQUESTS: usize = 16;

/// All about them.
#[derive(Debug)]
pub(super) struct Upgrades {
    /// None where the program cannot be replaced.
    config: Option<UpgradeConfig>,
    under_way: Option<Upgrade>,
    /// Requests that are done.
    done: Vec<[u8; 16]>,
    /// Requests that came to nothing, and why: one that is sent again is not tried again.
    failed: VecDeque<([u8; 16], String)>,
}

impl Upgrades {
    pub(super) fn new(config: Option<UpgradeConfig>) -> Self {
        Self {
            config,
            under_way: None,
            done: Vec::new(),
            failed: VecDeque::new(),
        }
    }

    /// Nobody hears its answers any more; the next one has numbers of its own.
    pub(super) fn front_is_lost(&mut self) {
        match &mut self.under_way {
            Some(Upgrade::Checking(asked) | Upgrade::Settling { asked, .. }) => {
                asked.numbers.clear();
            }
            None => {}
        }
    }

    /// It came to nothing.
    fn fail(&mut self, asked: &Asked, reason: &str) {
        tracing::error!(reason, "no upgrade; the old program stays");
        for request in &asked.requests {
            self.failed.truncate(MAX_REQUESTS - 1);
            self.failed.push_front((*request, reason.to_owned()));
        }
    }

    /// What tells of SIGHUP.
    pub(super) fn hangup(&self) -> Option<&OwnedFd> {
        self.config.as_ref().map(|config| &config.hangup)
    }

    fn args(&self) -> Vec<OsString> {
        let args = self.config.as_ref().map(|config| config.args.clone());
        args.unwrap_or_default()
    }
}

/// How far an upgrade is.
#[derive(Debug)]
enum Upgrade {
    /// The new program reads the state.
    Checking(Asked),
    /// It can, and waits for the threads.
    Settling {
        asked: Asked,
        program: File,
        until: Millis,
    },
}

/// Who waits for it: the front's numbers for answers, and the names of the requests.
#[derive(Debug, Default)]
struct Asked {
    numbers: Vec<u32>,
    requests: Vec<[u8; 16]>,
}

impl Keeper<'_> {
    /// A client asks for it.
    pub(super) fn ask_for_upgrade(
        &mut self,
        client: &Client,
        number: u32,
        request: [u8; 16],
    ) -> Result<(), Refusal> {
        let limited = client.grant.as_ref().is_some_and(|it| {
            it.line.is_restricted() || it.line.options.policy != Policy::default()
        });
        if limited {
            let text = "a restricted key may not replace the server's program";
            return Err(Refusal::new(RefusedCode::NotAllowed, text));
        }
        if self.upgrades.done.contains(&request) {
            let done = ToFront::Answer(number, Box::new(Reply::Done));
            tell(&mut self.front.out, &done);
            return Ok(());
        }
        let failed = self.upgrades.failed.iter();
        if let Some((_, reason)) = failed.clone().find(|(known, _)| *known == request) {
            return Err(no_upgrade(reason));
        }
        let asked = Asked {
            numbers: vec![number],
            requests: vec![request],
        };
        self.begin_upgrade(asked)
    }

    /// SIGHUP.
    pub(super) fn on_hangup(&mut self) {
        if let Some(hangup) = self.upgrades.hangup() {
            signals::drain(hangup);
        }
        if let Err(refusal) = self.begin_upgrade(Asked::default()) {
            tracing::error!(reason = refusal.text, "no upgrade");
        }
    }

    fn begin_upgrade(&mut self, asked: Asked) -> Result<(), Refusal> {
        let unsupported = |text: &str| Err(Refusal::new(RefusedCode::Unsupported, text));
        if self.upgrades.config.is_none() {
            return unsupported("this server cannot be upgraded: it ends with its client");
        }
        if !self.phase.is_serving() {
            return unsupported("the server is shutting down");
        }
        match &mut self.upgrades.under_way {
            Some(Upgrade::Checking(before)) if before.requests.len() >= MAX_REQUESTS => {
                return unsupported("too many ask for an upgrade");
            }
            Some(Upgrade::Checking(before)) => {
                before.numbers.extend(asked.numbers);
                before.requests.extend(asked.requests);
                return Ok(());
            }
            Some(Upgrade::Settling { .. }) => return unsupported("an upgrade is under way"),
            None => {}
        }
        self.start_check().map_err(|error| {
            let text = format!("the new program cannot be tried: {error}");
            Refusal::new(RefusedCode::Failure, text)
        })?;
        tracing::info!("an upgrade: the program reads the state");
        self.upgrades.under_way = Some(Upgrade::Checking(asked));
        Ok(())
    }

    fn start_check(&mut self) -> io::Result<()> {
        let config = self.upgrades.config.as_ref();
        let path = config.map(|config| config.program.clone());
        let program = program::open(&path.unwrap_or_default())?;
        let state = memory(&self.save().to_bytes())?;
        let args = self.upgrades.args();
        let workers = &self.ground.workers;
        let (teller, gate, tickets) = workers.for_others();
        super::workers::spawn_thread("checker", move || {
            let ticket = tickets.begin();
            let checked = program::try_out(&program, &args, state, CHECK, &gate);
            teller.tell(Done::Checked(checked.map(|()| program)));
            drop(ticket);
        })
    }

    /// The new program can read the state, or why not.
    pub(super) fn on_checked(&mut self, checked: Result<File, String>) -> Result<(), KeeperError> {
        let Some(Upgrade::Checking(asked)) = self.upgrades.under_way.take() else {
            return Ok(());
        };
        let program = match checked {
            Ok(program) => program,
            Err(reason) => {
                self.refuse_upgrade(&asked, &reason);
                return Ok(());
            }
        };
        if !self.phase.is_serving() {
            self.refuse_upgrade(&asked, "the server is shutting down");
            return Ok(());
        }
        if self.ground.audit.as_ref().is_some_and(Auditor::owes) {
            self.refuse_upgrade(&asked, "its audit has lines that cannot be written now");
            return Ok(());
        }
        self.ground.workers.hurry(true);
        self.pause_recordings(true);
        self.upgrades.under_way = Some(Upgrade::Settling {
            asked,
            program,
            until: self.ground.now + SETTLE_MS,
        });
        if let Some(manager) = self.life.manager() {
            manager.reloading();
        }
        // Nobody waits at our sockets in vain: they stay open.
        self.front_has_died("the program is replaced")
    }

    fn refuse_upgrade(&mut self, asked: &Asked, reason: &str) {
        self.ground.workers.hurry(false);
        self.pause_recordings(false);
        self.upgrades.fail(asked, reason);
        self.note_no_upgrade(reason);
        if let Some(manager) = self.life.manager() {
            manager.ready();
        }
        for number in &asked.numbers {
            self.refuse(*number, no_upgrade(reason));
        }
    }

    /// Whether fronts are to wait.
    pub(super) fn is_settling(&self) -> bool {
        matches!(self.upgrades.under_way, Some(Upgrade::Settling { .. }))
    }

    /// When it has waited long enough.
    pub(super) fn upgrade_due(&self) -> Option<Millis> {
        match &self.upgrades.under_way {
            Some(Upgrade::Settling { until, .. }) => Some(*until),
            _ => None,
        }
    }

    /// Executes the new program when no thread has anything in hand.
    pub(super) fn advance_upgrade(&mut self) {
        if !self.is_settling() {
            return;
        }
        let disk_is_busy = self.ground.disk.as_ref().is_some_and(|it| it.is_busy());
        let in_hand = self.jobs.values().any(|job| job.is_in_hand());
        let audit_is_busy = self.ground.audit.as_ref().is_some_and(|it| !it.is_idle());
        let books_are_busy =
            audit_is_busy || !self.ground.recorder.as_ref().is_none_or(|it| it.is_idle());
        let is_busy = !self.starting.is_empty() || disk_is_busy || books_are_busy || in_hand;
        let Some(Upgrade::Settling {
            asked,
            program,
            until,
        }) = self.upgrades.under_way.take()
        else {
            return;
        };
        if is_busy && self.ground.now < until && self.phase.is_serving() {
            self.upgrades.under_way = Some(Upgrade::Settling {
                asked,
                program,
                until,
            });
            return;
        }
        if is_busy || !self.phase.is_serving() {
            let reason = "its threads are busy for too long, or it is shutting down";
            return self.refuse_upgrade(&asked, reason);
        }
        let before = std::mem::take(&mut self.upgrades.done);
        let all = asked.requests.iter().chain(&before).copied();
        self.upgrades.done = all.take(MAX_REQUESTS).collect();
        let state = self.save();
        let args = self.upgrades.args();
        // It only returns to say why it could not. Meanwhile nothing is started that would inherit
        // what is left open for it.
        let workers = &self.ground.workers;
        let error = workers.execute(|| execute(&program, &args, &state));
        self.upgrades.done = before;
        let reason = format!("the new program cannot be executed: {error}");
        self.refuse_upgrade(&asked, &reason);
    }
}

fn no_upgrade(reason: &str) -> Refusal {
    let text = format!("no upgrade, the old program stays: {reason}");
    Refusal::new(RefusedCode::Failure, text)
}
