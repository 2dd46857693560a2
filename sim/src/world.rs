//! One run: everybody in one thread, one round after the other.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use redial_client::{Client, ConnectOptions, Target};
use redial_keeper::keeper::FrontHandle;
use redial_keeper::simulation::Keeper;
use redial_keeper::wire::{Command, Link};
use redial_server::simulation::Front;
use tokio::task::{JoinHandle, spawn_local};

use crate::chance::Chance;
use crate::child::{Child, Life};
use crate::exchange::{Exchange, Lines};
use crate::oracle::Case;
use crate::plan::{FORGETFUL, Plan};
use crate::scene::Scene;
use crate::user::{User, Verdict, id, pause};

const INSTANCE: [u8; 16] = [7; 16];
/// When nothing goes wrong any more, all is done within this time. A line that is silent is
/// noticed after 45 s; a job that was left is struck after 300 s, if not before.
const DONE_WITHIN_MS: u64 = 120_000;
const REST_WITHIN_MS: u64 = 400_000;
/// No run comes near it.
const MOST_ROUNDS: u64 = 400_000;
/// The longest round, where nothing happens; and when all users are done.
const LONG_ROUND_MS: u64 = 64;
const LONGEST_ROUND_MS: u64 = 4_000;

/// What the next front is handed.
pub(crate) type Links = Rc<RefCell<VecDeque<Link>>>;

/// The keeper's way to another front.
pub(crate) fn start_front(links: &Links) -> impl FnMut() -> io::Result<FrontHandle> + use<> {
    let links = Rc::clone(links);
    move || {
        let (ours, theirs) = Link::pair()?;
        links.borrow_mut().push_back(theirs);
        Ok(FrontHandle::from_link(ours))
    }
}

/// A front, from its birth.
enum Stage {
    None,
    Born(Link),
    Serving(Box<Front>),
}

/// See the module.
pub(crate) struct Run<'a> {
    scene: Rc<Scene>,
    plan: Plan,
    keeper: Keeper<'a>,
    links: Links,
    front: Stage,
    exchange: Rc<Exchange>,
    lines: Lines,
    children: Vec<Child>,
    chance: Chance,
    verdicts: Vec<Option<Verdict>>,
    idle: u32,
    /// Nothing is heard of the front until then.
    front_stalls_until: u64,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        scene: Rc<Scene>,
        plan: Plan,
        links: Links,
        exchange: Rc<Exchange>,
        start_front: &'a mut dyn FnMut() -> io::Result<FrontHandle>,
    ) -> io::Result<Self> {
        let keeper = Keeper::new(plan.limits.clone(), INSTANCE, scene.now(), start_front)?;
        let lines = Lines::new(Rc::clone(&scene), plan.weather, plan.faults, plan.keepalive);
        Ok(Run {
            chance: Chance::new(scene.seed, 9),
            verdicts: plan.jobs.iter().map(|_| None).collect(),
            scene,
            plan,
            keeper,
            links,
            front: Stage::None,
            exchange,
            lines,
            children: Vec::new(),
            idle: 0,
            front_stalls_until: 0,
        })
    }

    /// Goes on until all jobs are done, and the keeper is as it was.
    pub(crate) async fn run(&mut self) -> Result<(), String> {
        let mut users: Vec<_> = (0..self.plan.clients).map(|at| self.users_of(at)).collect();
        let calm_at = self.plan.faults.until_ms;
        while !users.is_empty() {
            self.round().await?;
            while let Some(at) = users.iter().position(JoinHandle::is_finished) {
                let done = users.remove(at).await.map_err(|error| error.to_string())?;
                done.into_iter()
                    .for_each(|(job, verdict)| self.verdicts[job] = Some(verdict));
            }
            if self.scene.age() > calm_at + DONE_WITHIN_MS {
                let jobs = self.keeper.jobs();
                return Err(format!("somebody waits for ever: {jobs:#?}"));
            }
        }
        self.judge()?;
        let until = self.scene.age() + REST_WITHIN_MS;
        while !self.is_at_rest() {
            self.round().await?;
            if self.lines.had_faults {
                // Their readers have seen the outcome, but the keeper was not told.
                let kept = self.keeper.forget_kept();
                self.scene.count(|tally| tally.kept += kept);
            }
            if self.scene.age() > until {
                let (rest, jobs, lines) = (self.keeper.rest(), self.keeper.jobs(), &self.lines);
                return Err(format!("something is kept: {rest:?}, {jobs:#?}, {lines}"));
            }
        }
        let age = self.scene.age();
        self.scene.count(|tally| tally.virtual_ms += age);
        // What came late has come.
        let runs = |job| self.children.iter().filter(|it| it.job == job).count();
        match (0..self.plan.jobs.len()).find(|job| runs(*job) > 1) {
            Some(job) => Err(format!("job {job} was run {} times", runs(job))),
            None => Ok(()),
        }
    }

    fn is_at_rest(&self) -> bool {
        let rest = self.keeper.rest();
        let front = match &self.front {
            Stage::Serving(front) => front.connections() == 0,
            Stage::None | Stage::Born(_) => true,
        };
        let alive = self.children.iter().any(Child::is_alive);
        let free = rest.output_free == rest.output && rest.stdin_free == rest.stdin;
        free && rest.jobs == 0 && !alive && front && self.lines.are_over()
    }

    /// A client and its jobs.
    fn users_of(&self, client: usize) -> JoinHandle<Vec<(usize, Verdict)>> {
        let jobs = self.plan.jobs.iter().enumerate();
        let users: Vec<User> = jobs
            .filter(|(_, plan)| plan.client == client)
            .map(|(job, plan)| User::new(Rc::clone(&self.scene), plan.clone(), job))
            .collect();
        let target = match self.plan.keepalive {
            true => Target::Exec("simulated".into()),
            false => Target::Unix(None),
        };
        let options = ConnectOptions::default().window_bytes(self.plan.window_bytes);
        spawn_local(async move {
            let client = connect(&target, &options).await;
            let running: Vec<_> = users
                .into_iter()
                .map(|user| (user.job, spawn_local(user.run(client.clone()))))
                .collect();
            let mut verdicts = Vec::new();
            for (job, running) in running {
                if let Ok(verdict) = running.await {
                    verdicts.push((job, verdict));
                }
            }
            client.close().await;
            verdicts
        })
    }

    /// A little time passes, and everybody does a little.
    async fn round(&mut self) -> Result<(), String> {
        let most = if self.verdicts.iter().all(Option::is_some) {
            LONGEST_ROUND_MS
        } else {
            LONG_ROUND_MS
        };
        let ms = (1 + self.chance.below(3)) << self.idle.saturating_sub(8).min(10);
        let ms = ms.min(most);
        pause(ms).await;
        let rounds = {
            let mut tally = self.scene.tally.borrow_mut();
            tally.rounds += 1;
            tally.rounds
        };
        if rounds > MOST_ROUNDS {
            return Err("no end in sight".to_owned());
        }
        self.lines.go_wrong(ms);
        self.front_goes_wrong(ms);
        let mut any = self.lines.deliver();
        any |= self
            .keeper_turn()
            .map_err(|error| format!("the keeper: {error}"))?;
        any |= self
            .front_turn()
            .map_err(|error| format!("the front: {error}"))?;
        let front = match &mut self.front {
            Stage::Serving(front) => Some(&mut **front),
            Stage::None | Stage::Born(_) => None,
        };
        any |= self.lines.connect(&self.exchange, &mut self.keeper, front);
        let now = self.scene.now();
        for child in &mut self.children {
            any |= self.chance.one_in(2) && child.step(now, &mut self.chance)?;
        }
        self.idle = if any { 0 } else { self.idle + 1 };
        self.scene.take_wrong().map_or(Ok(()), Err)
    }

    fn front_goes_wrong(&mut self, passed_ms: u64) {
        let is_calm = self.scene.age() >= self.plan.faults.until_ms;
        if is_calm || !matches!(self.front, Stage::Serving(_)) {
            return;
        }
        let often = self.plan.faults.front;
        if self.lines.strikes(often, passed_ms) {
            self.front = Stage::None;
            self.lines.had_faults = true;
            self.scene.note("front vanished", 0, 0, 0);
            self.scene.count(|tally| tally.fronts += 1);
        } else if self.lines.strikes(2 * often, passed_ms) {
            self.front_stalls_until = self.scene.now() + self.chance.size(500);
        }
    }

    fn keeper_turn(&mut self) -> io::Result<bool> {
        if self.idle == 0 && self.chance.one_in(4) {
            return Ok(true);
        }
        let chance = &mut self.chance;
        let mut any = self
            .keeper
            .turn(self.scene.now(), |count| chance.index(count))?;
        if self.chance.one_in(2) {
            any |= self.start_next()?;
        }
        // Now and then somebody is back before the process has died.
        if self.chance.one_in(8)
            && let Some(walk) = self.keeper.next_walk()
        {
            let alive = self
                .children
                .iter()
                .any(|it| it.pid == walk.pid && it.is_alive());
            self.keeper.walked(walk, alive.into());
            any = true;
        }
        Ok(any)
    }

    fn start_next(&mut self) -> io::Result<bool> {
        let jobs = &self.plan.jobs;
        let find = |command: &Command| (0..jobs.len()).find(|job| id(*job) == *command.job);
        let pipe_bytes = |command: &Command| find(command).map_or(4096, |job| jobs[job].pipe_bytes);
        let Some(begun) = self.keeper.start_next(pipe_bytes)? else {
            return Ok(false);
        };
        let nobodys = || io::Error::other("a job that nobody asked for");
        let job = find(&begun.command).ok_or_else(nobodys)?;
        self.scene.note("run", job, 0, 0);
        let (plan, now) = (jobs[job].clone(), self.scene.now());
        self.children
            .push(Child::new(begun, job, plan, self.scene.seed, now));
        Ok(true)
    }

    fn front_turn(&mut self) -> io::Result<bool> {
        if self.scene.now() < self.front_stalls_until {
            return Ok(true);
        }
        if let Some(link) = self.links.borrow_mut().pop_front() {
            // What was to be handed to the one before, also after its end, is gone with it.
            self.lines.front_vanished();
            self.front = Stage::Born(link);
        }
        self.front = match std::mem::replace(&mut self.front, Stage::None) {
            Stage::Born(link) => match Front::welcomed(link)? {
                Ok(front) => Stage::Serving(Box::new(front)),
                Err(link) => Stage::Born(link),
            },
            other => other,
        };
        let Stage::Serving(front) = &mut self.front else {
            return Ok(false);
        };
        if self.chance.one_in(4) {
            return Ok(self.idle == 0);
        }
        let packets = 1 + self.chance.index(8);
        let any = front.turn(packets);
        let said = std::mem::take(&mut front.said);
        self.scene.count(|tally| {
            tally.attached += said.attached;
            tally.attached_ended += said.ended;
            tally.taken += said.taken;
            tally.not_attached += said.refused;
        });
        any
    }

    fn judge(&self) -> Result<(), String> {
        let forgetful = self.plan.limits.ended_records == FORGETFUL;
        for (job, (plan, verdict)) in self.plan.jobs.iter().zip(&self.verdicts).enumerate() {
            let verdict = verdict
                .as_ref()
                .ok_or_else(|| format!("job {job}: no verdict"))?;
            let children = self.children.iter().filter(|child| child.job == job);
            let lives: Vec<Life> = children.map(|child| child.life.clone()).collect();
            let had_faults = self.lines.had_faults;
            let case = Case {
                plan,
                verdict,
                lives: &lives,
                had_faults,
                forgetful,
            };
            let judged = case.judge(&mut self.scene.tally.borrow_mut());
            judged.map_err(|wrong| format!("job {job}: {wrong}\n{case:?}"))?;
        }
        Ok(())
    }
}

/// Who dials for the first time tries again by itself.
async fn connect(target: &Target, options: &ConnectOptions) -> Client {
    loop {
        if let Ok(client) = Client::connect(target, options.clone()).await {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
