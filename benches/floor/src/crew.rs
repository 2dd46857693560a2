//! Many `true` at once, on one thread.

use std::os::fd::{AsFd, OwnedFd};

use anyhow::Context;
use rustix::event::epoll;

use crate::direct::{Direct, Running, SOURCES};

/// Who is woken for something that is none of the children.
const OTHER: u64 = u64::MAX;

/// What has happened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Woken {
    /// So many have ended.
    pub ended: usize,
    /// What is watched beside them is ready.
    pub other: bool,
}

/// A spawner and its children.
pub struct Crew {
    direct: Direct,
    epoll: OwnedFd,
    running: Vec<Option<Running>>,
    free: Vec<usize>,
}

impl Crew {
    /// Room for so many at once.
    ///
    /// # Errors
    /// No child can be prepared.
    pub fn new(direct: Direct, at_once: usize) -> anyhow::Result<Self> {
        let mut running = Vec::new();
        running.resize_with(at_once, || None);
        Ok(Crew {
            direct,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll")?,
            running,
            free: (0..at_once).collect(),
        })
    }

    /// Wakes for this, too.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn watch(&self, other: impl AsFd) -> anyhow::Result<()> {
        let token = epoll::EventData::new_u64(OTHER);
        epoll::add(&self.epoll, other, token, epoll::EventFlags::IN).context("epoll")
    }

    /// Whether another one may be started.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether none runs.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.free.len() == self.running.len()
    }

    /// Starts one; there is room.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let slot = self.free.pop().context("no room")?;
        let running = self.direct.start()?;
        running.watch(&self.epoll, slot)?;
        self.running[slot] = Some(running);
        Ok(())
    }

    /// Waits until something happens.
    ///
    /// # Errors
    /// One failed, or has written something.
    pub fn wait(&mut self) -> anyhow::Result<Woken> {
        let mut events = Vec::with_capacity(self.running.len() + 1);
        rustix::io::retry_on_intr(|| {
            let room = rustix::buffer::spare_capacity(&mut events);
            epoll::wait(&self.epoll, room, None)
        })
        .context("epoll")?;
        let mut woken = Woken::default();
        for event in &events {
            let token = event.data.u64();
            if token == OTHER {
                woken.other = true;
                continue;
            }
            let (slot, source) = (token as usize / SOURCES, token as usize % SOURCES);
            let Some(running) = &mut self.running[slot] else {
                continue;
            };
            running.advance(source)?;
            if running.is_over()
                && let Some(mut running) = self.running[slot].take()
            {
                self.direct.release(&mut running);
                self.free.push(slot);
                woken.ended += 1;
            }
        }
        Ok(woken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_started_end() {
        let mut crew = Crew::new(Direct::new().unwrap(), 4).unwrap();
        let (mut started, mut ended) = (0, 0);
        while ended < 20 {
            while started < 20 && crew.has_room() {
                crew.start().unwrap();
                started += 1;
            }
            ended += crew.wait().unwrap().ended;
        }
        assert!(crew.is_idle());
    }
}
