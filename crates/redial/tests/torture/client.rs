//! A client to which something happens while it runs.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PATIENCE, Random, Redial, idle};
use crate::tally::{Count, Tally};

/// A slow reader takes so much, and then nothing for a while.
const SIP_BYTES: usize = 16 * 1024;
const SIP_MS: u64 = 10;
/// No job of ours takes longer, whatever happens to it.
const LIMIT: Duration = PATIENCE.saturating_mul(3);

/// What happens to it, in the order in which it does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plan {
    /// Reads its outputs slowly.
    pub(crate) slow: bool,
    /// Stopped after so long, for so long.
    pub(crate) stop: Option<(Duration, Duration)>,
    /// Killed so long after it was due.
    pub(crate) kill: Option<Duration>,
}

impl Plan {
    /// Some are slow, some are stopped.
    pub(crate) fn by(random: &mut Random) -> Self {
        let mut ms = |most| Duration::from_millis(random.below(most));
        let (after, long) = (ms(400), ms(1_000));
        let stopped = random.below(4) == 0;
        Plan {
            slow: random.below(6) == 0,
            stop: stopped.then_some((after, long)),
            kill: None,
        }
    }
}

/// How it ended, and what it had written.
#[derive(Debug)]
pub(crate) struct Seen {
    /// 128 + signal if it was killed.
    pub(crate) code: i32,
    pub(crate) outputs: [Vec<u8>; 2],
    /// We killed it.
    pub(crate) killed: bool,
}

impl Seen {
    /// Ended by itself before it had anything.
    pub(crate) fn is_nothing(&self) -> bool {
        self.code == 125 && self.outputs[0].is_empty()
    }

    /// What it said, if stderr is nobody else's.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.outputs[1]).into_owned()
    }
}

/// Runs it with `input`. It may be killed once `due`.
pub(crate) fn run(
    redial: Redial,
    input: &[u8],
    plan: Plan,
    tally: &Tally,
    due: impl Fn() -> bool,
) -> Seen {
    if plan.slow {
        tally.add(Count::SlowReaders, 1);
    }
    let mut child = redial.spawn();
    let (stdin, stdout, stderr) = (
        child.stdin.take().unwrap(),
        child.stdout.take().unwrap(),
        child.stderr.take().unwrap(),
    );
    thread::scope(|scope| {
        scope.spawn(move || feed(stdin, input));
        let out = scope.spawn(move || collect(stdout, plan.slow));
        let err = scope.spawn(move || collect(stderr, plan.slow));
        let (code, killed) = suffer(&mut child, plan, tally, due);
        Seen {
            code,
            outputs: [out.join().unwrap(), err.join().unwrap()],
            killed,
        }
    })
}

/// Whoever is killed, or whose command reads no further, does not take all of it.
fn feed(mut stdin: ChildStdin, input: &[u8]) {
    let _ = stdin.write_all(input);
}

fn collect(mut from: impl Read, slow: bool) -> Vec<u8> {
    let (mut bytes, mut sip) = (Vec::new(), vec![0; SIP_BYTES]);
    while let Ok(len @ 1..) = from.read(&mut sip) {
        bytes.extend_from_slice(&sip[..len]);
        if slow {
            idle(Duration::from_millis(SIP_MS), || false);
        }
    }
    bytes
}

/// Its exit code, and whether we killed it.
fn suffer(child: &mut Child, plan: Plan, tally: &Tally, due: impl Fn() -> bool) -> (i32, bool) {
    if let Some((after, long)) = plan.stop {
        idle(after, || has_ended(child));
        if !has_ended(child) {
            tally.add(Count::ClientsStopped, 1);
            signal(child, Signal::STOP);
            idle(long, || false);
            signal(child, Signal::CONT);
        }
    }
    let mut killed = false;
    if let Some(after) = plan.kill {
        idle(LIMIT, || has_ended(child) || due());
        idle(after, || has_ended(child));
        if !has_ended(child) {
            killed = true;
            tally.add(Count::ClientsKilled, 1);
            signal(child, Signal::KILL);
        }
    }
    (ended(child), killed)
}

fn ended(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let began = Instant::now();
    idle(LIMIT, || has_ended(child));
    if !has_ended(child) {
        signal(child, Signal::KILL);
        let _ = child.wait();
        panic!("it does not end in {:?}: {child:?}", began.elapsed());
    }
    let status = child.wait().unwrap();
    let code = status.code();
    code.unwrap_or_else(|| 128 + status.signal().unwrap())
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_some()
}

/// It is not waited for yet, so its id is its own.
fn signal(child: &Child, signal: Signal) {
    let _ = kill_process(Pid::from_child(child), signal);
}
