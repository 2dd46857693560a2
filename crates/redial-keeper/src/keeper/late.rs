//! Chunks of output that are given up while somebody may still read them.
//!
//! What is acknowledged is read by nobody any more. What is given up may be: the front copies
//! bytes for who reads along when it comes to the message that names them, and a thread may be
//! appending them to a file. Such chunks rest until the front has answered an echo, sent behind all
//! that names them, and until that thread has done what it was given before.

use std::collections::VecDeque;

use super::clients::Broken;
use super::report::tell;
use super::turn::Keeper;
use crate::wire::ToFront;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// Echoes asked for, and answered.
    asked: u64,
    heard: u64,
    resting: VecDeque<Rest>,
}

#[derive(Debug)]
struct Rest {
    echo: u64,
    appends: u64,
    slots: Vec<u32>,
}

impl Late {
    /// Whether all that the front was told before this echo is behind it.
    pub(super) fn has_heard(&self, echo: u64) -> bool {
        echo <= self.heard
    }

    /// There is no front any more that could read anything.
    pub(super) fn front_is_lost(&mut self) {
        self.heard = self.asked;
    }
}

impl Keeper<'_> {
    /// Asks the front to say when it has come to here.
    pub(super) fn ask_for_echo(&mut self) -> u64 {
        let late = &mut self.ground.late;
        late.asked += 1;
        if self.front.is_there() {
            tell(&mut self.front.out, &ToFront::Echo(late.asked));
        } else {
            late.heard = late.asked;
        }
        late.asked
    }

    /// It has.
    pub(super) fn on_echo(&mut self, echo: u64) -> Result<(), Broken> {
        let late = &mut self.ground.late;
        if echo > late.asked {
            return Err("it has answered what it was not asked");
        }
        late.heard = late.heard.max(echo);
        self.free_late();
        let held = |job: &super::job::Job| job.spool.as_ref().is_some_and(|it| it.is_held());
        let held = self.jobs.iter().filter(|(_, job)| held(job));
        for serial in held.map(|(serial, _)| *serial).collect::<Vec<_>>() {
            self.with_job(serial, |_, _| ());
        }
        Ok(())
    }

    /// Frees what nobody reads any more.
    pub(super) fn free_late(&mut self) {
        let slots = self.ground.output.take_late();
        let (given, done) = match &self.ground.disk {
            Some(disk) => disk.appends(),
            None => (0, 0),
        };
        if !slots.is_empty() {
            let echo = self.ask_for_echo();
            let rest = Rest {
                echo,
                appends: given,
                slots,
            };
            self.ground.late.resting.push_back(rest);
        }
        let late = &mut self.ground.late;
        let heard = late.heard;
        let is_over = |rest: &mut Rest| rest.echo <= heard && rest.appends <= done;
        while let Some(rest) = late.resting.pop_front_if(is_over) {
            let pool = &mut self.ground.output;
            rest.slots.into_iter().for_each(|slot| pool.give_back(slot));
        }
    }
}
