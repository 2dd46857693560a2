//! A keeper that is told to end leaves no job behind as long as there is a way to reach it, and
//! ends whatever its jobs do.
//!
//! One thread walks through /proc for all jobs; here a walk takes as long as a test says.

#![expect(
    clippy::unwrap_used,
    reason = "in a test it is the failure, and says where"
)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use minicbor::bytes::{ByteArray, ByteVec};
use redial_keeper::keeper::{FrontHandle, Limits};
use redial_keeper::outcome::{Cause, ControlKind, Exit, Outcome};
use redial_keeper::simulation::{Begun, Keeper, Walk};
use redial_keeper::wire::{
    Capability, Command, DropPolicy, Link, MAX_PACKET_BYTES, Outbox, Program, ToFront, ToKeeper,
    VERSION, decode_packet,
};

const JOBS: u8 = 40;
const KILL: i32 = 9;
const USR1: u8 = 10;
const STEP_MS: u64 = 10;
/// Whatever happens, the server is gone then.
const ENDS_WITHIN_MS: u64 = 3_000_000;
/// Where nothing is there to be waited for.
const SOON_MS: u64 = 30_000;

/// What the jobs, the walker and the starters do.
#[derive(Clone, Copy)]
struct Case {
    kill_after_ms: u64,
    /// None: it hangs in the first walk.
    walk_ms: Option<u64>,
    /// Walks with KILL take so much longer.
    kill_more_ms: u64,
    /// So long after KILL. None: it hangs in the kernel.
    dies_after_ms: Option<u64>,
    /// Commands come to be started so long after the server was told to end.
    starts_at: Option<u64>,
    /// Somebody holds the outputs of what has ended, and clients go on to signal the jobs.
    asks: bool,
    /// It is told a second time.
    hurries: bool,
}

const CASE: Case = Case {
    kill_after_ms: 1_000,
    walk_ms: Some(10),
    kill_more_ms: 0,
    dies_after_ms: Some(0),
    starts_at: None,
    asks: false,
    hurries: false,
};

struct Server<'a> {
    case: Case,
    keeper: Keeper<'a>,
    link: Link,
    who: Capability,
    now: u64,
    told_at: Option<u64>,
    started: usize,
    /// With when each has had KILL.
    children: Vec<(Begun, Option<u64>)>,
    walk: Option<(Walk, u64)>,
    /// Trees that a walk with KILL has reached, whatever groups their processes are in.
    reached: BTreeSet<i32>,
    outcomes: Vec<Outcome>,
    held: Vec<OwnedFd>,
}

/// What a server left.
struct Left {
    took_ms: u64,
    started: usize,
    alive: usize,
    reached: usize,
    outcomes: Vec<Outcome>,
}

impl Server<'_> {
    fn step(&mut self) {
        self.now += STEP_MS;
        self.keeper.turn(self.now, |_| 0).unwrap();
        let told_at = self.told_at;
        let may_start = |at: u64| told_at.is_some_and(|told_at| told_at + at <= self.now);
        if self.case.starts_at.is_none_or(may_start) {
            while let Some(begun) = self.keeper.start_next(|_| 4096).unwrap() {
                // Nobody reads it, but it is there to be read.
                rustix::io::write(begun.stdout.as_ref().unwrap(), b"x").unwrap();
                self.children.push((begun, None));
                self.started += 1;
            }
        }
        self.walk_on();
        for (mut child, killed_at) in std::mem::take(&mut self.children) {
            let is_killed = child.take_signals().contains(&KILL);
            let killed_at = killed_at.or(is_killed.then_some(self.now));
            let dies_at = killed_at
                .zip(self.case.dies_after_ms)
                .map(|(at, ms)| at + ms);
            match dies_at {
                Some(at) if at <= self.now => {
                    self.held.extend(child.stdout.take_if(|_| self.case.asks));
                    child.exit(Exit::Signal(9, false));
                }
                _ => self.children.push((child, killed_at)),
            }
        }
        self.listen();
    }

    fn walk_on(&mut self) {
        if self.walk.is_none() {
            let walk = self.keeper.next_walk();
            self.walk = walk.map(|walk| (walk, self.now));
        }
        let (case, now) = (self.case, self.now);
        let is_back = |(walk, began): &mut (Walk, u64)| {
            let is_kill = walk.signal() == Some(KILL);
            let more = case.kill_more_ms * u64::from(is_kill);
            case.walk_ms.is_some_and(|ms| *began + ms + more <= now)
        };
        if let Some((walk, _)) = self.walk.take_if(is_back) {
            self.reached
                .extend((walk.signal() == Some(KILL)).then_some(walk.pid));
            let alive = self.children.iter().any(|it| it.0.pid == walk.pid);
            self.keeper.walked(walk, alive.into());
        }
    }

    fn listen(&mut self) {
        let mut buffer = vec![0; MAX_PACKET_BYTES];
        while let Ok(received) = self.link.receive(&mut buffer) {
            for message in decode_packet::<ToFront>(&buffer[..received.len]) {
                if let ToFront::Ended(_, outcome) = message.unwrap() {
                    self.outcomes.push(*outcome);
                }
            }
        }
    }

    fn say(&self, message: &ToKeeper) {
        let mut out = Outbox::new();
        out.push(message).unwrap();
        assert!(out.flush(&self.link).unwrap());
    }

    fn until(&mut self, is_so: impl Fn(&mut Self) -> bool) {
        let is_so = (0..1_000).any(|_| {
            self.step();
            is_so(self)
        });
        assert!(is_so);
    }

    /// It is told to end, and ends.
    fn end(mut self) -> Left {
        let told_at = self.now;
        self.told_at = Some(told_at);
        self.keeper.shut_down().unwrap();
        let mut number = 0;
        while !self.keeper.has_ended() {
            assert!(self.now < told_at + ENDS_WITHIN_MS, "it never ends");
            self.step();
            let age = self.now - told_at;
            if self.case.hurries && age == 10 * STEP_MS {
                self.keeper.shut_down().unwrap();
            }
            if self.case.asks && age.is_multiple_of(500) {
                number += 1;
                for job in 1..=JOBS {
                    let signal = ControlKind::Signal(USR1);
                    self.say(&ToKeeper::Control(
                        self.who,
                        [job; 16].into(),
                        number,
                        signal,
                    ));
                }
            }
        }
        Left {
            took_ms: self.now - told_at,
            started: self.started,
            alive: self.children.len(),
            reached: self.reached.len(),
            outcomes: self.outcomes,
        }
    }
}

/// Tells a server with jobs to end.
fn end(case: Case) -> Left {
    let link = Rc::new(RefCell::new(None));
    let theirs = Rc::clone(&link);
    let mut start_front = move || {
        let (ours, front) = Link::pair()?;
        theirs.replace(Some(front));
        io::Result::Ok(FrontHandle::from_link(ours))
    };
    let limits = Limits {
        kill_after_ms: case.kill_after_ms,
        ..Limits::default()
    };
    let mut keeper = Keeper::new(limits, [7; 16], 0, &mut start_front).unwrap();
    keeper.turn(0, |_| 0).unwrap();
    let mut server = Server {
        case,
        keeper,
        link: link.take().unwrap(),
        who: 0,
        now: 0,
        told_at: None,
        started: 0,
        children: Vec::new(),
        walk: None,
        reached: BTreeSet::new(),
        outcomes: Vec::new(),
        held: Vec::new(),
    };
    server.say(&ToKeeper::Ready(VERSION));
    server.until(|server| {
        let who = server.keeper.connect();
        server.who = who.unwrap_or_default();
        who.is_some()
    });
    for job in 1..=JOBS {
        let start = minicbor::to_vec(command(job)).unwrap();
        server.say(&ToKeeper::Start(server.who, job.into(), start.into()));
        server.step();
    }
    if case.starts_at.is_none() {
        server.until(|server| server.children.len() == usize::from(JOBS));
    }
    server.end()
}

fn command(job: u8) -> Command {
    Command {
        job: ByteArray::from([job; 16]),
        program: Program::Argv(vec![ByteVec::from(b"sleep".to_vec())]),
        cwd: None,
        env: Vec::new(),
        stdin: false,
        pty: None,
        deadline_ms: None,
        drain_ms: u32::MAX,
        on_drop: DropPolicy::Keep,
        reap: false,
        detach: false,
        resent: None,
        keep: None,
        resources: None,
    }
}

/// Each job was reached by a walk, has come to its end, and its client was told which.
fn all_ended(left: &Left, case: &str) {
    let jobs = usize::from(JOBS);
    let told = left.outcomes.iter();
    let told = told.filter(|it| it.cause == Cause::ServerEnded && it.stdout.complete);
    assert_eq!((left.alive, told.count()), (0, jobs), "{case}");
    assert_eq!(left.reached, jobs, "{case}");
}

#[test]
fn however_long_walks_and_deaths_take_each_job_is_reached_and_its_end_told() {
    for (walk_ms, dies_after_ms, hurries) in [
        (10, 0, false),
        (10, 1_500, false),
        (200, 0, true),
        (200, 100, false),
        (200, 1_500, false),
        (10, 4_000, false),
        (1_000, 300, true),
        (5_000, 0, false),
    ] {
        let case = format!("walks of {walk_ms} ms, dead after {dies_after_ms} ms, {hurries}");
        let left = end(Case {
            walk_ms: Some(walk_ms),
            dies_after_ms: Some(dies_after_ms),
            hurries,
            ..CASE
        });
        all_ended(&left, &case);
        // TERM, KILL, KILL again for who is not dead yet, a look at who is left.
        let walks = u64::from(JOBS) * 4 * (walk_ms + 2 * STEP_MS);
        assert!(
            left.took_ms <= 5_000 + walks + dies_after_ms,
            "{case}: {}",
            left.took_ms
        );
    }
}

#[test]
fn a_walker_that_had_nothing_to_do_for_long_has_all_its_time_for_the_first_kill() {
    let left = end(Case {
        kill_after_ms: 60_000,
        kill_more_ms: 8_000,
        ..CASE
    });
    all_ended(&left, "idle before");
}

#[test]
fn what_is_started_only_then_has_its_grace_and_is_ended_too() {
    let left = end(Case {
        kill_after_ms: 5_000,
        starts_at: Some(6_000),
        ..CASE
    });
    all_ended(&left, "started late");
    assert!(left.took_ms > 11_000, "{}", left.took_ms);
}

#[test]
fn what_is_started_when_there_is_no_time_left_has_no_grace() {
    // Also where the server is about to leave, and no walk comes back.
    for (starts_at, walk_ms) in [
        (500, Some(10)),
        (1_900, Some(10)),
        (3_500, Some(10)),
        (5_000, None),
    ] {
        let left = end(Case {
            kill_after_ms: 60_000,
            walk_ms,
            starts_at: Some(starts_at),
            hurries: true,
            ..CASE
        });
        let jobs = usize::from(JOBS);
        assert_eq!(
            (left.started, left.alive),
            (jobs, 0),
            "started after {starts_at} ms"
        );
        assert!(left.took_ms < SOON_MS, "{}", left.took_ms);
    }
}

#[test]
fn a_walk_that_hangs_keeps_neither_the_server_nor_the_processes() {
    let left = end(Case {
        walk_ms: None,
        ..CASE
    });
    assert_eq!(left.alive, 0);
    assert!(left.took_ms < SOON_MS, "{}", left.took_ms);
}

#[test]
fn processes_that_cannot_die_do_not_keep_the_server() {
    for walk_ms in [10, 50] {
        let left = end(Case {
            walk_ms: Some(walk_ms),
            dies_after_ms: None,
            ..CASE
        });
        let jobs = usize::from(JOBS);
        assert_eq!((left.alive, left.reached), (jobs, jobs));
        // Ten rounds, and then it is no use.
        let rounds = 11 * u64::from(JOBS) * (walk_ms + 2 * STEP_MS);
        assert!(left.took_ms < SOON_MS + rounds, "{}", left.took_ms);
    }
}

#[test]
fn clients_that_go_on_asking_do_not_keep_the_server() {
    for walk_ms in [10, 100] {
        let left = end(Case {
            walk_ms: Some(walk_ms),
            asks: true,
            ..CASE
        });
        assert_eq!(left.alive, 0);
        let walks = u64::from(JOBS) * 4 * (walk_ms + 2 * STEP_MS);
        assert!(left.took_ms < SOON_MS + walks, "{}", left.took_ms);
    }
}
