//! All lines: dialled by clients, taken by the keeper and handed to the front, broken by chance.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redial_client::Target;
use redial_client::simulation::{Dialled, Stream as AnyStream, World};
use redial_keeper::simulation::Keeper;
use redial_keeper::wire::Capability;
use redial_server::simulation::Front;
use tokio::sync::oneshot;

use crate::chance::Chance;
use crate::line::{Line, Stream, Way};
use crate::plan::{Faults, Weather};
use crate::scene::Scene;

/// What comes late comes within this time: less than a client takes it for its own words.
const LATEST_MS: u64 = 4_000;
/// A silent line is given up by those who look for signs of life, and ends for others.
const SILENT_MS: u64 = 8_000;

type Dialling = oneshot::Sender<io::Result<Box<dyn AnyStream>>>;

/// Where clients dial; what is around them.
pub(crate) struct Exchange {
    scene: Rc<Scene>,
    dialling: Arc<Mutex<Vec<Dialling>>>,
    chance: Mutex<Chance>,
}

impl Exchange {
    pub(crate) fn new(scene: Rc<Scene>) -> Rc<Self> {
        let chance = Mutex::new(Chance::new(scene.seed, 7));
        Rc::new(Exchange {
            scene,
            dialling: Arc::default(),
            chance,
        })
    }

    fn take_next(&self) -> Option<Dialling> {
        let mut dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        (!dialling.is_empty()).then(|| dialling.remove(0))
    }
}

impl World for Exchange {
    fn dial(&self, _: &Target) -> Dialled {
        let (answer, answered) = oneshot::channel();
        let mut dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        dialling.push(answer);
        Box::pin(async move {
            let gone = |_| io::Error::from(io::ErrorKind::ConnectionReset);
            answered.await.map_err(gone)?
        })
    }

    fn uptime(&self) -> Duration {
        self.scene.uptime()
    }

    fn chance(&self) -> u32 {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        chance.next() as u32
    }
}

#[derive(Debug)]
struct Known {
    number: usize,
    line: Line,
    /// Cut, one way or another: not again.
    is_cut: bool,
    dies: Death,
}

/// When a line is cut in its first words, if it is.
#[derive(Debug, Clone, Copy)]
enum Death {
    Never,
    At(u64),
    /// As soon as a start or attach, or what follows it, is under way.
    WithWords,
}

impl Known {
    fn is_to_die(&self, now: u64) -> bool {
        !self.is_cut
            && match self.dies {
                Death::Never => false,
                Death::At(at) => at <= now,
                Death::WithWords => self.line.has_words_under_way(),
            }
    }
}

/// The lines there are.
pub(crate) struct Lines {
    scene: Rc<Scene>,
    weather: Weather,
    faults: Faults,
    chance: Chance,
    known: Vec<Known>,
    /// In the queue of the socket that the keeper listens on.
    queue: Vec<(usize, Stream)>,
    /// With the keeper, until the front takes them.
    unserved: BTreeMap<Capability, Stream>,
    /// Lines have ends that drop lines, which is no fault of theirs.
    pub(crate) had_faults: bool,
    keepalive: bool,
    dialled: usize,
    /// Dials that are never answered.
    hung: Vec<Dialling>,
}

impl Lines {
    pub(crate) fn new(scene: Rc<Scene>, weather: Weather, faults: Faults, keepalive: bool) -> Self {
        let chance = Chance::new(scene.seed, 8);
        Lines {
            scene,
            weather,
            faults,
            chance,
            known: Vec::new(),
            queue: Vec::new(),
            unserved: BTreeMap::new(),
            had_faults: false,
            keepalive,
            dialled: 0,
            hung: Vec::new(),
        }
    }

    fn is_calm(&self) -> bool {
        self.scene.age() >= self.faults.until_ms
    }

    /// Answers who dials, lets the keeper take who waits, and the front whom it was handed.
    pub(crate) fn connect(
        &mut self,
        exchange: &Exchange,
        keeper: &mut Keeper<'_>,
        front: Option<&mut Front>,
    ) -> bool {
        let mut any = false;
        while let Some(dialling) = exchange.take_next() {
            any = true;
            self.answer(dialling);
        }
        while !self.queue.is_empty() {
            let Some(capability) = keeper.connect() else {
                break;
            };
            let (number, stream) = self.queue.remove(0);
            self.scene.note("accepted", number, capability.into(), 0);
            self.unserved.insert(capability, stream);
            any = true;
        }
        let Some(front) = front else { return any };
        for capability in std::mem::take(&mut front.waiting) {
            if let Some(stream) = self.unserved.remove(&capability) {
                front.serve(capability, stream);
            }
            any = true;
        }
        any
    }

    fn answer(&mut self, dialling: Dialling) {
        let refused = self.faults.refused > 0 && self.chance.one_in(self.faults.refused);
        if refused && !self.is_calm() {
            self.scene.count(|tally| tally.dials_refused += 1);
            // Who has dialled may have given up.
            let _ = dialling.send(Err(io::ErrorKind::ConnectionRefused.into()));
            return;
        }
        if self.faults.hung > 0 && self.chance.one_in(self.faults.hung) && !self.is_calm() {
            self.scene.count(|tally| tally.hung += 1);
            return self.hung.push(dialling);
        }
        let number = self.dialled;
        self.dialled += 1;
        let now = self.scene.now();
        let line = Line::new(
            self.weather,
            Chance::new(self.scene.seed, 1000 + number as u64),
            now,
        );
        let [theirs, ours] = line.ends();
        let stillborn = self.faults.stillborn > 0 && self.chance.one_in(self.faults.stillborn);
        let dies = match self.chance.below(3) {
            _ if !stillborn || self.is_calm() => Death::Never,
            0 => Death::At(now + self.chance.below(4 * self.weather.delay_ms + 32)),
            _ => Death::WithWords,
        };
        self.known.push(Known {
            number,
            line,
            is_cut: false,
            dies,
        });
        self.queue.push((number, ours));
        self.scene.count(|tally| tally.dials += 1);
        self.scene.note("dialled", number, 0, 0);
        // As above; then the other end learns of it.
        let _ = dialling.send(Ok(Box::new(theirs)));
    }

    /// The front is gone, and what it was to be handed is too.
    pub(crate) fn front_vanished(&mut self) {
        self.unserved.clear();
    }

    /// Lets arrive what is due.
    pub(crate) fn deliver(&mut self) -> bool {
        let now = self.scene.now();
        let mut any = false;
        for known in &self.known {
            any |= known.line.deliver(now);
            let carried = known.line.take_carried();
            self.scene.count(|tally| tally.carried_bytes += carried);
        }
        self.known.retain(|known| !known.line.is_over());
        any
    }

    /// Nothing is under way any more.
    pub(crate) fn are_over(&self) -> bool {
        self.known.is_empty()
    }

    /// Things go wrong, if it is time for it. So many milliseconds have passed.
    pub(crate) fn go_wrong(&mut self, passed_ms: u64) {
        let now = self.scene.now();
        for index in 0..self.known.len() {
            let known = &self.known[index];
            if known.is_to_die(now) {
                self.scene.count(|tally| tally.stillborn += 1);
                match self.chance.below(4) {
                    0 => self.cut(index),
                    3 => self.late(index, Way::Down),
                    _ => self.late(index, Way::Up),
                }
            }
        }
        if self.is_calm() {
            return;
        }
        let Faults {
            cut,
            late,
            silence,
            stall,
            ..
        } = self.faults;
        for index in 0..self.known.len() {
            if self.known[index].is_cut {
                continue;
            }
            if self.strikes(cut, passed_ms) {
                self.cut(index);
            } else if self.strikes(late, passed_ms) {
                let way = if self.chance.one_in(4) {
                    Way::Down
                } else {
                    Way::Up
                };
                self.late(index, way);
            } else if self.strikes(silence, passed_ms) {
                self.silence(index);
            } else if self.strikes(stall, passed_ms) {
                let way = if self.chance.one_in(2) {
                    Way::Down
                } else {
                    Way::Up
                };
                let until = now + self.chance.size(1000);
                self.known[index].line.stall(way, until);
                self.scene
                    .note("stall", self.known[index].number, way as u64, until);
                self.scene.count(|tally| tally.stalls += 1);
            }
        }
    }

    /// Something that comes once in so many milliseconds.
    pub(crate) fn strikes(&mut self, once_in_ms: u64, passed_ms: u64) -> bool {
        once_in_ms > 0 && self.chance.below(once_in_ms) < passed_ms
    }

    fn strike(&mut self, index: usize) -> &Known {
        self.had_faults = true;
        self.known[index].is_cut = true;
        &self.known[index]
    }

    fn cut(&mut self, index: usize) {
        let known = self.strike(index);
        let (number, lost) = (known.number, known.line.cut());
        self.scene.note("cut", number, lost, 0);
        self.scene.count(|tally| tally.cuts += 1);
    }

    fn late(&mut self, index: usize, way: Way) {
        // Before the next line is there, or long after.
        let late = match self.chance.below(2) {
            0 => self.chance.size(LATEST_MS),
            _ => self.chance.below(LATEST_MS),
        };
        let until = self.scene.now() + late;
        let known = self.strike(index);
        let (number, bytes) = (known.number, known.line.cut_with_late(way, until));
        self.scene.note("cut, and late", number, bytes, way as u64);
        self.scene.count(|tally| match way {
            Way::Up => {
                tally.late_up += 1;
                tally.late_up_bytes += bytes;
            }
            Way::Down => tally.late_down += 1,
        });
    }

    fn silence(&mut self, index: usize) {
        let until = self.scene.now() + self.chance.size(SILENT_MS);
        let until = (!self.keepalive || self.chance.one_in(2)).then_some(until);
        let known = self.strike(index);
        known.line.silence(until);
        self.scene.note("silence", self.known[index].number, 0, 0);
        self.scene.count(|tally| tally.silences += 1);
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lines {
            queue, unserved, ..
        } = self;
        write!(
            f,
            "waiting {queue:?}, {unserved:?}; there {:#?}",
            self.known
        )
    }
}
