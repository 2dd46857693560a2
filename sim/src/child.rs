//! A process that is none: it writes what it is to write, reads what it is given and looks at
//! it, takes signals, and ends.

use std::os::fd::{AsFd, OwnedFd};

use redial_keeper::outcome::Exit;
use redial_keeper::simulation::Begun;

use crate::chance::Chance;
use crate::content::Content;
use crate::plan::JobPlan;

const KILL: i32 = 9;
const TERM: i32 = 15;

/// What became of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    /// Bytes written of each output.
    pub(crate) written: [u64; 2],
    /// Bytes read of stdin.
    pub(crate) read: u64,
    /// Stdin has come to its end.
    pub(crate) read_all: bool,
    /// In the order in which they came.
    pub(crate) signals: Vec<i32>,
    pub(crate) exit: Option<Exit>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Child {
    begun: Option<Begun>,
    stdin: Option<OwnedFd>,
    outputs: [Option<OwnedFd>; 2],
    pub(crate) job: usize,
    pub(crate) pid: i32,
    plan: JobPlan,
    content: [Content; 3],
    lives_until: u64,
    pub(crate) life: Life,
}

impl Child {
    pub(crate) fn new(mut begun: Begun, job: usize, plan: JobPlan, seed: u64, now: u64) -> Self {
        let stdin = begun.stdin.take();
        Child {
            pid: begun.pid,
            outputs: [begun.stdout.take(), begun.stderr.take()],
            begun: Some(begun),
            stdin,
            job,
            content: [0, 1, 2].map(|stream| Content::of(seed, job, stream)),
            lives_until: now + plan.lives_ms,
            plan,
            life: Life::default(),
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.begun.is_some()
    }

    /// Does a little. True if it has got on.
    ///
    /// # Errors
    /// It was given what was not sent.
    pub(crate) fn step(&mut self, now: u64, chance: &mut Chance) -> Result<bool, String> {
        let Some(begun) = &self.begun else {
            return Ok(false);
        };
        let signals = begun.take_signals();
        let mut any = !signals.is_empty();
        self.life.signals.extend(&signals);
        if let Some(&deadly) = signals.iter().find(|it| [KILL, TERM].contains(it)) {
            self.end(Exit::Signal(deadly as u8, false));
            return Ok(true);
        }
        for output in [0, 1] {
            any |= chance.one_in(2) && self.write(output, chance);
        }
        any |= chance.one_in(self.plan.reads_one_in) && self.read(chance)?;
        if self.is_done(now) {
            self.end(Exit::Code(self.plan.code));
            any = true;
        }
        Ok(any)
    }

    fn is_done(&self, now: u64) -> bool {
        let signalled = self.life.signals.len() >= self.plan.signals.into();
        let written = (0..2).all(|output| {
            self.outputs[output].is_none() || self.life.written[output] == self.plan.outputs[output]
        });
        now >= self.lives_until
            && self.stdin.is_none()
            && written
            && (signalled || !self.plan.patient)
    }

    fn end(&mut self, exit: Exit) {
        self.life.exit = Some(exit);
        self.stdin = None;
        self.outputs = [None, None];
        if let Some(begun) = self.begun.take() {
            begun.exit(exit);
        }
    }

    fn write(&mut self, output: usize, chance: &mut Chance) -> bool {
        let left = self.plan.outputs[output] - self.life.written[output];
        let Some(pipe) = self.outputs[output].as_ref().filter(|_| left > 0) else {
            return false;
        };
        let len = left.min(1 + chance.size(20_000)) as usize;
        let bytes = self.content[1 + output].bytes(self.life.written[output], len);
        match rustix::io::write(pipe, &bytes) {
            Ok(written) => self.life.written[output] += written as u64,
            Err(rustix::io::Errno::AGAIN) => return false,
            // Nobody reads it any more.
            Err(_) => self.outputs[output] = None,
        }
        true
    }

    fn read(&mut self, chance: &mut Chance) -> Result<bool, String> {
        let Some(pipe) = &self.stdin else {
            return Ok(false);
        };
        let wanted = self
            .plan
            .reads
            .map_or(u64::MAX, |most| most - self.life.read);
        if wanted == 0 {
            self.stdin = None;
            return Ok(true);
        }
        let mut bytes = vec![0; wanted.min(1 + chance.size(20_000)) as usize];
        match rustix::io::read(pipe.as_fd(), &mut bytes) {
            Ok(0) => {
                self.life.read_all = true;
                self.stdin = None;
            }
            Ok(len) => {
                if !self.content[0].is(self.life.read, &bytes[..len]) {
                    let at = self.life.read;
                    return Err(format!("job {}: other stdin at {at}", self.job));
                }
                self.life.read += len as u64;
            }
            Err(rustix::io::Errno::AGAIN) => return Ok(false),
            Err(error) => return Err(format!("job {}: its stdin: {error}", self.job)),
        }
        Ok(true)
    }
}
