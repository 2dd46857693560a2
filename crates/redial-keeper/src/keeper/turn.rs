//! The keeper's state, and its loop.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::config::{KeeperConfig, KeeperError};
use super::front::{Front, FrontHandle};
use super::front_program::ProgramStarter;
use super::grant::Client;
use super::ground::Ground;
use super::job::Job;
use super::kept::Keeping;
use super::life::Life;
use super::listener::{Listener, Reserve};
use super::metrics::{self, Served};
use super::network::Network;
use super::orphans::Orphans;
use super::poll::{Interest, Serial, Token};
use super::records::Records;
use super::requests::PendingCommand;
use super::set_up::{instance, keep, open_doors, set_up, set_up_process};
use super::shutdown::Phase;
use super::start::Starting;
use super::time::{Millis, now};
use super::upgrade::{Upgrades, take_state};
use super::users::People;
use super::workers::Done;
use crate::tree::SpawnTickets;
use crate::wire::{Capability, JobId};

#[cfg(feature = "simulation")]
pub(crate) mod simulation;

/// Waits in the outbox at most, before jobs are told no more and requests wait.
pub(super) const MAX_OUTBOX_BYTES: usize = 256 * 1024;
/// All that the keeper holds.
pub(super) struct Keeper<'a> {
    pub(super) ground: Ground,
    /// Names this keeper; a start that went to another may have run there.
    pub(super) instance: [u8; 16],
    pub(super) jobs: HashMap<Serial, Job>,
    pub(super) starting: HashMap<Serial, Starting>,
    /// Jobs that are starting, running or not read.
    pub(super) ids: BTreeMap<JobId, Serial>,
    pub(super) records: Records,
    pub(super) keeping: Keeping,
    pub(super) next_serial: Serial,
    pub(super) waiting_bytes: usize,
    pub(super) clients: HashMap<Capability, Client>,
    pub(super) last_capability: Capability,
    pub(super) pending: PendingCommand,
    pub(super) front: Front,
    pub(super) start_front: &'a mut dyn FnMut() -> io::Result<FrontHandle>,
    pub(super) listeners: Vec<Listener>,
    pub(super) network: Option<Network>,
    pub(super) people: People,
    pub(super) listening: bool,
    /// It was said where we listen.
    pub(super) announced: bool,
    pub(super) reserve: Reserve,
    /// Listening again then, after running out of descriptors.
    pub(super) listen_at: Option<Millis>,
    pub(super) stdio: Option<(OwnedFd, OwnedFd)>,
    /// One client on stdio, and the end with it.
    pub(super) private: bool,
    pub(super) phase: Phase,
    /// A private server ends because of that, with an error.
    pub(super) front_died: bool,
    pub(super) shutdown: OwnedFd,
    pub(super) upgrades: Upgrades,
    pub(super) life: Life,
    pub(super) orphans: Orphans,
    pub(super) cool_at: Option<Millis>,
    pub(super) house_due: Option<Millis>,
    pub(super) buffer: Vec<u8>,
}

/// Serves until told to end. Blocks; one per process, for it reaps its children and
/// takes SIGCHLD, and should be the first thread.
///
/// # Errors
/// It could not be set up, or a private server's front died.
pub fn run(mut config: KeeperConfig) -> Result<(), KeeperError> {
    let program = std::mem::take(&mut config.front);
    let identity = config.users.as_ref().map(|many| many.front.clone());
    let starter = ProgramStarter::new(program, identity)
        .map_err(KeeperError::setup("open our executable"))?;
    run_with(config, &mut || starter.start())
}

/// As [`run`], with fronts from elsewhere: called for the first and whenever one has
/// died; an error is tried again after a while.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    mut config: KeeperConfig,
    start_front: &mut dyn FnMut() -> io::Result<FrontHandle>,
) -> Result<(), KeeperError> {
    let to = config.metrics.take();
    let mut keeper = Keeper::new(config, start_front)?;
    let metrics = to.map(|to| metrics::open(&to, keeper.ground.workers.teller()));
    let _metrics: Option<Served> = metrics.transpose()?;
    // Naps are shorter than the slack of 50 µs that a thread's timers have (prctl(2)). No
    // child gets it: they are started by other threads.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let result = keeper.serve();
    keeper.ground.workers.remove_cgroups();
    keeper.ground.close_books();
    result
}

/// It serves its stdio, and nobody else.
fn is_private(config: &KeeperConfig) -> Result<bool, KeeperError> {
    let private = config.listen.is_empty() && config.network.is_none();
    match private && config.stdio.is_none() {
        true => Err(KeeperError::NothingToServe),
        false => Ok(private),
    }
}

impl<'a> Keeper<'a> {
    fn new(
        config: KeeperConfig,
        start_front: &'a mut dyn FnMut() -> io::Result<FrontHandle>,
    ) -> Result<Self, KeeperError> {
        let private = is_private(&config)?;
        let KeeperConfig {
            limits,
            listen,
            passed,
            network,
            users,
            key_reader,
            stdio,
            keep_in,
            audit,
            record,
            service,
            upgrade,
            shutdown,
            ..
        } = config;
        let mut resumed = take_state()?;
        let children = set_up_process(resumed.as_ref())?;
        let instance = instance(resumed.as_ref())?;
        let tickets = SpawnTickets::new();
        let mut ground = set_up((limits, users.is_some()), &instance, &tickets, &mut resumed)?;
        ground.open_books((audit, record), (resumed.is_some(), users.is_some()))?;
        let about = (users, key_reader, passed);
        let (listeners, network, people) =
            open_doors(&listen, network, about, &ground, &mut resumed)?;
        let keeping = keep(keep_in.as_deref(), &mut ground, resumed.as_ref());
        let mut keeper = Self {
            upgrades: Upgrades::new(upgrade),
            life: Life::new(service),
            keeping,
            records: Records::new(ground.limits.ended_records, ground.limits.ended_ms),
            ground,
            instance,
            jobs: HashMap::new(),
            starting: HashMap::new(),
            ids: BTreeMap::new(),
            next_serial: 1,
            waiting_bytes: 0,
            clients: HashMap::new(),
            last_capability: 0,
            pending: PendingCommand::default(),
            front: Front::default(),
            start_front,
            listeners,
            network,
            people,
            listening: false,
            announced: false,
            reserve: Reserve::new(),
            listen_at: None,
            stdio,
            private,
            phase: Phase::Serving,
            front_died: false,
            shutdown,
            orphans: Orphans::new(children, tickets),
            cool_at: None,
            house_due: None,
            buffer: vec![0; crate::wire::MAX_PACKET_BYTES],
        };
        keeper.watch()?;
        resumed.into_iter().for_each(|it| keeper.resume(it));
        Ok(keeper)
    }

    fn watch(&self) -> Result<(), KeeperError> {
        self.try_watch()
            .map_err(KeeperError::setup("watch for events"))
    }

    fn try_watch(&self) -> io::Result<()> {
        let ground = &self.ground;
        ground
            .poll
            .add(&self.shutdown, Token::Shutdown, Interest::Read)?;
        if let Some(hangup) = self.upgrades.hangup() {
            ground.poll.add(hangup, Token::Hangup, Interest::Read)?;
        }
        ground
            .poll
            .add(&self.orphans.children, Token::Children, Interest::Read)?;
        ground
            .poll
            .add(&ground.timers, Token::Timer, Interest::Read)?;
        ground
            .poll
            .add(&ground.workers, Token::Workers, Interest::Read)?;
        for (number, listener) in (0..).zip(&self.listeners) {
            ground
                .poll
                .add(listener, Token::Listener(number), Interest::Hangup)?;
        }
        let callers = self.network.iter().flat_map(Network::watched);
        for (number, listener) in callers {
            ground
                .poll
                .add(listener, Token::Caller(number), Interest::Hangup)?;
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<(), KeeperError> {
        let mut tokens = Vec::new();
        loop {
            self.ground.now = now();
            // First what others wait for, then the rest, and what that has brought about.
            self.report()?;
            self.ground.to_close.clear();
            self.keep_house()?;
            if !self.ground.dirty.is_empty() || !self.front.out.is_empty() {
                self.report()?;
            }
            self.set_house_timer();
            if self.has_ended() {
                return if self.front_died {
                    Err(KeeperError::FrontDied)
                } else {
                    Ok(())
                };
            }
            self.ground
                .timers
                .arm()
                .map_err(KeeperError::setup("set the timer"))?;
            // Who has something to tell, and may, waits for no event.
            let may_tell = self.front.out.len_bytes() <= MAX_OUTBOX_BYTES;
            let limit = if may_tell && !self.ground.dirty.is_empty() {
                Some(Duration::ZERO)
            } else {
                self.front.held_for(self.ground.now)
            };
            self.ground
                .poll
                .wait(&mut tokens, self.ground.naps.limit(limit))
                .map_err(KeeperError::setup("wait for events"))?;
            self.ground.now = now();
            for output in self.ground.naps.take_over() {
                self.on_woken(output);
            }
            for token in tokens.drain(..) {
                self.on_event(token)?;
            }
        }
    }

    fn on_event(&mut self, token: Token) -> Result<(), KeeperError> {
        match token {
            Token::Shutdown => self.on_shutdown_signal(),
            Token::Timer => self.on_timer(),
            Token::Children => self.orphans.on_child(),
            Token::Workers => self.on_workers()?,
            Token::Hangup => self.on_hangup(),
            Token::Front => self.on_front_packets()?,
            Token::FrontProcess => self.front_has_died("its process has ended")?,
            Token::Listener(number) => self.on_connections(number),
            Token::Caller(number) => self.on_callers(number),
            Token::Exit(serial) => self.with_job(serial, Job::on_exit),
            Token::Stdin(serial) => self.with_job(serial, |job, ground| {
                if let Some(input) = &mut job.input {
                    input.on_event(ground);
                }
            }),
            Token::Stdout(serial) => self.on_output(serial, 0),
            Token::Stderr(serial) => self.on_output(serial, 1),
        }
        Ok(())
    }

    fn on_output(&mut self, serial: Serial, index: usize) {
        self.with_job(serial, |job, ground| {
            job.outputs[index].read(ground, &mut job.journal, false);
        });
    }

    fn on_woken(&mut self, output: Token) {
        if let Token::Stdout(serial) | Token::Stderr(serial) = output {
            let index = usize::from(matches!(output, Token::Stderr(_)));
            self.with_job(serial, |job, ground| {
                job.outputs[index].wake(ground, &mut job.journal);
            });
        }
    }

    /// Lets something happen to a job, and then whatever follows from it.
    pub(super) fn with_job(&mut self, serial: Serial, change: impl FnOnce(&mut Job, &mut Ground)) {
        if let Some(job) = self.jobs.get_mut(&serial) {
            change(job, &mut self.ground);
            job.advance(&mut self.ground);
        }
    }

    fn on_timer(&mut self) {
        self.ground.timers.acknowledge();
        for serial in self.ground.timers.take_due(self.ground.now) {
            if serial == 0 {
                self.house_due = None;
            }
            self.with_job(serial, |job, _| job.on_due());
        }
    }

    fn on_workers(&mut self) -> Result<(), KeeperError> {
        for done in self.ground.workers.take_done() {
            match done {
                Done::Started(serial, result, ticket) => {
                    self.on_started(serial, result);
                    drop(ticket);
                }
                Done::Walked(serial, walked) => {
                    self.phase.on_walked(self.ground.now);
                    self.with_job(serial, |job, ground| job.on_walked(walked, ground.now));
                }
                Done::LoggedIn(who, answer) => self.on_logged_in(who, answer),
                Done::Met(peer, known) => self.on_met(peer, known),
                Done::Rechecked(grants) => self.on_rechecked(grants),
                Done::Audited(serial, written) => self.on_audited(serial, written),
                Done::Recorded(told) => self.on_told(told),
                Done::Scraped(wanted) => self.on_scraped(&wanted),
                Done::Disk(done) => self.on_disk(done),
                Done::Checked(checked) => self.on_checked(checked)?,
            }
        }
        Ok(())
    }

    /// Tells the front what is new, and lets go of jobs that are done with.
    fn report(&mut self) -> Result<(), KeeperError> {
        for serial in std::mem::take(&mut self.ground.dirty) {
            if self.front.out.len_bytes() > MAX_OUTBOX_BYTES {
                // Its time comes when the front listens again.
                self.ground.dirty.push(serial);
                continue;
            }
            let Some(job) = self.jobs.get_mut(&serial) else {
                continue;
            };
            job.report(&mut self.ground, &mut self.front);
            self.let_go_if_abandoned(serial);
        }
        if !self.front.flush(&self.ground.poll, self.ground.now) {
            self.front_has_died("it takes no messages")?;
        }
        Ok(())
    }
}
