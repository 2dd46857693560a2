//! A front as simple as can be: it remembers what it was told.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::Instant;

use minicbor::bytes::ByteVec;
use redial_keeper::outcome::{ControlKind, Outcome, RefusedCode};
use redial_keeper::pool::{CHUNK_BYTES, OutputView, StdinView};
use redial_keeper::wire::{
    Capability, Command, JobId, Link, MAX_PACKET_BYTES, Outbox, Snapshot, ToFront, ToKeeper,
    VERSION, decode_packet,
};

use crate::harness::{PATIENCE, millis};
use crate::seen::Seen;

pub(crate) struct Front {
    link: Link,
    buffer: Vec<u8>,
    out: Outbox<ToKeeper>,
    waiting: VecDeque<(ToFront, Vec<OwnedFd>)>,
    pub(crate) output: Option<OutputView>,
    stdin: Option<StdinView>,
    pub(crate) instance: [u8; 16],
    next_number: u32,
    next_job: u32,
    pub(crate) jobs: HashMap<JobId, Seen>,
    /// The sockets of connections, so that they stay open.
    sockets: Vec<OwnedFd>,
    pub(crate) lost: Vec<(Capability, JobId)>,
    pub(crate) shutting_down: bool,
    pub(crate) is_gone: bool,
    /// Answers echoes at once, as a front that has nothing to do; else they are here.
    pub(crate) answers_echoes: bool,
    pub(crate) echoes: Vec<u64>,
    /// The way to the host key.
    pub(crate) signer: Option<OwnedFd>,
}

impl Front {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            buffer: vec![0; MAX_PACKET_BYTES],
            out: Outbox::new(),
            waiting: VecDeque::new(),
            output: None,
            stdin: None,
            instance: [0; 16],
            next_number: 1,
            next_job: 1,
            jobs: HashMap::new(),
            sockets: Vec::new(),
            lost: Vec::new(),
            shutting_down: false,
            is_gone: false,
            answers_echoes: true,
            echoes: Vec::new(),
            signer: None,
        }
    }

    /// Hears the welcome and says that it is ready.
    pub(crate) fn begin(&mut self) {
        self.hear_welcome();
        self.say(&ToKeeper::Ready(VERSION));
    }

    pub(crate) fn hear_welcome(&mut self) {
        let (welcome, mut fds) = self.next();
        let ToFront::Welcome(VERSION, instance, settings) = welcome else {
            panic!("{welcome:?}");
        };
        self.instance = *instance;
        self.signer = (fds.len() > 2).then(|| fds.pop().unwrap());
        let stdin = fds.pop().unwrap();
        let output = fds.pop().unwrap();
        self.stdin = Some(StdinView::map(stdin, settings.stdin_chunks).unwrap());
        self.output = Some(OutputView::map(output, settings.output_chunks).unwrap());
    }

    /// The capability of a connection that has been dialled.
    pub(crate) fn connection(&mut self) -> Capability {
        loop {
            let (message, fds) = self.next();
            if let ToFront::Connection(capability, _) = message {
                self.sockets.extend(fds);
                return capability;
            }
            self.remember(message);
        }
    }

    /// The next message that `wanted` makes something of; the others are remembered.
    pub(crate) fn hear<T>(&mut self, wanted: impl Fn(&ToFront) -> Option<T>) -> T {
        loop {
            let (message, fds) = self.next();
            self.sockets.extend(fds);
            match wanted(&message) {
                Some(heard) => return heard,
                None => self.remember(message),
            }
        }
    }

    pub(crate) fn say(&mut self, message: &ToKeeper) {
        self.out.push(message).unwrap();
        self.flush();
    }

    /// Sends without packing or checking.
    pub(crate) fn say_raw(&mut self, packet: &[u8]) {
        let _ = self.link.send(packet, &[]);
    }

    pub(crate) fn flush(&mut self) {
        let start = Instant::now();
        while !self.out.flush(&self.link).unwrap_or(true) {
            assert!(start.elapsed() < PATIENCE, "the keeper does not listen");
            // It may wait for us to listen.
            self.read(20);
        }
    }

    /// Takes in what there is; waits so long for something.
    fn read(&mut self, wait_ms: i64) {
        let mut fds = [rustix::event::PollFd::new(
            &self.link,
            rustix::event::PollFlags::IN,
        )];
        let _ = rustix::event::poll(&mut fds, Some(&millis(wait_ms)));
        while let Ok(received) = self.link.receive(&mut self.buffer) {
            if received.len == 0 {
                self.is_gone = true;
                return;
            }
            let mut fds = Some(received.fds);
            for message in decode_packet(&self.buffer[..received.len]) {
                self.waiting
                    .push_back((message.unwrap(), fds.take().unwrap_or_default()));
            }
        }
    }

    fn next(&mut self) -> (ToFront, Vec<OwnedFd>) {
        let start = Instant::now();
        loop {
            if let Some(next) = self.waiting.pop_front() {
                return next;
            }
            assert!(start.elapsed() < PATIENCE, "the keeper says nothing more");
            assert!(!self.is_gone, "the keeper has closed its end");
            self.read(500);
        }
    }

    pub(crate) fn new_id(&mut self) -> JobId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&std::process::id().to_be_bytes());
        id[4..8].copy_from_slice(&self.next_job.to_be_bytes());
        // Tests run at the same time: the mark in the environment must be unique.
        id[8..].copy_from_slice(&(self.instance[..8]));
        self.next_job += 1;
        id
    }

    pub(crate) fn send_start(&mut self, who: Capability, command: &Command) -> u32 {
        let number = self.next_number;
        self.next_number += 1;
        let encoded = minicbor::to_vec(command).unwrap();
        let mut pieces = encoded.chunks(60_000).peekable();
        while let Some(piece) = pieces.next() {
            let piece = ByteVec::from(piece.to_vec());
            if pieces.peek().is_some() {
                self.say(&ToKeeper::StartPiece(who, piece));
            } else {
                self.say(&ToKeeper::Start(who, number, piece));
            }
        }
        number
    }

    /// Starts with a new id, and waits until it runs.
    pub(crate) fn start(&mut self, who: Capability, mut command: Command) -> JobId {
        let id = self.new_id();
        command.job = id.into();
        let (started, snapshot) = self.start_as(who, &command).unwrap();
        assert!(started);
        assert!(snapshot.holder);
        id
    }

    /// Starts as it is, and waits for the answer.
    pub(crate) fn start_as(
        &mut self,
        who: Capability,
        command: &Command,
    ) -> Result<(bool, Snapshot), RefusedCode> {
        let number = self.send_start(who, command);
        self.answer(number)
    }

    pub(crate) fn attach(
        &mut self,
        who: Capability,
        id: JobId,
        take: bool,
    ) -> Result<(bool, Snapshot), RefusedCode> {
        let number = self.next_number;
        self.next_number += 1;
        self.say(&ToKeeper::Attach(who, number, id.into(), take));
        self.answer(number)
    }

    pub(crate) fn answer(&mut self, wanted: u32) -> Result<(bool, Snapshot), RefusedCode> {
        loop {
            match self.next().0 {
                ToFront::Attached(number, id, started, snapshot) if number == wanted => {
                    self.see_snapshot(*id, &snapshot);
                    return Ok((started, *snapshot));
                }
                ToFront::Refused(number, code, text) if number == wanted => {
                    assert!(!text.is_empty());
                    return Err(code);
                }
                other => self.remember(other),
            }
        }
    }

    pub(crate) fn seen(&mut self, id: &JobId) -> &mut Seen {
        self.jobs.entry(*id).or_default()
    }

    /// Takes in what comes until `check` says yes.
    pub(crate) fn until(&mut self, what: &str, mut check: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !check(self) {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
            if self.waiting.is_empty() {
                assert!(!self.is_gone, "the keeper has closed its end before {what}");
                self.read(20);
            }
            if let Some((message, _)) = self.waiting.pop_front() {
                self.remember(message);
            }
        }
    }

    /// Takes in what comes for so long.
    pub(crate) fn listen_for(&mut self, wait_ms: u64) {
        let start = Instant::now();
        while start.elapsed().as_millis() < u128::from(wait_ms) {
            self.read(5);
            while let Some((message, _)) = self.waiting.pop_front() {
                self.remember(message);
            }
        }
    }

    /// Acknowledges all that was seen until the job is over.
    pub(crate) fn outcome(&mut self, who: Capability, id: JobId) -> Outcome {
        loop {
            self.acknowledge(who, id);
            let before = self.seen(&id).bytes.each_ref().map(Vec::len);
            self.until("there is more of the job", |front| {
                let seen = &front.jobs[&id];
                seen.outcome.is_some() || seen.bytes.each_ref().map(Vec::len) != before
            });
            let seen = self.seen(&id);
            if let Some(outcome) = seen.outcome.clone() {
                return outcome;
            }
        }
    }

    pub(crate) fn acknowledge(&mut self, who: Capability, id: JobId) {
        let seen = self.seen(&id);
        let [stdout, stderr] = [0, 1].map(|it| seen.from[it] + seen.bytes[it].len() as u64);
        self.say(&ToKeeper::Acknowledge(who, id.into(), stdout, stderr));
    }

    /// Starts, reads to the end and leaves: stdout, stderr, outcome.
    pub(crate) fn run(&mut self, who: Capability, command: Command) -> (Vec<u8>, Vec<u8>, Outcome) {
        let id = self.start(who, command);
        let outcome = self.outcome(who, id);
        self.say(&ToKeeper::Leave(who, id.into(), true, true));
        let [stdout, stderr] = self.jobs.remove(&id).unwrap().bytes;
        (stdout, stderr, outcome)
    }

    /// Writes as much stdin as there are chunks for; says how much that was.
    pub(crate) fn write_stdin(&mut self, who: Capability, id: JobId, bytes: &[u8]) -> usize {
        let stdin = self.stdin.as_ref().unwrap();
        let seen = self.jobs.get_mut(&id).unwrap();
        let mut written = 0;
        while written < bytes.len() {
            let at = seen.stdin_arrived;
            let Some(slot) = seen.chunks.get(&(0, at / CHUNK_BYTES as u64)) else {
                break;
            };
            let start = (at % CHUNK_BYTES as u64) as usize;
            let len = (CHUNK_BYTES - start).min(bytes.len() - written);
            assert!(stdin.write(*slot, start, &bytes[written..written + len]));
            seen.stdin_arrived += len as u64;
            written += len;
        }
        let arrived = seen.stdin_arrived;
        if written > 0 {
            self.say(&ToKeeper::Stdin(who, id.into(), arrived));
        }
        written
    }

    pub(crate) fn end_stdin(&mut self, who: Capability, id: JobId) {
        let at = self.seen(&id).stdin_arrived;
        self.say(&ToKeeper::StdinEnd(who, id.into(), at));
    }

    pub(crate) fn control(&mut self, who: Capability, id: JobId, number: u64, what: ControlKind) {
        self.say(&ToKeeper::Control(who, id.into(), number, what));
    }

    /// Until the keeper has had enough of us.
    pub(crate) fn until_gone(&mut self) {
        let start = Instant::now();
        while !self.is_gone {
            assert!(start.elapsed() < PATIENCE, "the keeper still speaks to us");
            self.read(20);
        }
    }

    /// Until there is something to hear, which is not heard yet.
    pub(crate) fn until_spoken_to(&self) {
        let mut fds = [rustix::event::PollFd::new(
            &self.link,
            rustix::event::PollFlags::IN,
        )];
        let patience = i64::try_from(PATIENCE.as_millis()).unwrap();
        let ready = rustix::event::poll(&mut fds, Some(&millis(patience)));
        assert_eq!(ready, Ok(1), "the keeper says nothing");
    }

    /// As the death of a front looks.
    pub(crate) fn die(self) {
        drop(self);
    }
}
