//! The program at the client's end: it runs errands, over as many lines as it takes.

use std::collections::BTreeMap;

use redial_proto::message::{
    ByteArray, ByteVec, ControlKind, GoodbyeCode, OnDrop, Resent, Start, Status,
};
use redial_proto::{ChannelId, CommandError, Connection, Event, Stream};

use super::wire::{Rng, Source, byte_at};

/// A command to be run: how much it reads and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Errand {
    pub(crate) stdin: u64,
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
    /// This much may be under way of each output.
    pub(crate) window: u64,
    /// Bytes to pad the start with.
    pub(crate) padding: usize,
    /// The reader takes nothing at all.
    pub(crate) stalled: bool,
}

impl Errand {
    pub(crate) const SMALL: Self = Self {
        stdin: 0,
        stdout: 3,
        stderr: 0,
        window: 1 << 20,
        padding: 0,
        stalled: false,
    };
}

/// What has become of an errand.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    errand: Errand,
    number: u64,
    sent_before: bool,
    channel: Option<ChannelId>,
    /// Offsets behind the last byte of each stream that came.
    pub(crate) received: [u64; 3],
    ended: [bool; 3],
    signalled: bool,
    exited: bool,
    pub(crate) done: bool,
}

/// All errands, and which channels they are on.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) errands: Vec<Progress>,
    channels: BTreeMap<ChannelId, usize>,
    goodbye_said: bool,
    /// The order in which errands were done.
    pub(crate) finished: Vec<usize>,
}

impl Caller {
    pub(crate) fn new(errands: Vec<Errand>) -> Self {
        let errands = errands
            .into_iter()
            .zip(1..)
            .map(|(errand, number)| Progress {
                errand,
                number,
                sent_before: false,
                channel: None,
                received: [0; 3],
                ended: [false; 3],
                signalled: false,
                exited: false,
                done: false,
            });
        Self {
            errands: errands.collect(),
            channels: BTreeMap::new(),
            goodbye_said: false,
            finished: Vec::new(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.errands
            .iter()
            .all(|progress| progress.done || progress.errand.stalled)
    }

    /// A new line is there.
    pub(crate) fn dialled(&mut self, client: &mut Connection) {
        self.channels.clear();
        self.goodbye_said = false;
        for progress in &mut self.errands {
            progress.channel = None;
            progress.exited = false;
        }
        self.start_what_can_be(client);
    }

    fn start_what_can_be(&mut self, client: &mut Connection) {
        for (index, progress) in self.errands.iter_mut().enumerate() {
            if progress.done || progress.channel.is_some() {
                continue;
            }
            let channel = match client.start(&progress.start()) {
                Ok(channel) => channel,
                Err(
                    CommandError::NotReady
                    | CommandError::Channels { .. }
                    | CommandError::Busy
                    | CommandError::Closing,
                ) => return,
                Err(error) => panic!("start: {error}"),
            };
            progress.sent_before = true;
            progress.channel = Some(channel);
            self.channels.insert(channel, index);
            if progress.errand.stdin > 0 {
                client
                    .data_ready(channel, Stream::Stdin, progress.errand.stdin)
                    .expect("it counts from 0");
                client.eof(channel, Stream::Stdin);
            }
        }
    }

    pub(crate) fn on_event(&mut self, client: &mut Connection, event: Event<'_>) {
        match event {
            Event::Data {
                channel,
                stream,
                offset,
                bytes,
            } => {
                let progress = self.progress(channel);
                let received = &mut progress.received[stream.index()];
                assert_eq!(offset, *received, "{stream}");
                for (at, &byte) in (offset..).zip(bytes) {
                    assert_eq!(
                        byte,
                        byte_at(progress.number, stream, at),
                        "{stream} at {at}"
                    );
                }
                *received += bytes.len() as u64;
            }
            Event::Eof {
                channel,
                stream,
                offset,
            } => {
                let progress = self.progress(channel);
                assert_eq!(offset, progress.received[stream.index()]);
                assert_eq!(offset, progress.length(stream));
                progress.ended[stream.index()] = true;
            }
            Event::Exited { channel, .. } => self.progress(channel).exited = true,
            Event::Ended { channel, outcome } => {
                let index = self.channels.remove(&channel).expect("a known channel");
                let progress = &mut self.errands[index];
                assert!(progress.exited, "exited goes before ended");
                assert_eq!(outcome.status, Status::Exited(3));
                assert_eq!(
                    progress.received[1..],
                    [progress.errand.stdout, progress.errand.stderr]
                );
                assert!(
                    progress.ended[1] && progress.ended[2],
                    "eof goes before ended"
                );
                progress.done = true;
                progress.channel = None;
                self.finished.push(index);
                client.close(channel, true);
            }
            Event::ServerHello(_)
            | Event::Attached { .. }
            | Event::Applied { .. }
            | Event::Acknowledged { .. }
            | Event::Goodbye(_) => {}
            other => panic!("not expected: {other:?}"),
        }
    }

    /// Grants, acknowledges, signals; says goodbye in the end.
    pub(crate) fn work(&mut self, client: &mut Connection, rng: &mut Rng) {
        self.start_what_can_be(client);
        for (&channel, &index) in &self.channels {
            let progress = &mut self.errands[index];
            if progress.errand.stalled {
                continue;
            }
            for stream in [Stream::Stdout, Stream::Stderr] {
                let received = progress.received[stream.index()];
                client.grant(channel, stream, received + progress.errand.window);
                client.acknowledge(channel, stream, received);
            }
            if !progress.signalled && rng.below(8) == 0 {
                let sent = client.control(channel, ControlKind::Signal(10));
                progress.signalled = sent.is_ok();
            }
        }
        if self.is_done() && !std::mem::replace(&mut self.goodbye_said, true) {
            client.goodbye(GoodbyeCode::Done, "");
        }
    }

    fn progress(&mut self, channel: ChannelId) -> &mut Progress {
        &mut self.errands[self.channels[&channel]]
    }
}

impl Progress {
    fn length(&self, stream: Stream) -> u64 {
        [self.errand.stdin, self.errand.stdout, self.errand.stderr][stream.index()]
    }

    fn start(&self) -> Start {
        let [stdout, stderr] = [self.received[1], self.received[2]];
        let window = match self.errand.stalled {
            true => 0,
            false => self.errand.window,
        };
        let words = [
            "write".to_string(),
            self.number.to_string(),
            self.errand.stdin.to_string(),
            self.errand.stdout.to_string(),
            self.errand.stderr.to_string(),
            "x".repeat(self.errand.padding),
        ];
        let mut job = [0; 16];
        job[..8].copy_from_slice(&self.number.to_be_bytes());
        Start {
            job: job.into(),
            argv: Some(words.map(|word| ByteVec::from(word.into_bytes())).into()),
            shell: None,
            cwd: None,
            env: None,
            stdin: self.errand.stdin > 0,
            pty: None,
            deadline_ms: None,
            drain_ms: 2_000,
            on_drop: OnDrop::KeepFor(300_000),
            reap: false,
            detach: false,
            stdout_credit: stdout + window,
            stderr_credit: stderr + window,
            keep: None,
            resources: None,
            resent: self.sent_before.then(|| Resent {
                ago_ms: 5,
                instance: ByteArray::from([7; 16]),
                stdout_from: stdout,
                stderr_from: stderr,
            }),
        }
    }
}

impl Source for Caller {
    fn job_of(&self, channel: ChannelId) -> u64 {
        self.errands[self.channels[&channel]].number
    }
}
