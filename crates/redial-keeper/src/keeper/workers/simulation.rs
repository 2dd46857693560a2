//! The workers' part in a simulation: no threads, it does their work itself.

use std::io;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use rustix::pipe::{PipeFlags, pipe_with};

use super::{Done, Errand, Start, Teller, Walk, Workers};
use crate::keeper::gate::Gate;
use crate::keeper::poll::Serial;
use crate::keeper::queue::Queue;
use crate::tree::{SpawnTickets, Tree};

/// The other ends of the queues.
pub(in crate::keeper) struct Bench {
    starts: Arc<Queue<Start>>,
    errands: Receiver<Errand>,
    teller: Teller,
}

impl Workers {
    /// Without threads; at most `queue` commands wait.
    pub(in crate::keeper) fn simulated(
        queue: usize,
        tickets: &Arc<SpawnTickets>,
    ) -> io::Result<(Self, Bench)> {
        let (event, wake) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let starts = Arc::new(Queue::new(queue, usize::MAX)?);
        let (errand_sender, errands) = mpsc::channel();
        let (done_sender, done) = mpsc::channel();
        let teller = Teller {
            done: done_sender,
            wake: Arc::new(wake),
        };
        let bench = Bench {
            starts: Arc::clone(&starts),
            errands,
            teller: teller.clone(),
        };
        let workers = Self {
            starts,
            errands: errand_sender,
            done,
            event,
            cgroups: None::<Arc<Mutex<_>>>,
            gate: Arc::new(Gate::default()),
            tickets: Arc::clone(tickets),
            teller,
            hung_ms: Arc::default(),
        };
        Ok((workers, bench))
    }
}

impl Bench {
    /// The next command that waits to be started.
    pub(in crate::keeper) fn take_start(&self) -> Option<Start> {
        // It would wait for one.
        let (lane, start) = (!self.starts.is_empty()).then(|| self.starts.pop())??;
        self.starts.done(lane);
        Some(start)
    }

    /// The next walk that somebody waits for.
    pub(in crate::keeper) fn take_walk(&self) -> Option<(Serial, Arc<Tree>, Walk)> {
        self.errands.try_iter().find_map(|errand| match errand {
            Errand::Walk(serial, tree, walk) => Some((serial, tree, walk)),
            Errand::Release(_) => None,
        })
    }

    /// Something was done.
    pub(in crate::keeper) fn tell(&self, done: Done) {
        self.teller.tell(done);
    }
}
