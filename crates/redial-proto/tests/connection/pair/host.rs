//! The program at the server's end: it stands for the keeper, so it outlives connections.

use std::collections::BTreeMap;

use redial_proto::message::{
    Attached, ByteArray, Cause, ControlKind, DigestMessage, Exit, Outcome, Start, Status,
};
use redial_proto::{ChannelId, Connection, Event, Stream};

use super::wire::{Rng, Source, byte_at};

/// Jobs by id, and which of them the present connection is about.
#[derive(Default, Debug)]
pub(crate) struct Host {
    pub(crate) jobs: BTreeMap<[u8; 16], Job>,
    channels: BTreeMap<ChannelId, [u8; 16]>,
    /// Events that told of a start, by job: how often it was run is `jobs`' affair.
    pub(crate) starts: u64,
}

/// A job that writes what its argv says, in small pieces of both outputs.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) number: u64,
    /// Lengths of stdin, stdout and stderr, as argv says.
    lengths: [u64; 3],
    /// What was written, in order.
    written: Vec<(Stream, u64)>,
    /// Bytes written of each stream.
    produced: [u64; 3],
    pub(crate) stdin_arrived: u64,
    stdin_ended: bool,
    pub(crate) acknowledged: [u64; 3],
    pub(crate) controls_applied: u64,
    pub(crate) signals: Vec<u8>,
    pub(crate) runs: u64,
    exit_said: bool,
    ended_said: bool,
    pub(crate) outcome_seen: bool,
}

const STDIN_WINDOW: u64 = 100_000;

impl Job {
    fn is_complete(&self) -> bool {
        self.stdin_ended && self.produced[1..] == self.lengths[1..]
    }
}

impl Host {
    /// The connection is gone; jobs stay.
    pub(crate) fn line_dropped(&mut self) {
        self.channels.clear();
        for job in self.jobs.values_mut() {
            job.exit_said = false;
            job.ended_said = false;
        }
    }

    pub(crate) fn on_event(&mut self, server: &mut Connection, event: Event<'_>) {
        match event {
            Event::Start { channel, start } => self.on_start(server, channel, &start),
            Event::Data {
                channel,
                stream,
                offset,
                bytes,
            } => {
                let job = self.job(channel);
                assert_eq!(stream, Stream::Stdin);
                for (at, &byte) in (offset..).zip(bytes) {
                    assert_eq!(byte, byte_at(job.number, stream, at), "stdin at {at}");
                }
                // A resumed line may begin before what is here already, but leaves no gap.
                assert!(offset <= job.stdin_arrived);
                job.stdin_arrived = job.stdin_arrived.max(offset + bytes.len() as u64);
            }
            Event::Eof {
                channel, offset, ..
            } => {
                let job = self.job(channel);
                assert_eq!(offset, job.lengths[0]);
                assert_eq!(offset, job.stdin_arrived);
                job.stdin_ended = true;
            }
            Event::Acknowledged {
                channel,
                stream,
                up_to,
            } => {
                let acknowledged = &mut self.job(channel).acknowledged[stream.index()];
                *acknowledged = up_to.max(*acknowledged);
            }
            Event::Control { channel, control } => {
                let job = self.job(channel);
                if control.number == job.controls_applied + 1 {
                    job.controls_applied += 1;
                    if let ControlKind::Signal(signal) = control.kind {
                        job.signals.push(signal);
                    }
                }
                let number = job.controls_applied;
                server.applied(channel, number);
            }
            Event::Closed {
                channel,
                outcome_seen,
            } => {
                self.job(channel).outcome_seen |= outcome_seen;
                self.channels.remove(&channel);
            }
            Event::ClientHello(_) | Event::Goodbye(_) => {}
            other => panic!("not for a server: {other:?}"),
        }
    }

    fn on_start(&mut self, server: &mut Connection, channel: ChannelId, start: &Start) {
        self.starts += 1;
        let id: [u8; 16] = start.job.into();
        let known = self.jobs.contains_key(&id);
        let job = self.jobs.entry(id).or_default();
        if !known {
            job.runs += 1;
            let argv = start.argv.as_deref().expect("an argv");
            let number = |at: usize| -> u64 {
                let text = std::str::from_utf8(&argv[at]).expect("text");
                text.parse().expect("a number")
            };
            job.number = number(1);
            job.lengths = [number(2), number(3), number(4)];
            job.stdin_ended = !start.stdin;
        }
        self.channels.insert(channel, id);
        let (stdout_from, stderr_from) = start
            .resent
            .map_or((0, 0), |resent| (resent.stdout_from, resent.stderr_from));
        server.attached(
            channel,
            Attached {
                new: !known,
                pid: 1,
                exact: true,
                holder: true,
                stdin_from: job.stdin_arrived,
                stdin_credit: job.stdin_arrived + STDIN_WINDOW,
                applied: job.controls_applied,
                stdout_from,
                stderr_from,
                terminal: None,
            },
        );
        // What was written before follows in its order, from where it is wanted.
        let mut skip = [0, stdout_from, stderr_from];
        for &(stream, len) in &job.written {
            let skipped = len.min(skip[stream.index()]);
            skip[stream.index()] -= skipped;
            server
                .data_ready(channel, stream, len - skipped)
                .expect("attached");
        }
    }

    /// Lets some job write, read, or end.
    pub(crate) fn work(&mut self, server: &mut Connection, rng: &mut Rng) {
        for (&channel, id) in &self.channels {
            let job = self.jobs.get_mut(id).expect("a job for each channel");
            let from = job.stdin_arrived;
            server.grant(channel, Stream::Stdin, from + STDIN_WINDOW);
            server.acknowledge(channel, Stream::Stdin, from);
            for stream in [Stream::Stdout, Stream::Stderr] {
                let left = job.lengths[stream.index()] - job.produced[stream.index()];
                let most = if rng.below(3) == 0 { 100_000 } else { 300 };
                let len = rng.below(most + 1).min(left);
                if len > 0 {
                    job.produced[stream.index()] += len;
                    job.written.push((stream, len));
                    // Nobody may be listening any more: the log keeps it all the same.
                    let _ = server.data_ready(channel, stream, len);
                }
                if left == len {
                    server.eof(channel, stream);
                }
            }
            if job.is_complete() && !std::mem::replace(&mut job.exit_said, true) {
                server.exited(channel, Exit::Exited(3));
            } else if job.exit_said && !std::mem::replace(&mut job.ended_said, true) {
                server.ended(channel, outcome(job));
            }
        }
    }

    fn job(&mut self, channel: ChannelId) -> &mut Job {
        let id = self.channels[&channel];
        self.jobs.get_mut(&id).expect("a job for each channel")
    }
}

impl Source for Host {
    fn job_of(&self, channel: ChannelId) -> u64 {
        self.jobs[&self.channels[&channel]].number
    }
}

fn outcome(job: &Job) -> Outcome {
    let digest = |stream: Stream| DigestMessage {
        bytes: job.lengths[stream.index()],
        checksum: ByteArray::from([0; 16]),
        complete: true,
    };
    Outcome {
        status: Status::Exited(3),
        cause: Cause::Itself,
        stdin: digest(Stream::Stdin),
        stdout: digest(Stream::Stdout),
        stderr: digest(Stream::Stderr),
        holders: Vec::new(),
        lingering: 0,
        exact: true,
        duration_ms: 1,
        cpu_us: 1,
    }
}
