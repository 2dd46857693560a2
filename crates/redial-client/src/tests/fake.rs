//! A server that runs nothing: it answers as the command's first word tells it.

use std::collections::HashMap;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use redial_net::proto::message::{
    Attached, Cause, Control, ControlKind, DigestMessage, Outcome, RefusedCode, Start, Status,
};
use redial_net::proto::{ChannelId, Config, Connection, Event, Stream, StreamDigest};
use redial_net::{DriveError, Session, Slices, Transport, drive};

/// Stdin bytes that may come before attached.
pub(super) const EARLY_STDIN: u32 = 1000;

/// Bytes that are a function of their offset.
pub(super) fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|at| (at * 31 + at / 251 + at / 65_536) as u8)
        .collect()
}

pub(super) async fn serve(transport: Transport, mut fake: Fake) -> Result<(), DriveError> {
    let mut config = Config::server([7; 16]);
    config.limits.early_stdin = EARLY_STDIN;
    let connection = Connection::server(config, Duration::ZERO);
    drive(transport, connection, &mut fake).await
}

#[derive(Default)]
pub(super) struct Fake {
    jobs: HashMap<ChannelId, FakeJob>,
    vanished: bool,
}

#[derive(Default)]
struct FakeJob {
    outputs: [Vec<u8>; 2],
    stdin: StreamDigest,
    word: String,
    late: bool,
    echoes: bool,
    controls: Vec<String>,
    stopped: bool,
}

impl Fake {
    fn start(&mut self, connection: &mut Connection, channel: ChannelId, start: &Start) {
        let words = start.argv.clone().unwrap();
        let word = |at: usize| String::from_utf8(words[at].to_vec()).unwrap();
        if word(0) == "refuse" {
            return connection.refused(channel, RefusedCode::NotAllowed, "not you");
        }
        let policy = format!("{:?}", start.on_drop);
        if word(0) == "private" && policy != "Kill" {
            return connection.refused(channel, RefusedCode::Unsupported, "no keep here");
        }
        if word(0) == "vanish" {
            self.vanished = true;
            return;
        }
        // Attached only when all has come that may come before.
        if word(0) == "late" {
            let job = FakeJob {
                echoes: true,
                late: true,
                ..FakeJob::default()
            };
            self.jobs.insert(channel, job);
            return;
        }
        connection.attached(channel, attached(&word(0)));
        let waits = word(0) == "wait" || word(0) == "taken" || word(0).starts_with("applied");
        let mut job = FakeJob {
            word: word(0),
            ..FakeJob::default()
        };
        match word(0).as_str() {
            "write" => {
                let len = word(1).parse().unwrap();
                job.outputs = [pattern(0, len), b"err\n".to_vec()];
            }
            "lie" | "short" | "gone" | "cut" => job.outputs[0] = pattern(0, 100),
            "policy" | "private" => job.outputs[0] = policy.into_bytes(),
            "cat" => job.echoes = true,
            "deaf" => connection.stdin_closed(channel),
            "taken" => connection.holder(channel, false),
            _ => {}
        }
        let said = match word(0).as_str() {
            "short" | "gone" => 99,
            _ => job.outputs[0].len(),
        };
        connection
            .data_ready(channel, Stream::Stdout, said as u64)
            .unwrap();
        connection
            .data_ready(channel, Stream::Stderr, job.outputs[1].len() as u64)
            .unwrap();
        if word(0) == "gone" {
            connection.missed(channel, Stream::Stdout, 99, 100);
        }
        if start.stdin {
            connection.grant(channel, Stream::Stdin, 200_000);
        }
        if !start.stdin && !waits {
            let mut outcome = job.outcome(Cause::Itself);
            match word(0).as_str() {
                "lie" => outcome.stdout.checksum = [9; 16].into(),
                "cut" => outcome.stdout.complete = false,
                _ => {}
            }
            end(connection, channel, outcome);
        }
        self.jobs.insert(channel, job);
    }

    fn control(&mut self, connection: &mut Connection, channel: ChannelId, control: Control) {
        let job = self.jobs.get_mut(&channel).unwrap();
        let number = control.number;
        connection.applied(channel, number);
        match control.kind {
            ControlKind::Signal(signal) => job.controls.push(format!("{number}:{signal}")),
            ControlKind::Cancel(grace) => {
                job.controls.push(format!("{number}:cancel {grace}"));
                let cause = Cause::Cancelled(job.controls.join(" "));
                end(connection, channel, job.outcome(cause));
            }
            ControlKind::Stop(_) => job.stopped = true,
            ControlKind::Resize(..) => {}
        }
    }
}

impl FakeJob {
    fn outcome(&self, cause: Cause) -> Outcome {
        let message = |digest: &StreamDigest| DigestMessage {
            bytes: digest.bytes(),
            checksum: digest.checksum().into(),
            complete: !self.stopped,
        };
        let digest = |bytes: &[u8]| {
            let mut digest = StreamDigest::new();
            digest.update(bytes);
            message(&digest)
        };
        Outcome {
            status: Status::Exited(0),
            cause,
            stdin: message(&self.stdin),
            stdout: digest(&self.outputs[0]),
            stderr: digest(&self.outputs[1]),
            holders: Vec::new(),
            lingering: 0,
            exact: true,
            duration_ms: 1,
            cpu_us: 1,
        }
    }
}

fn end(connection: &mut Connection, channel: ChannelId, outcome: Outcome) {
    connection.eof(channel, Stream::Stdout);
    connection.eof(channel, Stream::Stderr);
    connection.ended(channel, outcome);
}

fn attached(word: &str) -> Attached {
    let (new, applied) = match word {
        "applied before" => (true, 1),
        "applied all" => (false, u64::MAX),
        "applied most" => (false, u64::MAX - 1),
        _ => (true, 0),
    };
    Attached {
        new,
        pid: 1,
        exact: true,
        holder: true,
        stdin_from: 0,
        stdin_credit: 0,
        applied,
        stdout_from: 0,
        stderr_from: 0,
        terminal: None,
    }
}

impl Session for Fake {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, _: &Bytes) {
        match event {
            Event::Start { channel, start } => self.start(connection, channel, &start),
            Event::Control { channel, control } => self.control(connection, channel, control),
            Event::Data {
                channel,
                stream,
                offset,
                bytes,
            } => {
                let job = self.jobs.get_mut(&channel).unwrap();
                assert_eq!(offset, job.stdin.bytes());
                job.stdin.update(bytes);
                if job.late && job.stdin.bytes() >= u64::from(EARLY_STDIN) {
                    job.late = false;
                    assert_eq!(job.stdin.bytes(), u64::from(EARLY_STDIN));
                    connection.attached(channel, attached("late"));
                }
                connection.acknowledge(channel, stream, job.stdin.bytes());
                connection.grant(channel, stream, job.stdin.bytes() + 200_000);
                if job.echoes {
                    job.outputs[0].extend_from_slice(bytes);
                    connection
                        .data_ready(channel, Stream::Stdout, bytes.len() as u64)
                        .unwrap();
                }
            }
            Event::Eof {
                channel, offset, ..
            } => {
                let job = &self.jobs[&channel];
                assert_eq!(offset, job.stdin.bytes());
                assert!(!job.late, "an end before its last byte");
                let mut outcome = job.outcome(Cause::Itself);
                match job.word.as_str() {
                    "other stdin" => outcome.stdin.checksum = [9; 16].into(),
                    "more stdin" => outcome.stdin.bytes += 1,
                    "lost stdin" => outcome.stdin = FakeJob::default().outcome(Cause::Itself).stdin,
                    "less stdin" => {
                        outcome.stdin = FakeJob::default().outcome(Cause::Itself).stdin;
                        outcome.stdin.complete = false;
                    }
                    _ => {}
                }
                end(connection, channel, outcome);
            }
            Event::Closed { channel, .. } => {
                self.jobs.remove(&channel);
            }
            _ => {}
        }
    }

    fn payload<'a>(
        &'a self,
        channel: ChannelId,
        stream: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        let Some(job) = self.jobs.get(&channel) else {
            return false;
        };
        let from = usize::try_from(offset).unwrap();
        out.push(&job.outputs[stream.index() - 1][from..from + len])
    }

    fn poll(&mut self, _: &mut Context<'_>, _: &mut Connection) -> Poll<()> {
        if self.vanished {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
