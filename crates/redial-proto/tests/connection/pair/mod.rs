//! Two connections, a network between them that does its worst, and a program at each end.
//!
//! Everything follows from a seed. There is no clock but a number that jumps.

mod caller;
mod host;
pub(crate) mod wire;

use std::time::Duration;

use redial_proto::{Config, Connection, ProtocolError, Time};

pub(crate) use caller::{Caller, Errand};
pub(crate) use host::Host;
pub(crate) use wire::{Rng, Wire};

/// How the network behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Bytes that one direction holds before the sender has to wait.
    pub(crate) pipe: usize,
    /// The longest piece delivered at once.
    pub(crate) piece: usize,
    /// Cuts the line about once in so many bytes carried; 0 for never.
    pub(crate) cut_every: u64,
}

impl Weather {
    pub(crate) const FAIR: Self = Self {
        pipe: 1 << 20,
        piece: 1 << 20,
        cut_every: 0,
    };
}

/// Both ends, and what lies between.
pub(crate) struct Pair {
    pub(crate) rng: Rng,
    pub(crate) now: Time,
    pub(crate) weather: Weather,
    pub(crate) host: Host,
    pub(crate) caller: Caller,
    pub(crate) client: Connection,
    pub(crate) server: Connection,
    pub(crate) up: Wire,
    pub(crate) down: Wire,
    /// Lines cut so far.
    pub(crate) cuts: u64,
}

impl Pair {
    pub(crate) fn new(seed: u64, weather: Weather, errands: Vec<Errand>) -> Self {
        let mut pair = Self {
            rng: Rng::new(seed),
            now: Duration::from_secs(1_000),
            weather,
            host: Host::default(),
            caller: Caller::new(errands),
            client: Connection::client(Config::client(), Duration::ZERO),
            server: Connection::server(Config::server([7; 16]), Duration::ZERO),
            up: Wire::default(),
            down: Wire::default(),
            cuts: 0,
        };
        pair.dial();
        pair
    }

    /// A fresh line between the same programs.
    pub(crate) fn dial(&mut self) {
        self.client = Connection::client(Config::client(), self.now);
        self.server = Connection::server(Config::server([7; 16]), self.now);
        self.up = Wire::default();
        self.down = Wire::default();
        self.host.line_dropped();
        self.caller.dialled(&mut self.client);
    }

    /// Goes on until every errand is done and both sides have said goodbye.
    pub(crate) fn run(&mut self, seed: u64) {
        for _ in 0..2_000_000 {
            if self.step(seed) {
                return;
            }
        }
        panic!("seed {seed}: no end in sight: {:?}", self.caller);
    }

    /// One move of somebody. True when all is done.
    pub(crate) fn step(&mut self, seed: u64) -> bool {
        self.now += Duration::from_millis(self.rng.below(50));
        match self.rng.below(6) {
            0 => self.host.work(&mut self.server, &mut self.rng),
            1 => self.caller.work(&mut self.client, &mut self.rng),
            2 | 3 => self.carry_up(seed),
            _ => self.carry_down(seed),
        }
        let every = self.weather.cut_every;
        if every > 0 && self.rng.below(every) < (self.up.take_carried() + self.down.take_carried())
        {
            self.cut(seed);
        }
        self.caller.is_done() && self.client.is_finished() && self.server.is_finished()
    }

    fn carry_up(&mut self, seed: u64) {
        self.up
            .fill(&mut self.client, &self.caller, self.weather.pipe);
        let piece = 1 + self.rng.below(self.weather.piece as u64) as usize;
        let Self { up, server, .. } = self;
        let (host, now) = (&mut self.host, self.now);
        let result = up.deliver(piece, server, now, &mut |server, event| {
            host.on_event(server, event);
        });
        expect_good(seed, "server", result);
    }

    fn carry_down(&mut self, seed: u64) {
        self.down
            .fill(&mut self.server, &self.host, self.weather.pipe);
        let piece = 1 + self.rng.below(self.weather.piece as u64) as usize;
        let Self { down, client, .. } = self;
        let (caller, now) = (&mut self.caller, self.now);
        let result = down.deliver(piece, client, now, &mut |client, event| {
            caller.on_event(client, event);
        });
        expect_good(seed, "client", result);
    }

    /// The line breaks: what is under way is lost, both ends learn of it, and the client dials.
    fn cut(&mut self, seed: u64) {
        self.cuts += 1;
        for (end, wire) in [(&mut self.client, &self.down), (&mut self.server, &self.up)] {
            let finished = end.is_finished();
            let result = end.handle_end(wire.unread());
            assert!(
                finished || result.is_err() || wire.unread().is_empty(),
                "seed {seed}"
            );
            assert!(
                result.is_ok() || end.poll_transmit().is_none(),
                "seed {seed}"
            );
        }
        if !self.caller.is_done() {
            self.dial();
        }
    }
}

fn expect_good(seed: u64, side: &str, result: Result<(), ProtocolError>) {
    if let Err(error) = result {
        panic!("seed {seed}: the {side} complains: {error}");
    }
}
