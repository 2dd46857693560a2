//! The program above a connection: it answers this way or that, and believes no event before it
//! has checked it.

use std::collections::BTreeMap;

use redial_proto::message::{
    Answer, AnswerKind, Attach, Attached, Authenticate, Authenticated, ByteArray, Cause,
    ControlKind, DigestMessage, Exit, JobEntry, JobState, OnDrop, Outcome, Query, QueryKind,
    RefusedCode, Start, Status,
};
use redial_proto::{ChannelId, Connection, Event, Side, Stream};

/// Does what its seed says, and keeps what it knows of every channel.
pub(super) struct Program {
    side: Side,
    random: u64,
    highest: u32,
    /// For each open channel and stream: the offset that is due, once it is known.
    due: BTreeMap<ChannelId, [Option<u64>; 3]>,
    pub(super) trace: Vec<String>,
}

impl Program {
    pub(super) fn new(side: Side, seed: u8) -> Self {
        Self {
            side,
            random: u64::from(seed) * 0x9e37_79b9 + 1,
            highest: 0,
            due: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    /// What it does before it hears anything.
    pub(super) fn begin(&mut self, connection: &mut Connection) {
        if self.side == Side::Client {
            self.ask(connection);
        }
    }

    pub(super) fn on_event(&mut self, connection: &mut Connection, event: Event<'_>) {
        self.trace.push(format!("{event:?}"));
        match event {
            Event::ServerHello(_) | Event::Authenticated(_) => {
                let _ = connection.authenticate(&user());
                self.ask(connection);
            }
            Event::Authenticate(_) => {
                let result = self.below(3) as u8;
                connection.authenticated(answer_with(result));
            }
            Event::Start { channel, .. } | Event::Attach { channel, .. } => {
                assert!(channel.0 > self.highest, "a number twice");
                self.highest = channel.0;
                self.due.insert(channel, [None; 3]);
                self.answer(connection, channel);
            }
            Event::Query { channel, .. } => {
                self.answer_query(connection, channel);
            }
            Event::Answer { channel, .. } => {
                assert!(self.due.remove(&channel).is_some(), "answered twice");
            }
            Event::Attached { channel, attached } => {
                let due = [None, Some(attached.stdout_from), Some(attached.stderr_from)];
                *self.due.get_mut(&channel).expect("a channel it opened") = due;
            }
            Event::Data {
                channel,
                stream,
                offset,
                bytes,
            } => {
                assert!(!bytes.is_empty());
                self.moves(channel, stream, offset, offset + bytes.len() as u64);
                connection.acknowledge(channel, stream, offset + 1);
                connection.grant(channel, stream, offset + 50_000);
            }
            Event::Missed {
                channel,
                stream,
                from,
                to,
            } => self.moves(channel, stream, from, to),
            Event::Refused { channel, .. } | Event::Closed { channel, .. } => {
                assert!(self.due.remove(&channel).is_some(), "closed twice");
            }
            Event::Ended { channel, .. } => {
                assert!(self.due.remove(&channel).is_some(), "ended twice");
                connection.close(channel, true);
            }
            Event::Control { channel, control } => {
                assert!(self.due.contains_key(&channel));
                connection.applied(channel, control.number);
                self.say_something(connection, channel);
            }
            Event::Eof { channel, .. }
            | Event::Acknowledged { channel, .. }
            | Event::Applied { channel, .. }
            | Event::Exited { channel, .. }
            | Event::Holder { channel, .. }
            | Event::StdinClosed { channel } => {
                assert!(self.due.contains_key(&channel), "not open");
                self.say_something(connection, channel);
            }
            Event::ClientHello(_) | Event::Goodbye(_) | Event::Failed(_) => {}
        }
    }

    fn answer_query(&mut self, connection: &mut Connection, channel: ChannelId) {
        assert!(channel.0 > self.highest, "a number twice");
        self.highest = channel.0;
        let jobs = AnswerKind::Jobs(vec![job()], true);
        let kind = [jobs, AnswerKind::Done]
            .into_iter()
            .nth(self.below(3) as usize);
        match kind {
            Some(kind) => connection.answered(channel, Answer { kind }),
            None => connection.refused(channel, RefusedCode::NoSuchJob, "no"),
        }
    }

    fn moves(&mut self, channel: ChannelId, stream: Stream, from: u64, to: u64) {
        let due = self.due.get_mut(&channel).expect("an open channel");
        let due = &mut due[stream.index()];
        // Where early stdin ends, what the job has already may be passed over; never back.
        match stream {
            Stream::Stdin => assert!(due.is_none_or(|due| due <= from), "back"),
            Stream::Stdout | Stream::Stderr => assert_eq!(*due, Some(from), "a gap"),
        }
        assert!(to > from);
        *due = Some(to);
    }

    /// A client's requests.
    fn ask(&mut self, connection: &mut Connection) {
        for turn in 0..4 {
            let asked = match turn {
                3 => connection.query(&Query {
                    kind: QueryKind::Remove(ByteArray::from([3; 16])),
                }),
                2 => connection.attach(&Attach {
                    job: ByteArray::from([2; 16]),
                    take: true,
                    stdout_from: 10,
                    stderr_from: 0,
                    stdout_credit: 100_000,
                    stderr_credit: 100_000,
                    outcome_only: None,
                    last: Some(7),
                }),
                _ => connection.start(&start()),
            };
            let Ok(channel) = asked else {
                return;
            };
            self.due.insert(channel, [None; 3]);
            let _ = connection.data_ready(channel, Stream::Stdin, 200_000);
            let _ = connection.control(channel, ControlKind::Stop(2));
            if self.below(2) == 0 {
                connection.eof(channel, Stream::Stdin);
            }
        }
    }

    /// A server's answer to a request.
    fn answer(&mut self, connection: &mut Connection, channel: ChannelId) {
        match self.below(8) {
            0 => {
                connection.refused(channel, RefusedCode::Jobs, "no");
                self.due.remove(&channel);
                return;
            }
            1 => connection.ended(channel, outcome()),
            2 => {}
            kind => connection.attached(
                channel,
                Attached {
                    new: kind > 3,
                    pid: 1,
                    exact: true,
                    holder: true,
                    stdin_from: if kind > 3 { 0 } else { 20 },
                    stdin_credit: 100,
                    applied: 0,
                    stdout_from: 0,
                    stderr_from: 0,
                    terminal: (kind > 3).then_some(true),
                },
            ),
        }
        self.say_something(connection, channel);
    }

    /// Something a program may say any time, right or wrong.
    fn say_something(&mut self, connection: &mut Connection, channel: ChannelId) {
        let len = self.below(100_000);
        let stream = Stream::ALL[self.below(3) as usize];
        match self.below(10) {
            0 => connection.exited(channel, Exit::Exited(0)),
            1 => connection.ended(channel, outcome()),
            2 => connection.stdin_closed(channel),
            3 => connection.missed(channel, stream, 0, len),
            4 => connection.holder(channel, false),
            5 => connection.eof(channel, stream),
            6 => connection.grant(channel, stream, len),
            7 => connection.acknowledge(channel, stream, len),
            _ => {
                let _ = connection.data_ready(channel, Stream::Stdout, len);
                let _ = connection.data_ready(channel, Stream::Stderr, 3);
            }
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % end
    }
}

fn user() -> Authenticate {
    Authenticate {
        user: "ada".into(),
        keys: Vec::new(),
        signature: None,
    }
}

fn start() -> Start {
    Start {
        job: ByteArray::from([1; 16]),
        argv: Some(vec![b"true".to_vec().into()]),
        shell: None,
        cwd: None,
        env: None,
        stdin: true,
        pty: None,
        deadline_ms: None,
        drain_ms: 0,
        on_drop: OnDrop::Kill,
        reap: false,
        detach: false,
        stdout_credit: 1_000_000,
        stderr_credit: 1_000_000,
        resent: None,
        keep: None,
        resources: None,
    }
}

fn outcome() -> Outcome {
    let digest = DigestMessage {
        bytes: 0,
        checksum: ByteArray::from([0; 16]),
        complete: true,
    };
    Outcome {
        status: Status::Unknown,
        cause: Cause::ServerEnded,
        stdin: digest,
        stdout: digest,
        stderr: digest,
        holders: Vec::new(),
        lingering: 0,
        exact: false,
        duration_ms: 0,
        cpu_us: 0,
    }
}

fn answer_with(result: u8) -> Authenticated {
    Authenticated {
        result,
        acceptable: None,
        reason: None,
    }
}

fn job() -> JobEntry {
    JobEntry {
        job: ByteArray::from([3; 16]),
        state: JobState::Running,
        user: "ada".into(),
        command: "x".repeat(2_000),
        started_ms: 1,
        pid: 2,
        stdout: 3,
        stderr: 4,
        kept: true,
        held: false,
        readers: 0,
        outcome: None,
        ended_ms: None,
        expires_ms: None,
        stalled: None,
    }
}
