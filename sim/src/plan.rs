//! What a seed makes of it: how the network behaves, what runs, what goes wrong.

use std::time::Duration;

use redial_client::OnDrop;
use redial_keeper::keeper::Limits;

use crate::chance::Chance;

/// Ended jobs that are remembered, where starts are to become unknown.
pub(crate) const FORGETFUL: usize = 1;

/// How a line behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Bytes one direction holds.
    pub(crate) room: usize,
    /// The longest that a byte is under way.
    pub(crate) delay_ms: u64,
    /// So many reads and writes to one that is shorter than it could be.
    pub(crate) short_one_in: u64,
}

/// How often, of so many milliseconds one, each kind of fault comes; 0 for never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) cut: u64,
    pub(crate) late: u64,
    pub(crate) silence: u64,
    pub(crate) stall: u64,
    pub(crate) front: u64,
    /// Of so many dials, one is refused.
    pub(crate) refused: u64,
    /// Of so many dials, one is not answered.
    pub(crate) hung: u64,
    /// Of so many lines, one is cut as soon as something is said on it.
    pub(crate) stillborn: u64,
    /// None after so many milliseconds.
    pub(crate) until_ms: u64,
}

/// What is asked of a job, and how it behaves.
#[derive(Debug, Clone)]
pub(crate) struct JobPlan {
    pub(crate) client: usize,
    pub(crate) begins_ms: u64,
    /// Bytes written to its stdin, if it has one.
    pub(crate) stdin: Option<u64>,
    /// It reads so many of them.
    pub(crate) reads: Option<u64>,
    /// And at one of so many occasions.
    pub(crate) reads_one_in: u64,
    pub(crate) outputs: [u64; 2],
    pub(crate) code: u8,
    /// It lives at least so long.
    pub(crate) lives_ms: u64,
    pub(crate) pipe_bytes: usize,
    pub(crate) on_drop: OnDrop,
    /// Signals sent to it; if it is `patient`, it waits for all.
    pub(crate) signals: u8,
    pub(crate) patient: bool,
    pub(crate) cancel: bool,
    /// This output is given up after so many bytes.
    pub(crate) stop: Option<(usize, u64)>,
    /// Its reader leaves after so many bytes.
    pub(crate) leaves: Option<u64>,
    pub(crate) manual: bool,
    /// Its reader pauses, once in so many events.
    pub(crate) pause_one_in: u64,
}

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) weather: Weather,
    pub(crate) faults: Faults,
    pub(crate) jobs: Vec<JobPlan>,
    pub(crate) clients: usize,
    /// Lines say a sign of life where they are silent.
    pub(crate) keepalive: bool,
    pub(crate) window_bytes: u64,
    pub(crate) limits: Limits,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 0);
        let chance = &mut chance;
        let clients = 1 + usize::from(chance.one_in(4));
        let count = 1 + chance.below(4);
        let jobs: Vec<JobPlan> = (0..count).map(|_| job(chance, clients)).collect();
        let keepalive = chance.one_in(3);
        let (weather, mut faults) = (weather(chance), faults(chance, keepalive));
        let limits = limits(chance, jobs.len() as u64);
        if limits.ended_records == FORGETFUL {
            // A first start that comes late and finds its id forgotten is run: nothing in it says
            // that it was sent again. The keeper remembers for longer than words are late.
            (faults.late, faults.stillborn) = (0, 0);
        }
        Plan {
            weather,
            faults,
            limits,
            jobs,
            clients,
            keepalive,
            window_bytes: 4096 + chance.size(1 << 18),
        }
    }
}

fn weather(chance: &mut Chance) -> Weather {
    // Much is under way at any time, or it goes fast.
    let is_long = chance.one_in(4);
    Weather {
        room: if is_long || chance.one_in(2) {
            1 << 17
        } else {
            256 + chance.size(1 << 17) as usize
        },
        delay_ms: if is_long {
            chance.between(50, 400)
        } else {
            chance.size(50)
        },
        short_one_in: 1 + chance.below(6),
    }
}

fn faults(chance: &mut Chance, keepalive: bool) -> Faults {
    let mut often = |one_in: u64, most: u64| match chance.one_in(one_in) {
        true => 20 + chance.size(most),
        false => 0,
    };
    Faults {
        cut: often(2, 1000),
        late: often(2, 1000),
        silence: often(if keepalive { 3 } else { 6 }, 3000),
        stall: often(4, 500),
        front: often(3, 2000),
        refused: often(4, 10) / 10,
        hung: often(8, 60) / 6,
        stillborn: often(2, 24) / 20,
        until_ms: 200 + chance.size(4000),
    }
}

fn limits(chance: &mut Chance, jobs: u64) -> Limits {
    const CHUNK: u64 = 64 * 1024;
    Limits {
        jobs: 64,
        // Every stream's first chunk is there; the others have to be shared.
        output_pool_bytes: (2 * jobs + chance.below(24)) * CHUNK,
        stdin_pool_bytes: (jobs + chance.below(12)) * CHUNK,
        stream_bytes: (1 + chance.below(6)) * CHUNK,
        ended_records: if chance.one_in(12) { FORGETFUL } else { 64 },
        ..Limits::default()
    }
}

fn job(chance: &mut Chance, clients: usize) -> JobPlan {
    let longest = if chance.one_in(8) { 300_000 } else { 50_000 };
    let stdin = match chance.below(6) {
        0 => Some(chance.size(longest)),
        // Under way whenever something goes wrong.
        1 | 2 => Some(chance.below(longest)),
        _ => None,
    };
    let reads = stdin
        .filter(|_| chance.one_in(6))
        .map(|all| chance.below(all + 1));
    let outputs = [chance.size(longest), chance.below(2) * chance.size(longest)];
    let signals = if chance.one_in(3) {
        chance.between(1, 12)
    } else {
        0
    };
    let on_drop = match chance.below(9) {
        0 | 1 => OnDrop::Kill,
        2 => OnDrop::KeepFor(Duration::from_millis(chance.between(500, 5_000))),
        3 | 4 => OnDrop::Keep,
        _ => OnDrop::KeepFor(Duration::from_secs(300)),
    };
    let leaves = on_drop != OnDrop::Keep && chance.one_in(12);
    let stop = chance.one_in(10).then(|| {
        let which = chance.index(2);
        (which, chance.below(outputs[which] + 1))
    });
    JobPlan {
        client: chance.index(clients),
        begins_ms: match chance.below(3) {
            // In what others have left.
            0 => chance.below(4_000),
            _ => chance.size(500),
        },
        stdin,
        reads,
        reads_one_in: 1 + chance.size(if longest > 50_000 { 0 } else { 8 }),
        outputs,
        code: chance.below(256) as u8,
        lives_ms: match chance.below(3) {
            // Until whatever comes late has come.
            0 => chance.below(5_000),
            _ => chance.size(3_000),
        },
        pipe_bytes: 4096 << chance.below(4),
        on_drop,
        signals: signals as u8,
        patient: chance.one_in(2),
        cancel: chance.one_in(12),
        stop,
        leaves: leaves.then(|| chance.below(outputs[0] + 1)),
        manual: chance.one_in(3),
        pause_one_in: 1 + chance.size(60),
    }
}
