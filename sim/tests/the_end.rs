//! A keeper that is told to end leaves no job behind, as long as there is a way to reach it.
//!
//! One thread walks through /proc for all jobs; here a walk takes as long as a test says.

#![expect(
    clippy::unwrap_used,
    reason = "in a test it is the failure, and says where"
)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::Rc;

use minicbor::bytes::{ByteArray, ByteVec};
use redial_keeper::keeper::{FrontHandle, Limits};
use redial_keeper::outcome::Exit;
use redial_keeper::simulation::{Begun, Keeper, Walk};
use redial_keeper::wire::{
    Command, DropPolicy, Link, MAX_PACKET_BYTES, Outbox, Program, ToKeeper, VERSION,
};

const KILL: i32 = 9;
const STEP_MS: u64 = 10;
/// Whatever happens, the server is gone then.
const ENDS_WITHIN_MS: u64 = 2_000_000;

/// What comes between a process and its end.
#[derive(Clone, Copy, PartialEq)]
enum Dies {
    OfKill,
    /// It hangs in the kernel.
    Never,
}

/// A keeper, its jobs, and who walks.
struct Server<'a> {
    keeper: Keeper<'a>,
    now: u64,
    children: Vec<Begun>,
    dies: Dies,
    /// None: it hangs in the first.
    walk_ms: Option<u64>,
    walk: Option<(Walk, u64)>,
    /// Trees that a walk with KILL has reached, whatever groups their processes are in.
    reached: BTreeSet<i32>,
}

impl Server<'_> {
    fn step(&mut self) {
        self.now += STEP_MS;
        self.keeper.turn(self.now, |_| 0).unwrap();
        while let Some(begun) = self.keeper.start_next(|_| 4096).unwrap() {
            self.children.push(begun);
        }
        self.walk_on();
        for child in std::mem::take(&mut self.children) {
            let is_killed = child.take_signals().contains(&KILL);
            match self.dies {
                Dies::OfKill if is_killed => child.exit(Exit::Signal(9, false)),
                Dies::OfKill | Dies::Never => self.children.push(child),
            }
        }
    }

    fn walk_on(&mut self) {
        if self.walk.is_none() {
            let walk = self.keeper.next_walk();
            self.walk = walk.map(|walk| (walk, self.now));
        }
        let walk_ms = self.walk_ms;
        let is_back = |began: u64| walk_ms.is_some_and(|ms| began + ms <= self.now);
        if let Some((walk, _)) = self.walk.take_if(|(_, began)| is_back(*began)) {
            self.reached
                .extend((walk.signal() == Some(KILL)).then_some(walk.pid));
            let alive = self.children.iter().any(|it| it.pid == walk.pid);
            self.keeper.walked(walk, alive.into());
        }
    }

    fn until<T>(&mut self, found: impl Fn(&mut Self) -> Option<T>) -> T {
        let mut steps = 0..1_000;
        let found = steps.find_map(|_| {
            self.step();
            found(self)
        });
        found.unwrap()
    }

    /// Says how long it took, in milliseconds.
    fn ends(&mut self) -> u64 {
        let told = self.now;
        while !self.keeper.has_ended() {
            assert!(self.now < told + ENDS_WITHIN_MS, "it never ends");
            self.step();
        }
        self.now - told
    }
}

/// Tells a server with so many jobs to end; `then` sees what is left.
fn end_of(jobs: u8, walk_ms: Option<u64>, dies: Dies, then: impl FnOnce(&Server<'_>, u64)) {
    let link = Rc::new(RefCell::new(None));
    let theirs = Rc::clone(&link);
    let mut start_front = move || {
        let (ours, front) = Link::pair()?;
        theirs.replace(Some(front));
        io::Result::Ok(FrontHandle::from_link(ours))
    };
    let limits = Limits {
        kill_after_ms: 1_000,
        ..Limits::default()
    };
    let mut server = Server {
        keeper: Keeper::new(limits, [7; 16], 0, &mut start_front).unwrap(),
        now: 0,
        children: Vec::new(),
        dies,
        walk_ms,
        walk: None,
        reached: BTreeSet::new(),
    };
    server.step();
    let link = link.borrow_mut().take().unwrap();
    let say = |message: &ToKeeper| {
        let mut out = Outbox::new();
        out.push(message).unwrap();
        assert!(out.flush(&link).unwrap());
    };
    // A welcome, which says nothing new here.
    link.receive(&mut vec![0; MAX_PACKET_BYTES]).unwrap();
    say(&ToKeeper::Ready(VERSION));
    let who = server.until(|server| server.keeper.connect());
    for job in 1..=jobs {
        let start = minicbor::to_vec(command(job)).unwrap();
        say(&ToKeeper::Start(who, job.into(), start.into()));
        server.step();
    }
    server.until(|server| (server.children.len() == usize::from(jobs)).then_some(()));
    server.keeper.shut_down().unwrap();
    let took_ms = server.ends();
    then(&server, took_ms);
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
        drain_ms: 2_000,
        on_drop: DropPolicy::Keep,
        reap: false,
        detach: false,
        resent: None,
        keep: None,
        resources: None,
    }
}

#[test]
fn however_long_the_walks_take_each_job_is_reached() {
    for walk_ms in [10, 100, 1_000, 5_000] {
        end_of(40, Some(walk_ms), Dies::OfKill, |server, took_ms| {
            assert!(server.children.is_empty(), "walks of {walk_ms} ms");
            assert_eq!(server.reached.len(), 40, "walks of {walk_ms} ms");
            // TERM, KILL, and a look at who is left.
            assert!(
                took_ms <= 5_000 + 40 * 3 * (walk_ms + 2 * STEP_MS),
                "{took_ms}"
            );
        });
    }
}

#[test]
fn a_walk_that_hangs_does_not_keep_the_server_nor_the_jobs_processes() {
    end_of(40, None, Dies::OfKill, |server, took_ms| {
        assert!(server.children.is_empty());
        assert!(took_ms < 30_000, "{took_ms}");
    });
}

#[test]
fn processes_that_cannot_die_do_not_keep_the_server() {
    for walk_ms in [1, 10] {
        end_of(40, Some(walk_ms), Dies::Never, |server, took_ms| {
            assert_eq!((server.children.len(), server.reached.len()), (40, 40));
            assert!(took_ms < 30_000, "{took_ms}");
        });
    }
}
