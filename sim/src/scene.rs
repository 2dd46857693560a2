//! What everybody in a run shares: time, trace, counts, and the first thing that is wrong.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use crate::tally::Tally;
use crate::trace::{Note, Trace};

/// The keeper's clock does not begin at 0 either.
const EPOCH_MS: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Scene {
    began: Instant,
    pub(crate) seed: u64,
    pub(crate) trace: RefCell<Trace>,
    pub(crate) tally: RefCell<Tally>,
    wrong: RefCell<Option<String>>,
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Rc<Self> {
        Rc::new(Scene {
            began: Instant::now(),
            seed,
            trace: RefCell::new(Trace::new()),
            tally: RefCell::default(),
            wrong: RefCell::default(),
        })
    }

    pub(crate) fn uptime(&self) -> Duration {
        Duration::from_millis(EPOCH_MS) + self.began.elapsed()
    }

    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.uptime().as_millis()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since it began.
    pub(crate) fn age(&self) -> u64 {
        self.now() - EPOCH_MS
    }

    pub(crate) fn note(&self, what: &'static str, who: usize, first: u64, second: u64) {
        let who = who as u64;
        let note = Note {
            what,
            who,
            first,
            second,
        };
        self.trace.borrow_mut().add(self.age(), note);
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.borrow_mut());
    }

    pub(crate) fn wrong(&self, what: String) {
        self.wrong.borrow_mut().get_or_insert(what);
    }

    pub(crate) fn take_wrong(&self) -> Option<String> {
        self.wrong.borrow_mut().take()
    }
}
